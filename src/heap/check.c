/*
 * check.c: see check.h.
 *
 * Layer: heap. Threads: the owner of the heap.
 */
#include "heap/check.h"

#include "heap/fork.h"
#include "heap/list.h"
#include "heap/map.h"
#include "heap/pages.h"
#include "heap/refill.h"
#include "heap/bin.h"

struct tally {
    size_t dead, parked, listed;
};

/* Eight map bytes; aligned, other threads may be changing bytes near by. */
typedef uint64_t __attribute__((may_alias)) eight_bytes;

/* The long stretches are those of blocks that are hardly used: they go by eight bytes. */
static bool all_zero(const uint8_t *from, const uint8_t *to) {
    while (from < to) {
        bool eight = ((uintptr_t)from & 7) == 0 && to - from >= 8;
        if (eight ? __atomic_load_n((const eight_bytes *)(const void *)from, __ATOMIC_RELAXED) != 0
                  : cb_map_get(from) != 0) {
            return false;
        }
        from += eight ? 8 : 1;
    }
    return true;
}

/* One object or dead run at m; false when its bytes are not as map.h says. Stores where the next thing
 * starts. */
static bool check_one(uint8_t *m, const uint8_t *end, bool medium, bool after_dead, struct tally *tally,
                      uint8_t **next) {
    size_t state = cb_map_get(m) & CB_STATE, length = cb_map_length(m);
    size_t head = (cb_map_get(m) & CB_LENGTH) != 0 ? 1 : 4;
    if (length == 0 || m + length > end || (!medium && length > CB_SMALL_GRANULES)) {
        return false;
    }
    *next = m + length;
    if (state != CB_DEAD) {
        if (medium && (head == 1 || length < CB_RUN_LEAST)) {
            return false;
        }
        tally->parked += state == CB_PARKED;
        return length <= head || all_zero(m + head, *next);
    }
    tally->dead += length;
    tally->listed += medium && length >= CB_RUN_LEAST;
    size_t foot = length == 1 ? 0 : length > CB_LENGTH ? 4 : 1;
    if (medium && length >= CB_RUN_LEAST) {
        head += 2 * CB_LINK_BYTES;
    }
    return !(medium && after_dead) && cb_map_dead_before(*next - 1) == length &&
           all_zero(m + head, *next - foot);
}

/* The bits of the 4 KiB units that [from, to) of a block touches; both count granules of it. */
static uint64_t units(size_t from, size_t to) {
    size_t first = from / CB_UNIT_GRANULES, count = (to + CB_UNIT_GRANULES - 1) / CB_UNIT_GRANULES - first;
    return (count == 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1) << first;
}

static void add_dead(uint16_t *dead_of, size_t at, size_t granules) {
    while (granules != 0) {
        size_t room = CB_UNIT_GRANULES - at % CB_UNIT_GRANULES, part = granules < room ? granules : room;
        dead_of[at / CB_UNIT_GRANULES] = (uint16_t)(dead_of[at / CB_UNIT_GRANULES] + part);
        at += part;
        granules -= part;
    }
}

/* The dead granules of each unit of a block are counted, and known where they are all. */
static bool units_are_right(const struct cb_block *block, const uint16_t *dead) {
    for (size_t i = 0; i < CB_BLOCK_UNITS; i++) {
        bool full = (block->full >> i & 1) != 0;
        size_t counted = full ? block->unit_dead[i] + CB_UNIT_GRANULES : block->unit_dead[i];
        if (block->space == CB_SMALL ? counted != dead[i] : full) {
            return false;
        }
    }
    return true;
}

/* The longest holes of a block of the small space: those that begin where the long ones are said to, and others. */
struct longest {
    size_t inside, outside;
};

static struct longest longest_holes(struct cb_heap *heap, struct cb_block *block, size_t inside_from) {
    struct longest found = {0, 0};
    uint8_t *map = cb_map_at(cb_block_start(block)), *end = map + block->fresh, *hole = NULL;
    for (uint8_t *m = cb_check_find_dead(map, end); m < end; m = cb_check_find_dead(m, end)) {
        size_t at = (size_t)(m - map);
        hole = hole == NULL || at == inside_from ? m : hole;
        size_t begin = (size_t)(hole - map);
        m += cb_map_get(m) & CB_LENGTH;
        bool inside = begin >= inside_from && begin < cb_small_sweep_end(heap, block);
        size_t *longest = inside ? &found.inside : &found.outside, length = (size_t)(m - hole);
        length = length < CB_SMALL_GRANULES ? length : CB_SMALL_GRANULES;
        *longest = length > *longest ? length : *longest;
        hole = m < end && cb_map_get(m) >= CB_DEAD ? hole : NULL;
    }
    return found;
}

/* In a tight heap no hole is longer than it is said to be. */
static bool holes_are_known(struct cb_heap *heap, struct cb_block *block) {
    if (!heap->tight || block->purging != 0 || block->space != CB_SMALL ||
        (block->queue != 0 && block->queue <= CB_SWEEP_QUEUES)) {
        return true;
    }
    size_t most = block->queue != 0 ? block->queue - CB_SWEEP_QUEUES : 0, from = block->holes_from;
    if (block == heap->space[CB_SMALL].run_block) {
        bool swept = !heap->space[CB_SMALL].run_is_fresh;
        struct cb_run run = *cb_run_of(&cb_thread, block->space);
        most = heap->sweep_most > block->holes_rest ? heap->sweep_most : block->holes_rest;
        from = swept ? run.limit % CB_BLOCK_GRANULES : CB_BLOCK_GRANULES;
    }
    struct longest found = longest_holes(heap, block, from);
    return block->recheck_at == 0 && found.outside <= block->holes_rest && found.inside <= most;
}

/* A walk over the map of a block, and what it has seen. */
struct walk {
    struct tally tally;
    uint16_t dead[CB_BLOCK_UNITS]; /* granules of each unit in dead runs */
    uint64_t live;                 /* bit per unit: something lives in it, or the run is */
    bool holes_from_seen;          /* something begins where a sweep is to */
};

static const char *walk_block(struct cb_heap *heap, struct cb_block *block, struct walk *walk) {
    unsigned shift = cb_map_shift(block);
    uint8_t *map = cb_map_at(cb_block_start(block)), *m = map, *end = m + (block->fresh >> shift);
    struct cb_run run = *cb_run_of(&cb_thread, block->space);
    bool running = heap->space[block->space].run_block == block && run.cursor != run.limit;
    uint8_t *run_from = running ? cb_map_in(block, run.cursor) : NULL;
    uint8_t *run_to = running ? cb_map_in(block, run.limit) : NULL;
    const uint8_t *holes_from = map + (block->queue > CB_SWEEP_QUEUES ? block->holes_from : 0);
    bool after_dead = false;
    while (m < end) {
        const uint8_t *from = m;
        walk->holes_from_seen = walk->holes_from_seen || m == holes_from;
        bool dead = m != run_from && cb_map_get(m) >= CB_DEAD;
        if (m == run_from) {
            m = run_to;
            if (!all_zero(from, m)) {
                return "the map bytes of a run are not zero";
            }
        } else if (!check_one(m, end, block->space == CB_MEDIUM, after_dead, &walk->tally, &m)) {
            return "the map of a block is not a sequence of objects and dead runs";
        }
        if (dead) {
            add_dead(walk->dead, (size_t)(from - map) << shift, (size_t)(m - from) << shift);
        } else {
            walk->live |= units((size_t)(from - map) << shift, (size_t)(m - map) << shift);
        }
        after_dead = dead;
    }
    walk->tally.dead <<= shift;
    walk->holes_from_seen = walk->holes_from_seen || m == holes_from;
    return m == end && all_zero(end, map + CB_BLOCK_GRANULES)
               ? NULL
               : "the fresh part of a block is not zero in the map";
}

static const char *check_pages(const struct cb_block *block, const struct walk *walk) {
    if (!units_are_right(block, walk->dead)) {
        return "the dead granules of a page are miscounted";
    }
    if ((block->dead_pages & block->purged_pages) != 0) {
        return "a page is both purged and resident";
    }
    if (cb_page_size >> CB_UNIT_SHIFT == 1 &&
        (block->full & ~(block->dead_pages | block->purged_pages)) != 0) {
        return "a page that is dead does not count as such";
    }
    return ((block->dead_pages | block->purged_pages | block->untouched) & walk->live) == 0
               ? NULL
               : "a page that holds something live counts as dead";
}

static const char *check_block(struct cb_heap *heap, struct cb_block *block, struct tally *all) {
    struct walk walk = {.live = 0};
    const char *wrong = walk_block(heap, block, &walk);
    if (wrong != NULL) {
        return wrong;
    }
    all->dead += walk.tally.dead;
    all->parked += walk.tally.parked;
    all->listed += walk.tally.listed;
    if (!holes_are_known(heap, block)) {
        return "a block of a tight heap has holes that nobody knows of";
    }
    if (!walk.holes_from_seen && (!heap->tight || block->holes_from < block->fresh)) {
        return "a sweep is to begin inside something";
    }
    if (walk.tally.dead != block->dead) {
        return "a block's count of dead granules is wrong";
    }
    return check_pages(block, &walk);
}

static const char *check_bins(struct cb_heap *heap, size_t parked) {
    size_t entries = 0, medium = 0;
    for (unsigned i = CB_BIN_BEGIN; i < CB_BINS; i = cb_bin_next(i)) {
        const struct cb_bin *bin = &heap->bins->bin[i];
        size_t count = cb_bin_count(heap, i), bound = cb_bin_bound(heap, i);
        if (count > bound || bound > bin->room ||
            heap->bins->ends[i].empty != (uint32_t)(uintptr_t)bin->slot) {
            return "a bin holds more than its bound";
        }
        bool near =
            (uintptr_t)bin->slot - (uintptr_t)heap->bins->first_slots < sizeof heap->bins->first_slots;
        if (bin->slot == NULL ? bin->room != 0 || count != 0 : (bin->room == CB_BIN_FIRST) != near) {
            return "a bin has more or less room than its place says";
        }
        if (i < CB_MEDIUM_BIN && (cb_thread.asked & cb_asked_bit(cb_bin_granules(i))) != 0 && count == 0) {
            return "malloc is to look into an empty bin";
        }
        entries += count;
        for (size_t k = 0; k < count; k++) {
            const struct cb_block *block = cb_block_of_granule(bin->slot[k]);
            const uint8_t *m = cb_map_in(block, bin->slot[k]);
            size_t granules = cb_map_granules_in(block, m);
            if ((cb_map_get(m) & CB_STATE) != CB_PARKED || cb_bin_of(granules) != i) {
                return "a bin holds what is not parked";
            }
            medium += block->space == CB_MEDIUM ? granules : 0;
        }
    }
    if (medium != heap->parked[CB_MEDIUM]) {
        return "the count of what is parked is wrong";
    }
    return entries == parked ? NULL : "objects are parked that are in no bin";
}

static const char *check_lists(struct cb_heap *heap, size_t listed) {
    size_t entries = 0;
    for (unsigned i = 0; i < CB_RUN_LISTS; i++) {
        if ((heap->runs_filled[i / 64] >> (i & 63) & 1) != (heap->runs[i] != NULL)) {
            return "the mask of filled lists of runs is wrong";
        }
        for (uint8_t *m = heap->runs[i]; m != NULL; m = cb_map_link(cb_map_links(m, 0))) {
            entries++;
            if (cb_map_get(m) < CB_DEAD || entries > listed) {
                return "a list of runs holds what is not a dead run";
            }
        }
    }
    return entries == listed ? NULL : "a long dead run is in no list";
}

/* `queued` blocks say that they are in a queue. */
static const char *check_queues(const struct cb_heap *heap, size_t queued) {
    size_t entries = 0;
    for (unsigned i = 1; i <= CB_BLOCK_QUEUES; i++) {
        if (i > CB_SWEEP_QUEUES && (heap->holes >> (i - CB_SWEEP_QUEUES) & 1) != (heap->queue[i] != NULL)) {
            return "the mask of blocks that wait with holes is wrong";
        }
        size_t prev = 0;
        for (const struct cb_block *block = heap->queue[i]; block != NULL && entries <= queued; entries++) {
            if (block->queue != i || block->list[CB_LIST_QUEUE].prev != prev || block->space != CB_SMALL ||
                block == heap->space[CB_SMALL].run_block) {
                return "a queue of blocks is broken";
            }
            prev = cb_block_number(block);
            block = cb_list_next(block, CB_LIST_QUEUE);
        }
    }
    return entries == queued && heap->queue[0] == NULL ? NULL : "a block waits in no queue";
}

/* Under the heap's lock. */
static const char *check_heap(struct cb_heap *heap) {
    struct tally tally = {0, 0, 0};
    size_t used = 0, dead_pages = 0, purged_pages = 0, queued = 0;
    for (struct cb_block *block = heap->all; block != NULL; block = cb_list_next(block, CB_LIST_ALL)) {
        const char *wrong = check_block(heap, block, &tally);
        if (wrong != NULL) {
            return wrong;
        }
        used += block->fresh;
        queued += block->queue != 0;
        dead_pages += (size_t)__builtin_popcountll(block->dead_pages);
        purged_pages += (size_t)__builtin_popcountll(block->purged_pages);
    }
    if (used != heap->used || tally.dead != heap->dead || dead_pages != heap->dead_pages ||
        purged_pages != heap->purged_pages) {
        return "a heap's totals are wrong";
    }
    const char *wrong = check_bins(heap, tally.parked);
    wrong = wrong != NULL ? wrong : check_lists(heap, tally.listed);
    wrong = wrong != NULL ? wrong : check_queues(heap, queued);
    return wrong != NULL ? wrong : cb_extent_check() ? NULL : "the page allocator's lists are wrong";
}

const char *cb_heap_check(void) {
    struct cb_heap *heap = cb_thread.heap;
    if (heap == NULL || !cb_fork_lock(heap)) {
        return NULL;
    }
    const char *wrong = check_heap(heap);
    cb_lock_drop(&heap->lock);
    return wrong;
}
