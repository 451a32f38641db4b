/*
 * A program with faults that memcheck finds: a leak, a read behind an object, a read of a freed one.
 *
 * Usage: faults [right]: without the faults. Exit status 0.
 *
 * Layer: tests. Threading: none.
 */
#include <stdlib.h>
#include <string.h>

static volatile char sink;

int main(int argc, char **argv) {
    int right = argc > 1 && strcmp(argv[1], "right") == 0;
    char *object = malloc(40), *leak = malloc(100);
    memset(object, 1, 40);
    leak[0] = 1;
    if (!right) {
        sink = object[40];
    }
    sink = object[39];
    free(object);
    if (right) {
        free(leak);
    } else {
        sink = object[3];
    }
    return 0;
}
