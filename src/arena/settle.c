/*
 * The arena: find a block, count it as dead, and let the cursor fall as far as that allows. Any block, any arena; free.c
 * has the usual cases.
 *
 * Layer:     arena. Freestanding; includes the arena's own headers only.
 * Threading: as the arena: one thread at a time.
 */
#include "arena/arena.h"

/* The index of the scope that the block at `start` belongs to (A5): the innermost as a rule, else found by
 * bisection. */
static size_t cb_arena_scope_of(const cutback_arena *arena, size_t start) {
    size_t low = 0;
    size_t high = arena->depth;
#if defined(__OPTIMIZE_SIZE__)
    while (start < cb_scope_start(cb_scope_at(arena, high)))
        high--;
    low = high;
#else
    if (start >= cb_scope_start(cb_scope_at(arena, high)))
        return high;
    while (high - low > 1) { /* scope low starts at or below the block, scope high above it */
        size_t middle = low + (high - low) / 2;
        if (cb_scope_start(cb_scope_at(arena, middle)) <= start)
            low = middle;
        else
            high = middle;
    }
#endif
    return low;
}

/* The number of the block that `start` lies in or in whose padding; SIZE_MAX if the ring knows none so low. Puts
 * into *horizon where the part of the memory begins that the ring knows. */
static size_t cb_arena_find(const cutback_arena *arena, size_t start, size_t *horizon) {
    size_t blocks = cb_ring_blocks(arena);
#if defined(__OPTIMIZE_SIZE__)
    size_t end = blocks;
#else
    size_t low = cb_arena_max(arena->lapped, arena->forgotten);
    if (low < blocks && arena->length != 0) {
        *horizon = cb_ring_before(arena, low);
        if (start >= *horizon)
            return cb_ring_find(arena, low, blocks, start);
    }
    size_t end = arena->lapped;
#endif
    size_t first = cb_ring_first(arena);
    *horizon = first < blocks ? cb_ring_before(arena, first) : cb_ring_cursor(arena);
    return start >= *horizon ? cb_ring_find(arena, first, end, start) : SIZE_MAX;
}

/* Whether block `number`, known and in the scope, was freed. If it is the last before a mark, the record of that
 * mark's scope says so. */
static bool cb_arena_dead(const cutback_arena *arena, size_t number, struct cb_span span, size_t scope) {
    if (span.dead || scope == arena->depth)
        return span.dead;
    const cutback_scope *inner = cb_scope_at(arena, scope + 1);
    return inner->first == number + 1 && cb_scope_beneath(inner).dead;
}

struct cb_arena_block cb_arena_identify(const cutback_arena *arena, const void *ptr, size_t size) {
    size_t start = (size_t)((uintptr_t)ptr - arena->base); /* huge if ptr is below */
    struct cb_arena_block block = {CB_ARENA_NONE, start, 0, SIZE_MAX, 0};
    struct cb_span span = {start, 0, false};
    if (start >= cb_ring_cursor(arena) || start < cb_scope_bottom(arena))
        return block;
    block.number = cb_arena_find(arena, start, &span.end);
    bool known = block.number != SIZE_MAX;
    if (known)
        span = cb_ring_span(arena, block.number);
    block.end = span.end;
    if (span.start != start || size > span.end - start)
        return block;
    block.scope = cb_arena_scope_of(arena, start);
    if ((known && cb_arena_dead(arena, block.number, span, block.scope)) ||
        cb_scope_live(arena, block.scope) == 0)
        block.kind = CB_ARENA_DEAD;
    else
        block.kind = known ? CB_ARENA_KNOWN : CB_ARENA_FORGOTTEN;
    return block;
}

void cb_arena_set_floor(cutback_arena *arena) {
    enum { LOOK = 8 };
    const cutback_scope *scope = cb_scope_innermost(arena);
    size_t blocks = cb_ring_blocks(arena);
    size_t floor = cb_arena_max(scope->first, cb_arena_max(arena->lapped, arena->forgotten));
    if (!cb_ring_fast(arena)) {
        arena->floor = arena->slot;
        return;
    }
    if (scope->dead != 0) {
        size_t low = blocks - floor > LOOK ? blocks - LOOK : floor;
        size_t k = blocks;
        while (k > low + 1 && !cb_ring_beneath(arena, k - 1).dead)
            k--;
        floor = cb_arena_min(cb_arena_max(k, scope->first + scope->dead + 1), blocks);
    }
    arena->floor = arena->ring + (floor - arena->lapped);
}

size_t cb_arena_settle(cutback_arena *arena, bool dead) {
    cutback_scope *scope = cb_scope_innermost(arena);
    size_t before = cb_ring_blocks(arena);
    size_t blocks = before;
    while (dead && blocks > scope->first) {
        cb_ring_unlap(arena);
        if (blocks <= arena->forgotten)
            break; /* dead, but not known any more */
        struct cb_span beneath = cb_ring_beneath(arena, --blocks);
        cb_ring_cut(arena, blocks, beneath);
        scope->dead--;
        dead = beneath.dead;
    }
    if (blocks - scope->first == scope->dead) { /* nothing is live */
        blocks = scope->first;
        scope->dead = 0;
        cb_ring_cut(arena, blocks, cb_scope_beneath(scope));
    }
    cb_arena_set_floor(arena);
    return before - blocks;
}

/* Counts a block of an enclosing scope as dead, which changes nothing until the scopes inside have ended. */
static void cb_arena_free_outer(cutback_arena *arena, struct cb_arena_block block) {
    cutback_scope *scope = cb_scope_at(arena, block.scope);
    cutback_scope *inner = cb_scope_at(arena, block.scope + 1);
    size_t floor = 0;
    scope->dead++;
    if (block.kind == CB_ARENA_KNOWN) {
        floor = block.number + 2;
        if (block.number + 1 == inner->first) {
            size_t start = inner->newest;
            inner->newest = inner->start;
            inner->start = start;
        } else {
            cb_ring_kill(arena, block.number);
        }
    }
    if (cb_ring_fast(arena)) {
        floor = cb_arena_max(inner->floor, cb_arena_max(floor, scope->first + scope->dead + 1));
        inner->floor = floor <= inner->first ? floor : SIZE_MAX;
    }
}

/* Frees a block of the innermost scope. */
static void cb_arena_free_inner(cutback_arena *arena, struct cb_arena_block block) {
    cutback_scope *scope = cb_scope_innermost(arena);
    size_t blocks = cb_ring_blocks(arena);
    size_t floor = 0;
    scope->dead++;
    if (block.kind == CB_ARENA_KNOWN && block.number + 1 == blocks) {
        arena->rewinds += cb_arena_settle(arena, true) > 1;
        return;
    }
    if (cb_scope_live(arena, arena->depth) == 0) {
        arena->rewinds += cb_arena_settle(arena, false) > 1;
        return;
    }
    if (block.kind == CB_ARENA_KNOWN) {
        cb_ring_kill(arena, block.number);
        floor = block.number + 2;
    }
    if (cb_ring_fast(arena)) {
        floor = cb_arena_max(floor, scope->first + scope->dead + 1);
        if (floor > arena->lapped + (size_t)(arena->floor - arena->ring))
            arena->floor = arena->ring + (floor - arena->lapped);
    }
}

/* Counts a free for cutback_watch_frees. */
static void cb_arena_count(const cutback_arena *arena, struct cb_arena_block block) {
    size_t above = cb_ring_blocks(arena) - 1 - block.number;
    size_t bucket = 0;
    for (; above != 0 && bucket + 1 < arena->buckets; above >>= 1)
        bucket++;
    if (bucket < arena->buckets)
        arena->distances[bucket]++;
}

void cb_arena_free_any(cutback_arena *arena, void *ptr, size_t size) {
    if (ptr == NULL || size == 0 || !cb_arena_ready(arena))
        return;
    struct cb_arena_block block = cb_arena_identify(arena, ptr, size);
    if (block.kind == CB_ARENA_NONE)
        return;
    if (block.kind == CB_ARENA_DEAD) {
        arena->double_frees++;
        return;
    }
    size_t before = cb_ring_cursor(arena);
    cb_arena_note_peak(arena);
    cb_ring_unlap(arena);
    if (block.kind == CB_ARENA_KNOWN) {
        cb_arena_count(arena, block);
        cb_hook_hide(ptr, block.end - block.start);
    } else {
        arena->forgotten = cb_ring_first(arena); /* so that it is found sooner the next time */
#if !defined(__OPTIMIZE_SIZE__)
        arena->lost = block.end;
#endif
        arena->forgotten_frees++;
        cb_hook_hide(ptr, size);
    }
    if (block.scope == arena->depth)
        cb_arena_free_inner(arena, block);
    else
        cb_arena_free_outer(arena, block);
    cb_hook_hide(cb_scope_byte(arena, cb_ring_cursor(arena)), before - cb_ring_cursor(arena));
}
