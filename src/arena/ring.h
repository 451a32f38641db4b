/*
 * The ring: the last `length` blocks of an arena.
 *
 * Layer:     arena. Includes cutback.h only.
 * Threading: as the arena: one thread at a time.
 *
 * Blocks are numbered from the bottom of the memory: block k has k blocks beneath it, live, dead or forgotten.
 * A *span* is where a block starts and ends. The newest block's span is in the arena itself (`top`). When block
 * k is pushed, its slot gets the span of block k - 1, and `top` the span of block k. So
 *   R1  slot k says where block k - 1 starts and ends, which is where block k begins (before its padding);
 *   R2  the span of block k is in slot k + 1, or in `top`; spans are in address order;
 *   R3  the newest block ends at the cursor.
 * A dead block has its span the other way round: its end before its start. `top` never has: the block that was
 * newest when a scope was opened, and died since, is turned round in the record of that scope.
 *
 * The slots of blocks `lapped` to the newest are ring[0] up to `slot`: this lap. The rest of the ring, from
 * `slot` on, is of the lap before: blocks lapped - length + (slot - ring) to lapped - 1. Of these, the first
 * ones may have been overwritten in this lap, by blocks that have gone again; the others are known (cb_ring_first
 * tells how many). Nothing is counted for that when a block is pushed or popped, but in a library compiled for size:
 *   R4  every slot that was written in this lap says an end at or above that of block lapped - 1, every older
 *       one an end below it.
 * That end must not change in this lap; whoever changes it calls cb_ring_unlap first.
 */
#ifndef CB_ARENA_RING_H
#define CB_ARENA_RING_H

#include "cutback.h"

#if defined(CUTBACK_MINIMAL)
#error "with CUTBACK_MINIMAL the library is arena/minimal.c and nothing else"
#endif

/* The bytes from the base on from which an arena is wide. Tests make it small. */
#ifndef CB_RING_WIDE
#define CB_RING_WIDE UINT32_MAX
#endif

/* Of `state`. */
enum {
    CB_ARENA_UNSET,
    CB_ARENA_DECLARED, /* by CUTBACK_INIT: not used yet */
    CB_ARENA_FAST,
    CB_ARENA_SLOW, /* every call is a cold one: a memory checker looks on, or there is no ring */
    CB_ARENA_WIDE, /* as well, and offsets from the base take more than 32 bits: a block has two slots */
};

/* Whether the arena may take the fast path. In a library that is compiled for size (-Os) none does: what has to be known
 * for it, and the cases beside it, are most of the code. */
static inline bool cb_ring_fast(const cutback_arena *arena) {
#if defined(__OPTIMIZE_SIZE__)
    (void)arena;
    return false;
#else
    return arena->state == CB_ARENA_FAST;
#endif
}

/* Expanded, but for a library that is compiled for size. */
#if defined(__OPTIMIZE_SIZE__) && defined(__GNUC__)
#define CB_RING_SMALL static __attribute__((noinline, unused))
#else
#define CB_RING_SMALL static inline
#endif

/* Where a block starts and ends, as offsets from the base. */
struct cb_span {
    size_t start;
    size_t end;
    bool dead;
};

static inline bool cb_ring_wide(const cutback_arena *arena) {
    return (SIZE_MAX > UINT32_MAX || CB_RING_WIDE == 1) && arena->state == CB_ARENA_WIDE;
}

static inline struct cb_span cb_span_of(size_t first, size_t second) {
    struct cb_span span = {first, second, false};
    if (first > second) {
        span.start = second;
        span.end = first;
        span.dead = true;
    }
    return span;
}

/* ---- the newest block ---- */

static inline size_t cb_ring_cursor(const cutback_arena *arena) {
    return cb_ring_wide(arena) ? arena->wide_cursor : (size_t)(uint32_t)arena->top;
}

static inline struct cb_span cb_ring_top(const cutback_arena *arena) {
    if (cb_ring_wide(arena))
        return cb_span_of(arena->wide_newest, arena->wide_cursor);
    return cb_span_of((size_t)(arena->top >> 32), (size_t)(uint32_t)arena->top);
}

/* Makes this the newest block; a dead one is turned the right way round. */
static inline void cb_ring_set_top(cutback_arena *arena, struct cb_span span) {
#if !defined(__OPTIMIZE_SIZE__) /* which does not use it */
    if (arena->lost > span.end)
        arena->lost = span.end;
#endif
    if (cb_ring_wide(arena)) {
        arena->wide_newest = span.start;
        arena->wide_cursor = span.end;
    } else {
        arena->top = (uint64_t)span.start << 32 | span.end;
    }
}

/* ---- slots ---- */

/* Slots that have been written in this lap. */
static inline size_t cb_ring_position(const cutback_arena *arena) {
    return (size_t)(arena->slot - arena->ring) >> cb_ring_wide(arena);
}

/* Blocks below the cursor. */
CB_RING_SMALL size_t cb_ring_blocks(const cutback_arena *arena) {
    return arena->lapped + (arena->length != 0 ? cb_ring_position(arena) : 0);
}

/* The slot of block k, which is of this lap or the one before. */
CB_RING_SMALL cutback_slot *cb_ring_slot(const cutback_arena *arena, size_t k) {
    size_t position = k - arena->lapped + (k < arena->lapped ? arena->length : 0);
    return &arena->ring[position << cb_ring_wide(arena)];
}

/* The span of block k - 1, as slot k has it. */
static inline struct cb_span cb_ring_beneath(const cutback_arena *arena, size_t k) {
    const cutback_slot *slot = cb_ring_slot(arena, k);
    if (cb_ring_wide(arena))
        return cb_span_of((size_t)slot[0].word, (size_t)slot[1].word);
    return cb_span_of((size_t)(slot->word >> 32), (size_t)(uint32_t)slot->word);
}

/* Where block k begins, before its padding. */
static inline size_t cb_ring_before(const cutback_arena *arena, size_t k) {
    return cb_ring_beneath(arena, k).end;
}

/* The span of block k, which is the newest or the one beneath a known one. */
static inline struct cb_span cb_ring_span(const cutback_arena *arena, size_t k) {
    return k + 1 == cb_ring_blocks(arena) ? cb_ring_top(arena) : cb_ring_beneath(arena, k + 1);
}

/* Turns the span of block k round; block k + 1 is known. */
static inline void cb_ring_kill(cutback_arena *arena, size_t k) {
    cutback_slot *slot = cb_ring_slot(arena, k + 1);
    if (cb_ring_wide(arena)) {
        uint64_t start = slot[0].word;
        slot[0].word = slot[1].word;
        slot[1].word = start;
    } else {
        slot->word = slot->word << 32 | slot->word >> 32;
    }
}

/* Adds a block on top. Any block may be the first of a lap. */
static inline void cb_ring_push(cutback_arena *arena, struct cb_span span) {
#if defined(__OPTIMIZE_SIZE__)
    if (cb_ring_blocks(arena) - arena->forgotten == arena->length)
        arena->forgotten++; /* the oldest that is known; or, without a ring, this one */
#endif
    if (arena->length == 0) {
        arena->lapped++;
    } else {
        if (arena->slot == arena->last) {
            arena->slot = arena->ring;
            arena->lapped += arena->length;
        }
        if (cb_ring_wide(arena)) {
            arena->slot[0].word = arena->wide_newest;
            arena->slot[1].word = arena->wide_cursor;
        } else {
            arena->slot->word = arena->top;
        }
        arena->slot += (size_t)1 << cb_ring_wide(arena);
    }
    cb_ring_set_top(arena, span);
}

/* ---- which blocks are known ---- */

/* The oldest block that the ring knows; the number of blocks if it knows none. O(log length). Compiled for size, it is
 * counted with each push. */
size_t cb_ring_first(const cutback_arena *arena);

/* Goes back to the lap before if nothing of this one is left, and something of that one is known. */
void cb_ring_unlap(cutback_arena *arena);

/* Leaves the lowest `blocks` blocks, of which the newest is where `top` says. */
void cb_ring_cut(cutback_arena *arena, size_t blocks, struct cb_span top);

/*
 * The newest of blocks low to high - 1 that begins at or below `place`. Block `low` does; all are of one lap
 * and known. The last eight are looked at first, then twice as many, and so on; compiled for size, one after the other,
 * and all that are known will do.
 */
size_t cb_ring_find(const cutback_arena *arena, size_t low, size_t high, size_t place);

#endif
