/*
 * fastpath.h: the function whose calls callgrind counts, for fastpath.c and fastpath_arena.c.
 *
 * Layer: bench. Threads: one. Included once by each program.
 */
#ifndef CB_BENCH_FASTPATH_H
#define CB_BENCH_FASTPATH_H

#include <stddef.h>

/* Under its own name, which a clone would not have. */
#if defined(__clang__)
#define CB_WHOLE __attribute__((noinline))
#else
#define CB_WHOLE __attribute__((noipa))
#endif

CB_WHOLE void measured(void (*run)(size_t n), size_t n);
void measured(void (*run)(size_t n), size_t n) {
    run(n);
    __asm__ volatile("" ::: "memory"); /* no tail call: the return is what triggers the count */
}

#endif
