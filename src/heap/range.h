/*
 * range.h: which addresses are ours, and where their metadata is.
 *
 * Layer: heap, below the page allocator. Threads: cb_range_owns any; the rest under grow_lock of pages.c.
 *
 * Memory is not reserved in advance but grown in place: the first range starts at an address of our choice
 * with terabytes of nothing above it, and is extended by mapping the next piece exactly behind it, which the
 * kernel merges into one mapping. The granule map and the block table are functions of the address alone, at
 * fixed places of their own, and are mapped piece by piece along with the memory. So the virtual size is what
 * is used, nothing is charged in advance where the system accounts strictly, and any number of ranges share
 * one fast path.
 */
#ifndef CB_HEAP_RANGE_H
#define CB_HEAP_RANGE_H

#include "heap/types.h"

#define CB_RANGES_MAX 48
#define CB_RANGE_STEP                                                                                        \
    ((size_t)1 << 20) /* ranges start at multiples of this, and grow by them while they can */

struct cb_range {
    _Atomic uintptr_t start; /* written once, before `size`, and published with it; relaxed */
    _Atomic size_t size;     /* bytes in use; grows. Release when it grows, so that the metadata is there */
    uintptr_t table_end;     /* the block table is mapped up to here; guarded by grow_lock */
};

extern struct cb_range cb_ranges[CB_RANGES_MAX] CB_HIDDEN;
extern _Atomic uint32_t cb_range_count; /* release in cb_range_grow, acquire by cb_range_owns_other */

/* Chooses the places. False when not even the first range can be had. Called once. */
bool cb_range_init(void);

/*
 * Adds zeroed memory: at least `behind` bytes where the newest range can grow, at least `apart` where another one
 * must be opened; `wanted`, or more, where the system is willing. All are multiples of CB_RANGE_STEP, but for
 * `behind`, which may be one of CB_BLOCK_SIZE. Returns the start and stores the size; 0 when the system has no more.
 */
uintptr_t cb_range_grow(size_t behind, size_t apart, size_t wanted, size_t *got);

/* True when a range begins at this address. */
bool cb_range_begins(uintptr_t start);

/* Bytes mapped for objects, and for metadata, in all ranges. */
size_t cb_range_total(void);

bool cb_range_owns_other(uintptr_t p);

/* True when the address is in the first range, which on most systems is the only one. */
static inline bool cb_range_is_main(uintptr_t p) {
    /* relaxed: whoever holds an address of ours learnt it from a thread that saw the range grow */
    return p - atomic_load_explicit(&cb_ranges[0].start, memory_order_relaxed) <
           atomic_load_explicit(&cb_ranges[0].size, memory_order_relaxed);
}

/* True when the address is in a range of ours (then its map byte and its block entry may be read). */
static inline bool cb_range_owns(uintptr_t p) {
    return CB_LIKELY(cb_range_is_main(p)) || cb_range_owns_other(p);
}

#endif
