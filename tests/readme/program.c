/*
 * The program of the examples: says which file malloc comes from.
 *
 * usage: program [wait|twice]   wait: for the end of standard input; twice: frees an object of 64 bytes twice
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    void *volatile object = malloc(64);
    Dl_info info;
    if (object == NULL || dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) == 0) {
        return 1;
    }
    puts(info.dli_fname);
    fflush(stdout);
    if (argc > 1 && strcmp(argv[1], "wait") == 0) {
        while (getchar() != EOF) {
        }
    }
    void *volatile behind = malloc(64); /* so that the first is not on top, and its length stays known */
    free(object);
    if (argc > 1 && strcmp(argv[1], "twice") == 0) {
        free(object);
    }
    free(behind);
    return 0;
}
