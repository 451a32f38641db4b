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

/* An object of 1 to 63 granules from its ring or from the run; 0 when neither has one. */
static inline __attribute__((always_inline)) void *cb_fast_alloc(struct cb_thread *t, size_t granules) {
    size_t at; /* the number of the object's first granule */
    if (CB_UNLIKELY(t->asked >> granules & 1)) {
        struct cb_rings *rings = t->rings;
        size_t *top = rings->top[CB_SMALL_RING + granules] - 1;
        rings->top[CB_SMALL_RING + granules] = top;
        at = *top;
        if (CB_UNLIKELY((uint32_t)(uintptr_t)top == rings->ends[CB_SMALL_RING + granules].empty)) {
            t->asked &= ~((uint64_t)1 << granules);
        }
    } else {
        at = t->run.cursor;
        if (CB_UNLIKELY(at + granules > t->run.limit)) {
            return NULL;
        }
        t->run.cursor = at + granules;
    }
    cb_map_set(t->map + at, CB_LIVE | granules);
    if (at << CB_GRANULE_SHIFT == 0) {
        __builtin_unreachable(); /* spares the callers' test for failure */
    }
    return (void *)(at << CB_GRANULE_SHIFT);
}

#endif
