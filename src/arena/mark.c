/*
 * The arena: scopes, opened by a mark, ended by reset or commit.
 *
 * Layer:     arena. Freestanding; includes the arena's own headers only.
 * Threading: as the arena: one thread at a time.
 *
 * The open scopes are a stack in the arena, each with a number that no other mark of this arena ever had. A
 * mark is the number and the place in the stack, so that one comparison tells whether its scope is still
 * open.
 */
#include "arena/arena.h"

cutback_mark cutback_mark_set(cutback_arena *arena) {
    cutback_mark mark;
    bool opens = arena->memory != NULL && cb_scope_set_depth(arena, arena->depth + 1);
    if (opens) {
        cutback_scope *scope = cb_scope_innermost(arena);
        scope->id = ++arena->marks;
        scope->start = arena->cursor;
        scope->live = 0;
    } else if (arena->memory != NULL) {
        arena->failed_requests++;
    }
    mark.arena = opens ? arena : NULL;
    mark.id = opens ? arena->marks : 0;
    mark.depth = opens ? arena->depth : 0;
    return mark;
}

static bool cb_mark_open(const cutback_arena *arena, cutback_mark mark) {
    return mark.arena == arena && mark.depth != 0 && mark.depth <= arena->depth &&
           cb_scope_at(arena, mark.depth)->id == mark.id;
}

bool cutback_reset(cutback_arena *arena, cutback_mark mark) {
    if (!cb_mark_open(arena, mark))
        return false;
    size_t before = arena->cursor;
    cb_scope_set_depth(arena, mark.depth);
    cb_scope_innermost(arena)->live = 0;
    cb_arena_settle(arena); /* with nothing live, the scope and its entries in the ring go */
    cb_scope_set_depth(arena, mark.depth - 1);
    cb_arena_settle(arena);
    arena->rewinds += arena->cursor < before;
    return true;
}

bool cutback_commit(cutback_arena *arena, cutback_mark mark) {
    if (!cb_mark_open(arena, mark))
        return false;
    size_t before = arena->cursor;
    size_t live = 0;
    for (size_t i = mark.depth; i <= arena->depth; i++)
        live += cb_scope_at(arena, i)->live;
    cb_scope_set_depth(arena, mark.depth - 1);
    cb_scope_innermost(arena)->live += live;
    cb_arena_settle(arena);
    arena->rewinds += arena->cursor < before;
    return true;
}
