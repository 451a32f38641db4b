/*
 * The invariants of the arena, as a function: one check for each of those that ring.h and arena.h state.
 *
 * Layer:     arena, but no part of the library: tests and fuzzers call it after every step. Includes arena.h
 * only. Threading: as the arena: one thread at a time.
 */
#ifndef CB_ARENA_CHECK_H
#define CB_ARENA_CHECK_H

#include "arena/arena.h"

static inline const char *cb_check_ring(const cutback_arena *arena) {
    size_t blocks = cb_ring_blocks(arena);
    size_t end = 0;
    if (arena->slot < arena->floor || arena->slot > arena->last || arena->floor < arena->ring ||
        arena->forgotten > blocks)
        return "A2: the ring holds more than it can";
    for (size_t k = cb_ring_first(arena); k < blocks; k++) {
        struct cb_span span = cb_ring_span(arena, k);
        if (span.start < arena->lost)
            return "A10: a block is known that is taken for lost";
        if (cb_ring_before(arena, k) < end || span.start < cb_ring_before(arena, k) || span.end <= span.start)
            return "R2: the blocks are not in address order";
        end = span.end;
    }
    if (arena->lost > cb_ring_cursor(arena))
        return "A10: more is lost than there is";
    if (end != 0 && end != cb_ring_cursor(arena))
        return "R3: the newest block does not end at the cursor";
    return NULL;
}

static inline const char *cb_check_scopes(const cutback_arena *arena) {
    const cutback_scope *outermost = cb_scope_at(arena, 0);
    if (cb_scope_start(outermost) != cb_scope_bottom(arena) || outermost->id != 0 || outermost->first != 0)
        return "A3: the outermost scope is not the arena";
    for (size_t i = 1; i <= arena->depth; i++) {
        const cutback_scope *outer = cb_scope_at(arena, i - 1);
        const cutback_scope *inner = cb_scope_at(arena, i);
        if (cb_scope_start(inner) < cb_scope_start(outer) || inner->first < outer->first)
            return "A3: a scope starts below the one that encloses it";
        if (inner->id <= outer->id || inner->id > arena->marks)
            return "A3: the numbers of the marks do not rise";
    }
    if (cb_scope_start(cb_scope_innermost(arena)) > cb_ring_cursor(arena) ||
        cb_scope_innermost(arena)->first > cb_ring_blocks(arena))
        return "A4: the cursor is below the start of the innermost scope";
    return NULL;
}

/* Whether block k of scope i is dead; it is known, or the newest. */
static inline bool cb_check_dead(const cutback_arena *arena, size_t i, size_t k) {
    if (k + 1 == cb_scope_blocks(arena, i) && i < arena->depth)
        return cb_scope_beneath(cb_scope_at(arena, i + 1)).dead;
    return cb_ring_span(arena, k).dead;
}

/* Whether the floor of scope i is where A8 allows it. */
static inline bool cb_check_floor(const cutback_arena *arena, size_t i, size_t floor, size_t known) {
    const cutback_scope *scope = cb_scope_at(arena, i);
    size_t blocks = cb_scope_blocks(arena, i);
    if (floor > blocks || floor < scope->first || floor < known)
        return false;
    for (size_t k = floor; k < blocks; k++)
        if (cb_check_dead(arena, i, k))
            return false;
    return scope->dead == 0 || (floor > scope->first + scope->dead && (floor - 1 < known || floor == blocks ||
                                                                       !cb_check_dead(arena, i, floor - 1)));
}

static inline const char *cb_check_live(const cutback_arena *arena) {
    size_t known = cb_ring_first(arena);
    for (size_t i = 0; i <= arena->depth; i++) {
        const cutback_scope *scope = cb_scope_at(arena, i);
        size_t blocks = cb_scope_blocks(arena, i);
        size_t floor = i < arena->depth ? cb_scope_at(arena, i + 1)->floor
                                        : arena->lapped + (size_t)(arena->floor - arena->ring);
        size_t dead = 0;
        for (size_t k = cb_arena_max(known, scope->first); k < blocks; k++)
            dead += cb_check_dead(arena, i, k);
        if (scope->first + scope->dead > blocks || dead > scope->dead)
            return "A6: the ring knows more dead blocks than the scope";
        if (arena->state != CB_ARENA_FAST)
            floor = SIZE_MAX;
        if (floor != SIZE_MAX && floor >= arena->lapped && floor >= arena->forgotten && floor != blocks &&
            !cb_check_floor(arena, i, floor, known))
            return "A8: a block could be popped that should be looked at";
    }
    return NULL;
}

static inline const char *cb_check_settled(const cutback_arena *arena) {
    const cutback_scope *scope = cb_scope_innermost(arena);
    size_t blocks = cb_ring_blocks(arena);
    if (cb_scope_live(arena, arena->depth) == 0)
        return blocks == scope->first ? NULL : "A7: an empty scope was not cut back";
    if (cb_ring_top(arena).dead)
        return "A7: a dead block on top was not taken back";
    for (size_t i = 1; i <= arena->depth; i++) {
        const cutback_scope *inner = cb_scope_at(arena, i);
        const cutback_scope *outer = cb_scope_at(arena, i - 1);
        bool empty = outer->dead != 0 && outer->first + outer->dead == inner->first;
        if ((empty || cb_scope_beneath(inner).dead) && inner->floor != SIZE_MAX)
            return "A8: an enclosing scope that is not settled is taken for settled";
    }
    return NULL;
}

/* While frees are put off. */
static inline const char *cb_check_put_off(const cutback_arena *arena) {
    size_t blocks = cb_ring_blocks(arena);
    uint64_t top = arena->top;
    if (arena->state != CB_ARENA_FAST || arena->depth > CUTBACK_SCOPES || arena->end != 0 ||
        arena->shallow != 0 || arena->floor != arena->slot)
        return "A9: the fast path is open while frees are put off";
    if (arena->low < arena->ring || arena->low >= arena->slot ||
        arena->lapped + (size_t)(arena->low - arena->ring) < cb_scope_innermost(arena)->first ||
        (arena->lent != NULL && (arena->lent != arena->slot || arena->lent->word != top)) ||
        (arena->lent == NULL && arena->slot->word != top))
        return "A9: the newest block is not where it is searched for";
    for (size_t i = 0; arena->put_off >> i != 0; i++)
        if ((arena->put_off >> i & 1) != 0 && (i >= blocks || arena->slot - arena->low <= (ptrdiff_t)i ||
                                               (i != 0 && cb_ring_span(arena, blocks - 1 - i).dead)))
            return "A9: a free is put off of a block that is not live";
    for (const cutback_slot *at = arena->slot; at > arena->low && arena->slot - at < 8; at--)
        if ((uint32_t)at->word < (uint32_t)(at->word >> 32))
            return "A9: a dead block near the top is not among those that were put off";
    return NULL;
}

/* NULL if the invariants hold, else which one does not. */
static inline const char *cb_arena_check(const cutback_arena *arena) {
    const char *fault = NULL;
    if (arena->state <= CB_ARENA_DECLARED)
        return NULL;
    if (arena->put_off != 0)
        return cb_check_put_off(arena);
    size_t end = cb_scope_bottom(arena) + arena->capacity;
    if (arena->peak > end || cb_ring_cursor(arena) > arena->limit ||
        end - arena->limit != cb_scope_reserve(arena, arena->depth) ||
        arena->end != (arena->state == CB_ARENA_FAST ? arena->limit : 0))
        return "A1: the cursor is beyond the end";
    fault = cb_check_ring(arena);
    if (fault == NULL)
        fault = cb_check_scopes(arena);
    if (fault == NULL)
        fault = cb_check_live(arena);
    if (fault == NULL)
        fault = cb_check_settled(arena);
    return fault;
}

#endif
