/*
 * block.c: see block.h.
 *
 * Layer: heap. Threads: under the lock of the heap.
 */
#include "heap/block.h"

#include "heap/pages.h"
#include "heap/purge.h"
#include "heap/room.h"

#include <string.h>

#define EIGHTH (CB_BLOCK_GRANULES / 8)
#define HOLES_LEAST 256 /* granules in the longest holes of a block, for it to wait for what fits them */
#define RUNS_SEEN 8     /* of a list, in search of one that is long enough */

static void set_near(const struct cb_heap *heap, const struct cb_block *block) {
    size_t number = cb_block_number(block);
    uint64_t none = 0;
    if (heap->tag != CB_NO_TAG) {
        atomic_compare_exchange_strong_explicit(&cb_near[number % CB_NEAR], &none, heap->tag + number,
                                                memory_order_relaxed, memory_order_relaxed);
    }
}

static void clear_near(const struct cb_heap *heap, const struct cb_block *block) {
    size_t number = cb_block_number(block);
    if (cb_near_is_of(heap->tag, number)) {
        atomic_store_explicit(&cb_near[number % CB_NEAR], 0, memory_order_relaxed);
    }
}

static struct cb_block *by_number(uint32_t number) {
    return number != 0 ? cb_blocks + number : NULL;
}

struct cb_block *cb_block_take(struct cb_heap *heap, enum cb_space_kind space) {
    uintptr_t start = cb_pages_take_block(heap);
    if (start == 0 && cb_room_give_back()) {
        start = cb_pages_take_block(heap);
    }
    if (start == 0) {
        return NULL;
    }
    struct cb_block *block = cb_block_of(start);
    set_near(heap, block);
    block->next = block->prev = block->all_prev = 0;
    block->all_next = heap->all;
    cb_purge_begin(block);
    block->dead = block->fresh = 0;
    block->mark = EIGHTH;
    block->space = (uint8_t)space;
    block->queue = 0;
    /* release: partner of the acquire in announce in remote.c, which finds the owner then */
    atomic_store_explicit(&block->remote, 0, memory_order_release);
    if (heap->all != NULL) {
        heap->all->all_prev = (uint32_t)cb_block_number(block);
    }
    heap->all = block;
    return block;
}

static void untag(struct cb_heap *heap, struct cb_block *block, uint8_t *m, size_t granules);

/* Nothing was freed remotely in the block that has not been taken in, and from now on nothing can be. */
static bool shut(struct cb_block *block) {
    uint64_t none = 0;
    /* relaxed: whoever sets a bit knows the owner as long as there is one */
    return atomic_compare_exchange_strong_explicit(&block->remote, &none, CB_REMOTE_SHUT,
                                                   memory_order_relaxed, memory_order_relaxed);
}

/* A block that is one dead run, or was never used, and is shut, goes back. */
static void drop(struct cb_heap *heap, struct cb_block *block) {
    size_t purged = (size_t)__builtin_popcountll(block->purged_pages);
    if (block->fresh != 0) {
        untag(heap, block, cb_map_at(cb_block_start(block)), block->fresh);
    }
    cb_count(&heap->dead, (size_t)0 - block->dead);
    cb_purge_forget(heap, block);
    if (block->all_next != NULL) {
        block->all_next->all_prev = block->all_prev;
    }
    *(block->all_prev != 0 ? &by_number(block->all_prev)->all_next : &heap->all) = block->all_next;
    cb_count(&heap->used, (size_t)0 - block->fresh);
    clear_near(heap, block);
    /* release: partner of the acquire in the page allocator's in_page_land: the map bytes are zero by now */
    atomic_store_explicit(&block->owner, NULL, memory_order_release);
    /* The map is dirty too; where something is purged its pages count as if they were the block's. */
    size_t dirty = ((64 - purged) << CB_UNIT_SHIFT) + (CB_BLOCK_SIZE >> CB_GRANULE_SHIFT);
    cb_pages_give_block(cb_block_start(block), dirty < CB_BLOCK_SIZE ? dirty : CB_BLOCK_SIZE);
}

static void unqueue(struct cb_heap *heap, struct cb_block *block) {
    if (block->queue == 0) {
        return;
    }
    struct cb_block *next = by_number(block->next), *prev = by_number(block->prev);
    if (next != NULL) {
        next->prev = block->prev;
    }
    if (prev != NULL) {
        prev->next = block->next;
    } else {
        heap->queue[block->queue] = next;
        if (next == NULL && block->queue > CB_BLOCK_BINS) {
            heap->holes &= ~((uint64_t)1 << (block->queue - CB_BLOCK_BINS));
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
        enqueue(heap, block, 1 + (eighths < CB_BLOCK_BINS ? eighths : CB_BLOCK_BINS - 1));
    }
}

static bool has_run(struct cb_heap *heap, struct cb_block *block) {
    return heap->space[block->space].run_block == block || heap->space[block->space].fresh_block == block;
}

/* One that waits in the inbox, or of which pages are being given back, goes back after that. */
bool cb_block_drop_if_empty(struct cb_heap *heap, struct cb_block *block) {
    if (block->dead != block->fresh || has_run(heap, block) || block->purging != 0 || !shut(block)) {
        return false;
    }
    unqueue(heap, block);
    drop(heap, block);
    return true;
}

/* When the block must be looked at next: an eighth of it has died, or all. */
static void set_mark(struct cb_block *block) {
    size_t next = (size_t)block->dead + EIGHTH;
    block->mark = (uint16_t)(next < block->fresh || block->dead == block->fresh ? next : block->fresh);
}

void cb_block_settle(struct cb_heap *heap, struct cb_block *block) {
    if (cb_block_drop_if_empty(heap, block)) {
        return;
    }
    if (block->queue == 0 && block->dead >= EIGHTH) {
        enqueue_for_sweep(heap, block);
    }
    set_mark(block);
}

/* The block waits for objects of up to `most` granules, from `from` on. */
static void enqueue_holes(struct cb_heap *heap, struct cb_block *block, size_t most, uintptr_t from) {
    block->holes_from = (uint16_t)((from - cb_block_start(block)) >> CB_GRANULE_SHIFT);
    enqueue(heap, block, CB_BLOCK_BINS + (unsigned)most);
    heap->holes |= (uint64_t)1 << most;
}

void cb_block_settle_swept(struct cb_heap *heap, struct cb_block *block) {
    if (cb_block_drop_if_empty(heap, block)) {
        return;
    }
    size_t most = CB_SMALL_GRANULES, sum = heap->passed[most];
    while (sum < HOLES_LEAST && most > CB_HOLE_LEAST) {
        sum += heap->passed[--most];
    }
    if (sum >= HOLES_LEAST && !has_run(heap, block)) {
        enqueue_holes(heap, block, most, cb_block_start(block));
    }
    set_mark(block);
}

void cb_block_put_back(struct cb_heap *heap, struct cb_block *block, uintptr_t from) {
    if (!cb_block_drop_if_empty(heap, block)) {
        enqueue_holes(heap, block, heap->sweep_most, from);
        set_mark(block);
    }
}

void cb_block_requeue_all(struct cb_heap *heap) {
    for (struct cb_block *block = heap->all; block != NULL; block = block->all_next) {
        if (block->dead != 0 && block != heap->space[block->space].run_block) {
            unqueue(heap, block);
            enqueue_for_sweep(heap, block);
        }
    }
}

struct cb_block *cb_block_to_sweep(struct cb_heap *heap, size_t granules, uintptr_t *from) {
    unsigned queue = CB_BLOCK_BINS;
    while (queue != 0 && heap->queue[queue] == NULL) {
        queue--;
    }
    uint64_t fit = cb_block_holes_for(heap, granules);
    heap->sweep_most = CB_SMALL_GRANULES;
    if (queue == 0) {
        if (fit == 0) {
            return NULL;
        }
        heap->sweep_most = (unsigned)__builtin_ctzll(fit);
        queue = CB_BLOCK_BINS + heap->sweep_most;
    }
    struct cb_block *block = heap->queue[queue];
    *from = cb_block_start(block);
    *from += queue > CB_BLOCK_BINS ? (uintptr_t)block->holes_from << CB_GRANULE_SHIFT : 0;
    memset(heap->passed, 0, sizeof heap->passed);
    unqueue(heap, block);
    return block;
}

/* What is dead in a block has reached the mark. True when the block went back. */
CB_NOINLINE bool cb_block_risen(struct cb_heap *heap, struct cb_block *block) {
    if (cb_block_drop_if_empty(heap, block)) {
        return true;
    }
    if (heap->space[block->space].run_block != block) {
        unqueue(heap, block);
        if (block->dead >= EIGHTH) {
            enqueue_for_sweep(heap, block);
        }
    }
    set_mark(block);
    return false;
}

/*
 * A run without room left must not be inside a dead run: when what lies before and what lies behind it have
 * died and merged, it moves to the start of both.
 */
static CB_NOINLINE void move_empty_run(struct cb_heap *heap, struct cb_dead_run dead) {
    struct cb_run *run = &heap->space[CB_MEDIUM].run;
    size_t start = dead.start >> CB_GRANULE_SHIFT;
    if (run->cursor == run->limit && run->cursor - start < dead.granules) {
        run->cursor = run->limit = start;
    }
}

/*
 * The long dead runs of the medium space are in lists by length, so that a request finds one that fits well
 * at once. The list of a run: eight per doubling, from CB_RUN_LEAST on. So a run in the list that a request
 * belongs to may be too short for it, one in any later list is not.
 */
static unsigned list_of(size_t granules) {
    unsigned log = 63 - (unsigned)__builtin_clzl(granules);
    return (log - 6) * 8 + (unsigned)(granules >> (log - 3) & 7);
}

#define NEXT 4 /* where in the map bytes of a run its links are */
#define PREV 12

static void list_run(struct cb_heap *heap, uint8_t *m, size_t granules) {
    unsigned list = list_of(granules);
    uint8_t *next = heap->runs[list];
    cb_map_set_link(m + NEXT, next);
    cb_map_set_link(m + PREV, NULL);
    if (next != NULL) {
        cb_map_set_link(next + PREV, m);
    }
    heap->runs[list] = m;
    heap->runs_filled |= (uint64_t)1 << list;
}

static void unlist_run(struct cb_heap *heap, uint8_t *m, size_t granules) {
    uint8_t *next = cb_map_link(m + NEXT), *prev = cb_map_link(m + PREV);
    if (next != NULL) {
        cb_map_set_link(next + PREV, prev);
    }
    if (prev != NULL) {
        cb_map_set_link(prev + NEXT, next);
    } else {
        unsigned list = list_of(granules);
        heap->runs[list] = next;
        if (next == NULL) {
            heap->runs_filled &= ~((uint64_t)1 << list);
        }
    }
    cb_map_set_link(m + NEXT, NULL);
    cb_map_set_link(m + PREV, NULL);
}

static void tag(struct cb_heap *heap, uint8_t *m, size_t granules) {
    cb_map_dead_tag(m, granules);
    if (granules >= CB_RUN_LEAST) {
        list_run(heap, m, granules);
    }
}

static void untag(struct cb_heap *heap, struct cb_block *block, uint8_t *m, size_t granules) {
    if (block->space == CB_SMALL) {
        memset(m, 0, granules);
        return;
    }
    if (granules >= CB_RUN_LEAST) {
        unlist_run(heap, m, granules);
    }
    cb_map_dead_untag(m, granules);
}

struct cb_dead_run cb_block_listed_run(struct cb_heap *heap, size_t granules) {
    unsigned list = list_of(granules < CB_RUN_LEAST ? CB_RUN_LEAST : granules);
    for (uint64_t filled = heap->runs_filled >> list << list; filled != 0; filled &= filled - 1) {
        uint8_t *m = heap->runs[__builtin_ctzll(filled)];
        for (int seen = 0; m != NULL && seen < RUNS_SEEN; seen++, m = cb_map_link(m + NEXT)) {
            size_t length = cb_map_length(m);
            if (length >= granules &&
                cb_purge_may_use(cb_block_of(cb_map_address(m)), cb_map_address(m), length)) {
                return (struct cb_dead_run){cb_map_address(m), length};
            }
        }
    }
    return (struct cb_dead_run){0, 0};
}

/* Medium space: merges with dead neighbours at once. */
static struct cb_dead_run die_medium(struct cb_heap *heap, struct cb_block *block, uintptr_t p,
                                     size_t granules) {
    uint8_t *m = cb_map_at(p);
    struct cb_dead_run run = {p, granules};
    if (cb_map_get(m - 1) >= CB_DEAD) {
        size_t before = cb_map_dead_before(m - 1);
        untag(heap, block, m - before, before);
        run.start -= before << CB_GRANULE_SHIFT;
        run.granules += before;
    }
    if (cb_map_get(m + granules) >= CB_DEAD) {
        size_t behind = cb_map_length(m + granules);
        untag(heap, block, m + granules, behind);
        run.granules += behind;
    }
    tag(heap, cb_map_at(run.start), run.granules);
    if (CB_UNLIKELY(block == heap->space[CB_MEDIUM].run_block)) {
        move_empty_run(heap, run);
    }
    return run;
}

struct cb_dead_run cb_block_die(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules) {
    struct cb_dead_run run = {p, granules};
    if (block->space == CB_SMALL) {
        cb_map_dead_tag_short(cb_map_at(p), granules);
        cb_purge_count_dead(heap, block, p >> CB_GRANULE_SHIFT, granules);
    } else {
        run = die_medium(heap, block, p, granules);
    }
    block->dead = (uint16_t)(block->dead + granules);
    cb_count(&heap->dead, granules);
    if (CB_UNLIKELY(block->dead >= block->mark) && cb_block_risen(heap, block)) {
        return (struct cb_dead_run){0, 0};
    }
    if (CB_UNLIKELY(run.granules >= CB_UNIT_GRANULES) && block->space == CB_MEDIUM) {
        cb_purge_died(heap, block, run.start, run.granules);
    }
    return run;
}

void cb_block_revive(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules) {
    untag(heap, block, cb_map_at(p), granules);
    block->dead = (uint16_t)(block->dead - granules);
    cb_count(&heap->dead, 0 - granules);
    cb_purge_revive(heap, block, p, granules);
}
