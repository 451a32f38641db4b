/*
 * census.c: see census.h.
 *
 * Layer: heap. Threads: any.
 */
#include "heap/census.h"

#include "heap/lost.h"
#include "heap/map.h"
#include "heap/pages.h"
#include "heap/range.h"
#include "heap/room.h"

static void add(struct cb_census_count *count, size_t bytes) {
    count->objects++;
    count->bytes += bytes;
}

static void add_live(struct cb_census *census, size_t bytes) {
    add(&census->live, bytes);
    add(&census->power[cb_census_power(bytes)], bytes);
}

/* Where something starts, from m on: the bytes of a run, and of what was never handed out, are zero. */
static const uint8_t *skip_zeros(const uint8_t *m, const uint8_t *end) {
    while (m < end && cb_map_get(m) == 0 && cb_map_length(m) == 0) {
        m++;
    }
    return m;
}

/* Under the lock that guards it. What is in the rings of a lost heap, nobody can have again. */
static void count_block(struct cb_census *census, const struct cb_block *block, bool lost) {
    const uint8_t *m = cb_map_at(cb_block_start(block)), *end = m + block->fresh;
    census->blocks++;
    while ((m = skip_zeros(m, end)) < end) {
        size_t state = cb_map_get(m) & CB_STATE, length = cb_map_length(m);
        if (length == 0 || length > (size_t)(end - m)) {
            m++; /* the owner has just changed it */
            continue;
        }
        if (state == CB_LIVE) {
            add_live(census, length << CB_GRANULE_SHIFT);
        } else if (state != CB_DEAD && !lost) {
            add(state == CB_REMOTE ? &census->remote : &census->parked, length << CB_GRANULE_SHIFT);
        }
        m += length;
    }
}

static void look_at_block(struct cb_census *census, struct cb_block *block, uint64_t milliseconds) {
    struct cb_heap *owner = atomic_load_explicit(&block->owner, memory_order_relaxed);
    if (owner == NULL) {
        return;
    }
    cb_lock *lock = cb_lost_lock_of(owner);
    if (!cb_lock_until(lock, milliseconds)) {
        census->blocks_left_out++;
        return;
    }
    if (atomic_load_explicit(&block->owner, memory_order_relaxed) == owner) {
        count_block(census, block, cb_lost_is(owner));
    }
    cb_lock_drop(lock);
}

static size_t count_large(uintptr_t p, void *context) {
    struct cb_census *census = context;
    size_t size = cb_room_extent((const struct cb_large *)(const void *)cb_map_at(p)).size;
    if (size != 0) { /* else it is being freed */
        add_live(census, size);
        add(&census->large, size);
    }
    return size;
}

void cb_census_take(struct cb_census *census, uint64_t milliseconds) {
    *census = (struct cb_census){.blocks = 0};
    /* acquire: partner of the release in open_range */
    uint32_t count = atomic_load_explicit(&cb_range_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        uintptr_t start = atomic_load_explicit(&cb_ranges[i].start, memory_order_relaxed);
        uintptr_t end = start + atomic_load_explicit(&cb_ranges[i].size, memory_order_acquire);
        for (struct cb_block *block = cb_block_of(start); block <= cb_block_of(end - 1); block++) {
            look_at_block(census, block, milliseconds);
        }
    }
    census->large_left_out = !cb_pages_each_large(count_large, census, milliseconds);
}
