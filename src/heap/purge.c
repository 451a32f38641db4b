/*
 * purge.c: see purge.h.
 *
 * Layer: heap. Threads: under the lock of the heap.
 */
#include "heap/purge.h"

#include "heap/list.h"
#include "heap/map.h"
#include "heap/options.h"
#include "heap/pages.h"
#include "heap/reserve.h"
#include "os/os.h"

#include <string.h>

/* The bits for the units wholly inside [p, p + granules), system page by system page. */
static uint64_t units_inside(uintptr_t p, size_t granules) {
    size_t page = cb_page_size;
    uintptr_t from = cb_align_up(p, page);
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
    uintptr_t to = cb_align_up(p + (granules << CB_GRANULE_SHIFT), page);
    return units_inside(from, (to - from) >> CB_GRANULE_SHIFT);
}

/* The bits of the units of a block's first page. */
static uint64_t units_of_page(void) {
    size_t units = cb_page_size >> CB_UNIT_SHIFT;
    return units >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << units) - 1;
}

/*
 * When pages without live objects go back: stretches of four and more when more pages are dead than the heap's
 * share of such; shorter ones, which cost as many calls and may well get longer, when there are more than its larger
 * share, and then half of them. The reserve lets the same stay besides for both. Pages of the first class of blocks go
 * first.
 */
enum { HAS_LONG, HAS_SHORT };
_Static_assert(HAS_SHORT + 1 == CB_PURGE_CLASSES, "a list for each class");

/* Units of the heap's blocks that may be resident. */
static size_t resident_units(const struct cb_heap *heap) {
    return heap->used / CB_UNIT_GRANULES + 1 - heap->purged_pages;
}

static size_t share_units(const struct cb_heap *heap, bool in_long) {
    return cb_reserve_heap_share(resident_units(heap) << CB_UNIT_SHIFT, in_long) >> CB_UNIT_SHIFT;
}

/* Reports the purged pages, and the dead ones beyond the share: none while the system takes nothing back. */
static void report(struct cb_heap *heap) {
    size_t dead = heap->dead_pages, share = share_units(heap, false);
    bool counts = cb_options.purge != CB_PURGE_NEVER && dead >= heap->purge_from && dead > share;
    size_t held = counts ? dead - share : 0;
    cb_reserve_report(&heap->held, held << CB_UNIT_SHIFT);
    cb_reserve_report_unused(&heap->unused, (held + heap->purged_pages) << CB_UNIT_SHIFT);
}

/* The units of stretches of at least four. */
static uint64_t in_long_stretches(uint64_t units) {
    uint64_t pairs = units & units >> 1, fours = pairs & pairs >> 2; /* the first of four */
    return fours | fours << 1 | fours << 2 | fours << 3;
}

static unsigned class_of(uint64_t dead) {
    return dead == 0 ? CB_PURGE_CLASSES : in_long_stretches(dead) != 0 ? HAS_LONG : HAS_SHORT;
}

static void set_class(struct cb_heap *heap, struct cb_block *block, unsigned class) {
    unsigned was = block->purge_class;
    if (was == class) {
        return;
    }
    if (was != CB_PURGE_CLASSES) {
        cb_list_remove(&heap->purge_list[was], block, CB_LIST_PURGE);
    }
    block->purge_class = (uint8_t) class;
    if (class != CB_PURGE_CLASSES) {
        cb_list_push(&heap->purge_list[class], block, CB_LIST_PURGE);
    }
}

/* After any change of its dead pages. */
static void classify(struct cb_heap *heap, struct cb_block *block) {
    set_class(heap, block, class_of(block->dead_pages & ~block->purging));
}

void cb_purge_forget(struct cb_heap *heap, struct cb_block *block) {
    set_class(heap, block, CB_PURGE_CLASSES);
    cb_count(&heap->dead_pages, 0 - (size_t)__builtin_popcountll(block->dead_pages));
    heap->purged_pages -= (size_t)__builtin_popcountll(block->purged_pages);
    if ((heap->held | heap->unused) != 0) {
        report(heap);
    }
}

bool cb_purge_may_use(const struct cb_block *block, uintptr_t p, size_t granules) {
    return CB_LIKELY(block->purging == 0) || (block->purging & units_touched(p, granules)) == 0;
}

bool cb_purge_is_due(struct cb_heap *heap) {
    size_t dead = heap->dead_pages;
    bool emptying = heap == cb_thread.heap && (heap->to_empty[CB_SMALL] | heap->to_empty[CB_MEDIUM]) != 0;
    report(heap);
    if (emptying) {
        return false; /* the owner is in the midst of emptying its bins: whole blocks are about to go */
    }
    if (dead < heap->purge_from || dead <= cb_reserve_floor() >> CB_UNIT_SHIFT ||
        cb_options.purge == CB_PURGE_NEVER) {
        heap->purge_due = heap->purge_long = false;
        heap->purge_goal = 0;
        return false;
    }
    size_t room = cb_reserve_room(heap->held) >> CB_UNIT_SHIFT, share = share_units(heap, false),
           share_long = share_units(heap, true);
    size_t kept = room - cb_lower(room / 8, CB_WORK >> CB_UNIT_SHIFT);
    if (heap->purge_goal == 0 && dead > share + room) {
        heap->purge_goal = share / 2 + kept;
    } else if (dead <= heap->purge_goal) {
        heap->purge_goal = 0;
    }
    heap->purge_long = heap->purge_list[HAS_LONG] != NULL &&
                       dead > (heap->purge_long ? share_long - share_long / 4 + kept : share_long + room);
    heap->purge_due = heap->purge_goal != 0 || heap->purge_long;
    return heap->purge_due;
}

/* The lowest of the units, as many as may go at once. */
static uint64_t first_units(uint64_t units, size_t most) {
    size_t count = (size_t)__builtin_popcountll(units), page = cb_page_size >> CB_UNIT_SHIFT;
    for (most = most / page * page; count > most; count--) {
        units &= ~((uint64_t)1 << (63 - __builtin_clzll(units)));
    }
    return units;
}

/* The bits of `over` that are next to one of `from`, above it, or to another such bit. */
static uint64_t reached_up(uint64_t from, uint64_t over) {
    for (unsigned step = 1; step < 64; step *= 2) {
        from |= over & from << step;
        over &= over << step;
    }
    return from;
}

static uint64_t reached_down(uint64_t from, uint64_t over) {
    for (unsigned step = 1; step < 64; step *= 2) {
        from |= over & from >> step;
        over &= over >> step;
    }
    return from;
}

bool cb_purge_order(struct cb_heap *heap, size_t most, bool all, struct cb_purge_order *order) {
    unsigned end = all || heap->purge_goal != 0 ? CB_PURGE_CLASSES : HAS_LONG + 1;
    for (unsigned class = HAS_LONG; class < end; class ++) {
        struct cb_block *block = heap->purge_list[class];
        if (block != NULL) {
            uint64_t dead = block->dead_pages & ~block->purging;
            order->block = block;
            order->units = first_units(class == HAS_LONG ? in_long_stretches(dead) : dead, most);
            uint64_t purged = block->purged_pages & ~block->purging;
            order->between = purged & reached_up(order->units, purged) & reached_down(order->units, purged);
            block->purging |= order->units | order->between;
            heap->purge_orders += order->units != 0;
            classify(heap, block);
            return order->units != 0;
        }
    }
    heap->purge_goal = 0; /* nothing is left but what is being given back */
    heap->purge_long = false;
    return false;
}

uint64_t cb_purge_run(const struct cb_purge_order *order) {
    uint64_t left = order->units | order->between;
    uintptr_t start = cb_block_start(order->block);
    while (left != 0) {
        unsigned first = (unsigned)__builtin_ctzll(left);
        uint64_t above = ~(left >> first);
        unsigned count = above != 0 ? (unsigned)__builtin_ctzll(above) : 64;
        uint64_t bits = (count == 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1) << first;
        size_t pages = (size_t)__builtin_popcountll(bits & order->units);
        if (!cb_excess_purge_part(start + ((uintptr_t)first << CB_UNIT_SHIFT), (size_t)count << CB_UNIT_SHIFT,
                                  pages << CB_UNIT_SHIFT)) {
            break;
        }
        left &= ~bits;
    }
    return order->units & ~left;
}

void cb_purge_end(struct cb_heap *heap, const struct cb_purge_order *order, uint64_t done) {
    struct cb_block *block = order->block;
    heap->purge_orders--;
    block->purging &= ~(order->units | order->between);
    block->dead_pages &= ~done;
    block->purged_pages |= done;
    cb_count(&heap->dead_pages, 0 - (size_t)__builtin_popcountll(done));
    heap->purged_pages += (size_t)__builtin_popcountll(done);
    /* locked memory, say: not for each page again */
    heap->purge_from = done != order->units ? heap->dead_pages * 2 : 0;
    report(heap);
    classify(heap, block);
}

/* Such pages hold nothing live, whether the system has taken them or not: they go back later. */
void cb_purge_after_fork(struct cb_heap *heap) {
    for (struct cb_block *block = heap->purge_orders != 0 ? heap->all : NULL; block != NULL;
         block = cb_list_next(block, CB_LIST_ALL)) {
        block->purging = 0;
        classify(heap, block);
    }
    heap->purge_orders = 0;
}

/* These pages of a block hold nothing live. */
static void units_died(struct cb_heap *heap, struct cb_block *block, uint64_t dead) {
    uint64_t fresh = dead & ~block->dead_pages & ~block->purged_pages;
    if (fresh != 0) {
        block->dead_pages |= fresh;
        cb_count(&heap->dead_pages, (size_t)__builtin_popcountll(fresh));
        heap->purge_died += (size_t)__builtin_popcountll(fresh);
        heap->purge_due = true;
        classify(heap, block);
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

void cb_purge_count_revived(struct cb_block *block, size_t granule, size_t granules) {
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

void cb_purge_begin(struct cb_block *block, struct cb_dirty dirty) {
    size_t granules = (dirty.to - dirty.from) >> CB_GRANULE_SHIFT;
    block->untouched = dirty.bytes != 0 ? ~units_touched(dirty.from, granules) : ~(uint64_t)0;
    block->full = block->dead_pages = block->purged_pages = block->purging = 0;
    memset(block->unit_dead, 0, sizeof block->unit_dead);
    block->purge_class = CB_PURGE_CLASSES;
}

void cb_purge_touch(struct cb_block *block, uintptr_t p, size_t granules) {
    if (block->untouched != 0) {
        block->untouched &= ~units_touched(p, granules);
    }
}

void cb_purge_leave_untouched(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules) {
    uint64_t pages = units_inside(p, granules) & block->untouched;
    heap->purged_pages += (size_t)__builtin_popcountll(pages & ~block->purged_pages);
    block->purged_pages |= pages;
    block->untouched &=
        pages | ~units_touched(p, granules); /* a page that is dead in part is resident for the rest */
}

void cb_purge_died(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules) {
    units_died(heap, block, units_inside(p, granules));
}

void cb_purge_revive(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules) {
    if ((block->dead_pages | block->purged_pages | block->untouched) == 0) {
        return;
    }
    uint64_t touched = units_touched(p, granules);
    cb_count(&heap->dead_pages, 0 - (size_t)__builtin_popcountll(block->dead_pages & touched));
    size_t again = (size_t)__builtin_popcountll(block->purged_pages & touched & ~block->untouched);
    heap->purged_pages -= (size_t)__builtin_popcountll(block->purged_pages & touched);
    block->dead_pages &= ~touched;
    block->purged_pages &= ~touched;
    block->untouched &= ~touched;
    classify(heap, block);
    if ((heap->held | heap->unused) != 0) {
        report(heap);
    }
    cb_reserve_fetched(again << CB_UNIT_SHIFT);
}
