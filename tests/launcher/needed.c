/*
 * needed.c: prints where each library that a program needs is found: its name, and its path or "not found". The test
 * compares it with ldd.
 *
 *     needed PROGRAM
 */
#include "libraries.h"

#include <stdio.h>

static void print(const struct cb_needed *needed, void *context) {
    (void)context;
    printf("%s %s\n", needed->name, needed->path != NULL ? needed->path : "not found");
}

int main(int count, char **words) {
    if (count != 2) {
        return 2;
    }
    cb_libraries_each_needed(words[1], print, NULL);
    return 0;
}
