/*
 * remote.h: frees by a thread that does not own the block.
 *
 * Layer: heap, above the bins. Threads: as each function says.
 *
 * The granule map is the mailbox: the thread that frees claims the object's map byte (live becomes remote), sets
 * the bit of the object's unit in the block's entry, and queues the block in the owner's inbox unless it waits
 * there already. So a remote free needs no memory, cannot fail, and needs no heap of its own. The owner empties
 * its inbox when it runs out of memory to hand out: it looks through the map bytes of the units that have a bit.
 *
 * An owner that does not (it sleeps) must not keep the memory: when many units are pending, the thread that frees
 * collects for it. When the owner's thread has ended, each object dies at once. Dead memory is therefore guarded
 * by the heap's lock, which the owner takes on its slow paths; bins, runs, and the block that a run is in stay
 * the owner's alone.
 */
#ifndef CB_HEAP_REMOTE_H
#define CB_HEAP_REMOTE_H

#include "heap/types.h"

/*
 * Any thread: frees the object at p of a block of `owner`, whose map byte, at m, was `byte`, that of a live object.
 * False when the object is not live any more; nothing has changed then.
 */
bool cb_remote_free(struct cb_heap *owner, uintptr_t p, uint8_t *m, uint8_t byte);

/* Owner: takes in what other threads freed. Takes the heap's lock. */
void cb_remote_take_in(struct cb_heap *heap);

/* The same when it is much: on the slow paths of free. */
void cb_remote_take_in_much(struct cb_heap *heap);

/*
 * Any thread: lets die what other threads freed, but in the blocks of the owner's runs, if the owner sleeps. Takes the
 * heap's lock.
 */
void cb_remote_collect(struct cb_heap *owner);

#endif
