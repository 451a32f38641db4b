/*
 * block.h: blocks of one heap: dead runs, the queue for sweeps, pages without live objects.
 *
 * Layer: heap, above the page allocator. Threads: under the lock of the heap.
 */
#ifndef CB_HEAP_BLOCK_H
#define CB_HEAP_BLOCK_H

#include "heap/map.h"
#include "heap/purge.h"
#include "heap/runs.h"
#include "heap/types.h"

/*
 * Tight heaps. Where the system has refused a block, each request for which nothing is at hand would sweep every block
 * in search of holes. So a tight heap knows of all its blocks of the small space how long a hole may at most be:
 *   - A block in one of the first CB_SWEEP_QUEUES queues has not been swept since the heap became tight.
 *   - A block that waits with the length L has no hole of more than L granules (63: of any length); one that waits in
 *     no queue has none at all. This counts holes of every length, CB_HOLE_LEAST or not.
 *   - Whatever is longer than block->holes_rest begins between holes_from and holes_to.
 *   - In the block of the run, that is so of what begins behind the run, with sweep_most for the length that the block
 *     waits with; everything else is no longer than holes_rest.
 * An object that dies raises what its block waits with (recheck_at is 0, so that every death is looked at), and a sweep
 * that finds nothing lowers it. So a search looks at one block that may fit, or knows that there is none; and a sweep
 * is paid for by a death that has raised what was lowered by it, or by the object that it found room for.
 */

/* A block for the heap, its map zero; NULL when the system has no more. */
struct cb_block *cb_block_take(struct cb_heap *heap, enum cb_space_kind space);

/*
 * The [p, p + granules), whose map bytes are zero, is dead from now on; pages and the block itself go back
 * when nothing in them lives. In the medium space it merges with dead neighbours; in the small space the next
 * sweep joins them, which costs a third as much per object. Returns the dead run; none when the block went
 * back.
 */
struct cb_dead_run cb_block_die(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules);

/* The dead granules of the block have reached recheck_at, with these: looks at it. True when it went back. */
bool cb_block_recheck(struct cb_heap *heap, struct cb_block *block, size_t granule, size_t granules);

/*
 * cb_block_die for a whole object of the small space, whose map byte, at m, is that of an object. Whatever the
 * heap counts as dead the caller has changed.
 */
static inline void cb_block_die_small(struct cb_heap *heap, struct cb_block *block, uint8_t *m,
                                      size_t granule, size_t granules) {
    cb_map_set(m + granules - 1, CB_DEAD | granules);
    cb_map_set(m, CB_DEAD | granules);
    cb_purge_count_dead(heap, block, granule, granules);
    block->dead = (uint16_t)(block->dead + granules);
    if (CB_UNLIKELY(block->dead >= block->recheck_at)) {
        cb_block_recheck(heap, block, granule, granules);
    }
}

/* Takes a part of a dead run of the medium space out; what is before and behind it stays dead. */
void cb_block_carve(struct cb_heap *heap, struct cb_block *block, struct cb_dead_run run, uintptr_t p,
                    size_t granules);

/* Takes a dead run, or several side by side, out: the map bytes are zero and it counts as in use. */
void cb_block_revive(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules);

/*
 * The emptiest block of the small space that waits for a sweep, or else one that has holes for so many
 * granules, taken off the queue; NULL when there is none. Stores where the sweep is to begin. In a tight heap the one
 * whose longest hole is the shortest that will do comes first.
 */
struct cb_block *cb_block_to_sweep(struct cb_heap *heap, size_t granules, uintptr_t *from);

/* Gives the block back if nothing in it lives and no run is in it. True when it went back. */
bool cb_block_drop_if_empty(struct cb_heap *heap, struct cb_block *block);

/* Pages of the block have been given back: it may be empty, or have holes that sweeps could not use meanwhile. */
void cb_block_purged(struct cb_heap *heap, struct cb_block *block);

/* The system has refused a block: every block of the small space with something dead in it waits for a sweep. */
void cb_block_become_tight(struct cb_heap *heap);

/* False, from now on, when an eighth of what was in use has died since, or as much is in use besides. */
bool cb_block_still_tight(struct cb_heap *heap);

/* A block of the small space gets a run from its fresh part; or has no such run any more. */
void cb_block_begin_fresh_run(struct cb_heap *heap, struct cb_block *block);
void cb_block_end_fresh_run(struct cb_heap *heap, struct cb_block *block);

/*
 * Looks at a block that has no run any more: back to the page allocator when it is empty; to the queue when
 * enough of it is dead; otherwise it waits until more of it dies.
 */
void cb_block_settle(struct cb_heap *heap, struct cb_block *block);

/* The same for one that was swept to its end: it waits for objects that fit the holes which the sweep has left,
 * or until more of it dies. */
void cb_block_settle_swept(struct cb_heap *heap, struct cb_block *block);

/* The same for one whose sweep is broken off at `from`, since its holes are too short for what is asked for; in a tight
 * heap at the end of every run. */
void cb_block_put_back(struct cb_heap *heap, struct cb_block *block, uintptr_t from);

/* The lengths of holes that blocks wait with, a bit for each, from `granules` on. */
static inline uint64_t cb_block_holes_for(const struct cb_heap *heap, size_t granules) {
    return granules <= CB_SMALL_GRANULES ? heap->holes >> granules << granules : 0;
}

/* False when what the sweep is at has, as far as is known, no hole for so many granules. */
static inline bool cb_block_may_fit(const struct cb_heap *heap, size_t granules) {
    return heap->sweep_most == CB_SMALL_GRANULES || granules <= heap->sweep_most;
}

/* A sweep of the block leaves a hole of this length. */
static inline void cb_block_pass_over(struct cb_heap *heap, struct cb_block *block, size_t granules) {
    size_t length = granules <= CB_SMALL_GRANULES ? granules : CB_SMALL_GRANULES;
    heap->passed[length] = (uint16_t)(heap->passed[length] + length);
    if (length > block->holes_rest) {
        block->holes_rest = (uint8_t)length;
    }
}

/* Where a sweep of the block ends, in granules from its start. */
static inline size_t cb_block_sweep_end(const struct cb_heap *heap, const struct cb_block *block) {
    size_t end = ((size_t)block->holes_to + 1) * CB_HOLES_UNIT;
    return heap->tight && end < block->fresh ? end : block->fresh;
}

#endif
