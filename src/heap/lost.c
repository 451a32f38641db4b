/*
 * lost.c: see lost.h.
 *
 * Layer: heap. Threads: any, under lost.lock.
 *
 * The first time that an object of a lost block is freed, what lives in the block is counted, and the block gets
 * an owner that is no heap: from then on lost.live is the number of live granules in it, and lost.seen what that was
 * when its pages were last looked at.
 */
#include "heap/lost.h"

#include "heap/map.h"
#include "heap/options.h"
#include "heap/pages.h"
#include "heap/purge.h"

#include <string.h>

/* Granules freed in a block between two looks at its pages. */
#define LOOK_EVERY (CB_BLOCK_GRANULES / CB_SPARSE_PART)
#define LIVE_BITS 0x4040404040404040ULL

static struct {
    cb_lock lock;     /* rank 2; guards `lost` and `purged_pages` of blocks that `nobody` owns */
    _Atomic bool any; /* relaxed: set before the thread that forked goes on */
} lost = {.lock = CB_LOCK_INIT("lost.lock", CB_RANK_HEAP)};

static struct cb_heap *const nobody = (struct cb_heap *)(void *)&lost;

/* The part of a block's map from m on that has a live object's first byte next; or end. */
static const uint8_t *find_live(const uint8_t *m, const uint8_t *end) {
    while (m < end) {
        if (((uintptr_t)m & 7) == 0) {
            uint64_t eight = __atomic_load_n((const uint64_t *)(const void *)m, __ATOMIC_RELAXED);
            if ((eight & ~(eight >> 1) & LIVE_BITS) == 0) {
                m += 8;
                continue;
            }
        }
        if ((cb_map_get(m) & CB_STATE) == CB_LIVE) {
            return m;
        }
        m++;
    }
    return end;
}

/* The live granules of a block, and in *units a bit for each unit that has some. */
static uint32_t count_live(const struct cb_block *block, uint64_t *units) {
    unsigned shift = cb_map_shift(block);
    const uint8_t *map = cb_map_at(cb_block_start(block)), *end = map + (CB_BLOCK_GRANULES >> shift) - 1;
    uint32_t count = 0;
    *units = 0;
    for (const uint8_t *m = find_live(map, end); m < end; m = find_live(m + 1, end)) {
        size_t at = (size_t)(m - map), length = cb_map_length(m), room = (size_t)(end - m);
        length = (length > room ? room : length) << shift; /* of one that was being made at the fork */
        at <<= shift;
        count += (uint32_t)length;
        for (size_t unit = at / CB_UNIT_GRANULES; unit * CB_UNIT_GRANULES < at + length; unit++) {
            *units |= (uint64_t)1 << unit;
        }
    }
    return count;
}

static void release(struct cb_block *block) {
    uintptr_t start = cb_block_start(block);
    memset(cb_map_at(start), 0, CB_BLOCK_GRANULES - 1);             /* the last one is zero */
    atomic_store_explicit(&block->remote, 0, memory_order_relaxed); /* as in cb_block_shut_if_empty */
    /* release: partner of the acquire in cb_extent_outside_blocks */
    atomic_store_explicit(&block->owner, NULL, memory_order_release);
    cb_pages_give_block(start, CB_BLOCK_SIZE);
}

/* Gives back the pages in which nothing lives and that were not given back before. */
static void purge(struct cb_block *block, uint64_t live) {
    size_t units = cb_page_size >> CB_UNIT_SHIFT;
    if (cb_options.purge == CB_PURGE_NEVER || units >= CB_BLOCK_UNITS) {
        return;
    }
    for (size_t from = 0, to; from < CB_BLOCK_UNITS; from = to + units) {
        uint64_t page = (((uint64_t)1 << units) - 1), not = live | block->purged_pages;
        for (to = from; to < CB_BLOCK_UNITS && (not >> to & page) == 0; to += units) {
            block->purged_pages |= page << to;
        }
        if (to > from) {
            size_t size = (to - from) << CB_UNIT_SHIFT;
            cb_excess_purge_part(cb_block_start(block) + (from << CB_UNIT_SHIFT), size, size);
        }
    }
}

/* The first free of an object in the block. */
static void begin(const struct cb_heap *owner, struct cb_block *block) {
    uint64_t units;
    block->lost.live = block->lost.seen = count_live(block, &units);
    block->purged_pages = 0;
    cb_owner_cache_drop(owner->tag, cb_block_number(block));
    atomic_store_explicit(&block->owner, nobody, memory_order_relaxed);
}

static void look(struct cb_block *block) {
    uint64_t units;
    if (block->lost.live == 0) {
        release(block);
    } else if (block->lost.seen - block->lost.live >= LOOK_EVERY) {
        block->lost.seen = block->lost.live = count_live(block, &units);
        purge(block, units);
    }
}

bool cb_lost_is(const struct cb_heap *owner) {
    return owner == nobody || (owner != NULL && atomic_load_explicit(&owner->lost, memory_order_relaxed));
}

cb_lock *cb_lost_lock_of(struct cb_heap *owner) {
    return cb_lost_is(owner) ? &lost.lock : &owner->lock;
}

bool cb_lost_free(uintptr_t p) {
    struct cb_block *block = cb_block_of(p);
    uint8_t *m = cb_map_of_object(p);
    cb_lock_take(&lost.lock);
    struct cb_heap *owner = atomic_load_explicit(&block->owner, memory_order_relaxed);
    bool live = m != NULL && cb_lost_is(owner) && (cb_map_get(m) & CB_STATE) == CB_LIVE;
    if (live) {
        if (owner != nobody) {
            begin(owner, block);
        }
        uint32_t granules = (uint32_t)cb_map_granules_in(block, m);
        cb_map_set(m, CB_NONE | (cb_map_get(m) & CB_LENGTH));
        block->lost.live = granules < block->lost.live ? block->lost.live - granules : 0;
        look(block);
    }
    cb_lock_drop(&lost.lock);
    cb_excess_release();
    return live;
}

bool cb_lost_any(void) {
    return atomic_load_explicit(&lost.any, memory_order_relaxed);
}

void cb_lost_begin(void) {
    atomic_store_explicit(&lost.any, true, memory_order_relaxed);
}

/* A block that was being looked at has its map and its count, or, at worst, belongs to nobody for good. */
void cb_lost_after_fork(void) {
    cb_lock_reset(&lost.lock);
}
