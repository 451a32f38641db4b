/*
 * fast.h: the fast halves of allocating and freeing a small object, for malloc, free, calloc and realloc to
 * inline.
 *
 * Layer: the public functions of the heap. Threads: any. They touch one cache line of the thread and one byte
 * of the map; they take no lock, write nothing that another thread writes, and call nothing.
 */
#ifndef CB_HEAP_FAST_H
#define CB_HEAP_FAST_H

#include "heap/map.h"
#include "heap/types.h"

static inline size_t cb_granules(size_t size) {
    return (size + CB_GRANULE - 1) >> CB_GRANULE_SHIFT;
}

/*
 * The granules of a request less one, which is one instruction less than the granules: below CB_SMALL_GRANULES exactly
 * for what is small, and not 0 bytes.
 */
static inline size_t cb_fast_size(size_t size) {
    size_t less_one = (size - 1) >> CB_GRANULE_SHIFT;
    __asm__("" : "+r"(less_one)); /* or compilers compare the bytes instead, and compute both */
    return less_one;
}

/* An object of size + 1 granules, 1 to 63, from its bin or from the run; NULL when neither has one. */
static inline __attribute__((always_inline)) void *cb_fast_alloc(struct cb_thread *t, size_t size) {
    size_t at; /* the number of the object's first granule */
    if (CB_UNLIKELY(t->asked >> size & 1)) {
        struct cb_bins *bins = t->bins;
        size_t *top = bins->top[CB_BIN_BEGIN + size] - 1;
        bins->top[CB_BIN_BEGIN + size] = top;
        at = *top;
        if (CB_UNLIKELY((uint32_t)(uintptr_t)top == bins->ends[CB_BIN_BEGIN + size].empty)) {
            t->asked &= ~((uint64_t)1 << size);
        }
    } else {
        at = t->run.cursor;
        size_t end = at + size + 1;
        if (CB_UNLIKELY(end > t->run.limit)) {
            return NULL;
        }
        t->run.cursor = end;
    }
    cb_map_set(t->map + at, CB_LIVE + 1 + size);
    if (at << CB_GRANULE_SHIFT == 0) {
        __builtin_unreachable(); /* spares the callers' test for failure */
    }
    return (void *)(at << CB_GRANULE_SHIFT);
}

#endif
