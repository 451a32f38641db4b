/*
 * small.c: see small.h.
 *
 * Layer: heap. Threads: under the lock of the heap; where a function takes a thread, the owner only.
 */
#include "heap/small.h"

#include "heap/list.h"
#include "heap/scan.h"

#include <string.h>

/* Granules in the longest holes of a block, for it to wait for objects that fit them. */
#define HOLES_LEAST CB_UNIT_GRANULES
#define STRETCH_MOST CB_UNIT_GRANULES /* of a longer stretch, the first dead runs will do */

static void unqueue(struct cb_heap *heap, struct cb_block *block) {
    unsigned queue = block->queue;
    if (queue == 0) {
        return;
    }
    cb_list_remove(&heap->queue[queue], block, CB_LIST_QUEUE);
    block->queue = 0;
    if (heap->queue[queue] == NULL && queue > CB_SWEEP_QUEUES) {
        heap->holes &= ~((uint64_t)1 << (queue - CB_SWEEP_QUEUES));
    }
}

static void enqueue(struct cb_heap *heap, struct cb_block *block, unsigned queue) {
    cb_list_push(&heap->queue[queue], block, CB_LIST_QUEUE);
    block->queue = (uint8_t)queue;
}

static void enqueue_for_sweep(struct cb_heap *heap, struct cb_block *block) {
    unsigned parts = block->dead / CB_BLOCK_PART;
    enqueue(heap, block, 1 + (parts < CB_SWEEP_QUEUES ? parts : CB_SWEEP_QUEUES - 1));
}

/* The block waits for objects of up to `most` granules; 0: it does not wait. */
static void enqueue_holes(struct cb_heap *heap, struct cb_block *block, size_t most) {
    if (most != 0) {
        enqueue(heap, block, CB_SWEEP_QUEUES + (unsigned)most);
        heap->holes |= (uint64_t)1 << most;
    }
}

bool cb_small_drop_if_empty(struct cb_heap *heap, struct cb_block *block) {
    if (!cb_block_shut_if_empty(heap, block)) {
        return false;
    }
    unqueue(heap, block);
    memset(cb_map + cb_block_first(block), 0, block->fresh);
    cb_block_drop(heap, block);
    return true;
}

/* When the block must be looked at next: a part of it has died, or all; or anything, in a tight heap. */
static void set_recheck(const struct cb_heap *heap, struct cb_block *block) {
    size_t next = (size_t)block->dead + CB_BLOCK_PART;
    bool late = next >= block->fresh && block->dead != block->fresh;
    block->recheck_at = (uint16_t)(heap->tight ? 0 : late ? block->fresh : next);
}

void cb_small_settle(struct cb_heap *heap, struct cb_block *block) {
    if (cb_small_drop_if_empty(heap, block)) {
        return;
    }
    if (!heap->tight && block->queue == 0 && block->dead >= CB_BLOCK_PART) {
        enqueue_for_sweep(heap, block);
    }
    set_recheck(heap, block);
}

/*
 * The same for one that was swept to its end: it waits for objects that fit the holes which the sweep has left, or
 * until more of it dies.
 */
static void settle_swept(struct cb_heap *heap, struct cb_block *block) {
    if (cb_small_drop_if_empty(heap, block)) {
        return;
    }
    if (heap->tight) {
        cb_block_no_holes(block, block->holes_rest);
        enqueue_holes(heap, block, block->holes_rest);
        return;
    }
    size_t most = CB_SMALL_GRANULES, sum = heap->passed[most];
    while (sum < HOLES_LEAST && most > CB_HOLE_LEAST) {
        sum += heap->passed[--most];
    }
    if (sum >= HOLES_LEAST && !cb_block_is_kept(heap, block)) {
        block->holes_from = 0;
        enqueue_holes(heap, block, most);
    }
    set_recheck(heap, block);
}

/*
 * The same for one whose sweep is broken off at `from`, since its holes are too short for what is asked for; in a tight
 * heap at the end of every run.
 */
static void put_back(struct cb_heap *heap, struct cb_block *block, size_t from) {
    if (cb_small_drop_if_empty(heap, block)) {
        return;
    }
    block->holes_from = (uint16_t)(from % CB_BLOCK_GRANULES);
    if (heap->tight && block->holes_from >= cb_small_sweep_end(heap, block)) {
        settle_swept(heap, block);
        return;
    }
    size_t most = heap->sweep_most;
    enqueue_holes(heap, block, heap->tight && block->holes_rest > most ? block->holes_rest : most);
    set_recheck(heap, block);
}

/* The block that has a run may have holes of any length, wherever a sweep of it stands. */
void cb_small_become_tight(struct cb_heap *heap) {
    heap->tight = true;
    heap->tight_in_use = cb_heap_in_use(heap);
    for (struct cb_block *block = heap->all; block != NULL; block = cb_list_next(block, CB_LIST_ALL)) {
        if (block->space == CB_SMALL) {
            bool running = cb_block_has_run(heap, block);
            block->recheck_at = 0;
            unqueue(heap, block);
            cb_block_no_holes(block, running ? CB_SMALL_GRANULES : 0);
            if (block->dead != 0 && !running) {
                enqueue_for_sweep(heap, block);
            }
        }
    }
}

void cb_small_purged(struct cb_heap *heap, struct cb_block *block) {
    if (!cb_small_drop_if_empty(heap, block) && heap->tight && !cb_block_has_run(heap, block)) {
        unqueue(heap, block);
        enqueue_for_sweep(heap, block);
    }
}

/* From then on the queues mean what they mean in any heap, and marks are set one by one. */
bool cb_small_still_tight(struct cb_heap *heap) {
    size_t now = cb_heap_in_use(heap), then = heap->tight_in_use;
    heap->tight = heap->tight && now >= then - then / 8 && now <= then + then / 8 + CB_BLOCK_GRANULES;
    return heap->tight;
}

void cb_small_begin_fresh_run(struct cb_heap *heap, struct cb_block *block) {
    if (block->queue != 0) {
        cb_block_no_holes(block, block->queue > CB_SWEEP_QUEUES ? block->queue - CB_SWEEP_QUEUES
                                                                : CB_SMALL_GRANULES);
        unqueue(heap, block);
    }
}

void cb_small_end_fresh_run(struct cb_heap *heap, struct cb_block *block) {
    if (heap->tight && block->queue == 0) {
        enqueue_holes(heap, block, block->holes_rest);
    }
}

/* A block of a tight heap is swept where what is long begins; all of it where nobody knows better. */
static size_t begin_tight_sweep(struct cb_heap *heap, struct cb_block *block) {
    bool known = block->queue > CB_SWEEP_QUEUES && block->holes_from < cb_small_sweep_end(heap, block);
    if (!known) {
        cb_block_no_holes(block, 0);
        block->holes_from = 0;
        block->holes_to = UINT8_MAX;
    }
    return block->holes_from;
}

/*
 * The emptiest block that waits for a sweep, or else one that has holes for so many granules, taken off the queue; NULL
 * when there is none. Stores where the sweep is to begin. In a tight heap the one whose longest hole is the shortest
 * that will do comes first.
 */
static struct cb_block *take_to_sweep(struct cb_heap *heap, size_t granules, size_t *from) {
    uint64_t fit = cb_small_holes_for(heap, granules);
    unsigned queue = heap->tight && fit != 0 ? 0 : CB_SWEEP_QUEUES;
    while (queue != 0 && heap->queue[queue] == NULL) {
        queue--;
    }
    heap->sweep_most = CB_SMALL_GRANULES;
    if (queue == 0) {
        if (fit == 0) {
            return NULL;
        }
        heap->sweep_most = (unsigned)__builtin_ctzll(fit);
        queue = CB_SWEEP_QUEUES + heap->sweep_most;
    }
    struct cb_block *block = heap->queue[queue];
    bool part = queue > CB_SWEEP_QUEUES && block->holes_from < block->fresh;
    size_t at = heap->tight ? begin_tight_sweep(heap, block) : part ? block->holes_from : 0;
    *from = cb_block_first(block) + at;
    memset(heap->passed, 0, sizeof heap->passed);
    unqueue(heap, block);
    return block;
}

/* A tight heap: these granules of a block have died, and with what is dead beside them are perhaps a longer hole than
 * is known of there. */
static void note_hole(struct cb_heap *heap, struct cb_block *block, size_t granule, size_t granules) {
    uint8_t *from = cb_map + granule, *to = from + granules;
    while (to - from < CB_SMALL_GRANULES && cb_map_get(from - 1) >= CB_DEAD) {
        from -= cb_map_get(from - 1) & CB_LENGTH;
    }
    while (to - from < CB_SMALL_GRANULES && cb_map_get(to) >= CB_DEAD) {
        to += cb_map_get(to) & CB_LENGTH;
    }
    size_t length = to - from < CB_SMALL_GRANULES ? (size_t)(to - from) : CB_SMALL_GRANULES;
    bool unknown = block->queue != 0 && block->queue <= CB_SWEEP_QUEUES;
    if (unknown || length <= block->holes_rest) {
        return;
    }
    if (cb_block_has_run(heap, block)) {
        block->holes_rest = (uint8_t)length; /* the cursor may yet fall back to there: no place to begin at */
        return;
    }
    const uint8_t *start = cb_map + cb_block_first(block);
    size_t first = (size_t)(from - start), last = (size_t)(to - start - 1) / CB_HOLES_UNIT;
    block->holes_from = first < block->holes_from ? (uint16_t)first : block->holes_from;
    block->holes_to = last > block->holes_to ? (uint8_t)last : block->holes_to;
    if (block->queue < CB_SWEEP_QUEUES + length) {
        unqueue(heap, block);
        enqueue_holes(heap, block, length);
    }
}

CB_NOINLINE void cb_small_recheck(struct cb_heap *heap, struct cb_block *block, size_t granule,
                                  size_t granules) {
    if (cb_small_drop_if_empty(heap, block)) {
        return;
    }
    if (heap->tight && cb_small_still_tight(heap)) {
        note_hole(heap, block, granule, granules);
        return;
    }
    if (!cb_block_has_run(heap, block)) {
        unqueue(heap, block);
        if (block->dead >= CB_BLOCK_PART) {
            enqueue_for_sweep(heap, block);
        }
    }
    set_recheck(heap, block);
}

void cb_small_die(struct cb_heap *heap, struct cb_block *block, size_t granule, size_t granules) {
    cb_map_dead_tag_short(cb_map + granule, granules);
    cb_purge_count_dead(heap, block, granule, granules);
    block->dead = (uint16_t)(block->dead + granules);
    cb_count(&heap->dead, granules);
    if (CB_UNLIKELY(block->dead >= block->recheck_at)) {
        cb_small_recheck(heap, block, granule, granules);
    }
}

void cb_small_revive(struct cb_heap *heap, struct cb_block *block, size_t granule, size_t granules) {
    memset(cb_map + granule, 0, granules);
    cb_purge_count_revived(block, granule, granules);
    cb_block_revive(heap, block, granule, granules);
}

/* A sweep of the block leaves a hole of this length. */
static void pass_over(struct cb_heap *heap, struct cb_block *block, size_t granules) {
    size_t length = cb_lower(granules, CB_SMALL_GRANULES);
    heap->passed[length] = (uint16_t)(heap->passed[length] + length);
    if (length > block->holes_rest) {
        block->holes_rest = (uint8_t)length;
    }
}

/*
 * Sweeps a block from `from`. True when there is a run now; the block is then the run's. False at the end of the block.
 */
static bool sweep(struct cb_thread *t, struct cb_block *block, size_t from, size_t granules) {
    struct cb_heap *heap = t->heap;
    const uint8_t *map = cb_map + cb_block_first(block), *begin = cb_map + from, *m;
    const uint8_t *end = map + cb_small_sweep_end(heap, block), *limit = map + block->fresh;
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
            /* no hole: the block is looked at again when the pages have gone, see cb_small_purged */
            scan = cb_scan_begin(m + length, end, limit);
            continue;
        }
        if (length >= granules) {
            size_t granule = (size_t)(m - cb_map);
            cb_small_revive(heap, block, granule, length);
            cb_block_set_run(t, CB_SMALL, block, granule, length, false);
            cb_count(&heap->swept, (size_t)(m + length - begin));
            cb_count(&heap->revived, length);
            return true;
        }
        pass_over(heap, block, length);
    }
    cb_count(&heap->swept, end > begin ? (size_t)(end - begin) : 0);
    heap->space[CB_SMALL].run_block = NULL;
    settle_swept(heap, block);
    return false;
}

/*
 * Ends the run of a sweep. Returns its block, which still counts as the run's, and stores where the sweep goes on; NULL
 * when there is no such run, or in a tight heap: there what is left is a hole like any other, of a block without a run.
 */
static struct cb_block *end_run(struct cb_thread *t, size_t *from) {
    struct cb_heap *heap = t->heap;
    struct cb_space *s = &heap->space[CB_SMALL];
    struct cb_block *block = s->run_block;
    struct cb_run run = t->run;
    if (block == NULL) {
        return NULL;
    }
    t->run = CB_NO_RUN;
    if (heap->tight) {
        s->run_block = NULL;
        put_back(heap, block, run.limit);
    }
    if (run.cursor != run.limit) {
        cb_small_die(heap, block, run.cursor, run.limit - run.cursor);
    }
    *from = run.cursor;
    return s->run_block;
}

void cb_small_retire(struct cb_thread *t) {
    size_t from;
    struct cb_block *block = end_run(t, &from);
    if (block != NULL) {
        t->heap->space[CB_SMALL].run_block = NULL;
        cb_small_settle(t->heap, block);
    }
}

bool cb_small_refill(struct cb_thread *t, size_t granules) {
    struct cb_heap *heap = t->heap;
    size_t from;
    struct cb_block *block = end_run(t, &from);
    if (block != NULL && granules > heap->sweep_most) { /* it has no such hole, so far as is known */
        heap->space[CB_SMALL].run_block = NULL;
        put_back(heap, block, from);
        block = NULL;
    }
    while (block != NULL || (block = take_to_sweep(heap, granules, &from)) != NULL) {
        if (sweep(t, block, from, granules)) {
            return true;
        }
        block = NULL;
    }
    return false;
}

/* A block is a sequence of objects and dead runs, with nothing between but the run, whose bytes are zero. */
void cb_small_recover(struct cb_heap *heap) {
    struct cb_space *s = &heap->space[CB_SMALL];
    struct cb_block *block = s->run_block;
    s->run = CB_NO_RUN;
    if (block == NULL) {
        return;
    }
    const uint8_t *m = cb_map + cb_block_first(block), *end = m + block->fresh;
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
        cb_small_settle(heap, block);
    }
}
