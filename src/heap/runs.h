/*
 * runs.h: dead runs of the medium space. Each is one with its dead neighbours, and the long ones are in lists by length, so
 * that a request finds one that fits well at once.
 *
 * Layer: heap, under blocks: nothing is counted here. Threads: under the lock of the heap.
 */
#ifndef CB_HEAP_RUNS_H
#define CB_HEAP_RUNS_H

#include "heap/types.h"

/* A dead run. granules 0: none. */
struct cb_dead_run {
    uintptr_t start;
    size_t granules;
};

/* The quads at the map byte m, whose map bytes are zero, are a dead run from now on; or are no dead run any more. */
void cb_runs_add(struct cb_heap *heap, uint8_t *m, size_t quads);
void cb_runs_remove(struct cb_heap *heap, uint8_t *m, size_t quads);

/* Makes the [p, p + granules) one dead run with the dead runs before and behind it, and returns that. */
struct cb_dead_run cb_runs_merge(struct cb_heap *heap, uintptr_t p, size_t granules);

/* A dead run of the medium space of at least so many granules, the shortest at hand; none when there is none.
 */
struct cb_dead_run cb_runs_find(struct cb_heap *heap, size_t granules);

/* The same for one in which so many granules fit at a multiple of `align` granules. Where none is of a length that
 * contains such a place wherever it begins, there may be one that is not found: few are looked at. */
struct cb_dead_run cb_runs_find_aligned(struct cb_heap *heap, size_t granules, size_t align);

#endif
