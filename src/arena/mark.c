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

cutback_mark cutback_cold_mark(cutback_arena *arena) {
    cutback_mark mark;
    cb_arena_catch_up(arena);
    bool ready = cb_arena_ready(arena);
    bool opens = ready && cb_scope_set_depth(arena, arena->depth + 1);
    if (opens) {
        cutback_scope *scope = cb_scope_innermost(arena);
        struct cb_span newest = cb_ring_top(arena);
        scope->id = ++arena->marks;
        scope->newest = newest.start;
        scope->start = newest.end;
        scope->first = cb_ring_blocks(arena);
        scope->dead = 0;
        scope->floor = SIZE_MAX;
        if (cb_ring_fast(arena))
            scope->floor = arena->lapped + (size_t)(arena->floor - arena->ring);
        arena->floor = arena->slot;
    } else if (ready) {
        arena->failed_requests++;
    }
    mark.arena = opens ? arena : NULL;
    mark.id = opens ? arena->marks : 0;
    mark.depth = opens ? arena->depth : 0;
    return mark;
}

bool cutback_mark_open(const cutback_arena *arena, cutback_mark mark) {
    return cb_scope_open(arena, mark);
}

bool cutback_cold_reset(cutback_arena *arena, cutback_mark mark) {
    if (!cb_scope_open(arena, mark))
        return false;
    cb_arena_catch_up(arena);
    const cutback_scope scope = *cb_scope_at(arena, mark.depth);
    struct cb_span newest = cb_scope_beneath(&scope);
    size_t before = cb_ring_cursor(arena);
    cb_arena_note_peak(arena);
    cb_ring_cut(arena, scope.first, newest);
    cb_scope_set_depth(arena, mark.depth - 1);
    arena->rewinds += cb_arena_settle(arena, newest.dead) != 0;
    cb_hook_hide(cb_scope_byte(arena, cb_ring_cursor(arena)), before - cb_ring_cursor(arena));
    return true;
}

/* Whether the newest block is dead: known by the record of a scope that was opened on it. Whatever such a record
 * says of older blocks goes into their slots. The scopes from `depth` on are about to end. */
static bool cb_mark_dead_newest(cutback_arena *arena, size_t depth) {
    size_t blocks = cb_ring_blocks(arena);
    size_t known = cb_ring_first(arena);
    bool dead = false;
    for (size_t i = depth; i <= arena->depth; i++) {
        const cutback_scope *scope = cb_scope_at(arena, i);
        if (!cb_scope_beneath(scope).dead)
            continue;
        if (scope->first == blocks)
            dead = true;
        else if (scope->first >= known)
            cb_ring_kill(arena, scope->first - 1);
    }
    return dead;
}

bool cutback_commit(cutback_arena *arena, cutback_mark mark) {
    if (!cb_scope_open(arena, mark))
        return false;
    cb_arena_catch_up(arena);
    size_t before = cb_ring_cursor(arena);
    size_t dead = 0;
    bool newest_dead = cb_mark_dead_newest(arena, mark.depth);
    for (size_t i = mark.depth; i <= arena->depth; i++)
        dead += cb_scope_at(arena, i)->dead;
    cb_arena_note_peak(arena);
    cb_scope_set_depth(arena, mark.depth - 1);
    cb_scope_innermost(arena)->dead += dead;
    arena->rewinds += cb_arena_settle(arena, newest_dead) != 0;
    cb_hook_hide(cb_scope_byte(arena, cb_ring_cursor(arena)), before - cb_ring_cursor(arena));
    return true;
}
