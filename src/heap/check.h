/*
 * check.h: the invariants of types.h, verified. For tests and fuzzers.
 *
 * Layer: heap. Threads: the owner of the heap, for its heap; slow.
 */
#ifndef CB_HEAP_CHECK_H
#define CB_HEAP_CHECK_H

#include "heap/map.h"
#include "heap/types.h"

/* The first byte of a dead run in [m, end), or end, found byte by byte. m is not inside a dead run. */
static inline uint8_t *cb_check_find_dead(uint8_t *m, uint8_t *end) {
    while (m < end && cb_map_get(m) < CB_DEAD) {
        m++;
    }
    return m;
}

/* NULL when the calling thread's heap and the page allocator are as they should be; else what is not. */
const char *cb_heap_check(void);

#endif
