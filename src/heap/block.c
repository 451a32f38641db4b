/*
 * block.c: see block.h.
 *
 * Layer: heap. Threads: under the lock of the heap.
 */
#include "heap/block.h"

#include "heap/pages.h"
#include "heap/purge.h"
#include "heap/room.h"
#include "heap/runs.h"

#include <string.h>

#define EIGHTH (CB_BLOCK_GRANULES / CB_SPARSE_PART)
/* Granules in the longest holes of a block, for it to wait for objects that fit them. */
#define HOLES_LEAST CB_UNIT_GRANULES

static void cache_owner(const struct cb_heap *heap, const struct cb_block *block) {
    size_t number = cb_block_number(block);
    uint64_t none = 0;
    if (heap->tag != CB_NO_TAG) {
        atomic_compare_exchange_strong_explicit(&cb_owner_cache[number % CB_OWNER_CACHE], &none,
                                                heap->tag + number, memory_order_relaxed,
                                                memory_order_relaxed);
    }
}

/* There is no hole in the block of more than so many granules. */
static void no_holes(struct cb_block *block, size_t longer) {
    block->holes_from = CB_BLOCK_GRANULES - 1;
    block->holes_to = 0;
    block->holes_rest = (uint8_t)longer;
}

struct cb_block *cb_block_take(struct cb_heap *heap, enum cb_space_kind space) {
    struct cb_dirty dirty;
    uintptr_t start = cb_pages_take_block(heap, &dirty);
    if (start == 0 && cb_room_give_back()) {
        start = cb_pages_take_block(heap, &dirty);
    }
    if (start == 0) {
        return NULL;
    }
    struct cb_block *block = cb_block_of(start);
    cache_owner(heap, block);
    block->next = block->prev = block->all_prev = 0;
    block->all_next = heap->all;
    cb_purge_begin(block, dirty);
    block->dead = block->fresh = 0;
    no_holes(block, 0);
    block->recheck_at = heap->tight && space == CB_SMALL ? 0 : EIGHTH;
    block->space = (uint8_t)space;
    block->queue = 0;
    /* release: partner of the acquire in announce in remote.c, which finds the owner then */
    atomic_store_explicit(&block->remote, CB_REMOTE_OPEN, memory_order_release);
    if (heap->all != NULL) {
        heap->all->all_prev = (uint32_t)cb_block_number(block);
    }
    heap->all = block;
    heap->blocks++;
    return block;
}

static void untag(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules) {
    uint8_t *m = cb_map_in(block, p >> CB_GRANULE_SHIFT);
    if (block->space == CB_SMALL) {
        memset(m, 0, granules);
    } else {
        cb_runs_remove(heap, m, granules >> CB_QUAD_SHIFT);
    }
}

/* Nothing was freed remotely in the block that has not been taken in, and from now on nothing can be. */
static bool shut(struct cb_block *block) {
    uint64_t open = CB_REMOTE_OPEN;
    /* relaxed: whoever sets a bit knows the owner as long as there is one */
    return atomic_compare_exchange_strong_explicit(&block->remote, &open, 0, memory_order_relaxed,
                                                   memory_order_relaxed);
}

/* A block that is one dead run, or was never used, and is shut, goes back. */
static void drop(struct cb_heap *heap, struct cb_block *block) {
    size_t clean = (size_t)__builtin_popcountll(block->purged_pages | block->untouched);
    if (block->fresh != 0) {
        untag(heap, block, cb_block_start(block), block->fresh);
    }
    cb_count(&heap->dead, (size_t)0 - block->dead);
    cb_purge_forget(heap, block);
    if (block->all_next != NULL) {
        block->all_next->all_prev = block->all_prev;
    }
    *(block->all_prev != 0 ? &cb_block_numbered(block->all_prev)->all_next : &heap->all) = block->all_next;
    heap->blocks--;
    cb_count(&heap->used, (size_t)0 - block->fresh);
    cb_owner_cache_drop(heap->tag, cb_block_number(block));
    /* release: partner of the acquire in cb_extent_outside_blocks: the map bytes are zero by now */
    atomic_store_explicit(&block->owner, NULL, memory_order_release);
    /* The map is dirty too; where something is purged its pages count as if they were the block's. */
    size_t map = CB_BLOCK_GRANULES >> cb_map_shift(block),
           dirty = ((CB_BLOCK_UNITS - clean) << CB_UNIT_SHIFT) + map;
    cb_pages_give_block(cb_block_start(block), dirty < CB_BLOCK_SIZE ? dirty : CB_BLOCK_SIZE);
}

static void unqueue(struct cb_heap *heap, struct cb_block *block) {
    if (block->queue == 0) {
        return;
    }
    struct cb_block *next = cb_block_numbered(block->next), *prev = cb_block_numbered(block->prev);
    if (next != NULL) {
        next->prev = block->prev;
    }
    if (prev != NULL) {
        prev->next = block->next;
    } else {
        heap->queue[block->queue] = next;
        if (next == NULL && block->queue > CB_SWEEP_QUEUES) {
            heap->holes &= ~((uint64_t)1 << (block->queue - CB_SWEEP_QUEUES));
        }
    }
    block->next = block->prev = 0;
    block->queue = 0;
}

static void enqueue(struct cb_heap *heap, struct cb_block *block, unsigned queue) {
    struct cb_block **head = &heap->queue[queue];
    block->prev = 0;
    block->next = *head != NULL ? (uint32_t)cb_block_number(*head) : 0;
    if (*head != NULL) {
        (*head)->prev = (uint32_t)cb_block_number(block);
    }
    *head = block;
    block->queue = (uint8_t)queue;
}

static void enqueue_for_sweep(struct cb_heap *heap, struct cb_block *block) {
    unsigned eighths = block->dead / EIGHTH;
    if (block->space == CB_SMALL) {
        enqueue(heap, block, 1 + (eighths < CB_SWEEP_QUEUES ? eighths : CB_SWEEP_QUEUES - 1));
    }
}

/* The fresh part of a block counts as a run only where a thread may go on with it. */
static bool has_run(struct cb_heap *heap, struct cb_block *block) {
    const struct cb_space *s = &heap->space[block->space];
    return s->run_block == block ||
           (s->fresh_block == block &&
            atomic_load_explicit(&heap->state, memory_order_relaxed) != CB_HEAP_PARKED); /* under the lock */
}

/* One that waits in the inbox, or of which pages are being given back, goes back after that. */
bool cb_block_drop_if_empty(struct cb_heap *heap, struct cb_block *block) {
    if (block->dead != block->fresh || has_run(heap, block) || block->purging != 0 || !shut(block)) {
        return false;
    }
    if (heap->space[block->space].fresh_block == block) {
        heap->space[block->space].fresh_block = NULL;
    }
    unqueue(heap, block);
    drop(heap, block);
    return true;
}

/* When the block must be looked at next: an eighth of it has died, or all; or anything, in a tight heap. */
static void set_recheck(const struct cb_heap *heap, struct cb_block *block) {
    if (heap->tight && block->space == CB_SMALL) {
        block->recheck_at = 0;
        return;
    }
    size_t next = (size_t)block->dead + EIGHTH;
    block->recheck_at = (uint16_t)(next < block->fresh || block->dead == block->fresh ? next : block->fresh);
}

void cb_block_settle(struct cb_heap *heap, struct cb_block *block) {
    if (cb_block_drop_if_empty(heap, block)) {
        return;
    }
    if (block->queue == 0 && block->dead >= EIGHTH && !(heap->tight && block->space == CB_SMALL)) {
        enqueue_for_sweep(heap, block);
    }
    set_recheck(heap, block);
}

/* The block waits for objects of up to `most` granules; 0: it does not wait. */
static void enqueue_holes(struct cb_heap *heap, struct cb_block *block, size_t most) {
    if (most != 0) {
        enqueue(heap, block, CB_SWEEP_QUEUES + (unsigned)most);
        heap->holes |= (uint64_t)1 << most;
    }
}

void cb_block_settle_swept(struct cb_heap *heap, struct cb_block *block) {
    if (cb_block_drop_if_empty(heap, block)) {
        return;
    }
    if (heap->tight) {
        no_holes(block, block->holes_rest);
        enqueue_holes(heap, block, block->holes_rest);
        return;
    }
    size_t most = CB_SMALL_GRANULES, sum = heap->passed[most];
    while (sum < HOLES_LEAST && most > CB_HOLE_LEAST) {
        sum += heap->passed[--most];
    }
    if (sum >= HOLES_LEAST && !has_run(heap, block)) {
        block->holes_from = 0;
        enqueue_holes(heap, block, most);
    }
    set_recheck(heap, block);
}

void cb_block_put_back(struct cb_heap *heap, struct cb_block *block, uintptr_t from) {
    if (cb_block_drop_if_empty(heap, block)) {
        return;
    }
    block->holes_from = (uint16_t)((from - cb_block_start(block)) >> CB_GRANULE_SHIFT);
    if (heap->tight && block->holes_from >= cb_block_sweep_end(heap, block)) {
        cb_block_settle_swept(heap, block);
        return;
    }
    size_t most = heap->sweep_most;
    enqueue_holes(heap, block, heap->tight && block->holes_rest > most ? block->holes_rest : most);
    set_recheck(heap, block);
}

/* The block that has a run may have holes of any length, wherever a sweep of it stands. */
void cb_block_become_tight(struct cb_heap *heap) {
    heap->tight = true;
    heap->tight_in_use = cb_heap_in_use(heap);
    for (struct cb_block *block = heap->all; block != NULL; block = block->all_next) {
        if (block->space == CB_SMALL) {
            bool running = block == heap->space[CB_SMALL].run_block;
            block->recheck_at = 0;
            unqueue(heap, block);
            no_holes(block, running ? CB_SMALL_GRANULES : 0);
            if (block->dead != 0 && !running) {
                enqueue_for_sweep(heap, block);
            }
        }
    }
}

void cb_block_purged(struct cb_heap *heap, struct cb_block *block) {
    if (cb_block_drop_if_empty(heap, block)) {
        return;
    }
    if (heap->tight && block->space == CB_SMALL && block != heap->space[CB_SMALL].run_block) {
        unqueue(heap, block);
        enqueue_for_sweep(heap, block);
    }
}

/* From then on the queues mean what they mean in any heap, and marks are set one by one. */
bool cb_block_still_tight(struct cb_heap *heap) {
    size_t now = cb_heap_in_use(heap), then = heap->tight_in_use;
    heap->tight = heap->tight && now >= then - then / 8 && now <= then + then / 8 + CB_BLOCK_GRANULES;
    return heap->tight;
}

void cb_block_begin_fresh_run(struct cb_heap *heap, struct cb_block *block) {
    if (block->queue != 0) {
        no_holes(block, block->queue > CB_SWEEP_QUEUES ? block->queue - CB_SWEEP_QUEUES : CB_SMALL_GRANULES);
        unqueue(heap, block);
    }
}

void cb_block_end_fresh_run(struct cb_heap *heap, struct cb_block *block) {
    if (heap->tight && block->queue == 0) {
        enqueue_holes(heap, block, block->holes_rest);
    }
}

/* A block of a tight heap is swept where what is long begins; all of it where nobody knows better. */
static uintptr_t begin_tight_sweep(struct cb_heap *heap, struct cb_block *block) {
    bool known = block->queue > CB_SWEEP_QUEUES && block->holes_from < cb_block_sweep_end(heap, block);
    if (!known) {
        no_holes(block, 0);
        block->holes_from = 0;
        block->holes_to = UINT8_MAX;
    }
    return cb_block_start(block) + ((uintptr_t)block->holes_from << CB_GRANULE_SHIFT);
}

struct cb_block *cb_block_to_sweep(struct cb_heap *heap, size_t granules, uintptr_t *from) {
    uint64_t fit = cb_block_holes_for(heap, granules);
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
    *from = heap->tight
                ? begin_tight_sweep(heap, block)
                : cb_block_start(block) + (part ? (uintptr_t)block->holes_from << CB_GRANULE_SHIFT : 0);
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
    if (block == heap->space[CB_SMALL].run_block) {
        block->holes_rest = (uint8_t)length; /* the cursor may yet fall back to there: no place to begin at */
        return;
    }
    const uint8_t *start = cb_map_at(cb_block_start(block));
    size_t first = (size_t)(from - start), last = (size_t)(to - start - 1) / CB_HOLES_UNIT;
    block->holes_from = first < block->holes_from ? (uint16_t)first : block->holes_from;
    block->holes_to = last > block->holes_to ? (uint8_t)last : block->holes_to;
    if (block->queue < CB_SWEEP_QUEUES + length) {
        unqueue(heap, block);
        enqueue_holes(heap, block, length);
    }
}

/* The dead granules of a block have reached recheck_at. True when the block went back. */
CB_NOINLINE bool cb_block_recheck(struct cb_heap *heap, struct cb_block *block, size_t granule,
                                  size_t granules) {
    if (cb_block_drop_if_empty(heap, block)) {
        return true;
    }
    if (heap->tight && block->space == CB_SMALL && cb_block_still_tight(heap)) {
        note_hole(heap, block, granule, granules);
        return false;
    }
    if (heap->space[block->space].run_block != block) {
        unqueue(heap, block);
        if (block->dead >= EIGHTH) {
            enqueue_for_sweep(heap, block);
        }
    }
    set_recheck(heap, block);
    return false;
}

struct cb_dead_run cb_block_die(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules) {
    struct cb_dead_run run = {p, granules};
    if (block->space == CB_SMALL) {
        cb_map_dead_tag_short(cb_map_at(p), granules);
        cb_purge_count_dead(heap, block, p >> CB_GRANULE_SHIFT, granules);
    } else {
        run = cb_runs_merge(heap, p, granules);
    }
    block->dead = (uint16_t)(block->dead + granules);
    cb_count(&heap->dead, granules);
    if (CB_UNLIKELY(block->dead >= block->recheck_at) &&
        cb_block_recheck(heap, block, p >> CB_GRANULE_SHIFT, granules)) {
        return (struct cb_dead_run){0, 0};
    }
    if (CB_UNLIKELY(run.granules >= CB_UNIT_GRANULES) && block->space == CB_MEDIUM) {
        cb_purge_died(heap, block, run.start, run.granules);
    }
    return run;
}

void cb_block_carve(struct cb_heap *heap, struct cb_block *block, struct cb_dead_run run, uintptr_t p,
                    size_t granules) {
    size_t before = (p - run.start) >> CB_GRANULE_SHIFT, behind = run.granules - before - granules;
    uint8_t *m = cb_map_at_quad(run.start >> CB_GRANULE_SHIFT);
    cb_runs_remove(heap, m, run.granules >> CB_QUAD_SHIFT);
    if (before != 0) {
        cb_runs_add(heap, m, before >> CB_QUAD_SHIFT);
    }
    if (behind != 0) {
        cb_runs_add(heap, m + ((before + granules) >> CB_QUAD_SHIFT), behind >> CB_QUAD_SHIFT);
    }
    block->dead = (uint16_t)(block->dead - granules);
    cb_count(&heap->dead, 0 - granules);
    cb_purge_revive(heap, block, p, granules);
}

void cb_block_revive(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules) {
    untag(heap, block, p, granules);
    block->dead = (uint16_t)(block->dead - granules);
    cb_count(&heap->dead, 0 - granules);
    cb_purge_revive(heap, block, p, granules);
}
