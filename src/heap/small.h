/*
 * small.h: the blocks of the small space: what dies in them, the queues in which they wait, and the sweeps that make
 * runs of what is dead.
 *
 * Layer: heap, above the blocks. Threads: under the lock of the heap; where a function takes a thread, the owner only.
 */
#ifndef CB_HEAP_SMALL_H
#define CB_HEAP_SMALL_H

#include "heap/block.h"
#include "heap/purge.h"

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

/*
 * The granules, whose map bytes are zero or those of one object, are dead from now on; pages and the block itself go
 * back when nothing in them lives. Neighbours that are dead stay apart until the next sweep joins them, which costs a
 * third as much per object.
 */
void cb_small_die(struct cb_heap *heap, struct cb_block *block, size_t granule, size_t granules);

/* The dead granules of the block have reached recheck_at, with these: looks at it. */
void cb_small_recheck(struct cb_heap *heap, struct cb_block *block, size_t granule, size_t granules);

/* cb_small_die for one object, whose map byte is at m. Whatever the heap counts as dead the caller has changed. */
static inline void cb_small_die_counted(struct cb_heap *heap, struct cb_block *block, uint8_t *m,
                                        size_t granule, size_t granules) {
    cb_map_set(m + granules - 1, CB_DEAD | granules);
    cb_map_set(m, CB_DEAD | granules);
    cb_purge_count_dead(heap, block, granule, granules);
    block->dead = (uint16_t)(block->dead + granules);
    if (CB_UNLIKELY(block->dead >= block->recheck_at)) {
        cb_small_recheck(heap, block, granule, granules);
    }
}

/* Takes dead runs, one or several side by side, out: their map bytes are zero, and they count as in use. */
void cb_small_revive(struct cb_heap *heap, struct cb_block *block, size_t granule, size_t granules);

/* Gives the block back if nothing in it lives and no run is in it. True when it went back. */
bool cb_small_drop_if_empty(struct cb_heap *heap, struct cb_block *block);

/*
 * Looks at a block that has no run any more: back to the page allocator when it is empty; to the queue when enough of
 * it is dead; otherwise it waits until more of it dies.
 */
void cb_small_settle(struct cb_heap *heap, struct cb_block *block);

/* Pages of the block have been given back: it may be empty, or have holes that sweeps could not use meanwhile. */
void cb_small_purged(struct cb_heap *heap, struct cb_block *block);

/* The system has refused a block: every block with something dead in it waits for a sweep. */
void cb_small_become_tight(struct cb_heap *heap);

/* False, from now on, when an eighth of what was in use has died since, or as much is in use besides. */
bool cb_small_still_tight(struct cb_heap *heap);

/*
 * A block gets a run from its fresh part; or has no such run any more. Of the medium space, where no block waits and
 * none has holes, this is nothing.
 */
void cb_small_begin_fresh_run(struct cb_heap *heap, struct cb_block *block);
void cb_small_end_fresh_run(struct cb_heap *heap, struct cb_block *block);

/*
 * Sees to it that the thread's run has room for so many granules, by a sweep: of the block of its run, or of one that
 * waits, the emptiest first. False, and no run, when no hole is long enough. A run of a fresh part is ended by now.
 */
bool cb_small_refill(struct cb_thread *t, size_t granules);

/* Ends the run of a sweep: what is left of it is dead. */
void cb_small_retire(struct cb_thread *t);

/* The heap's thread has ended, and has taken its run with it: finds that again and puts it into the heap. */
void cb_small_recover(struct cb_heap *heap);

/* The lengths of holes that blocks wait with, a bit for each, from `granules` on. */
static inline uint64_t cb_small_holes_for(const struct cb_heap *heap, size_t granules) {
    return granules <= CB_SMALL_GRANULES ? heap->holes >> granules << granules : 0;
}

/* Where a sweep of the block ends, in granules from its start. */
static inline size_t cb_small_sweep_end(const struct cb_heap *heap, const struct cb_block *block) {
    size_t end = ((size_t)block->holes_to + 1) * CB_HOLES_UNIT;
    return heap->tight && end < block->fresh ? end : block->fresh;
}

#endif
