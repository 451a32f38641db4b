/*
 * The arena: resize a block.
 *
 * Layer:     arena. Freestanding; includes the arena's own headers only.
 * Threading: as the arena: one thread at a time.
 */
#include "arena/arena.h"

static size_t cb_realloc_min(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Whether the block of `size` bytes ends at the cursor and is no older than the innermost scope. */
static bool cb_realloc_on_top(const cutback_arena *arena, struct cb_arena_block block, size_t size) {
    if (block.scope != arena->depth)
        return false;
    return block.kind == CB_ARENA_KNOWN ? block.end == arena->cursor : block.start + size == arena->cursor;
}

/* Resizes the block on top in place, or slides it up to the next place with the alignment. */
static void *cb_realloc_top(cutback_arena *arena, struct cb_arena_block block, size_t old_size,
                            size_t new_size, size_t align) {
    unsigned char *old = arena->memory + block.start;
    size_t place = 0;
    if (!cb_arena_place(arena, block.start, new_size, align, &place))
        return cb_arena_fail(arena);
    size_t before = arena->cursor;
    cb_arena_move_cursor(arena, cb_realloc_min(before, place + new_size));
    cb_hook_show(arena->memory + place, new_size);
    if (place != block.start) {
        cb_hook_show(old, old_size); /* the source, of which the lines above may have hidden the end */
        memmove(arena->memory + place, old, cb_realloc_min(old_size, new_size));
        cb_hook_hide(old, before - block.start);
        cb_hook_show(arena->memory + place, new_size);
        if (block.kind == CB_ARENA_KNOWN)
            cb_ring_at(arena, block.position)->tag = place << 1;
    }
    cb_arena_move_cursor(arena, place + new_size);
    arena->rewinds += arena->cursor < before;
    return arena->memory + place;
}

/* Allocates anew, copies, frees. */
static void *cb_realloc_away(cutback_arena *arena, void *ptr, size_t old_size, size_t new_size,
                             size_t align) {
    void *moved = cutback_alloc(arena, new_size, align);
    if (moved == NULL)
        return NULL;
    memcpy(moved, ptr, cb_realloc_min(old_size, new_size));
    cutback_free(arena, ptr, old_size);
    return moved;
}

void *cutback_realloc(cutback_arena *arena, void *ptr, size_t old_size, size_t new_size, size_t align) {
    if (arena->memory == NULL)
        return NULL;
    if (!cb_arena_valid_align(align))
        return cb_arena_fail(arena);
    if (ptr == NULL || old_size == 0)
        return cutback_alloc(arena, new_size, align);
    if (new_size == 0) {
        cutback_free(arena, ptr, old_size);
        return cb_arena_empty(align);
    }
    struct cb_arena_block block = cb_arena_identify(arena, ptr, old_size);
    if (block.kind == CB_ARENA_NONE || block.kind == CB_ARENA_DEAD)
        return cb_arena_fail(arena);
    if (cb_realloc_on_top(arena, block, old_size))
        return cb_realloc_top(arena, block, old_size, new_size, align);
    if (new_size <= old_size && cb_arena_aligned((uintptr_t)ptr, align)) {
        cb_hook_hide((unsigned char *)ptr + new_size, old_size - new_size);
        return ptr;
    }
    return cb_realloc_away(arena, ptr, old_size, new_size, align);
}
