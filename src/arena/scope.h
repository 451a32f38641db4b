/*
 * The scopes of an arena: a stack of records, [0] the arena itself, [depth] the innermost.
 *
 * Layer:     arena. Includes cutback.h, ring.h and hooks.h only.
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
#include "arena/ring.h"

/* ---- where the memory lies ---- */

/* Offset of the memory from the base. */
static inline size_t cb_scope_bottom(const cutback_arena *arena) {
    return (size_t)((uintptr_t)arena->memory - arena->base);
}

/* The byte at an offset from the base. */
static inline unsigned char *cb_scope_byte(const cutback_arena *arena, size_t offset) {
    return (unsigned char *)arena->memory + (offset - cb_scope_bottom(arena));
}

/* ---- records ---- */

/* How much the records take up at the end of the memory when `depth` scopes are open; the slack is for
 * alignment. */
static inline size_t cb_scope_reserve(const cutback_arena *arena, size_t depth) {
    uintptr_t end = (uintptr_t)arena->memory + arena->capacity;
    if (depth <= CUTBACK_SCOPES)
        return 0;
    return (depth - CUTBACK_SCOPES) * sizeof(cutback_scope) + (size_t)(end % _Alignof(cutback_scope));
}

/* The record of an open scope. It is as writable as the arena really is, like what strchr returns. */
CB_RING_SMALL cutback_scope *cb_scope_at(const cutback_arena *arena, size_t index) {
    if (index <= CUTBACK_SCOPES)
        return (cutback_scope *)&arena->scopes[index];
    return (cutback_scope *)(void *)((unsigned char *)arena->memory + arena->capacity -
                                     cb_scope_reserve(arena, index));
}

static inline cutback_scope *cb_scope_innermost(const cutback_arena *arena) {
    return cb_scope_at(arena, arena->depth);
}

/* The span of the block that was newest when the scope was opened. */
static inline struct cb_span cb_scope_beneath(const cutback_scope *scope) {
    return cb_span_of(scope->newest, scope->start);
}

/* The cursor when it was opened. */
static inline size_t cb_scope_start(const cutback_scope *scope) {
    return cb_scope_beneath(scope).end;
}

/* Blocks below the end of the scope. */
static inline size_t cb_scope_blocks(const cutback_arena *arena, size_t index) {
    return index < arena->depth ? cb_scope_at(arena, index + 1)->first : cb_ring_blocks(arena);
}

/* Live blocks that belong to it. */
static inline size_t cb_scope_live(const cutback_arena *arena, size_t index) {
    const cutback_scope *scope = cb_scope_at(arena, index);
    return cb_scope_blocks(arena, index) - scope->first - scope->dead;
}

/* Whether the scope of the mark is open. */
static inline bool cb_scope_open(const cutback_arena *arena, cutback_mark mark) {
    return mark.arena == arena && mark.depth != 0 && mark.depth <= arena->depth &&
           cb_scope_at(arena, mark.depth)->id == mark.id;
}

/* Makes `depth` the number of open scopes: one more, to be filled in, or fewer. False if there is no room for
 * it. */
CB_RING_SMALL bool cb_scope_set_depth(cutback_arena *arena, size_t depth) {
    size_t reserve = cb_scope_reserve(arena, depth);
    size_t end = cb_scope_bottom(arena) + arena->capacity;
    if (reserve > end - cb_ring_cursor(arena))
        return false;
    size_t limit = end - reserve;
    if (limit < arena->limit)
        cb_hook_show(cb_scope_byte(arena, limit), arena->limit - limit);
    else
        cb_hook_hide(cb_scope_byte(arena, arena->limit), limit - arena->limit);
    arena->depth = depth;
    arena->limit = limit;
    arena->end = cb_ring_fast(arena) ? limit : 0;
    return true;
}

#endif
