/*
 * refill.c: where a run comes from. See refill.h.
 *
 * Layer: heap. Threads: the owner of the heap only.
 *
 * Call tree, from malloc:
 *   cb_malloc_slow -> cb_refill -> (1) dead memory:
 *                                      small: go on sweeping the block of the run that was used up, then
 *                                      waiting blocks, the emptiest first, then those with holes that fit
 *                                      medium: a listed dead run that fits well
 *                                  (2) a step of the fresh part of the newest block
 *                                  (3) a new block
 *                                  (4) no block to be had: the bins are emptied, then (1) again
 *
 * Where (3) has failed, the heap is tight (small.h), and (4) comes before (3) until much has changed.
 */
#include "heap/refill.h"

#include "heap/fork.h"
#include "heap/release.h"
#include "heap/remote.h"
#include "heap/bin.h"

/* So many granules at a multiple of `align` granules; where it can be, the run has `step`. */
struct request {
    enum cb_space_kind space;
    size_t granules, align, step;
};

/* Ends a run of a fresh part: what is left of it is fresh again. */
static void end_fresh_run(struct cb_thread *t, enum cb_space_kind space) {
    struct cb_heap *heap = t->heap;
    struct cb_space *s = &heap->space[space];
    struct cb_run *run = cb_run_of(t, space);
    if (s->run_block != NULL && s->run_is_fresh) {
        s->run_block->fresh = (uint16_t)(s->run_block->fresh - (run->limit - run->cursor));
        cb_count(&heap->used, 0 - (run->limit - run->cursor));
        cb_small_end_fresh_run(heap, s->run_block);
        s->run_block = NULL;
        *run = CB_NO_RUN;
    }
}

/* The fresh part of the block begins at this granule of it from now on: the granules before that are dead. */
static void begin_fresh_at(struct cb_heap *heap, struct cb_block *block, size_t to) {
    size_t at = cb_block_first(block) + block->fresh, granules = to - block->fresh;
    if (granules != 0) {
        block->fresh = (uint16_t)to;
        cb_count(&heap->used, granules);
        cb_purge_leave_untouched(heap, block, at << CB_GRANULE_SHIFT, granules);
        cb_space_die(heap, block, at, granules);
    }
}

/*
 * A run from the fresh part of the newest block, from its first aligned place on. The granules before that are dead,
 * and serve others.
 */
static bool run_fresh(struct cb_thread *t, const struct request *wanted) {
    struct cb_heap *heap = t->heap;
    struct cb_block *block = heap->space[wanted->space].fresh_block;
    if (block == NULL) {
        return false;
    }
    size_t end = cb_space_facts[wanted->space].end, start = cb_block_first(block);
    size_t from = cb_align_up(block->fresh, wanted->align);
    if (from + wanted->granules > end) {
        return false;
    }
    begin_fresh_at(heap, block, from);
    size_t step = cb_lower(wanted->step, end - from);
    cb_small_begin_fresh_run(heap, block);
    block->fresh = (uint16_t)(from + step);
    cb_count(&heap->used, step);
    cb_purge_touch(block, (start + from) << CB_GRANULE_SHIFT, step);
    cb_block_set_run(t, wanted->space, block, start + from, step, true);
    return true;
}

/* The rest of the fresh part is dead from now on. */
static void end_fresh(struct cb_heap *heap, enum cb_space_kind space) {
    struct cb_block *block = heap->space[space].fresh_block;
    if (block == NULL) {
        return;
    }
    begin_fresh_at(heap, block, cb_space_facts[space].end); /* which keeps the block */
    heap->space[space].fresh_block = NULL;
    cb_space_settle(heap, block);
}

/* A run of what is dead. */
static bool refill_by_dead(struct cb_thread *t, const struct request *wanted) {
    end_fresh_run(t, wanted->space);
    return cb_space_refill(t, wanted->space, wanted->granules, wanted->align, wanted->step);
}

/* A run of a new block. */
static bool refill_by_block(struct cb_thread *t, const struct request *wanted) {
    struct cb_block *block = cb_block_take(t->heap, wanted->space);
    if (block == NULL) {
        return false;
    }
    end_fresh(t->heap, wanted->space);
    t->heap->space[wanted->space].fresh_block = block;
    return run_fresh(t, wanted);
}

/* The run was fresh and goes on, without a look for dead memory; unless blocks wait whose holes would do. */
static bool run_on(struct cb_thread *t, const struct request *wanted) {
    struct cb_space *s = &t->heap->space[wanted->space];
    if (!s->run_is_fresh || s->run_block == NULL || s->fresh_steps == cb_space_facts[wanted->space].steps ||
        cb_small_holes_for(t->heap, wanted->granules + wanted->align - 1) != 0) {
        return false;
    }
    end_fresh_run(t, wanted->space);
    s->fresh_steps++;
    return run_fresh(t, wanted);
}

static bool refill(struct cb_thread *t, const struct request *wanted) {
    struct cb_heap *heap = t->heap;
    if (run_on(t, wanted)) {
        return true;
    }
    heap->space[wanted->space].fresh_steps = 1;
    bool was_tight = cb_small_still_tight(heap);
    if (refill_by_dead(t, wanted) || run_fresh(t, wanted)) {
        return true;
    }
    if (!was_tight && refill_by_block(t, wanted)) {
        return true;
    }
    /* The system has no more memory, or had none lately: what is parked dies, and then all holes are known. */
    bool died = cb_bin_empty_all_locked(t);
    if (!was_tight) {
        cb_small_become_tight(heap);
    }
    if ((died || !was_tight) && refill_by_dead(t, wanted)) {
        return true;
    }
    return refill_by_block(t, wanted); /* others may have given pages back meanwhile */
}

bool cb_refill(struct cb_thread *t, enum cb_space_kind space, size_t granules, size_t align) {
    struct cb_heap *heap = t->heap;
    /*
     * Large alignments get what they need and no more: what is up to the next such place would be touched by nobody,
     * but count as if it were.
     */
    size_t step = align <= CB_UNIT_GRANULES ? cb_space_facts[space].step : 0;
    struct request wanted = {space, granules, align, cb_higher(step, granules)};
    cb_lock_take(&heap->lock);
    heap->died_in_bins = heap->died_when_emptied = 0;
    bool done = refill(t, &wanted);
    cb_heap_unlock(heap);
    return done;
}

/* Ends the runs, and gives back a block that only its run, or its fresh part, keeps. */
static void leave_blocks(struct cb_thread *t) {
    for (enum cb_space_kind space = CB_SMALL; space < CB_SPACES; space++) {
        end_fresh_run(t, space);
        cb_space_retire(t, space);
        struct cb_space *s = &t->heap->space[space];
        struct cb_block *block = s->fresh_block;
        s->fresh_block = NULL;
        if (block != NULL && !cb_space_drop_if_empty(t->heap, block)) {
            s->fresh_block = block;
        }
    }
}

void cb_refill_retire(struct cb_thread *t) {
    struct cb_heap *heap = t->heap;
    cb_lock_take(&heap->lock);
    leave_blocks(t);
    cb_heap_unlock(heap);
}

/* The page that the fresh part of the block begins in has nothing but dead runs before that. Small space only. */
static bool page_is_dead(const struct cb_block *block) {
    size_t before = block->fresh % CB_TO_GRANULES(cb_page_size), dead = 0;
    for (size_t at = block->fresh - before; at < block->fresh; at += CB_UNIT_GRANULES) {
        size_t unit = at / CB_UNIT_GRANULES;
        dead += (block->full >> unit & 1) != 0 ? CB_UNIT_GRANULES : block->unit_dead[unit];
    }
    return dead == before;
}

/*
 * In the small space a page in which something lives keeps its fresh part: what is dead there is not found again until
 * much of the block is.
 */
void cb_refill_end_page(struct cb_heap *heap, enum cb_space_kind space) {
    cb_lock_take(&heap->lock);
    struct cb_block *block = heap->space[space].fresh_block;
    if (block != NULL) {
        size_t to = cb_align_up(block->fresh, CB_TO_GRANULES(cb_page_size));
        if (to <= cb_space_facts[space].end && (space == CB_MEDIUM || page_is_dead(block))) {
            begin_fresh_at(heap, block, to);
        }
    }
    cb_lock_drop(&heap->lock);
}

bool cb_refill_give_pages(struct cb_thread *t, size_t size) {
    struct cb_heap *heap = t->heap;
    /* the lock is not held yet: others may be giving blocks of the heap back */
    if (heap == NULL || size > __atomic_load_n(&heap->used, __ATOMIC_RELAXED) << CB_GRANULE_SHIFT) {
        return false;
    }
    cb_remote_take_in(heap);
    if (!cb_fork_lock(heap)) {
        return false;
    }
    size_t blocks = heap->blocks;
    if (cb_bin_empty_all_locked(t)) {
        leave_blocks(t);
    }
    bool some = heap->blocks < blocks;
    cb_heap_unlock(heap);
    return some;
}
