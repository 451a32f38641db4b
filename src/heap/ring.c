/*
 * ring.c: see ring.h.
 *
 * Layer: heap. Threads: the owner of the heap only.
 */
#include "heap/ring.h"

#include "heap/meta.h"
#include "heap/pages.h"

#include <string.h>

#define SMALL_FLOOR ((size_t)80 << 10) /* granules: 1.25 MiB */
#define SMALL_SHARE 32
#define MEDIUM_FLOOR ((size_t)32 << 10) /* granules: 512 KiB */
#define MEDIUM_SHARE 32
#define BIG ((size_t)1 << 20)  /* granules: 16 MiB */
#define LEAST ((size_t)1 << 8) /* granules */
#define LEAST_ENTRIES 8
#define LEAST_BYTES 16384
#define SHRINK_AT_ONCE 8

/* What a ring may always hold: a few entries, fewer of large ones. */
static uint16_t least_bound(unsigned index) {
    size_t entries = index == 0 ? 1 : LEAST_BYTES / (cb_ring_granules(index) << CB_GRANULE_SHIFT);
    return (uint16_t)(entries < 1 ? 1 : entries > LEAST_ENTRIES ? LEAST_ENTRIES : entries);
}

void cb_ring_init(struct cb_heap *heap) {
    for (unsigned i = 0; i < CB_RINGS; i++) {
        heap->ring[i].slot = heap->first_slots[i];
        heap->ring[i].room = CB_RING_FIRST;
        heap->ring[i].bound = least_bound(i);
    }
}

/* The rings of one space: small ones come first. */
static unsigned first_of(enum cb_space_kind space) {
    return space == CB_SMALL ? 1 : 64;
}

static unsigned end_of(enum cb_space_kind space) {
    return space == CB_SMALL ? 64 : CB_RINGS;
}

/*
 * Granules that the rings of a space may hold: a floor and a share of what lives, less where the blocks are
 * mostly dead, since a parked object there keeps a page that could go back. Medium objects need less: what
 * dies of them is listed and found again at once, and fits other sizes then. A heap that has been big may
 * keep less of nothing than one that is small all along, for which the floor is most of the speed.
 */
static size_t budget(const struct cb_heap *heap, enum cb_space_kind space) {
    size_t in_use = heap->used - heap->dead; /* what is parked counts too: close enough */
    size_t floor = space == CB_SMALL ? SMALL_FLOOR : MEDIUM_FLOOR;
    if (heap->used_most > BIG) {
        floor /= 32;
    }
    size_t share = floor + in_use / (space == CB_SMALL ? SMALL_SHARE : MEDIUM_SHARE);
    if (in_use < heap->used / 2) {
        share = share * (in_use * 512 / heap->used) / 256;
    }
    return share > LEAST ? share : LEAST;
}

static size_t parked(const struct cb_heap *heap, enum cb_space_kind space) {
    size_t granules = 0;
    if (space == CB_SMALL) {
        for (uint64_t filled = cb_thread.rings; filled != 0; filled &= filled - 1) {
            unsigned i = (unsigned)__builtin_ctzll(filled);
            granules += heap->ring[i].count * i;
        }
        return granules;
    }
    for (unsigned i = first_of(space); i < end_of(space); i++) {
        if (heap->ring[i].count != 0) {
            granules += heap->ring[i].count * cb_ring_granules(i);
        }
    }
    return granules;
}

/* Lets the oldest `count` entries of a ring die. */
static void flush(struct cb_heap *heap, unsigned index, uint32_t count) {
    struct cb_ring *ring = &heap->ring[index];
    size_t granules = cb_ring_granules(index);
    for (uint32_t i = 0; i < count; i++) {
        uintptr_t p = ring->slot[i];
        struct cb_block *block = cb_block_of(p);
        if (CB_LIKELY(block->space == CB_SMALL)) {
            cb_block_die_small(heap, block, p, granules);
        } else {
            cb_map_erase(cb_map_at(p), granules);
            cb_block_die(heap, block, p, granules);
        }
    }
    ring->count = (uint16_t)(ring->count - count);
    memmove(ring->slot, ring->slot + count, ring->count * sizeof *ring->slot);
    if (ring->count == 0 && index < 64) {
        cb_thread.rings &= ~((uint64_t)1 << index);
    }
}

/* Room for twice as many entries. */
static bool grow(struct cb_ring *ring, unsigned index, struct cb_heap *heap) {
    if (ring->bound < ring->room) {
        ring->bound = (uint16_t)(ring->bound * 2 < ring->room ? ring->bound * 2 : ring->room);
        return true;
    }
    if (ring->room >= CB_RING_MOST) {
        return false;
    }
    size_t size = ring->room * sizeof *ring->slot;
    uintptr_t *slot = cb_meta_take(size * 2);
    if (slot == NULL) {
        return false;
    }
    memcpy(slot, ring->slot, ring->count * sizeof *slot);
    if (ring->slot != heap->first_slots[index]) {
        cb_meta_give(ring->slot, size);
    }
    ring->slot = slot;
    ring->room = (uint16_t)(ring->room * 2);
    ring->bound = ring->room;
    return true;
}

/*
 * The next ring of the space in turn gives up half, and may hold no more than that until it earns it again.
 * Returns its granules.
 */
static size_t shrink_next(struct cb_heap *heap, enum cb_space_kind space) {
    for (unsigned tries = first_of(space); tries < end_of(space); tries++) {
        unsigned index = ++heap->ring_hand[space];
        if (index < first_of(space) || index >= end_of(space)) {
            index = heap->ring_hand[space] = first_of(space);
        }
        struct cb_ring *ring = &heap->ring[index];
        uint32_t count = (ring->count + 1U) / 2;
        if (count != 0) {
            uint16_t least = least_bound(index);
            flush(heap, index, count);
            ring->bound = ring->count > least ? ring->count : least;
            return count * cb_ring_granules(index);
        }
    }
    return 0;
}

/* Gives back the pages of a ring's memory that lie behind its bound. */
static void trim_slots(struct cb_ring *ring) {
    uintptr_t page = cb_page_size, from = ((uintptr_t)(ring->slot + ring->bound) + page - 1) & ~(page - 1);
    uintptr_t to = (uintptr_t)(ring->slot + ring->room) & ~(page - 1);
    if (from < to) {
        cb_os_purge((void *)from, to - from);
    }
}

/* Every ring of the space gives up its part of what is held above the limit, and may not hold more for now.
 */
static void shrink_all(struct cb_heap *heap, enum cb_space_kind space, size_t held, size_t limit) {
    for (unsigned i = first_of(space); i < end_of(space); i++) {
        struct cb_ring *ring = &heap->ring[i];
        size_t keep = ring->count * limit / held;
        uint16_t least = least_bound(i);
        if (ring->count != 0) {
            flush(heap, i, ring->count - (uint32_t)keep);
        }
        ring->bound = ring->count > least ? ring->count : least;
        trim_slots(ring);
    }
}

/* When half of what was in use is not any more, rings that nobody frees to would keep what they held before.
 */
static void follow_shrinking(struct cb_heap *heap) {
    size_t in_use = heap->used - heap->dead;
    heap->used_most = in_use > heap->used_most ? in_use : heap->used_most;
    if (in_use > heap->used_last) {
        heap->used_last = in_use;
    } else if (in_use < heap->used_last / 2) {
        heap->used_last = in_use;
        for (int space = CB_SMALL; space < CB_SPACES; space++) {
            size_t limit = budget(heap, (enum cb_space_kind)space),
                   held = parked(heap, (enum cb_space_kind)space);
            if (held > limit) {
                shrink_all(heap, (enum cb_space_kind)space, held, limit);
            }
        }
    }
}

static void make_room(struct cb_heap *heap, unsigned index) {
    struct cb_ring *ring = &heap->ring[index];
    enum cb_space_kind space = index < 64 ? CB_SMALL : CB_MEDIUM;
    follow_shrinking(heap);
    size_t limit = budget(heap, space), held = parked(heap, space);
    if (held + ring->count * cb_ring_granules(index) <= limit && grow(ring, index, heap)) {
        return;
    }
    for (unsigned i = 0; i < SHRINK_AT_ONCE && held > limit; i++) {
        size_t less = shrink_next(heap, space);
        held = held > less ? held - less : 0;
    }
    if (ring->count >= ring->bound) {
        flush(heap, index, (ring->count + 1U) / 2);
    }
}

void cb_ring_full(struct cb_heap *heap, unsigned index) {
    cb_lock_take(&heap->lock);
    make_room(heap, index);
    cb_lock_drop(&heap->lock);
}

void cb_ring_park(struct cb_heap *heap, unsigned index, uintptr_t p) {
    struct cb_ring *ring = &heap->ring[index];
    if (CB_UNLIKELY(ring->count >= ring->bound)) {
        cb_ring_full(heap, index);
    }
    uint8_t *m = cb_map_at(p);
    cb_map_set(m, index < 64 ? CB_PARKED | index : CB_PARKED);
    ring->slot[ring->count++] = p;
    if (index < 64) {
        cb_thread.rings |= (uint64_t)1 << index;
    }
}

void cb_ring_drain(struct cb_heap *heap) {
    for (unsigned i = 1; i < CB_RINGS; i++) {
        flush(heap, i, heap->ring[i].count);
    }
}

void cb_ring_empty_all(struct cb_heap *heap) {
    cb_lock_take(&heap->lock);
    cb_ring_drain(heap);
    cb_lock_drop(&heap->lock);
}
