/*
 * refill.h: the next run for a space whose run is used up.
 *
 * Layer: heap, above bins and blocks. Threads: the owner of the heap only.
 */
#ifndef CB_HEAP_REFILL_H
#define CB_HEAP_REFILL_H

#include "heap/types.h"

/* The run of a space; the small one's is the calling thread's. */
static inline struct cb_run *cb_run_of(struct cb_heap *heap, enum cb_space_kind space) {
    return space == CB_SMALL ? &cb_thread.run : &heap->space[space].run;
}

/*
 * Sees to it that an object of `granules` can be had: afterwards the run has room for it. False when the system has no
 * more memory; then nothing is lost.
 */
bool cb_refill(struct cb_heap *heap, enum cb_space_kind space, size_t granules);

/* The calling thread's heap has no run any more: every block of it can be looked at by others. */
void cb_refill_retire(struct cb_heap *heap);

/*
 * Under the heap's lock, when its thread has ended and taken cb_thread.run with it: finds the run of the small
 * space again and puts it into the heap.
 */
void cb_refill_recover(struct cb_heap *heap);

/* The same for an object of the medium space at a multiple of `align` granules: the run begins at one, or has one. */
bool cb_refill_aligned(struct cb_heap *heap, size_t granules, size_t align);

/*
 * Pages for a request of `size` bytes were refused: what the calling thread's heap has parked dies, and blocks without
 * live objects go back. True when some have: then it is worth another try.
 */
bool cb_refill_give_pages(size_t size);

#endif
