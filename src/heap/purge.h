/*
 * purge.h: pages of a heap's blocks in which nothing lives: which they are, and when they go back.
 *
 * Layer: heap, above the page allocator, below the blocks. Threads: under the lock of the heap. The system call is made
 * without it: release.h has the loop.
 *
 * A block knows of each of its pages, in units of 4 KiB, whether it is dead (nothing in it lives, it is still
 * resident) or purged. The fresh part and the run count as living. In the small space it counts the dead
 * granules of each unit; in the medium space dead runs have merged, and a page that is dead is inside one.
 */
#ifndef CB_HEAP_PURGE_H
#define CB_HEAP_PURGE_H

#include "heap/pages.h"
#include "heap/types.h"

/* Medium space: the [p, p + granules) of a block is dead: pages wholly inside may go back, now or later. */
void cb_purge_died(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules);

/* Small space: the unit is full of dead runs. */
void cb_purge_unit_is_full(struct cb_heap *heap, struct cb_block *block, size_t unit);

/* cb_purge_count_dead for any length. */
void cb_purge_count_dead_long(struct cb_heap *heap, struct cb_block *block, size_t granule, size_t granules);

/* Small space: so many granules of a block from this one on are in dead runs from now on. */
static inline void cb_purge_count_dead(struct cb_heap *heap, struct cb_block *block, size_t granule,
                                       size_t granules) {
    size_t unit = granule % CB_BLOCK_GRANULES / CB_UNIT_GRANULES;
    if (CB_UNLIKELY(granule % CB_UNIT_GRANULES + granules > CB_UNIT_GRANULES)) {
        cb_purge_count_dead_long(heap, block, granule, granules);
        return;
    }
    size_t dead = block->unit_dead[unit] + granules;
    block->unit_dead[unit] = (uint8_t)dead;
    if (CB_UNLIKELY(dead == CB_UNIT_GRANULES)) {
        cb_purge_unit_is_full(heap, block, unit);
    }
}

/* Small space, before cb_purge_revive: the granules are in no dead run any more. */
void cb_purge_count_revived(struct cb_block *block, size_t granule, size_t granules);

/* A block was taken of which this is not zero. */
void cb_purge_begin(struct cb_block *block, struct cb_dirty dirty);

/* The [p, p + granules) of the fresh part of a block is handed to a run. */
void cb_purge_touch(struct cb_block *block, uintptr_t p, size_t granules);

/* It is about to die instead: pages of it that are untouched are not resident, and so need not be purged. */
void cb_purge_leave_untouched(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules);

/* The [p, p + granules) of a block is used again. */
void cb_purge_revive(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules);

/* A block goes back: its dead pages do not count any more. */
void cb_purge_forget(struct cb_heap *heap, struct cb_block *block);

/* Whether the dead [p, p + granules) of a block may be used: not while a page of it is being given back. */
bool cb_purge_may_use(const struct cb_block *block, uintptr_t p, size_t granules);

/* Pages of one block that are to go back, a bit per unit. */
struct cb_purge_order {
    struct cb_block *block;
    uint64_t units;
    uint64_t between; /* given back before: one call goes over them, and those on both sides */
};

/* True when more pages are dead than may stay: cb_heap_unlock asks. */
bool cb_purge_is_due(struct cb_heap *heap);

/*
 * Under the lock: which pages of which block go back next, at most `most` units; none: false. They cannot be used until
 * cb_purge_end. If `all`, whatever the reserve.
 */
bool cb_purge_order(struct cb_heap *heap, size_t most, bool all, struct cb_purge_order *order);

/* Without the lock: gives them back; returns those that the system took. */
uint64_t cb_purge_run(const struct cb_purge_order *order);

/* Under the lock again. */
void cb_purge_end(struct cb_heap *heap, const struct cb_purge_order *order, uint64_t done);

/* In a forked child, for a heap whose lock nobody held: whoever was giving pages of it back does not end that here. */
void cb_purge_after_fork(struct cb_heap *heap);

#endif
