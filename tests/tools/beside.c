/*
 * An arena in a program with AddressSanitizer or MemorySanitizer, in which the arena is compiled like the rest.
 *
 * Usage: beside right|freed|beyond|fresh: uses it as one should, and then reads a freed block, above the cursor, or a block
 * that nothing was written to. Exit status 0, if no sanitizer ends it.
 *
 * Layer: tests. Threading: none.
 */
#include <cutback.h>
#include <stdio.h>
#include <string.h>

static unsigned char memory[4096];
static cutback_slot ring[8];

/* Decides something by the byte. */
static void decide(const unsigned char *byte) {
    if (*(const volatile unsigned char *)byte == 1) {
        puts("1");
    }
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "right";
    cutback_arena arena = CUTBACK_INIT(memory, ring);
    unsigned char *a = cutback_alloc(&arena, 64, 16), *b = cutback_calloc(&arena, 64, 1, 16);
    if (a == NULL || b == NULL) {
        return 1;
    }
    memset(a, 2, 64);
    decide(a + 63);
    decide(b + 63);
    b = cutback_realloc(&arena, b, 64, 128, 16);
    memset(b + 64, 2, 64);
    decide(b);
    decide(b + 127);
    unsigned char *copy = cutback_realloc(&arena, a, 64, 200, 16); /* not on top: elsewhere */
    decide(copy + 63);
    cutback_stats stats = cutback_get_stats(&arena);
    if (stats.live_blocks != 2) {
        return 1;
    }
    cutback_free(&arena, copy, 200);
    if (strcmp(what, "freed") == 0) {
        decide(copy);
    }
    if (strcmp(what, "beyond") == 0) {
        decide(memory + 2048 * (size_t)(argc - 1)); /* of a constant clang knows that it lies in the array */
    }
    copy = cutback_alloc(&arena, 200, 16); /* the same place */
    if (strcmp(what, "fresh") == 0) {
        decide(copy);
    }
    cutback_mark mark = cutback_mark_set(&arena);
    unsigned char *c = cutback_calloc(&arena, 10, 10, 1);
    decide(c + 99);
    bool well = cutback_reset(&arena, mark);
    cutback_free(&arena, copy, 200);
    cutback_free(&arena, b, 128);
    return !well || cutback_used(&arena) != 0;
}
