/*
 * space.h: what differs between the small and the medium space: constants, and who does it.
 *
 * Layer: heap, above both spaces; for whoever deals with either. Threads: under the lock of the heap.
 */
#ifndef CB_HEAP_SPACE_H
#define CB_HEAP_SPACE_H

#include "heap/medium.h"
#include "heap/small.h"

struct cb_space_facts {
    size_t least;             /* granules of its shortest object */
    size_t end;               /* granules of a block that serve: no object touches its end */
    size_t step;              /* granules that become a run at a time */
    unsigned steps;           /* such runs of a fresh part in a row, before dead memory is tried */
    unsigned bin_begin, bins; /* the first of its bins, and how many there are */
    unsigned slots_before;    /* places in cb_bins.first_slots that are others' */
    size_t bin_most;          /* entries of a bin */
    size_t bin_sparse;        /* entries that a bin may always hold in a sparse heap */
    size_t parked;            /* bytes that its bins may hold: the floor of cb_reserve_bins_share */
};

/*
 * In the small space runs are a page, so that the bins are asked again soon: their objects were in use lately, and what
 * is behind the end of a run was not.
 */
static const struct cb_space_facts cb_space_facts[CB_SPACES] = {
    [CB_SMALL] = {.least = 1,
                  .end = CB_BLOCK_GRANULES - 1,
                  .step = CB_UNIT_GRANULES,
                  .steps = CB_TO_GRANULES(CB_STEP) / CB_UNIT_GRANULES,
                  .bin_begin = CB_BIN_BEGIN,
                  .bins = CB_SMALL_GRANULES,
                  .slots_before = 0,
                  .bin_most = CB_BIN_MOST,
                  .bin_sparse = 1,
                  .parked = CB_BIN_BYTES},
    [CB_MEDIUM] = {.least = CB_MEDIUM_LEAST,
                   .end = CB_BLOCK_GRANULES - CB_QUAD_GRANULES,
                   .step = CB_TO_GRANULES(CB_STEP),
                   .steps = 1,
                   .bin_begin = CB_MEDIUM_BIN,
                   .bins = CB_MEDIUM_CLASSES,
                   .slots_before = CB_SMALL_GRANULES,
                   .bin_most = CB_BIN_MOST_MEDIUM,
                   .bin_sparse = 0,
                   .parked = CB_BIN_BYTES / 5 * 2}};

/* The space of objects of so many granules. */
static inline enum cb_space_kind cb_space_for(size_t granules) {
    return granules <= CB_SMALL_GRANULES ? CB_SMALL : CB_MEDIUM;
}

/* The granules of a block, whose map bytes are zero, are dead from now on. */
static inline void cb_space_die(struct cb_heap *heap, struct cb_block *block, size_t granule,
                                size_t granules) {
    if (block->space == CB_SMALL) {
        cb_small_die(heap, block, granule, granules);
    } else {
        cb_medium_die(heap, block, granule, granules);
    }
}

/* The same for the object that begins there. */
static inline void cb_space_die_object(struct cb_heap *heap, struct cb_block *block, size_t granule) {
    uint8_t *m = cb_map_in(block, granule);
    size_t granules = cb_map_granules_in(block, m);
    if (block->space == CB_MEDIUM) {
        cb_map_erase_medium(m);
    }
    cb_space_die(heap, block, granule, granules);
}

/* Gives the block back if nothing in it lives and no run is in it. True when it went back. */
static inline bool cb_space_drop_if_empty(struct cb_heap *heap, struct cb_block *block) {
    return block->space == CB_SMALL ? cb_small_drop_if_empty(heap, block)
                                    : cb_medium_drop_if_empty(heap, block);
}

/* Looks at a block that has no run any more; and at one of which pages have been given back. */
static inline void cb_space_settle(struct cb_heap *heap, struct cb_block *block) {
    block->space == CB_SMALL ? cb_small_settle(heap, block) : (void)cb_medium_drop_if_empty(heap, block);
}

static inline void cb_space_purged(struct cb_heap *heap, struct cb_block *block) {
    block->space == CB_SMALL ? cb_small_purged(heap, block) : (void)cb_medium_drop_if_empty(heap, block);
}

/* Ends the run, which is of dead memory; and makes one of such: see cb_small_refill and cb_medium_refill. */
static inline void cb_space_retire(struct cb_thread *t, enum cb_space_kind space) {
    space == CB_SMALL ? cb_small_retire(t) : cb_medium_retire(t);
}

static inline bool cb_space_refill(struct cb_thread *t, enum cb_space_kind space, size_t granules,
                                   size_t align, size_t step) {
    return space == CB_SMALL ? cb_small_refill(t, granules + align - 1)
                             : cb_medium_refill(t, granules, align, step);
}

#endif
