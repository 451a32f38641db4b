/*
 * refill.c: sweeps and fresh memory. See refill.h.
 *
 * Layer: heap. Threads: the owner of the heap only.
 *
 * Call tree, from malloc:
 *   cb_malloc_slow -> cb_refill -> (1) small: go on sweeping the block of the run that was used up, then
 *                                      waiting blocks, the emptiest first, then those with holes that fit
 *                                      medium: a listed dead run that fits well
 *                                  (2) a step of the fresh part of the newest block
 *                                  (3) a new block
 */
#include "heap/refill.h"

#include "heap/block.h"
#include "heap/release.h"
#include "heap/ring.h"

/*
 * Bytes that become a run at a time: short ones in the small space, so that the rings are asked again soon.
 * What they hold was in use lately; what is behind the end of a run was not. Every SMALL_STEPS of them that
 * come from a fresh part a sweep is tried first, as before each step in the medium space.
 */
#define FRESH_STEP ((size_t)32 << 10)
#define SMALL_STEP ((size_t)2 << 10)
#define SMALL_STEPS (FRESH_STEP / SMALL_STEP)

static void set_run(struct cb_heap *heap, enum cb_space_kind space, struct cb_block *block, uintptr_t from,
                    uintptr_t to, bool fresh) {
    struct cb_space *s = &heap->space[space];
    *cb_run_of(heap, space) = (struct cb_run){from >> CB_GRANULE_SHIFT, to >> CB_GRANULE_SHIFT};
    s->run_block = block;
    s->run_is_fresh = fresh;
}

/*
 * Ends the run. Where it came from a sweep, returns the block and stores in *from where the sweep goes on;
 * the block still counts as the run's.
 */
static struct cb_block *end_run(struct cb_heap *heap, enum cb_space_kind space, uintptr_t *from) {
    struct cb_space *s = &heap->space[space];
    struct cb_block *block = s->run_block;
    struct cb_run run = *cb_run_of(heap, space);
    size_t rest = run.limit - run.cursor;
    if (block == NULL) {
        return NULL;
    }
    *cb_run_of(heap, space) = CB_NO_RUN;
    if (s->run_is_fresh) {
        block->fresh = (uint16_t)(block->fresh - rest);
        cb_count(&heap->used, 0 - rest);
        s->run_block = NULL;
        return NULL;
    }
    *from = run.limit << CB_GRANULE_SHIFT;
    if (rest != 0) {
        *from = cb_block_die(heap, block, run.cursor << CB_GRANULE_SHIFT, rest).start;
    }
    return block;
}

/* Ends the run of the medium space: what is left of it is dead, or fresh again. */
static void retire_medium(struct cb_heap *heap) {
    uintptr_t from;
    struct cb_block *block = end_run(heap, CB_MEDIUM, &from);
    if (block != NULL) {
        heap->space[CB_MEDIUM].run_block = NULL;
        cb_block_settle(heap, block);
    }
}

/* True when a dead run of this length is better parked than run through. */
static bool to_ring(const struct cb_heap *heap, size_t length) {
    return length < CB_HOLE_LEAST && (heap->wanted >> length & 1) != 0 &&
           !cb_ring_is_full(heap, cb_small_ring(length));
}

/*
 * Sweeps a block from `from`. True when there is a run now, or enough in the ring of the size asked for; the
 * block is then the run's. False at the end of the block.
 */
static bool sweep(struct cb_heap *heap, struct cb_block *block, uintptr_t from, size_t granules,
                  unsigned ring) {
    uint8_t *end = cb_map_at(cb_block_start(block)) + block->fresh;
    heap->space[CB_SMALL].run_block = block;
    heap->space[CB_SMALL].run_is_fresh = false;
    for (uint8_t *m = cb_map_find_dead(cb_map_at(from), end); m < end; m = cb_map_find_dead(m, end)) {
        uintptr_t p = cb_map_address(m);
        uint8_t *behind = cb_map_dead_end(m, SMALL_STEP >> CB_GRANULE_SHIFT);
        size_t length = (size_t)(behind - m);
        if (!cb_purge_may_use(block, p, length)) {
            m = behind;
            continue;
        }
        if (to_ring(heap, length)) {
            cb_block_revive(heap, block, p, length);
            cb_ring_park(heap, cb_small_ring(length), p);
            if (cb_small_ring(length) == ring && cb_ring_count(heap, ring) * 2 >= cb_ring_bound(heap, ring)) {
                set_run(heap, CB_SMALL, block, p + (length << CB_GRANULE_SHIFT),
                        p + (length << CB_GRANULE_SHIFT), false);
                return true;
            }
            m = behind;
            continue;
        }
        if (length >= granules) {
            cb_block_revive(heap, block, p, length);
            set_run(heap, CB_SMALL, block, p, p + (length << CB_GRANULE_SHIFT), false);
            return true;
        }
        cb_block_pass_over(heap, length);
        m = behind;
    }
    heap->space[CB_SMALL].run_block = NULL;
    cb_block_settle_swept(heap, block);
    return ring != 0 && !cb_ring_is_empty(heap, ring);
}

/* A run from the fresh part of the newest block. */
static bool run_fresh(struct cb_heap *heap, enum cb_space_kind space, size_t granules) {
    struct cb_space *s = &heap->space[space];
    struct cb_block *block = s->fresh_block;
    if (block == NULL) {
        return false;
    }
    size_t left = CB_BLOCK_GRANULES - 1 - block->fresh; /* no object may touch the end of a block */
    if (left < granules) {
        return false;
    }
    size_t step = (space == CB_SMALL ? SMALL_STEP : FRESH_STEP) >> CB_GRANULE_SHIFT;
    if (step < granules) {
        step = granules;
    }
    if (step > left) {
        step = left;
    }
    uintptr_t from = cb_block_start(block) + ((uintptr_t)block->fresh << CB_GRANULE_SHIFT);
    block->fresh = (uint16_t)(block->fresh + step);
    cb_count(&heap->used, step);
    set_run(heap, space, block, from, from + (step << CB_GRANULE_SHIFT), true);
    return true;
}

/* What is left of the fresh part is dead from now on. */
static void end_fresh(struct cb_heap *heap, enum cb_space_kind space) {
    struct cb_block *block = heap->space[space].fresh_block;
    if (block == NULL) {
        return;
    }
    heap->space[space].fresh_block = NULL;
    size_t left = CB_BLOCK_GRANULES - 1 - block->fresh;
    uintptr_t from = cb_block_start(block) + ((uintptr_t)block->fresh << CB_GRANULE_SHIFT);
    block->fresh = CB_BLOCK_GRANULES - 1;
    cb_count(&heap->used, left);
    if (left == 0 || cb_block_die(heap, block, from, left).granules != 0) {
        cb_block_settle(heap, block);
    }
}

static bool refill_by_sweep(struct cb_heap *heap, size_t granules, unsigned ring) {
    uintptr_t from;
    struct cb_block *block = end_run(heap, CB_SMALL, &from);
    if (block != NULL && cb_block_may_fit(heap, granules)) {
        if (sweep(heap, block, from, granules, ring)) {
            return true;
        }
    } else if (block != NULL) {
        heap->space[CB_SMALL].run_block = NULL;
        cb_block_put_back(heap, block, from);
    }
    while ((block = cb_block_to_sweep(heap, granules, &from)) != NULL) {
        if (sweep(heap, block, from, granules, ring)) {
            return true;
        }
    }
    return false;
}

static bool refill_by_list(struct cb_heap *heap, size_t granules) {
    retire_medium(heap);
    struct cb_dead_run run = cb_block_listed_run(heap, granules);
    if (run.granules == 0) {
        return false;
    }
    struct cb_block *block = cb_block_of(run.start);
    cb_block_revive(heap, block, run.start, run.granules);
    set_run(heap, CB_MEDIUM, block, run.start, run.start + (run.granules << CB_GRANULE_SHIFT), false);
    return true;
}

/* The system has no more memory: everything that is parked dies, and every hole is looked at again. */
static bool last_resort(struct cb_heap *heap, enum cb_space_kind space, size_t granules, unsigned ring) {
    cb_ring_drain(heap);
    cb_block_requeue_all(heap);
    if (space == CB_SMALL ? refill_by_sweep(heap, granules, ring) : refill_by_list(heap, granules)) {
        return true;
    }
    struct cb_block *block = cb_block_take(heap, space); /* blocks may have gone back */
    if (block == NULL) {
        return false;
    }
    end_fresh(heap, space);
    heap->space[space].fresh_block = block;
    return run_fresh(heap, space, granules);
}

/* The run was fresh and goes on, without a sweep; unless blocks wait whose holes would do. */
static bool run_on(struct cb_heap *heap, size_t granules) {
    struct cb_space *s = &heap->space[CB_SMALL];
    uintptr_t from;
    if (!s->run_is_fresh || s->run_block == NULL || s->fresh_steps == SMALL_STEPS ||
        cb_block_holes_for(heap, granules) != 0) {
        return false;
    }
    end_run(heap, CB_SMALL, &from);
    return run_fresh(heap, CB_SMALL, granules);
}

static bool refill(struct cb_heap *heap, enum cb_space_kind space, size_t granules, unsigned ring) {
    if (space == CB_SMALL && run_on(heap, granules)) {
        heap->space[CB_SMALL].fresh_steps++;
        return true;
    }
    heap->space[space].fresh_steps = 1;
    if (space == CB_SMALL ? refill_by_sweep(heap, granules, ring) : refill_by_list(heap, granules)) {
        return true;
    }
    if (run_fresh(heap, space, granules)) {
        return true;
    }
    struct cb_block *block = cb_block_take(heap, space);
    if (block == NULL) {
        return last_resort(heap, space, granules, ring);
    }
    end_fresh(heap, space);
    heap->space[space].fresh_block = block;
    return run_fresh(heap, space, granules);
}

bool cb_refill(struct cb_heap *heap, enum cb_space_kind space, size_t granules, unsigned ring) {
    cb_lock_take(&heap->lock);
    heap->flushed = heap->flushed_all = 0;
    bool done = refill(heap, space, granules, ring);
    cb_heap_unlock(heap);
    return done;
}

/* A block of the small space is a sequence of objects and dead runs, with nothing between but the run, which is
 * zero. */
void cb_refill_recover(struct cb_heap *heap) {
    struct cb_space *s = &heap->space[CB_SMALL];
    struct cb_block *block = s->run_block;
    s->run = CB_NO_RUN;
    if (block == NULL) {
        return;
    }
    const uint8_t *m = cb_map_at(cb_block_start(block)), *end = m + block->fresh;
    while (m < end && cb_map_get(m) != 0) {
        m += cb_map_length(m);
    }
    const uint8_t *from = m;
    while (m < end && cb_map_get(m) == 0) {
        m++;
    }
    if (from < end) {
        s->run = (struct cb_run){(size_t)(from - cb_map), (size_t)(m - cb_map)};
        return;
    }
    s->run_block = NULL; /* the run was used up; nobody knows where the sweep was */
    if (!s->run_is_fresh) {
        cb_block_settle(heap, block);
    }
}
