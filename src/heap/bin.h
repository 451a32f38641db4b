/*
 * bin.h: bins: the most recent frees of each size, kept for the next request of it.
 *
 * Layer: heap, above the blocks. Threads: the owner of the heap only.
 *
 * How much the bins may hold follows the program: see limit_of in bin.c.
 */
#ifndef CB_HEAP_BIN_H
#define CB_HEAP_BIN_H

#include "heap/space.h"

/* The bin for objects of 1 to 63 granules. */
static inline unsigned cb_small_bin(size_t granules) {
    return CB_SMALL_BIN + (unsigned)granules;
}

/* Granules of the medium object that a request of so many bytes gets. */
static inline size_t cb_medium_granules(size_t size) {
    size_t quads = (size + (CB_GRANULE << CB_QUAD_SHIFT) - 1) >> (CB_GRANULE_SHIFT + CB_QUAD_SHIFT);
    return cb_higher(quads << CB_QUAD_SHIFT, CB_MEDIUM_LEAST);
}

/*
 * The bin for medium objects of this many granules: they are at least as long as cb_bin_granules says, and shorter than
 * those of the next bin.
 */
static inline unsigned cb_medium_bin(size_t granules) {
    unsigned log = 63 - (unsigned)__builtin_clzl(granules | CB_MEDIUM_LEAST);
    return CB_MEDIUM_BIN + (log - 6) * 16 + (unsigned)(granules >> (log - 4) & 15);
}

/* The bin for objects of this many granules, of either kind; and the space of a bin. */
static inline unsigned cb_bin_of(size_t granules) {
    return cb_space_for(granules) == CB_SMALL ? cb_small_bin(granules) : cb_medium_bin(granules);
}

static inline enum cb_space_kind cb_bin_space(unsigned bin) {
    return bin < CB_MEDIUM_BIN ? CB_SMALL : CB_MEDIUM;
}

static inline size_t cb_bin_count(const struct cb_heap *heap, unsigned bin) {
    return (size_t)(heap->bins->top[bin] - heap->bins->bin[bin].slot);
}

/* How many entries it may have. */
static inline size_t cb_bin_bound(const struct cb_heap *heap, unsigned bin) {
    return (heap->bins->ends[bin].full - heap->bins->ends[bin].empty) / sizeof *heap->bins->bin[bin].slot;
}

static inline bool cb_bin_is_empty(const struct cb_heap *heap, unsigned bin) {
    return heap->bins->top[bin] == heap->bins->bin[bin].slot;
}

static inline bool cb_bin_is_full(const struct cb_heap *heap, unsigned bin) {
    return (uint32_t)(uintptr_t)heap->bins->top[bin] == heap->bins->ends[bin].full;
}

/* To go through all bins, from CB_BIN_BEGIN to CB_BINS. */
static inline unsigned cb_bin_next(unsigned bin) {
    return bin == CB_SMALL_BIN + CB_SMALL_GRANULES ? CB_MEDIUM_BIN : bin + 1;
}

/* Granules of the objects in a bin; the least in a bin of medium ones, which have their own lengths. */
static inline size_t cb_bin_granules(unsigned bin) {
    unsigned class = bin - CB_MEDIUM_BIN;
    return cb_bin_space(bin) == CB_SMALL ? bin - CB_SMALL_BIN : (size_t)(16 + class % 16) << (2 + class / 16);
}

/* The first map byte of one of the objects in a bin, and its granules. */
static inline uint8_t *cb_bin_map(unsigned bin, size_t granule) {
    return cb_bin_space(bin) == CB_SMALL ? cb_map + granule : cb_map_at_quad(granule);
}

static inline size_t cb_bin_object_granules(unsigned bin, size_t granule) {
    return cb_bin_space(bin) == CB_SMALL ? bin - CB_SMALL_BIN
                                         : cb_map_medium_granules(cb_map_at_quad(granule));
}

/* Puts a granule's number into a bin, where there is room. Map and counts are the caller's. */
static inline __attribute__((always_inline)) bool cb_bin_push(struct cb_bins *bins, size_t bin,
                                                              size_t granule) {
    size_t *top = bins->top[bin];
    if (CB_UNLIKELY((uint32_t)(uintptr_t)top == bins->ends[bin].full)) {
        return false;
    }
    bins->top[bin] = top + 1;
    *top = granule;
    return true;
}

/*
 * Parks an object whose map bytes say that it is live, or freed remotely. A full bin grows or lets its older half
 * die; one that may hold nothing lets the object itself die.
 */
void cb_bin_park(struct cb_thread *t, unsigned bin, size_t granule);

/* The same under the heap's lock. */
void cb_bin_park_locked(struct cb_thread *t, unsigned bin, size_t granule);

/*
 * Takes the entry out of a bin that is not empty, puts the newest in its place, and returns its granule. The map is
 * left as it is.
 */
size_t cb_bin_take(struct cb_thread *t, unsigned bin, size_t entry);

/* Lets everything die that is parked; bins may hold little until they have earned more again. */
void cb_bin_empty_all(struct cb_thread *t);

/* The same, and gives the memory of the bins back. */
void cb_bin_give_up(struct cb_thread *t);

/* cb_bin_empty_all under the heap's lock, for bins that hold something. True when there was one. */
bool cb_bin_empty_all_locked(struct cb_thread *t);

#endif
