/*
 * purge.c: see purge.h.
 *
 * Layer: heap. Threads: under the lock of the heap.
 */
#include "heap/purge.h"

#include "heap/map.h"
#include "heap/options.h"
#include "heap/pages.h"
#include "os/os.h"

/* The bits for the units wholly inside [p, p + granules), system page by system page. */
static uint64_t units_inside(uintptr_t p, size_t granules) {
    size_t page = cb_page_size;
    uintptr_t from = (p + page - 1) & ~(uintptr_t)(page - 1);
    uintptr_t to = (p + (granules << CB_GRANULE_SHIFT)) & ~(uintptr_t)(page - 1);
    if (from >= to) {
        return 0;
    }
    size_t first = (from & (CB_BLOCK_SIZE - 1)) >> CB_UNIT_SHIFT, count = (to - from) >> CB_UNIT_SHIFT;
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
    size_t units = cb_page_size >> CB_UNIT_SHIFT;
    return units >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << units) - 1;
}

/*
 * When pages without live objects go back: stretches of LONG pages and more when there are more dead pages than
 * the reserve and a 64th of what is resident; shorter ones, which cost as many calls and may well get longer, when
 * there are an eighth, and then half of them, of the emptiest blocks first. Not all at once, but when there are
 * so many more than the last time that a walk over the blocks is worth it.
 *
 * What is used again after it was purged makes the reserve grow, up to three eighths of what is resident.
 * That halves every second: it is for programs that would have pages back as fast as they give them, and
 * giving back what is wanted again after seconds costs next to nothing.
 */
#define LONG 4      /* units */
#define PART 64     /* of what is resident, one part may be dead */
#define PART_ALL 8  /* with what is in short stretches */
#define PART_LAZY 4 /* with purge=lazy, of either kind */
#define SECOND 1000 /* milliseconds */

/* Units of the heap's blocks that may be resident. */
static size_t resident_units(const struct cb_heap *heap) {
    return heap->used / CB_UNIT_GRANULES + 1 - heap->purged_pages;
}

static size_t slack_most(const struct cb_heap *heap) {
    return cb_options.reserve != 0 ? resident_units(heap) / 8 * 3 : 0;
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
    if (!cb_pages_purge_part(cb_block_start(block) + ((uintptr_t)first << CB_UNIT_SHIFT),
                             (size_t)count << CB_UNIT_SHIFT)) {
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

/*
 * Purges stretches of at least so many dead pages, of the emptiest blocks first, until `keep` are left. False
 * when the system refuses.
 */
static bool purge_all(struct cb_heap *heap, size_t keep, unsigned stretch) {
    for (int least = 32; heap->dead_pages > keep && least >= (int)stretch; least /= 2) {
        for (struct cb_block *block = heap->all; block != NULL && heap->dead_pages > keep;
             block = block->all_next) {
            if (__builtin_popcountll(block->dead_pages) >= least && !purge_stretches(heap, block, stretch)) {
                return false;
            }
        }
    }
    return true;
}

static void purge_excess(struct cb_heap *heap) {
    if (heap->purge_held || heap->dead_pages < heap->purge_from || cb_options.purge == CB_PURGE_NEVER) {
        return;
    }
    bool lazy = cb_options.purge == CB_PURGE_LAZY;
    size_t part = resident_units(heap) / (lazy ? PART_LAZY : PART);
    size_t all = resident_units(heap) / (lazy ? PART_LAZY : PART_ALL);
    size_t reserve = cb_options.reserve / 4 >> CB_UNIT_SHIFT;
    heap->purge_left = heap->dead_pages < heap->purge_left ? heap->dead_pages : heap->purge_left;
    if (heap->dead_pages <= reserve + part || heap->dead_pages <= heap->purge_left + part / 2) {
        return;
    }
    reserve += slack_units(heap);
    bool done = true;
    if (heap->dead_pages > reserve + part) {
        done = purge_all(heap, reserve + part / 2, LONG);
    }
    if (done && heap->dead_pages > reserve + all) {
        done = purge_all(heap, heap->dead_pages / 2, 1);
    }
    heap->purge_left = heap->dead_pages;
    heap->purge_from = done ? 0 : heap->dead_pages * 2; /* locked memory, say: not for each page again */
}

void cb_purge_hold(struct cb_heap *heap) {
    heap->purge_held = true;
}

void cb_purge_resume(struct cb_heap *heap) {
    heap->purge_held = false;
    purge_excess(heap);
}

/* These pages of a block hold nothing live. */
static void units_died(struct cb_heap *heap, struct cb_block *block, uint64_t dead) {
    uint64_t born = dead & ~block->dead_pages & ~block->purged_pages;
    if (born != 0) {
        block->dead_pages |= born;
        cb_count(&heap->dead_pages, (size_t)__builtin_popcountll(born));
        purge_excess(heap);
    }
}

/* The bits for the units of the system pages all of whose units are set. */
static uint64_t whole_pages(uint64_t units) {
    uint64_t page = units_of_page(), whole = 0;
    for (uint64_t left = units; left != 0;) {
        unsigned first = (unsigned)__builtin_ctzll(left) & ~((unsigned)__builtin_popcountll(page) - 1);
        whole |= (units >> first & page) == page ? page << first : 0;
        left &= ~(page << first);
    }
    return whole;
}

CB_NOINLINE void cb_purge_unit_is_full(struct cb_heap *heap, struct cb_block *block, size_t unit) {
    uint64_t bit = (uint64_t)1 << unit;
    block->full |= bit;
    units_died(heap, block, cb_page_size >> CB_UNIT_SHIFT == 1 ? bit : whole_pages(block->full));
}

CB_NOINLINE void cb_purge_count_dead_long(struct cb_heap *heap, struct cb_block *block, size_t granule,
                                          size_t granules) {
    while (granules != 0) {
        size_t room = CB_UNIT_GRANULES - granule % CB_UNIT_GRANULES;
        size_t part = granules < room ? granules : room;
        cb_purge_count_dead(heap, block, granule, part);
        granule += part;
        granules -= part;
    }
}

/* Small space: so many granules of a block from this one on are in no dead run any more. */
static void count_revived(struct cb_block *block, size_t granule, size_t granules) {
    while (granules != 0) {
        size_t unit = granule % CB_BLOCK_GRANULES / CB_UNIT_GRANULES;
        size_t room = CB_UNIT_GRANULES - granule % CB_UNIT_GRANULES;
        size_t part = granules < room ? granules : room;
        block->unit_dead[unit] = (uint8_t)(block->unit_dead[unit] - part);
        block->full &= ~((uint64_t)1 << unit);
        granule += part;
        granules -= part;
    }
}

void cb_purge_died(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules) {
    units_died(heap, block, units_inside(p, granules));
}

void cb_purge_revive(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules) {
    if (block->space == CB_SMALL) {
        count_revived(block, p >> CB_GRANULE_SHIFT, granules);
    }
    if ((block->dead_pages | block->purged_pages) == 0) {
        return;
    }
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

void cb_purge_everything(struct cb_heap *heap) {
    purge_all(heap, 0, 1);
}
