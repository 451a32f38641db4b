/*
 * remote.h: frees by a thread that does not own the block.
 *
 * Layer: heap, above the rings. Threads: as each function says.
 *
 * The thread that frees writes the object's map byte (state none, length kept) and puts the address into an
 * outbox of its own heap; a full outbox is pushed onto the owner's inbox with one compare-and-swap. The owner
 * empties its inbox when it runs out of memory to hand out.
 *
 * An owner that does not (it sleeps, or its thread has ended) must not keep the memory: when much is pending,
 * the thread that hands over lets it die on the owner's behalf. What is dead is therefore guarded by the
 * heap's lock, which the owner takes on its slow paths; rings, runs, and the block that a run is in stay the
 * owner's alone.
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
