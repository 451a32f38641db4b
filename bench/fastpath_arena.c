/* The loops of the arena whose instructions tools/fastpath counts under callgrind; see fastpath.c.
 *
 * The sizes are not known to the compiler, the alignment is. Prints the names of the loops, n, and a dash in place of
 * a library: the arena is linked in. */

#include <stddef.h>
#include <stdio.h>

#include "cutback.h"
#include "fastpath.h"

enum { DEPTH = 64, SLOTS = 256 };

static volatile size_t one_size = 48;
static size_t sizes[DEPTH];
static void *stack[DEPTH];

static unsigned char memory[1 << 20];
static cutback_slot ring[SLOTS];
static cutback_arena arena;

/* Of fewer slots than there are live blocks. */
static unsigned char memory_few[2 << 20];
static cutback_slot ring_few[32];
static cutback_arena arena_few;

static inline void *touched(void *p) {
    *(volatile char *)p = 1;
    return p;
}

static void pair(size_t n) {
    size_t size = one_size;
    for (size_t i = 0; i < n; i++) {
        cutback_free(&arena, touched(cutback_alloc(&arena, size, 8)), size);
    }
}

static void lifo_64(size_t n) {
    for (size_t i = 0; i < n; i += DEPTH) {
        for (size_t k = 0; k < DEPTH; k++) {
            stack[k] = touched(cutback_alloc(&arena, sizes[k], 8));
        }
        for (size_t k = DEPTH; k-- > 0;) {
            cutback_free(&arena, stack[k], sizes[k]);
        }
    }
}

/* In reverse by groups of eight; within a group the order is that of a fixed shuffle. */
static inline void near_lifo(cutback_arena *in, size_t n) {
    static const size_t order[8] = {5, 2, 7, 0, 3, 6, 1, 4};
    for (size_t i = 0; i < n; i += DEPTH) {
        for (size_t k = 0; k < DEPTH; k++) {
            stack[k] = touched(cutback_alloc(in, sizes[k], 8));
        }
        for (size_t group = DEPTH; group != 0; group -= 8) {
            for (size_t k = 0; k < 8; k++) {
                size_t at = group - 8 + order[k];
                cutback_free(in, stack[at], sizes[at]);
            }
        }
    }
}

static void near_lifo_64(size_t n) {
    near_lifo(&arena, n);
}

/* With a ring of `slots`; a block that lives on keeps the scope from being empty. */
static void near_lifo_few(size_t n, size_t slots) {
    cutback_init(&arena_few, memory_few, sizeof memory_few, ring_few, slots);
    touched(cutback_alloc(&arena_few, one_size, 8));
    near_lifo(&arena_few, n);
}

static void near_lifo_32_slots(size_t n) {
    near_lifo_few(n, 32);
}

static void near_lifo_8_slots(size_t n) {
    near_lifo_few(n, 8);
}

static void scope_100(size_t n) {
    for (size_t i = 0; i < n; i += 100) {
        cutback_mark mark = cutback_mark_set(&arena);
        for (size_t k = 0; k < 100; k++) {
            touched(cutback_alloc(&arena, sizes[k % DEPTH], 8));
        }
        cutback_reset(&arena, mark);
    }
}

static void mark_reset(size_t n) {
    for (size_t i = 0; i < n; i++) {
        cutback_reset(&arena, cutback_mark_set(&arena));
    }
}

/* The block on top grows and shrinks by a few bytes. */
static void realloc_top(size_t n) {
    size_t from = one_size;
    void *p = touched(cutback_alloc(&arena, from, 8));
    for (size_t i = 0; i < n; i++) {
        size_t to = 48 + (i & 1) * 8;
        p = touched(cutback_realloc(&arena, p, from, to, 8));
        from = to;
    }
    cutback_free(&arena, p, from);
}

static const struct {
    const char *name;
    void (*run)(size_t n);
} loops[] = {
    {"pair", pair},
    {"lifo_64", lifo_64},
    {"near_lifo_64", near_lifo_64},
    {"near_lifo_32_slots", near_lifo_32_slots},
    {"near_lifo_8_slots", near_lifo_8_slots},
    {"scope_100", scope_100},
    {"mark_reset", mark_reset},
    {"realloc_top", realloc_top},
};

int main(void) {
    const size_t n = 6400;
    printf("%zu -", n);
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        printf(" %s", loops[i].name);
    }
    puts("");
    fflush(stdout);
    for (size_t k = 0; k < DEPTH; k++) {
        sizes[k] = 16 + k % 16 * 24;
    }
    if (!cutback_init(&arena, memory, sizeof memory, ring, SLOTS)) {
        return 1;
    }
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        measured(loops[i].run, n);
        measured(loops[i].run, n);
        measured(loops[i].run, 2 * n);
    }
    return 0;
}
