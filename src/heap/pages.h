/*
 * pages.h: the page allocator: extents of whole pages for blocks and for large objects.
 *
 * Layer: heap, above the ranges. Threads: any; everything is guarded by cb_extents.lock inside.
 *
 * Free memory is in extent.h; excess.h says how much of it goes back to the system. A large object keeps its node in
 * the granule map, at the bytes of its first page, as a free extent does.
 */
#ifndef CB_HEAP_PAGES_H
#define CB_HEAP_PAGES_H

#include "heap/excess.h"
#include "heap/extent.h"
#include "heap/types.h"

struct cb_pages_totals {
    size_t mapped; /* bytes */
    size_t free;   /* bytes in free extents */
    size_t dirty;  /* of these, resident as far as is known */
    size_t purged; /* bytes given back to the system, ever, blocks included */
    size_t purges; /* and the calls that it took */
};

/*
 * Takes `size` bytes at a multiple of `align` (both multiples of the page size; align a power of two). Their
 * map bytes are zero; outside of *dirty so are they. 0 when the system has no more.
 */
uintptr_t cb_pages_take(size_t size, size_t align, struct cb_dirty *dirty);

/* The same from what is there: the system is not asked for more. */
uintptr_t cb_pages_take_free(size_t size, size_t align, struct cb_dirty *dirty);

/*
 * The same for one block, whose owner is set before anybody can look at its map bytes as those of a free
 * extent: the neighbours' coalescing does so until the block has an owner.
 */
uintptr_t cb_pages_take_block(struct cb_heap *owner, struct cb_dirty *dirty);

/* Gives them back; any part of what was taken will do. Its map bytes must be zero. May purge: about as much at most. */
void cb_pages_give(uintptr_t start, size_t size);

/* The same, when only so many bytes of it are dirty, nobody knows where. */
void cb_pages_give_partly(uintptr_t start, size_t size, size_t dirty);

/* The same for a whole block, which has no owner any more. Purges nothing: the caller holds its heap's lock. */
void cb_pages_give_block(uintptr_t start, size_t dirty);

/* Adds `more` bytes behind `end` to an object that ends there, if those are free. */
bool cb_pages_extend(uintptr_t end, size_t more);

/* True when the address, which must be ours and in no block, is in a free extent. Slow: for reports. */
bool cb_pages_are_free(uintptr_t p);

void cb_pages_totals(struct cb_pages_totals *totals);

/* The same in a process that needs no repair, if the lock is to be had until then (see cb_lock_until). */
bool cb_pages_totals_until(struct cb_pages_totals *totals, uint64_t milliseconds);

/*
 * Under the lock, as above: calls `visit` for the start of each large object, which returns the bytes of it, or 0 if
 * none is there after all.
 */
bool cb_pages_each_large(size_t (*visit)(uintptr_t p, void *context), void *context, uint64_t milliseconds);

/* In a forked child: repairs or abandons what another thread was doing at the time. */
void cb_pages_after_fork(void);

bool cb_pages_init(void);

#endif
