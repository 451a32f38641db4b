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
    size_t end = 0;
    if (arena->count > arena->slots || (arena->slots != 0 ? arena->first >= arena->slots : arena->first != 0))
        return "A2: the ring holds more than it can";
    for (size_t i = 0; i < arena->count; i++) {
        const cutback_slot *slot = cb_ring_at(arena, i);
        if (cb_ring_start(slot) < slot->before || cb_ring_end(arena, i) <= cb_ring_start(slot))
            return "R1: the entries are not in address order";
        if (i != 0 && slot->before <= end)
            return "R2: an entry begins inside the one beneath it";
        end = cb_ring_start(slot);
    }
    if (arena->count != 0 && end >= arena->cursor)
        return "R3: the newest entry does not end at the cursor";
    return NULL;
}

static inline const char *cb_check_scopes(const cutback_arena *arena) {
    size_t i = 0;
    if (arena->scopes[0].start != 0 || arena->scopes[0].id != 0)
        return "A3: the outermost scope is not the arena";
    for (i = 1; i <= arena->depth; i++) {
        const cutback_scope *outer = cb_scope_at(arena, i - 1);
        const cutback_scope *inner = cb_scope_at(arena, i);
        if (inner->start < outer->start)
            return "A3: a scope starts below the one that encloses it";
        if (inner->id <= outer->id || inner->id > arena->marks)
            return "A3: the numbers of the marks do not rise";
    }
    if (cb_scope_innermost(arena)->start > arena->cursor)
        return "A4: the cursor is below the start of the innermost scope";
    return NULL;
}

static inline const char *cb_check_live(const cutback_arena *arena) {
    size_t position = 0;
    for (size_t i = 0; i <= arena->depth; i++) {
        size_t end = i < arena->depth ? cb_scope_at(arena, i + 1)->start : arena->cursor;
        size_t live = 0;
        for (; position < arena->count && cb_ring_start(cb_ring_at(arena, position)) < end; position++)
            live += !cb_ring_dead(cb_ring_at(arena, position));
        if (live > cb_scope_at(arena, i)->live)
            return "A6: the ring knows more live blocks than the scope";
    }
    return NULL;
}

static inline const char *cb_check_settled(const cutback_arena *arena) {
    const cutback_scope *scope = cb_scope_innermost(arena);
    if (scope->live == 0)
        return scope->start == arena->cursor ? NULL : "A7: an empty scope was not cut back";
    if (arena->count != 0 && cb_ring_start(cb_ring_newest(arena)) >= scope->start &&
        cb_ring_dead(cb_ring_newest(arena)))
        return "A7: a dead block on top was not taken back";
    return NULL;
}

/* NULL if the invariants hold, else which one does not. */
static inline const char *cb_arena_check(const cutback_arena *arena) {
    const char *fault = NULL;
    if (arena->memory == NULL)
        return NULL;
    if (arena->cursor > arena->peak || arena->peak > arena->capacity || arena->capacity > SIZE_MAX / 2 ||
        arena->cursor > arena->limit ||
        arena->capacity - arena->limit != cb_scope_reserve(arena, arena->depth))
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
