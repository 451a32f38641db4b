/*
 * lost.h: in a forked child, the blocks of heaps whose threads it does not have.
 *
 * Layer: heap, above the page allocator. Threads: any. Lock: lost.lock (rank 2), inside.
 *
 * The lists of such a heap may be half changed, so nothing of it is used. But which objects live in its blocks is
 * known from the map, whatever the lost thread was doing: it had the address of each of them. When the child has
 * freed the last one, the block goes to the page allocator; until then pages without a live object are purged.
 */
#ifndef CB_HEAP_LOST_H
#define CB_HEAP_LOST_H

#include "heap/types.h"

/* The thread that forked is not among those whose heaps are lost: from now on it is known that they are. */
void cb_lost_begin(void);

/* True when this process has lost heaps. */
bool cb_lost_any(void);

/* True for the owner of a lost block. */
bool cb_lost_is(const struct cb_heap *owner);

/* The lock that guards the map of a block of this owner, which is a heap or what lost blocks have in place of one. */
cb_lock *cb_lost_lock_of(struct cb_heap *owner);

/* Frees the object at p, in a lost block. False when none lives there: another thread has freed it meanwhile. */
bool cb_lost_free(uintptr_t p);

/* In a forked child: see fork.c. */
void cb_lost_after_fork(void);

#endif
