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
 *                                  (4) no block to be had: the bins are emptied, then (1) again
 *
 * Where (3) has failed, the heap is tight (block.h), and (4) comes before (3) until much has changed.
 */
#include "heap/refill.h"

#include "heap/block.h"
#include "heap/fork.h"
#include "heap/release.h"
#include "heap/remote.h"
#include "heap/bin.h"
#include "heap/scan.h"

/*
 * A page becomes a run at a time in the small space, so that the bins are asked again soon: their objects were in use
 * lately, what is behind the end of a run was not. Every SMALL_STEPS of them that come from a fresh part a sweep is tried
 * first, as before each step of CB_STEP in the medium space.
 */
#define PAGE CB_UNIT_GRANULES
#define SMALL_STEPS (CB_TO_GRANULES(CB_STEP) / PAGE)
#define STRETCH_MOST PAGE /* of a longer stretch, the first dead runs will do */

/* So many granules at a multiple of `align` granules, which is 1 in the small space. */
struct request {
    enum cb_space_kind space;
    size_t granules, align;
};

/*
 * Granules that become a run at a time. Large alignments get what they need and no more: what is up to the next such
 * place would be touched by nobody, but count as if it were.
 */
static size_t step_for(const struct request *wanted) {
    size_t step = wanted->space == CB_SMALL ? PAGE : wanted->align <= PAGE ? CB_TO_GRANULES(CB_STEP) : 0;
    return step > wanted->granules ? step : wanted->granules;
}

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
        if (space == CB_SMALL) {
            cb_block_end_fresh_run(heap, block);
        }
        return NULL;
    }
    if (space == CB_SMALL && heap->tight) {
        /* The rest of the run is a hole like any other, of a block without a run. */
        s->run_block = NULL;
        cb_block_put_back(heap, block, run.limit << CB_GRANULE_SHIFT);
        if (rest != 0) {
            cb_block_die(heap, block, run.cursor << CB_GRANULE_SHIFT, rest);
        }
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

/*
 * Sweeps a block from `from`. True when there is a run now; the block is then the run's. False at the end of the block.
 */
static bool sweep(struct cb_heap *heap, struct cb_block *block, uintptr_t from, size_t granules) {
    const uint8_t *map = cb_map_at(cb_block_start(block)), *begin = cb_map_at(from), *m;
    const uint8_t *end = map + cb_block_sweep_end(heap, block), *limit = map + block->fresh;
    size_t length = 0;
    heap->space[CB_SMALL].run_block = block;
    heap->space[CB_SMALL].run_is_fresh = false;
    cb_count(&heap->sweeps, 1);
    struct cb_scan scan = cb_scan_begin(begin, end, limit);
    while ((m = cb_scan_next(&scan, STRETCH_MOST, &length)) != NULL) {
        if (CB_UNLIKELY(length > STRETCH_MOST)) {
            length = (size_t)(cb_map_dead_end(m, STRETCH_MOST) - m);
        }
        if (CB_UNLIKELY(block->purging != 0) && !cb_purge_may_use(block, cb_map_address(m), length)) {
            /* no hole: the block is looked at again when the pages have gone, see cb_block_purged */
            scan = cb_scan_begin(m + length, end, limit);
            continue;
        }
        if (length >= granules) {
            uintptr_t p = cb_map_address(m);
            cb_block_revive(heap, block, p, length);
            set_run(heap, CB_SMALL, block, p, p + (length << CB_GRANULE_SHIFT), false);
            cb_count(&heap->swept, (size_t)(m + length - begin));
            cb_count(&heap->revived, length);
            return true;
        }
        cb_block_pass_over(heap, block, length);
    }
    cb_count(&heap->swept, end > begin ? (size_t)(end - begin) : 0);
    heap->space[CB_SMALL].run_block = NULL;
    cb_block_settle_swept(heap, block);
    return false;
}

/* No object may touch the end of a block. */
static size_t fresh_end(enum cb_space_kind space) {
    return CB_BLOCK_GRANULES - (space == CB_SMALL ? 1 : CB_QUAD_GRANULES);
}

/*
 * A run from the fresh part of the newest block, from its first aligned place on. The granules before that are dead,
 * and serve others.
 */
static bool run_fresh(struct cb_heap *heap, const struct request *wanted) {
    struct cb_block *block = heap->space[wanted->space].fresh_block;
    if (block == NULL) {
        return false;
    }
    size_t end = fresh_end(wanted->space);
    size_t from = cb_align_up(block->fresh, wanted->align), pad = from - block->fresh;
    if (from + wanted->granules > end) {
        return false;
    }
    if (pad != 0) {
        uintptr_t start = cb_block_start(block) + ((uintptr_t)block->fresh << CB_GRANULE_SHIFT);
        block->fresh = (uint16_t)from;
        cb_count(&heap->used, pad);
        cb_purge_leave_untouched(heap, block, start, pad);
        cb_block_die(heap, block, start, pad);
    }
    size_t step = step_for(wanted) < end - from ? step_for(wanted) : end - from;
    uintptr_t start = cb_block_start(block) + ((uintptr_t)from << CB_GRANULE_SHIFT);
    if (wanted->space == CB_SMALL) {
        cb_block_begin_fresh_run(heap, block);
    }
    block->fresh = (uint16_t)(from + step);
    cb_count(&heap->used, step);
    cb_purge_touch(block, start, step);
    set_run(heap, wanted->space, block, start, start + (step << CB_GRANULE_SHIFT), true);
    return true;
}

/* The rest of the fresh part is dead from now on. */
static void end_fresh(struct cb_heap *heap, enum cb_space_kind space) {
    struct cb_block *block = heap->space[space].fresh_block;
    if (block == NULL) {
        return;
    }
    heap->space[space].fresh_block = NULL;
    size_t left = fresh_end(space) - block->fresh;
    uintptr_t from = cb_block_start(block) + ((uintptr_t)block->fresh << CB_GRANULE_SHIFT);
    block->fresh = (uint16_t)fresh_end(space);
    cb_count(&heap->used, left);
    cb_purge_leave_untouched(heap, block, from, left);
    if (left == 0 || cb_block_die(heap, block, from, left).granules != 0) {
        cb_block_settle(heap, block);
    }
}

static bool refill_by_sweep(struct cb_heap *heap, size_t granules) {
    uintptr_t from;
    struct cb_block *block = end_run(heap, CB_SMALL, &from);
    if (block != NULL && cb_block_may_fit(heap, granules)) {
        if (sweep(heap, block, from, granules)) {
            return true;
        }
    } else if (block != NULL) {
        heap->space[CB_SMALL].run_block = NULL;
        cb_block_put_back(heap, block, from);
    }
    while ((block = cb_block_to_sweep(heap, granules, &from)) != NULL) {
        if (sweep(heap, block, from, granules)) {
            return true;
        }
    }
    return false;
}

/* Not more than a step of a long dead run: pages behind that are not resident stay known as such. */
static bool refill_by_list(struct cb_heap *heap, const struct request *wanted) {
    retire_medium(heap);
    struct cb_dead_run dead = wanted->align == 1
                                  ? cb_runs_find(heap, wanted->granules)
                                  : cb_runs_find_aligned(heap, wanted->granules, wanted->align);
    if (dead.granules == 0) {
        return false;
    }
    uintptr_t start = cb_align_up(dead.start, wanted->align << CB_GRANULE_SHIFT);
    size_t room = dead.granules - ((start - dead.start) >> CB_GRANULE_SHIFT), step = step_for(wanted);
    size_t granules = step + CB_MEDIUM_LEAST < room || wanted->align > PAGE ? step : room;
    struct cb_block *block = cb_block_of(start);
    cb_block_carve(heap, block, dead, start, granules);
    set_run(heap, CB_MEDIUM, block, start, start + (granules << CB_GRANULE_SHIFT), false);
    return true;
}

/* A run of what is dead. */
static bool refill_by_dead(struct cb_heap *heap, const struct request *wanted) {
    return wanted->space == CB_SMALL ? refill_by_sweep(heap, wanted->granules) : refill_by_list(heap, wanted);
}

/* A run of a new block. */
static bool refill_by_block(struct cb_heap *heap, const struct request *wanted) {
    struct cb_block *block = cb_block_take(heap, wanted->space);
    if (block == NULL) {
        return false;
    }
    end_fresh(heap, wanted->space);
    heap->space[wanted->space].fresh_block = block;
    return run_fresh(heap, wanted);
}

/* The run was fresh and goes on, without a sweep; unless blocks wait whose holes would do. */
static bool run_on(struct cb_heap *heap, const struct request *wanted) {
    struct cb_space *s = &heap->space[CB_SMALL];
    uintptr_t from;
    if (!s->run_is_fresh || s->run_block == NULL || s->fresh_steps == SMALL_STEPS ||
        cb_block_holes_for(heap, wanted->granules) != 0) {
        return false;
    }
    end_run(heap, CB_SMALL, &from);
    return run_fresh(heap, wanted);
}

static bool refill(struct cb_heap *heap, const struct request *wanted) {
    if (wanted->space == CB_SMALL && run_on(heap, wanted)) {
        heap->space[CB_SMALL].fresh_steps++;
        return true;
    }
    heap->space[wanted->space].fresh_steps = 1;
    bool was_tight = cb_block_still_tight(heap);
    if (refill_by_dead(heap, wanted) || run_fresh(heap, wanted)) {
        return true;
    }
    if (!was_tight && refill_by_block(heap, wanted)) {
        return true;
    }
    /* The system has no more memory, or had none lately: what is parked dies, and then all holes are known. */
    bool died = cb_bin_empty_all_locked(heap);
    if (!was_tight) {
        cb_block_become_tight(heap);
    }
    if ((died || !was_tight) && refill_by_dead(heap, wanted)) {
        return true;
    }
    return refill_by_block(heap, wanted); /* others may have given pages back meanwhile */
}

static bool refill_locked(struct cb_heap *heap, struct request wanted) {
    cb_lock_take(&heap->lock);
    heap->died_in_bins = heap->died_when_emptied = 0;
    bool done = refill(heap, &wanted);
    cb_heap_unlock(heap);
    return done;
}

bool cb_refill(struct cb_heap *heap, enum cb_space_kind space, size_t granules) {
    return refill_locked(heap, (struct request){space, granules, 1});
}

bool cb_refill_aligned(struct cb_heap *heap, size_t granules, size_t align) {
    return refill_locked(heap, (struct request){CB_MEDIUM, granules, align});
}

/* Ends both runs. */
static void retire_runs(struct cb_heap *heap) {
    uintptr_t from;
    struct cb_block *block = end_run(heap, CB_SMALL, &from);
    if (block != NULL) {
        heap->space[CB_SMALL].run_block = NULL;
        cb_block_settle(heap, block);
    }
    retire_medium(heap);
}

/* A block that only its run, or its fresh part, keeps. */
static void leave_blocks(struct cb_heap *heap) {
    struct cb_block *block;
    retire_runs(heap);
    for (int space = CB_SMALL; space < CB_SPACES; space++) {
        block = heap->space[space].fresh_block;
        if (block != NULL && block->dead == block->fresh) {
            heap->space[space].fresh_block = NULL;
            if (!cb_block_drop_if_empty(heap, block)) {
                heap->space[space].fresh_block = block;
            }
        }
    }
}

void cb_refill_retire(struct cb_heap *heap) {
    cb_lock_take(&heap->lock);
    leave_blocks(heap);
    cb_heap_unlock(heap);
}

bool cb_refill_give_pages(size_t size) {
    struct cb_heap *heap = cb_thread.heap;
    /* the lock is not held yet: others may be giving blocks of the heap back */
    if (heap == NULL || size > __atomic_load_n(&heap->used, __ATOMIC_RELAXED) << CB_GRANULE_SHIFT) {
        return false;
    }
    cb_remote_take_in(heap);
    if (!cb_fork_lock(heap)) {
        return false;
    }
    size_t blocks = heap->blocks;
    if (cb_bin_empty_all_locked(heap)) {
        leave_blocks(heap);
    }
    bool some = heap->blocks < blocks;
    cb_heap_unlock(heap);
    return some;
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
