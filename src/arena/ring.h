/*
 * The ring: the last `slots` blocks of an arena, oldest first.
 *
 * Layer:     arena. Includes cutback.h only.
 * Threading: as the arena: one thread at a time.
 *
 * A *position* counts from the oldest entry: 0 is the oldest, count - 1 the newest.
 *
 * Entries come in at the newest end (allocation) and leave at either: at the oldest when the ring is full, at
 * the newest when the cursor moves back. The cursor only ever moves up from the end of the newest entry. So
 *   R1  entries are in address order, and a block is found by bisection;
 *   R2  each entry begins (before its padding) where the one beneath it ends;
 *   R3  the newest entry ends at the cursor.
 * R2 and R3 are why no entry holds a size.
 */
#ifndef CB_ARENA_RING_H
#define CB_ARENA_RING_H

#include "cutback.h"

static inline cutback_slot *cb_ring_at(const cutback_arena *arena, size_t position) {
    size_t index = arena->first + position;
    return &arena->ring[index < arena->slots ? index : index - arena->slots];
}

static inline size_t cb_ring_start(const cutback_slot *slot) {
    return slot->tag >> 1;
}

static inline bool cb_ring_dead(const cutback_slot *slot) {
    return (slot->tag & 1) != 0;
}

static inline void cb_ring_kill(cutback_slot *slot) {
    slot->tag |= 1;
}

/* The newest entry. The ring is not empty. */
static inline cutback_slot *cb_ring_newest(const cutback_arena *arena) {
    return cb_ring_at(arena, arena->count - 1);
}

/* Where the memory that the ring knows begins: at this offset and above, every block is in the ring. */
static inline size_t cb_ring_horizon(const cutback_arena *arena) {
    return arena->count != 0 ? arena->ring[arena->first].before : arena->cursor;
}

/* Where the block at `position` ends. */
static inline size_t cb_ring_end(const cutback_arena *arena, size_t position) {
    return position + 1 < arena->count ? cb_ring_at(arena, position + 1)->before : arena->cursor;
}

/* Remembers the block at `start`, forgetting the oldest one if the ring is full. */
static inline void cb_ring_push(cutback_arena *arena, size_t before, size_t start) {
    if (arena->slots == 0)
        return;
    if (arena->count == arena->slots) {
        arena->first = arena->first + 1 < arena->slots ? arena->first + 1 : 0;
        arena->count--;
    }
    cutback_slot *slot = cb_ring_at(arena, arena->count++);
    slot->before = before;
    slot->tag = start << 1;
}

/* The position of the block that starts at `start`, or `count` if there is none. O(1) for the newest, else
 * O(log). */
static inline size_t cb_ring_find(const cutback_arena *arena, size_t start) {
    size_t low = 0;
    size_t high = arena->count;
    if (high != 0 && cb_ring_start(cb_ring_newest(arena)) == start)
        return high - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (cb_ring_start(cb_ring_at(arena, middle)) < start)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < arena->count && cb_ring_start(cb_ring_at(arena, low)) == start)
        return low;
    return arena->count;
}

#endif
