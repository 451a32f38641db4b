/*
 * excess.c: see excess.h.
 *
 * Layer: heap. Threads: any. Lock: that of the extents guards everything here. No system call is made under it.
 */
#include "heap/excess.h"

#include "heap/map.h"
#include "heap/options.h"
#include "heap/range.h"
#include "heap/reserve.h"

/* Bytes that go back in one call, if so much may: more than of blocks, for these pages lie side by side. */
#define STEP (4 * CB_WORK)

static struct {
    size_t given;       /* bytes given back to us since some of them were last purged */
    bool purging;       /* more was dirty than may stay, and has not come down far enough yet */
    uint64_t purged_at; /* milliseconds: when it was last looked at what may stay */
    size_t held;        /* dirty bytes beyond the share, as they were last reported */
    size_t purge_from;  /* after a failure: dirty bytes from which on purging is tried again */
    size_t blocks;      /* in use ... */
    size_t blocks_most; /* ... and the most of them since the block table was last purged */
} excess;

/* relaxed: a hint; cb_excess_release looks again under the lock */
static _Atomic bool over_reserve;

/* relaxed: figures for people */
static _Atomic size_t purged_bytes, purge_calls;

/* None counts while the system takes nothing back. */
void cb_excess_report(void) {
    size_t in_use = cb_range_total() - cb_extents.free, share = cb_reserve_pages_share(in_use);
    bool counts = cb_options.purge != CB_PURGE_NEVER && cb_extents.dirty >= excess.purge_from &&
                  cb_extents.dirty > share;
    cb_reserve_in_use(in_use);
    cb_reserve_report(&excess.held, counts ? cb_extents.dirty - share : 0);
}

/* The dirty bytes that may stay: the share, and what is left of the reserve. */
static size_t may_stay(void) {
    return excess.held != 0 ? cb_extents.dirty - excess.held + cb_reserve_room(excess.held) : SIZE_MAX;
}

void cb_excess_count_block(bool more) {
    excess.blocks += more ? 1 : (size_t)-1;
    excess.blocks_most = cb_higher(excess.blocks_most, excess.blocks);
}

static bool purge_system(uintptr_t start, size_t size, size_t counted) {
    if (!cb_os_purge((void *)start, size)) {
        return false;
    }
    atomic_fetch_add_explicit(&purged_bytes, counted, memory_order_relaxed);
    atomic_fetch_add_explicit(&purge_calls, 1, memory_order_relaxed);
    return true;
}

/*
 * The map bytes of a purged extent are zero; whole pages of them go back as well, with a page more on either
 * side, where the nodes of extents that have since been merged were. Nothing else uses them meanwhile.
 */
static void purge_map(const struct cb_extent *was, uintptr_t from, uintptr_t to) {
    uintptr_t slack = cb_page_size << CB_GRANULE_SHIFT, end = was->start + was->size;
    uintptr_t low = from - was->start > slack ? from - slack : was->start,
              high = end - to > slack ? to + slack : end;
    low = cb_align_up((uintptr_t)cb_map_at(low), cb_page_size);
    high = (uintptr_t)cb_map_at(high) & ~(uintptr_t)(cb_page_size - 1);
    if (low < high) {
        cb_os_purge((void *)low, high - low);
    }
}

/*
 * Purges about `too_much` bytes of the extent that has been free the longest, from its end, since requests are
 * served from its start. The lock is held on entry and on return, but not during the system call, for which
 * the extent looks as if it were in use. Returns the bytes given back; 0 when there is nothing to do.
 */
static size_t purge_oldest(size_t too_much) {
    if (cb_extents.oldest == NULL) {
        return 0;
    }
    struct cb_extent was = cb_extent_take_out(cb_extents.oldest);
    size_t size = was.dirty.to - was.dirty.from;
    size_t part = cb_align_up(cb_higher(too_much, STEP), cb_page_size);
    /* Nobody knows where in it the dirty pages are. Where few are, all of it goes. */
    bool dense = was.dirty.bytes >= size - size / 4;
    uintptr_t from = dense && size - size / 8 > part ? was.dirty.to - part : was.dirty.from;
    struct cb_dirty rest = cb_dirty_part(was.dirty, was.dirty.from, from);
    size_t got = was.dirty.bytes - rest.bytes;
    cb_extent_unlock();
    bool done = purge_system(from, was.dirty.to - from, got);
    purge_map(&was, from, was.dirty.to);
    cb_lock_take(&cb_extents.lock);
    cb_extent_insert_merged(was.start, was.size, done ? rest : was.dirty);
    return done ? got : 0;
}

static size_t purge_to(size_t keep) {
    size_t total = 0;
    while (cb_extents.dirty > keep) {
        size_t got = purge_oldest(cb_extents.dirty - keep);
        if (got == 0) {
            break;
        }
        total += got;
    }
    return total;
}

/*
 * Gives back what the block table has for large free extents, whenever so many blocks have gone that a part is left:
 * all of that is zero but for what is left of blocks that nobody owns. An extent a call; it looks as if it were in use
 * meanwhile. True when there was one.
 */
static bool table_is_due(void) {
    return excess.blocks < excess.blocks_most / CB_KEPT_PART &&
           excess.blocks_most >= CB_TABLE / CB_BLOCK_SIZE;
}

static bool has_table(const struct cb_extent *e, uintptr_t unused) {
    (void)unused;
    return !e->table_purged;
}

static bool purge_table(void) {
    struct cb_extent *e = table_is_due() ? cb_extent_search(CB_TABLE, has_table, 0) : NULL;
    if (e == NULL) {
        excess.blocks_most = table_is_due() ? excess.blocks : excess.blocks_most;
        return false;
    }
    struct cb_extent was = cb_extent_take_out(e);
    cb_extent_unlock();
    uintptr_t low = cb_align_up((uintptr_t)cb_block_of(cb_align_up(was.start, CB_BLOCK_SIZE)), cb_page_size);
    uintptr_t high = (uintptr_t)cb_block_of(was.start + was.size) & ~(uintptr_t)(cb_page_size - 1);
    if (low < high) {
        cb_os_purge((void *)low, high - low);
    }
    cb_lock_take(&cb_extents.lock);
    e = cb_extent_insert_merged(was.start, was.size, was.dirty);
    e->table_purged = e->size == was.size; /* else what it was merged with has a part, too */
    return true;
}

void cb_excess_note_given(size_t dirty) {
    excess.given += dirty;
    cb_excess_report();
    cb_reserve_look();
    if (excess.purging || may_stay() < cb_extents.dirty || table_is_due()) {
        atomic_store_explicit(&over_reserve, true, memory_order_relaxed);
    }
}

/*
 * Bytes that one call may give back: as many as were given since the last, and some more, so that it comes down
 * although no call does the work of many; the more the longer ago that was, for a quiet program makes few calls.
 */
static size_t take_share(void) {
    uint64_t now = cb_os_milliseconds(), passed = now - excess.purged_at;
    size_t most = excess.given + STEP + CB_WORK / 2 * cb_lower(passed, CB_PERIOD / 3);
    excess.purged_at = now;
    excess.given = 0;
    return most;
}

/* Under the lock: purges some of what is dirty and may not stay. */
static void purge_excess(void) {
    size_t keep = may_stay();
    if (excess.held == 0 || (!excess.purging && cb_extents.dirty <= keep)) {
        excess.purging = false;
        return;
    }
    size_t goal = keep - cb_lower(keep / 8, STEP); /* some more, so that it is seldom */
    size_t most = take_share(), down_to = cb_extents.dirty > most ? cb_extents.dirty - most : 0;
    bool over = cb_extents.dirty > goal;
    size_t got = purge_to(cb_higher(goal, down_to));
    cb_reserve_purged(got);
    bool refused = got == 0 && over;
    excess.purge_from = refused ? cb_extents.dirty * 2 : 0; /* locked memory, say: not at each free again */
    excess.purging = !refused && cb_extents.dirty > goal;
    cb_excess_report();
}

void cb_excess_release(void) {
    if (!cb_excess_any()) {
        return;
    }
    cb_extent_lock();
    atomic_store_explicit(&over_reserve, false, memory_order_relaxed);
    purge_excess();
    if (purge_table() || excess.purging) {
        atomic_store_explicit(&over_reserve, true, memory_order_relaxed);
    }
    cb_extent_unlock();
}

bool cb_excess_any(void) {
    return atomic_load_explicit(&over_reserve, memory_order_relaxed) ||
           (__atomic_load_n(&excess.held, __ATOMIC_RELAXED) != 0 && cb_reserve_is_over());
}

size_t cb_excess_purge(size_t keep) {
    cb_extent_lock();
    size_t got = purge_to(keep);
    cb_excess_report();
    cb_extent_unlock();
    return got;
}

bool cb_excess_purge_part(uintptr_t start, size_t size, size_t counted) {
    return purge_system(start, size, counted);
}

struct cb_excess_purged cb_excess_purged(void) {
    return (struct cb_excess_purged){atomic_load_explicit(&purged_bytes, memory_order_relaxed),
                                     atomic_load_explicit(&purge_calls, memory_order_relaxed)};
}

void cb_excess_after_fork(void) {
    excess.held = 0;
    cb_excess_report();
}
