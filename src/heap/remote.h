/*
 * remote.h: frees by a thread that does not own the block.
 *
 * Layer: heap, above the rings. Threads: as each function says.
 *
 * The thread that frees writes the object's map byte (state none, length kept) and puts the address into an
 * outbox of its own heap; a full outbox is pushed onto the owner's inbox with one compare-and-swap. The owner
 * empties its inbox when it runs out of memory to hand out. Nothing else of the owner is ever touched.
 */
#ifndef CB_HEAP_REMOTE_H
#define CB_HEAP_REMOTE_H

#include "heap/types.h"

/* Any thread: hands the object, whose map byte has been set, to its owner, sooner or later. */
void cb_remote_free(struct cb_heap *owner, uintptr_t p);

/* Owner: takes in what other threads freed. */
void cb_remote_take_in(struct cb_heap *heap);

/* Owner: hands over everything in the outboxes. */
void cb_remote_flush(struct cb_heap *heap);

#endif
