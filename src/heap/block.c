/*
 * block.c: see block.h.
 *
 * Layer: heap. Threads: the owner of the heap only.
 */
#include "heap/block.h"

#include "heap/options.h"
#include "heap/pages.h"

#include <string.h>

#define UNIT_SHIFT 12 /* what a bit of dead_pages and purged_pages stands for */
#define UNIT_GRANULES ((size_t)1 << (UNIT_SHIFT - CB_GRANULE_SHIFT))
#define EIGHTH (CB_BLOCK_GRANULES / 8)
#define LEAST_STEP 8 /* granules that die before a block is looked at again */
#define RUNS_SEEN 8  /* of a list, in search of one that is long enough */

struct cb_block *cb_block_take(struct cb_heap *heap, enum cb_space_kind space) {
    uintptr_t start = cb_pages_take_block(heap);
    if (start == 0) {
        return NULL;
    }
    struct cb_block *block = cb_block_of(start);
    block->next = block->prev = NULL;
    block->all_prev = NULL;
    block->all_next = heap->all;
    block->dead_pages = block->purged_pages = 0;
    block->dead = block->fresh = 0;
    block->mark = EIGHTH;
    block->space = (uint8_t)space;
    block->bin = 0;
    if (heap->all != NULL) {
        heap->all->all_prev = block;
    }
    heap->all = block;
    return block;
}

static void untag(struct cb_heap *heap, struct cb_block *block, uint8_t *m, size_t granules);

/* A block that is one dead run, or was never used, goes back. */
static void drop(struct cb_heap *heap, struct cb_block *block) {
    size_t purged = (size_t)__builtin_popcountll(block->purged_pages);
    if (block->fresh != 0) {
        untag(heap, block, cb_map_at(cb_block_start(block)), block->fresh);
    }
    cb_count(&heap->dead, (size_t)0 - block->dead);
    cb_count(&heap->dead_pages, 0 - (size_t)__builtin_popcountll(block->dead_pages));
    heap->purged_pages -= purged;
    if (block->all_next != NULL) {
        block->all_next->all_prev = block->all_prev;
    }
    *(block->all_prev != NULL ? &block->all_prev->all_next : &heap->all) = block->all_next;
    cb_count(&heap->used, (size_t)0 - block->fresh);
    /* release: partner of the acquire in the page allocator's in_page_land: the map bytes are zero by now */
    atomic_store_explicit(&block->owner, NULL, memory_order_release);
    size_t dirty = CB_BLOCK_SIZE - (purged << UNIT_SHIFT), map = CB_BLOCK_SIZE >> CB_GRANULE_SHIFT;
    cb_pages_give_partly(cb_block_start(block), CB_BLOCK_SIZE,
                         dirty > map ? dirty : map); /* the map is dirty */
}

static void unqueue(struct cb_heap *heap, struct cb_block *block) {
    if (block->bin == 0) {
        return;
    }
    if (block->next != NULL) {
        block->next->prev = block->prev;
    }
    *(block->prev != NULL ? &block->prev->next : &heap->space[block->space].bin[block->bin - 1]) =
        block->next;
    block->next = block->prev = NULL;
    block->bin = 0;
}

static void enqueue(struct cb_heap *heap, struct cb_block *block) {
    if (block->space != CB_SMALL) {
        return;
    }
    unsigned eighths = block->dead / EIGHTH;
    unsigned bin = eighths < CB_BLOCK_BINS ? eighths : CB_BLOCK_BINS - 1;
    struct cb_block **head = &heap->space[block->space].bin[bin];
    block->prev = NULL;
    block->next = *head;
    if (*head != NULL) {
        (*head)->prev = block;
    }
    *head = block;
    block->bin = (uint8_t)(bin + 1);
}

static bool has_run(struct cb_heap *heap, struct cb_block *block) {
    return heap->space[block->space].run_block == block || heap->space[block->space].fresh_block == block;
}

/* True when the block went back. */
static bool drop_if_empty(struct cb_heap *heap, struct cb_block *block) {
    if (block->dead != block->fresh || has_run(heap, block)) {
        return false;
    }
    unqueue(heap, block);
    drop(heap, block);
    return true;
}

/* When the block must be looked at next: another eighth has died, or half of what was left, or all of it. */
static void set_mark(struct cb_block *block) {
    size_t half = (size_t)(block->fresh - block->dead) / 2;
    size_t next = block->dead + (half > EIGHTH ? EIGHTH : half > LEAST_STEP ? half : LEAST_STEP);
    block->mark = (uint16_t)(next < block->fresh || block->dead == block->fresh ? next : block->fresh);
}

void cb_block_settle(struct cb_heap *heap, struct cb_block *block, bool swept) {
    if (drop_if_empty(heap, block)) {
        return;
    }
    if (!swept && block->bin == 0 && block->dead >= EIGHTH) {
        enqueue(heap, block);
    }
    set_mark(block);
}

void cb_block_requeue_all(struct cb_heap *heap) {
    for (struct cb_block *block = heap->all; block != NULL; block = block->all_next) {
        if (block->dead != 0 && block->bin == 0 && block != heap->space[block->space].run_block) {
            enqueue(heap, block);
        }
    }
}

struct cb_block *cb_block_to_sweep(struct cb_heap *heap) {
    for (int bin = CB_BLOCK_BINS - 1; bin >= 0; bin--) {
        struct cb_block *block = heap->space[CB_SMALL].bin[bin];
        if (block != NULL) {
            unqueue(heap, block);
            return block;
        }
    }
    return NULL;
}

/* The bits for the units wholly inside [p, p + granules), system page by system page. */
static uint64_t units_inside(uintptr_t p, size_t granules) {
    size_t page = cb_page_size;
    uintptr_t from = (p + page - 1) & ~(uintptr_t)(page - 1);
    uintptr_t to = (p + (granules << CB_GRANULE_SHIFT)) & ~(uintptr_t)(page - 1);
    if (from >= to) {
        return 0;
    }
    size_t first = (from & (CB_BLOCK_SIZE - 1)) >> UNIT_SHIFT, count = (to - from) >> UNIT_SHIFT;
    return (count == 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1) << first;
}

/* The bits for the units that [p, p + granules) touches. */
static uint64_t units_touched(uintptr_t p, size_t granules) {
    size_t page = cb_page_size;
    uintptr_t from = p & ~(uintptr_t)(page - 1);
    uintptr_t to = (p + (granules << CB_GRANULE_SHIFT) + page - 1) & ~(uintptr_t)(page - 1);
    return units_inside(from, (to - from) >> CB_GRANULE_SHIFT);
}

/* The bits of the units of a block's first page. */
static uint64_t units_of_page(void) {
    size_t units = cb_page_size >> UNIT_SHIFT;
    return units >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << units) - 1;
}

/*
 * When pages without live objects go back. A stretch of LONG of them is cheap to give back per page and goes
 * as soon as the heap holds more than its share of the reserve. Shorter ones, which die one by one when
 * objects are freed in random order, wait until they are another eighth of the heap: most of their neighbours
 * die meanwhile, and one call does for all.
 *
 * What is used again after it was purged makes the reserve grow, up to three eighths of what is resident.
 * That halves every second: it is for programs that would have pages back as fast as they give them, and
 * giving back what is wanted again after seconds costs next to nothing.
 */
#define LONG 16     /* units */
#define SHORT 4     /* units */
#define SHARE 8     /* of what is resident, one part stays */
#define SECOND 1000 /* milliseconds */

/* Units of the heap's blocks that may be resident. */
static size_t resident_units(const struct cb_heap *heap) {
    return heap->used / UNIT_GRANULES + 1 - heap->purged_pages;
}

static size_t slack_most(const struct cb_heap *heap) {
    return cb_options.reserve != 0 ? resident_units(heap) / 8 * 3 : 0;
}

/* What stays in any case. */
static size_t share_units(const struct cb_heap *heap) {
    size_t share = resident_units(heap) / (cb_options.purge == CB_PURGE_LAZY ? 4 : SHARE);
    return (cb_options.reserve / 4 >> UNIT_SHIFT) + share;
}

/* What the reserve has grown by. */
static size_t slack_units(struct cb_heap *heap) {
    uint64_t now = cb_os_milliseconds(), seconds = (now - heap->slack_at) / SECOND;
    if (seconds != 0) {
        heap->slack = seconds < 64 ? heap->slack >> seconds : 0;
        heap->slack_at = now;
    }
    size_t most = slack_most(heap);
    return heap->slack < most ? heap->slack : most;
}

static bool purge_units(struct cb_heap *heap, struct cb_block *block, unsigned first, unsigned count) {
    uint64_t bits = (count == 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1) << first;
    if (!cb_pages_purge_part(cb_block_start(block) + ((uintptr_t)first << UNIT_SHIFT),
                             (size_t)count << UNIT_SHIFT)) {
        return false;
    }
    cb_count(&heap->dead_pages, 0 - (size_t)__builtin_popcountll(block->dead_pages & bits));
    heap->purged_pages += (size_t)__builtin_popcountll(bits & ~block->purged_pages);
    block->purged_pages |= bits;
    block->dead_pages &= ~bits;
    return true;
}

/* Purges the stretches of at least so many dead pages; one system call for each. */
static bool purge_stretches(struct cb_heap *heap, struct cb_block *block, unsigned least) {
    uint64_t left = block->dead_pages;
    while (left != 0) {
        unsigned first = (unsigned)__builtin_ctzll(left);
        uint64_t above = ~(left >> first);
        unsigned count = above != 0 ? (unsigned)__builtin_ctzll(above) : 64;
        if (count >= least && !purge_units(heap, block, first, count)) {
            return false;
        }
        left = first + count < 64 ? left >> (first + count) << (first + count) : 0;
    }
    return true;
}

static bool has_long_stretch(uint64_t pages) {
    _Static_assert(LONG == 16, "each step doubles the length that is looked for");
    pages &= pages >> 1;
    pages &= pages >> 2;
    pages &= pages >> 4;
    return (pages & pages >> 8) != 0;
}

/* Purges stretches of at least so many dead pages, of the emptiest blocks first, until `keep` are left. */
static void purge_all(struct cb_heap *heap, size_t keep, unsigned stretch) {
    for (int least = 32; heap->dead_pages > keep && least >= (int)stretch; least /= 2) {
        for (struct cb_block *block = heap->all; block != NULL && heap->dead_pages > keep;
             block = block->all_next) {
            if (__builtin_popcountll(block->dead_pages) >= least && !purge_stretches(heap, block, stretch)) {
                return;
            }
        }
    }
}

/* These pages of a block hold nothing live. */
static void pages_died(struct cb_heap *heap, struct cb_block *block, uint64_t dead) {
    uint64_t born = dead & ~block->dead_pages & ~block->purged_pages;
    if (born == 0) {
        return;
    }
    block->dead_pages |= born;
    cb_count(&heap->dead_pages, (size_t)__builtin_popcountll(born));
    size_t reserve = share_units(heap);
    if (heap->dead_pages <= reserve || cb_options.purge == CB_PURGE_NEVER) {
        return;
    }
    reserve += slack_units(heap);
    if (heap->dead_pages <= reserve) {
        return;
    }
    if (has_long_stretch(block->dead_pages)) {
        purge_stretches(heap, block, LONG);
    }
    size_t resident = resident_units(heap);
    if (heap->dead_pages > reserve + resident / 8 && heap->dead_pages >= heap->short_from) {
        purge_all(heap, heap->dead_pages / 2, SHORT);
        heap->short_from =
            heap->dead_pages + resident / 16; /* the rest are single pages: no use to look sooner */
    }
    if (heap->dead_pages > reserve + resident / 8 * 3) {
        purge_all(heap, heap->dead_pages / 2, 1);
    }
}

/*
 * Small space: a page has nothing live in it when all map bytes in it are zero or those of dead runs, and
 * what reaches into it from below is a dead run too. Runs and fresh parts have no heads at all: whoever calls
 * sees to those.
 */
static bool page_is_dead(const uint8_t *m, size_t granules, bool first) {
    for (size_t i = 0; i < granules; i += 8) {
        uint64_t eight = __atomic_load_n((const uint64_t *)(const void *)(m + i), __ATOMIC_RELAXED);
        uint64_t dead = eight & eight << 1 & 0x8080808080808080ULL;
        if ((eight & ~((dead >> 7) * 0xFF)) != 0) {
            return false;
        }
    }
    if (first || cb_map_get(m) != 0) {
        return true;
    }
    size_t back = 1;
    while (back < CB_SMALL_GRANULES && cb_map_get(m - back) == 0) {
        back++;
    }
    return cb_map_get(m - back) >= CB_DEAD;
}

/* Looks at a block of the small space for pages that have died since the last time. */
static void look_for_dead_pages(struct cb_heap *heap, struct cb_block *block) {
    const uint8_t *map = cb_map_at(cb_block_start(block));
    size_t page = cb_page_size >> CB_GRANULE_SHIFT;
    uint64_t dead = 0;
    if (block->dead < page || heap->dead / UNIT_GRANULES <= share_units(heap)) {
        return; /* no page, or too little is dead for any to go back */
    }
    uint64_t known = block->dead_pages | block->purged_pages, units = units_of_page();
    for (size_t at = 0; at + page <= block->fresh; at += page) {
        uint64_t bits = units << (at / UNIT_GRANULES);
        if ((known & bits) == 0 && page_is_dead(map + at, page, at == 0)) {
            dead |= bits;
        }
    }
    if (heap->space[CB_SMALL].run_block == block) {
        const struct cb_run *run = &cb_thread.run;
        dead &= ~units_touched(run->cursor << CB_GRANULE_SHIFT, run->limit - run->cursor);
    }
    pages_died(heap, block, dead);
}

/* What is dead in a block has reached the mark. True when the block went back. */
CB_NOINLINE bool cb_block_risen(struct cb_heap *heap, struct cb_block *block) {
    if (drop_if_empty(heap, block)) {
        return true;
    }
    if (heap->space[block->space].run_block != block) {
        unqueue(heap, block);
        if (block->dead >= EIGHTH) {
            enqueue(heap, block);
        }
    }
    set_mark(block);
    if (block->space == CB_SMALL) {
        look_for_dead_pages(heap, block);
    }
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
 * at once. The list of a run: eight per doubling, from CB_RUN_LEAST on; all runs in a list are at least as
 * long as list_least says.
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
            if (length >= granules) {
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
    } else {
        run = die_medium(heap, block, p, granules);
    }
    block->dead = (uint16_t)(block->dead + granules);
    cb_count(&heap->dead, granules);
    if (CB_UNLIKELY(block->dead >= block->mark) && cb_block_risen(heap, block)) {
        return (struct cb_dead_run){0, 0};
    }
    if (CB_UNLIKELY(run.granules >= UNIT_GRANULES)) {
        pages_died(heap, block, units_inside(run.start, run.granules));
    }
    return run;
}

void cb_block_revive(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules) {
    untag(heap, block, cb_map_at(p), granules);
    block->dead = (uint16_t)(block->dead - granules);
    cb_count(&heap->dead, 0 - granules);
    if ((block->dead_pages | block->purged_pages) != 0) {
        uint64_t touched = units_touched(p, granules);
        cb_count(&heap->dead_pages, 0 - (size_t)__builtin_popcountll(block->dead_pages & touched));
        size_t again = (size_t)__builtin_popcountll(block->purged_pages & touched);
        heap->purged_pages -= again;
        if (again != 0) {
            size_t most = slack_most(heap);
            heap->slack = heap->slack + again < most ? heap->slack + again : most;
        }
        block->dead_pages &= ~touched;
        block->purged_pages &= ~touched;
    }
}

void cb_block_look_at_all(struct cb_heap *heap) {
    for (struct cb_block *block = heap->all; block != NULL; block = block->all_next) {
        if (block->space == CB_SMALL) {
            look_for_dead_pages(heap, block);
        }
    }
}

void cb_block_purge(struct cb_heap *heap, size_t keep) {
    purge_all(heap, keep, 1);
}
