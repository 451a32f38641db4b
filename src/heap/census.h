/*
 * census.h: counts the objects of the process, from the granule map.
 *
 * Layer: heap, above the blocks and the large objects. Threads: any. Locks: for each block its heap's (or
 * lost.lock), for the large objects that of the page allocator, one at a time. Objects that threads allocate and
 * free on their fast paths meanwhile may be counted or not; in a process that does neither, the counts are exact.
 */
#ifndef CB_HEAP_CENSUS_H
#define CB_HEAP_CENSUS_H

#include "heap/types.h"

#define CB_CENSUS_POWERS 49 /* objects of up to 2^48 bytes */

struct cb_census_count {
    size_t objects, bytes; /* as they are rounded up */
};

struct cb_census {
    struct cb_census_count live, large; /* large ones are live, too */
    struct cb_census_count parked;      /* in bins */
    struct cb_census_count remote;      /* freed by threads that do not own them, not taken in yet */
    struct cb_census_count power[CB_CENSUS_POWERS]; /* live ones of up to 2^i bytes, and more than 2^(i-1) */
    size_t blocks;                                  /* that were looked at ... */
    size_t blocks_left_out;                         /* ... and that could not be */
    bool large_left_out;
};

/*
 * A walk over the map of a block. In the medium space a byte of zero is the first of an object in a bin, or unused:
 * before the end of a run, where objects that follow the run may look like the length of one, it is unused if the
 * object would not end before that as well.
 */
struct cb_walk {
    const uint8_t *next, *end, *run_end;
    unsigned shift; /* of the block's map, see cb_map_shift; 0: the small space's */
};

/* `heap`: the owner, where the caller may read its runs; NULL: then what is just before the end of a run is a guess. */
struct cb_walk cb_walk_over(const struct cb_block *block, const struct cb_heap *heap);

/* The map bytes of what starts at m; 0: nothing does, so that m + 1 is next. */
size_t cb_walk_length(const struct cb_walk *walk, const uint8_t *m);

/*
 * Counts; gives up what needs a lock that is not to be had until that time (see cb_lock_until). The process must need
 * no repair after a fork.
 */
void cb_census_take(struct cb_census *census, uint64_t milliseconds);

/* The least i with bytes <= 2^i, at least that of a granule. */
static inline unsigned cb_census_power(size_t bytes) {
    return bytes <= CB_GRANULE ? CB_GRANULE_SHIFT : 64 - (unsigned)__builtin_clzl(bytes - 1);
}

#endif
