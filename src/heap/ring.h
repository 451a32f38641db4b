/*
 * ring.h: rings: the most recent frees of each size, kept for the next request of it.
 *
 * Layer: heap, above the blocks. Threads: the owner of the heap only.
 *
 * How much the rings may hold follows the program: see budget() in ring.c.
 */
#ifndef CB_HEAP_RING_H
#define CB_HEAP_RING_H

#include "heap/block.h"

/* The ring for objects of 1 to 63 granules. */
static inline unsigned cb_small_ring(size_t granules) {
    return CB_SMALL_RING + (unsigned)granules;
}

/* The ring for medium objects of this many bytes (a class size), and back. */
static inline unsigned cb_medium_ring(size_t size) {
    size_t s = size - 1;
    unsigned log = 63 - (unsigned)__builtin_clzl(s | 512);
    return CB_MEDIUM_RING + (log - 9) * 16 + (unsigned)(s >> (log - 4) & 15);
}

static inline size_t cb_medium_size(unsigned ring) {
    unsigned log = 9 + (ring - CB_MEDIUM_RING) / 16;
    return (size_t)(16 + (ring & 15) + 1) << (log - 4);
}

/* The ring for objects of this many granules, of either kind. */
static inline unsigned cb_ring_of(size_t granules) {
    return granules <= CB_SMALL_GRANULES ? cb_small_ring(granules)
                                         : cb_medium_ring(granules << CB_GRANULE_SHIFT);
}

static inline size_t cb_ring_count(const struct cb_heap *heap, unsigned ring) {
    return (size_t)(heap->rings->top[ring] - heap->rings->ring[ring].slot);
}

/* How many entries it may have. */
static inline size_t cb_ring_bound(const struct cb_heap *heap, unsigned ring) {
    return (heap->rings->ends[ring].full - heap->rings->ends[ring].empty) /
           sizeof *heap->rings->ring[ring].slot;
}

static inline bool cb_ring_is_empty(const struct cb_heap *heap, unsigned ring) {
    return heap->rings->top[ring] == heap->rings->ring[ring].slot;
}

static inline bool cb_ring_is_full(const struct cb_heap *heap, unsigned ring) {
    return (uint32_t)(uintptr_t)heap->rings->top[ring] == heap->rings->ends[ring].full;
}

/* To go through all rings, from CB_RING_BEGIN to CB_RINGS. */
static inline unsigned cb_ring_next(unsigned ring) {
    return ring == CB_SMALL_RING + CB_SMALL_GRANULES ? CB_MEDIUM_RING : ring + 1;
}

/* Granules of the objects in a ring. */
static inline size_t cb_ring_granules(unsigned ring) {
    return ring < CB_MEDIUM_RING ? ring - CB_SMALL_RING : cb_medium_size(ring) >> CB_GRANULE_SHIFT;
}

/* Puts a granule's number into a ring, where there is room. Map and counts are the caller's. */
static inline __attribute__((always_inline)) bool cb_ring_push(struct cb_rings *rings, size_t ring,
                                                               size_t granule) {
    size_t *top = rings->top[ring];
    if (CB_UNLIKELY((uint32_t)(uintptr_t)top == rings->ends[ring].full)) {
        return false;
    }
    rings->top[ring] = top + 1;
    *top = granule;
    return true;
}

/*
 * Parks an object whose map bytes say that it is live, or freed remotely. A full ring grows or lets its older half
 * die; one that may hold nothing lets the object itself die.
 */
void cb_ring_park(struct cb_heap *heap, unsigned ring, uintptr_t p);

/* The same for the owner under the heap's lock. */
void cb_ring_park_locked(struct cb_heap *heap, unsigned ring, size_t granule);

/* Takes the entry out of a ring that is not empty, puts the newest in its place, and returns its address. The
 * map is left as it is. */
uintptr_t cb_ring_take(struct cb_heap *heap, unsigned ring, size_t entry);

/* Lets everything die that is parked; rings may hold little until they have earned more again. */
void cb_ring_empty_all(struct cb_heap *heap);

/* The same, and gives the memory of the rings back. */
void cb_ring_give_up(struct cb_heap *heap);

/* cb_ring_empty_all under the heap's lock, for rings that hold something. True when there was one. */
bool cb_ring_drain(struct cb_heap *heap);

#endif
