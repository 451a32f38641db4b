/*
 * pages.c: the page allocator. See pages.h.
 *
 * Layer: heap. Threads: any. Locks: grow_lock (rank 3) guards the ranges; cb_extents.lock (rank 4) guards what is free,
 * and no system call is made under it.
 */
#include "heap/pages.h"

#include "heap/excess.h"
#include "heap/fork.h"
#include "heap/map.h"
#include "heap/options.h"
#include "heap/range.h"
#include "heap/reserve.h"

/* Rank 3: one thread at a time asks the system for more; the others need not wait for it. */
static cb_lock grow_lock = CB_LOCK_INIT("grow_lock", CB_RANK_GROW);

static bool refused; /* the system has when it was last asked; guarded by grow_lock */

bool cb_pages_init(void) {
    cb_extent_init();
    return cb_range_init();
}

/* Cuts [at, at+size) out of a free extent: it is in use from now on. Returns what of it is dirty. */
static struct cb_dirty cut(struct cb_extent *e, uintptr_t at, size_t size) {
    struct cb_dirty dirty = cb_extent_cut(e, at, size);
    cb_excess_report();
    cb_reserve_fetched(size - dirty.bytes);
    return dirty;
}

/* Whole blocks that are enough for a request at the end of the newest range; else `need`. The map has whole pages. */
static size_t least_growth(size_t size, size_t align, size_t need) {
    bool whole = (CB_BLOCK_SIZE >> CB_GRANULE_SHIFT) % cb_page_size == 0;
    return whole && align <= CB_BLOCK_SIZE ? cb_align_up(size, CB_BLOCK_SIZE) : need;
}

/*
 * More memory from the system: what is needed, or a sixteenth of what there is; if it has not as much, or had nothing
 * when it was last asked, just what will do. Under grow_lock; takes cb_extents.lock for what it adds.
 */
static bool grow(size_t size, size_t align) {
    size_t total = cb_range_total();
    size_t need = cb_align_up(size + align, CB_RANGE_STEP);
    size_t wanted = cb_align_up(total / CB_PART + CB_GROWTH, CB_RANGE_STEP);
    if (need < size) {
        return false;
    }
    size_t got, least = least_growth(size, align, need);
    wanted = refused ? least : cb_higher(wanted, need);
    uintptr_t start = cb_range_grow(least, need, wanted, &got);
    refused = start == 0;
    if (start == 0) {
        return false;
    }
    if (cb_options.thp != CB_THP_DEFAULT) {
        cb_os_huge((void *)start, got, cb_options.thp == CB_THP_ALWAYS);
    }
    cb_lock_take(&cb_extents.lock);
    cb_extent_move_end(start + got);
    if (cb_range_begins(start)) {
        start += cb_page_size; /* never used, so that there is a map byte before that of any object */
        got -= cb_page_size;
    }
    cb_extent_insert_merged(start, got, CB_NOT_DIRTY);
    cb_extent_unlock();
    return true;
}

/* A place that is free, taken. 0: there is none. */
static uintptr_t take_free(size_t size, size_t align, struct cb_dirty *dirty) {
    struct cb_extent_place found = cb_extent_find(size, align);
    if (found.extent != NULL) {
        *dirty = cut(found.extent, found.at, size);
    }
    return found.at;
}

/*
 * Takes pages with cb_extents.lock held, on entry and on return; not while memory is asked for. 0: the system has no
 * more. Others may take what this thread has asked for; then it asks again.
 */
static uintptr_t take(size_t size, size_t align, struct cb_dirty *dirty) {
    uintptr_t at = take_free(size, align, dirty);
    while (at == 0) {
        cb_extent_unlock();
        cb_lock_take(&grow_lock);
        cb_lock_take(&cb_extents.lock);
        at = take_free(size, align, dirty); /* another thread may have asked before */
        bool more = at != 0;
        if (!more) {
            cb_extent_unlock();
            more = grow(size, align);
            cb_lock_take(&cb_extents.lock);
            at = more ? take_free(size, align, dirty) : 0;
        }
        cb_lock_drop(&grow_lock);
        if (!more) {
            break;
        }
    }
    return at;
}

uintptr_t cb_pages_take(size_t size, size_t align, struct cb_dirty *dirty) {
    cb_extent_lock();
    uintptr_t at = take(size, align, dirty);
    cb_extent_unlock();
    return at;
}

uintptr_t cb_pages_take_free(size_t size, size_t align, struct cb_dirty *dirty) {
    cb_extent_lock();
    uintptr_t at = take_free(size, align, dirty);
    cb_extent_unlock();
    return at;
}

uintptr_t cb_pages_take_block(struct cb_heap *owner, struct cb_dirty *dirty) {
    cb_extent_lock();
    uintptr_t at = take(CB_BLOCK_SIZE, CB_BLOCK_SIZE, dirty);
    if (at != 0) {
        /* relaxed: readers that care are under the lock, see cb_extent_outside_blocks */
        atomic_store_explicit(&cb_block_of(at)->owner, owner, memory_order_relaxed);
        cb_excess_count_block(true);
    }
    cb_extent_unlock();
    return at;
}

static bool holds(const struct cb_extent *e, uintptr_t p) {
    return p - e->start < e->size;
}

bool cb_pages_are_free(uintptr_t p) {
    cb_extent_lock();
    bool found = cb_extent_search(cb_page_size, holds, p) != NULL;
    cb_extent_unlock();
    return found;
}

bool cb_pages_extend(uintptr_t end, size_t more) {
    bool done = false;
    cb_extent_lock();
    struct cb_extent *e = cb_extent_at(end);
    if (e != NULL && e->size >= more) {
        cut(e, end, more);
        done = true;
    }
    cb_extent_unlock();
    return done;
}

void cb_pages_give(uintptr_t start, size_t size) {
    cb_pages_give_partly(start, size, size);
}

/* Under the lock: adds what is given back to what is free. */
static void give(uintptr_t start, size_t size, size_t dirty) {
    cb_extent_insert_merged(start, size,
                            dirty != 0 ? (struct cb_dirty){start, start + size, dirty} : CB_NOT_DIRTY);
    cb_excess_note_given(dirty);
}

void cb_pages_give_partly(uintptr_t start, size_t size, size_t dirty) {
    cb_extent_lock();
    give(start, size, dirty);
    cb_extent_unlock();
    cb_excess_release();
}

void cb_pages_give_block(uintptr_t start, size_t dirty) {
    cb_extent_lock();
    cb_excess_count_block(false);
    give(start, CB_BLOCK_SIZE, dirty);
    cb_extent_unlock();
}

bool cb_pages_totals_until(struct cb_pages_totals *totals, uint64_t milliseconds) {
    struct cb_excess_purged purged = cb_excess_purged();
    *totals =
        (struct cb_pages_totals){.mapped = cb_range_total(), .purged = purged.bytes, .purges = purged.calls};
    if (!cb_lock_until(&cb_extents.lock, milliseconds)) {
        return false;
    }
    totals->mapped = cb_range_total();
    totals->free = cb_extents.free;
    totals->dirty = cb_extents.dirty;
    cb_extent_unlock();
    return true;
}

void cb_pages_totals(struct cb_pages_totals *totals) {
    cb_fork_repair_if_child();
    cb_pages_totals_until(totals, CB_LOCK_WAIT);
}

/* Under the lock: the bytes from p to the next place where a large object may start. */
static size_t step_over(uintptr_t p, size_t (*visit)(uintptr_t p, void *context), void *context) {
    if (!cb_extent_outside_blocks(p)) {
        return CB_BLOCK_SIZE - (p & (CB_BLOCK_SIZE - 1));
    }
    const struct cb_extent *e = cb_extent_at(p);
    size_t size = e != NULL ? e->size : cb_map_get(cb_map_at(p)) == CB_LIVE ? visit(p, context) : 0;
    return size != 0 ? size : cb_page_size;
}

bool cb_pages_each_large(size_t (*visit)(uintptr_t p, void *context), void *context, uint64_t milliseconds) {
    if (!cb_lock_until(&cb_extents.lock, milliseconds)) {
        return false;
    }
    /* acquire, as the next: partners of the releases in range.c, so that the metadata is there */
    uint32_t count = atomic_load_explicit(&cb_range_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        uintptr_t start = atomic_load_explicit(&cb_ranges[i].start, memory_order_relaxed);
        uintptr_t end = start + atomic_load_explicit(&cb_ranges[i].size, memory_order_acquire);
        for (uintptr_t p = start; p < end;) {
            p += step_over(p, visit, context);
        }
    }
    cb_extent_unlock();
    return true;
}

void cb_pages_after_fork(void) {
    cb_lock_reset(&grow_lock); /* what another thread had mapped and not added yet is not used */
    cb_extent_after_fork();
    cb_excess_after_fork();
}
