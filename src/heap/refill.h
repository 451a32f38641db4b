/*
 * refill.h: the next run for a space whose run is used up.
 *
 * Layer: heap, above bins and blocks. Threads: the owner of the heap only.
 */
#ifndef CB_HEAP_REFILL_H
#define CB_HEAP_REFILL_H

#include "heap/types.h"

/*
 * Sees to it that an object of so many granules can be had at a multiple of `align` granules: afterwards the run has
 * room for it. False when the system has no more memory; then nothing is lost.
 */
bool cb_refill(struct cb_thread *t, enum cb_space_kind space, size_t granules, size_t align);

/* The thread's heap has no run any more: every block of it can be looked at by others. */
void cb_refill_retire(struct cb_thread *t);

/*
 * The fresh part of a block begins where the last object ended, or where the cursor has fallen back to. The page that
 * this is in has been used in part, so it is resident: the rest of it dies, so that the page goes back once nothing
 * lives before. For a heap whose thread ends, without a run.
 */
void cb_refill_end_page(struct cb_heap *heap, enum cb_space_kind space);

/*
 * Pages for a request of `size` bytes were refused: what the thread's heap has parked dies, and blocks without live
 * objects go back. True when some have: then it is worth another try.
 */
bool cb_refill_give_pages(struct cb_thread *t, size_t size);

#endif
