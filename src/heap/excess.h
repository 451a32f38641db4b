/*
 * excess.h: what of the free extents goes back to the system, and when.
 *
 * Layer: heap, above the free extents, below the page allocator. Threads: any. Lock: that of the extents.
 */
#ifndef CB_HEAP_EXCESS_H
#define CB_HEAP_EXCESS_H

#include "heap/extent.h"

/*
 * Under the lock, after any change of what is free: tells the reserve what is in use, and what is held beyond the
 * share.
 */
void cb_excess_report(void);

/* Under the lock: free extents have got so many dirty bytes more. */
void cb_excess_note_given(size_t dirty);

/* Under the lock: there is a block more, or less. */
void cb_excess_count_block(bool more);

/* True when free extents hold more than may stay resident; relaxed, a hint. */
bool cb_excess_any(void);

/* Purges some of that: about as much as was given since the last call. */
void cb_excess_release(void);

/* Purges free extents until no more than `keep` bytes in them are dirty. Returns the bytes given back. */
size_t cb_excess_purge(size_t keep);

/* Purges a part of a block on behalf of its owner, of which `counted` bytes have not been given back before. */
bool cb_excess_purge_part(uintptr_t start, size_t size, size_t counted);

/* Bytes that have been given back to the system, ever, blocks included, and the calls that it took. */
struct cb_excess_purged {
    size_t bytes, calls;
};
struct cb_excess_purged cb_excess_purged(void);

/* In a forked child: nothing has been reported yet. */
void cb_excess_after_fork(void);

#endif
