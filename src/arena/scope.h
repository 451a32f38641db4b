/*
 * The scopes of an arena: a stack of records, [0] the arena itself, [depth] the innermost.
 *
 * Layer:     arena. Includes cutback.h and hooks.h only.
 * Threading: as the arena: one thread at a time.
 *
 * Records 0 to CUTBACK_SCOPES are in the arena. Those of deeper scopes are where nothing can run into them
 * and where the cursor does not count them: at the far end of the memory, growing down towards the cursor.
 *
 *   0        cursor                        limit                       capacity
 *   | blocks |            free             | record 34 | record 33 | slack |
 *
 * `limit` is the end of what can be handed out; it is the capacity until there are such records.
 */
#ifndef CB_ARENA_SCOPE_H
#define CB_ARENA_SCOPE_H

#include "cutback.h"
#include "arena/hooks.h"

/* How much the records take up at the end of the memory when `depth` scopes are open; the slack is for
 * alignment. */
static inline size_t cb_scope_reserve(const cutback_arena *arena, size_t depth) {
    uintptr_t end = (uintptr_t)arena->memory + arena->capacity;
    if (depth <= CUTBACK_SCOPES)
        return 0;
    return (depth - CUTBACK_SCOPES) * sizeof(cutback_scope) + (size_t)(end % _Alignof(cutback_scope));
}

/* The record of an open scope. It is as writable as the arena really is, like what strchr returns. */
static inline cutback_scope *cb_scope_at(const cutback_arena *arena, size_t index) {
    if (index <= CUTBACK_SCOPES)
        return (cutback_scope *)&arena->scopes[index];
    return (cutback_scope *)(void *)(arena->memory + arena->capacity - cb_scope_reserve(arena, index));
}

static inline cutback_scope *cb_scope_innermost(const cutback_arena *arena) {
    return cb_scope_at(arena, arena->depth);
}

/* Makes `depth` the number of open scopes: one more, to be filled in, or fewer. False if there is no room for
 * it. */
static inline bool cb_scope_set_depth(cutback_arena *arena, size_t depth) {
    size_t reserve = cb_scope_reserve(arena, depth);
    if (reserve > arena->capacity - arena->cursor)
        return false;
    size_t limit = arena->capacity - reserve;
    if (limit < arena->limit)
        cb_hook_show(arena->memory + limit, arena->limit - limit);
    else
        cb_hook_hide(arena->memory + arena->limit, limit - arena->limit);
    arena->depth = depth;
    arena->limit = limit;
    return true;
}

#endif
