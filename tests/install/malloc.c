/*
 * Says whose malloc a program has that links with cutback-malloc. It calls what every program calls, and nothing that
 * would draw the library in by itself. Objects of 16 bytes lie 16 bytes apart in cutback, and 32 in glibc's malloc.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OBJECTS = 16 };

static uintptr_t nearest(void *const *objects) {
    uintptr_t least = UINTPTR_MAX;
    for (int i = 0; i < OBJECTS; i++) {
        for (int j = 0; j < OBJECTS; j++) {
            uintptr_t a = (uintptr_t)objects[i], b = (uintptr_t)objects[j];
            if (a > b && a - b < least) {
                least = a - b;
            }
        }
    }
    return least;
}

int main(void) {
    void *own[OBJECTS], *by_libc[OBJECTS];
    for (int i = 0; i < OBJECTS; i++) {
        own[i] = malloc(16);
    }
    for (int i = 0; i < OBJECTS; i++) {
        by_libc[i] = strdup("fifteen letters");
    }
    int ours = nearest(own) == 16 && nearest(by_libc) == 16;
    puts(ours ? "malloc is cutback's" : "malloc is another's");
    for (int i = 0; i < OBJECTS; i++) {
        free(own[i]);
        free(by_libc[i]);
    }
    return !ours;
}
