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

/* The quads of a medium object that is in a bin and starts at m, where the byte is zero; 0: none does. */
static size_t parked_at(const struct cb_walk *walk, const uint8_t *m) {
    const uint8_t *end = m < walk->run_end ? walk->run_end : walk->end;
    size_t length = cb_map_digits(m + 1);
    bool digits = ((cb_map_get(m + 1) | cb_map_get(m + 2) | cb_map_get(m + 3)) & CB_STATE) == 0;
    return walk->shift != 0 && digits && length >= CB_RUN_LEAST && length <= (size_t)(end - m) ? length : 0;
}

struct cb_walk cb_walk_over(const struct cb_block *block, const struct cb_heap *heap) {
    const uint8_t *m = cb_map_at(cb_block_start(block));
    bool has_run = heap != NULL && heap->space[CB_MEDIUM].run_block == block;
    return (struct cb_walk){.next = m,
                            .end = m + (block->fresh >> cb_map_shift(block)),
                            .run_end = has_run ? cb_map_at_quad(heap->space[CB_MEDIUM].run.limit) : m,
                            .shift = cb_map_shift(block)};
}

size_t cb_walk_length(const struct cb_walk *walk, const uint8_t *m) {
    size_t byte = cb_map_get(m), length = byte & CB_LENGTH;
    if (length == 0 && walk->end - m >= (ptrdiff_t)CB_RUN_LEAST) {
        length = byte == 0 ? parked_at(walk, m) : cb_map_digits(m + 1);
    }
    return length <= (size_t)(walk->end - m) ? length : 0;
}

/* Counts what is next, and steps over it; the owner may just be changing it. Lost: nobody can have what is in bins. */
static void count_next(struct cb_census *census, struct cb_walk *walk, bool lost) {
    size_t state = cb_map_get(walk->next) & CB_STATE, length = cb_walk_length(walk, walk->next);
    size_t bytes = length << walk->shift << CB_GRANULE_SHIFT;
    walk->next += length != 0 ? length : 1;
    if (length == 0) {
        return;
    }
    if (state == CB_LIVE) {
        add_live(census, bytes);
    } else if (state != CB_DEAD && !lost) {
        add(state == CB_REMOTE ? &census->remote : &census->parked, bytes);
    }
}

/* Under the lock that guards it, of a block of `owner`. */
static void count_block(struct cb_census *census, const struct cb_block *block, const struct cb_heap *owner) {
    bool lost = cb_lost_is(owner);
    struct cb_walk walk = cb_walk_over(block, lost ? NULL : owner);
    census->blocks++;
    while (walk.next < walk.end) {
        count_next(census, &walk, lost);
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
        count_block(census, block, owner);
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
