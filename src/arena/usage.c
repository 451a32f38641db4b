/*
 * The arena: figures. What they need is counted anyway, or they are had for the asking and cost nothing before.
 *
 * Layer:     arena. Freestanding; includes the arena's own headers only.
 * Threading: as the arena: one thread at a time.
 */
#include "arena/arena.h"

bool cutback_owns(const cutback_arena *arena, const void *ptr) {
    return arena->memory != NULL && (uintptr_t)ptr - (uintptr_t)arena->memory < arena->capacity;
}

size_t cutback_used(const cutback_arena *arena) {
    return arena->state > CB_ARENA_DECLARED ? cb_ring_cursor(arena) - cb_scope_bottom(arena) : 0;
}

size_t cutback_remaining(const cutback_arena *arena) {
    return arena->state > CB_ARENA_DECLARED ? arena->limit - cb_ring_cursor(arena) : arena->capacity;
}

cutback_stats cutback_get_stats(const cutback_arena *arena) {
    cutback_stats stats;
    stats.used = cutback_used(arena);
    stats.peak = stats.used;
    if (arena->state > CB_ARENA_DECLARED && arena->peak > cb_ring_cursor(arena))
        stats.peak = arena->peak - cb_scope_bottom(arena);
    stats.live_blocks = cb_ring_blocks(arena);
    for (size_t i = 0; i <= arena->depth; i++)
        stats.live_blocks -= cb_scope_at(arena, i)->dead;
    stats.rewinds = arena->rewinds;
    stats.forgotten_frees = arena->forgotten_frees;
    stats.double_frees = arena->double_frees;
    stats.failed_requests = arena->failed_requests;
    return stats;
}

/* Whether block k, known and of scope i, is dead. Of the last one before a mark the record of that mark says so. */
static bool cb_usage_dead(const cutback_arena *arena, size_t k, size_t i) {
    if (i < arena->depth && cb_scope_at(arena, i + 1)->first == k + 1)
        return cb_scope_beneath(cb_scope_at(arena, i + 1)).dead;
    return cb_ring_span(arena, k).dead;
}

cutback_usage cutback_get_usage(const cutback_arena *arena) {
    cutback_usage usage = {0, 0, 0, 0};
    if (arena->state <= CB_ARENA_DECLARED)
        return usage;
    size_t blocks = cb_ring_blocks(arena);
    size_t first = cb_ring_first(arena);
    size_t scope = 0;
    usage.forgotten = first < blocks ? cb_ring_before(arena, first) : cb_ring_cursor(arena);
    usage.forgotten -= cb_scope_bottom(arena);
    for (size_t k = first; k < blocks; k++) {
        struct cb_span span = cb_ring_span(arena, k);
        while (scope < arena->depth && cb_scope_at(arena, scope + 1)->first <= k)
            scope++;
        if (cb_usage_dead(arena, k, scope))
            usage.dead += span.end - span.start;
        else
            usage.live += span.end - span.start;
        usage.padding += span.start - cb_ring_before(arena, k);
    }
    return usage;
}

bool cutback_watch_frees(cutback_arena *arena, size_t *counts, size_t n) {
    if (!cb_arena_ready(arena))
        return false;
    unsigned state = arena->state;
    arena->distances = counts;
    arena->buckets = counts != NULL ? n : 0;
    cb_arena_set_state(arena);
    if (arena->state != state) {
        for (size_t i = 1; i <= arena->depth; i++)
            cb_scope_at(arena, i)->floor = SIZE_MAX;
        cb_arena_settle(arena, false); /* for the floor: nothing comes back */
    }
    return true;
}
