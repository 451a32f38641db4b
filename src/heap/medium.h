/*
 * medium.h: the blocks of the medium space: what dies in them is one dead run with its dead neighbours, and the long
 * ones are in lists by length, so that a request finds one that fits well at once.
 *
 * Layer: heap, above the blocks. Threads: under the lock of the heap; where a function takes a thread, the owner only.
 */
#ifndef CB_HEAP_MEDIUM_H
#define CB_HEAP_MEDIUM_H

#include "heap/block.h"

/* The granules, whose map bytes are zero, are dead from now on; pages and the block itself go back when nothing in them
 * lives. */
void cb_medium_die(struct cb_heap *heap, struct cb_block *block, size_t granule, size_t granules);

/* Gives the block back if nothing in it lives and no run is in it. True when it went back. */
bool cb_medium_drop_if_empty(struct cb_heap *heap, struct cb_block *block);

/*
 * The thread's run of the medium space has room for so many granules at a multiple of `align` granules, of dead memory;
 * it has `step` granules where that is less than what was found. False, and no run, where nothing was. A run of a fresh
 * part is ended by now. With a large `align` there may be a place that is not found: few runs are looked at.
 */
bool cb_medium_refill(struct cb_thread *t, size_t granules, size_t align, size_t step);

/* Ends the run of dead memory: what is left of it is dead again. */
void cb_medium_retire(struct cb_thread *t);

#endif
