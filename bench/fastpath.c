/* The loops whose instructions tools/fastpath counts under callgrind.
 *
 * measured() runs one loop n times; callgrind writes a count each time it returns (--dump-after=measured).
 * Each loop runs three times: n to warm up, n, and 2n; the difference of the last two is exactly n
 * operations, with the loop and the PLT, and without anything else. Prints the names of the loops, n, and the
 * file that malloc comes from. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "fastpath.h"

enum { DEPTH = 64 };

/* Not known to the compiler. One object at a time: all of one size, so that the count is that of the path
 * alone. 64 at a time: sixteen sizes, as a program has them. */
static volatile size_t one_size = 48;
static size_t sizes[DEPTH];

static void *stack[DEPTH];

static inline void *touched(void *p) {
    *(volatile char *)p = 1;
    return p;
}

static void immediate(size_t n) {
    size_t size = one_size;
    for (size_t i = 0; i < n; i++) {
        free(touched(malloc(size)));
    }
}

static void lifo_64(size_t n) {
    for (size_t i = 0; i < n; i += DEPTH) {
        for (size_t k = 0; k < DEPTH; k++) {
            stack[k] = touched(malloc(sizes[k]));
        }
        for (size_t k = DEPTH; k-- > 0;) {
            free(stack[k]);
        }
    }
}

static void fifo_64(size_t n) {
    for (size_t i = 0; i < n; i += DEPTH) {
        for (size_t k = 0; k < DEPTH; k++) {
            stack[k] = touched(malloc(sizes[k]));
        }
        for (size_t k = 0; k < DEPTH; k++) {
            free(stack[k]);
        }
    }
}

static void calloc_free(size_t n) {
    size_t size = one_size;
    for (size_t i = 0; i < n; i++) {
        free(touched(calloc(1, size)));
    }
}

/* One realloc that can stay where it is: the object on top grows and shrinks by a few bytes. */
static void realloc_in_place(size_t n) {
    void *p = touched(malloc(100));
    for (size_t i = 0; i < n; i++) {
        p = touched(realloc(p, 100 + (i & 1) * 8));
    }
    free(p);
}

static const struct {
    const char *name;
    void (*run)(size_t n);
} loops[] = {
    {"immediate", immediate}, {"lifo_64", lifo_64},          {"fifo_64", fifo_64},
    {"calloc", calloc_free},  {"realloc", realloc_in_place},
};

int main(void) {
    const size_t n = 6400;
    Dl_info info;
    void *symbol = dlsym(RTLD_DEFAULT, "malloc");
    printf("%zu %s", n, symbol && dladdr(symbol, &info) ? info.dli_fname : "unknown");
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        printf(" %s", loops[i].name);
    }
    puts("");
    fflush(stdout);
    for (size_t k = 0; k < DEPTH; k++) {
        sizes[k] = 16 + k % 16 * 24;
    }
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        measured(loops[i].run, n);
        measured(loops[i].run, n);
        measured(loops[i].run, 2 * n);
    }
    return 0;
}
