/*
 * The arena: resize a block.
 *
 * Layer:     arena. Freestanding; includes the arena's own headers only.
 * Threading: as the arena: one thread at a time.
 */
#include "arena/arena.h"

/* Whether the block of `size` bytes ends at the cursor and is no older than the innermost scope. */
static bool cb_realloc_on_top(const cutback_arena *arena, struct cb_arena_block block, size_t size) {
    size_t end = block.kind == CB_ARENA_KNOWN ? block.end : block.start + size;
    return block.scope == arena->depth && end == cb_ring_cursor(arena);
}

/* Resizes the block on top in place, or slides it up to the next place with the alignment. NULL if there is no room. */
static void *cb_realloc_top(cutback_arena *arena, struct cb_arena_block block, size_t old_size,
                            size_t new_size, size_t align) {
    unsigned char *old = cb_scope_byte(arena, block.start);
    size_t place = 0;
    if (!cb_arena_place(arena, block.start, new_size, align, &place))
        return NULL;
    unsigned char *moved = cb_scope_byte(arena, place);
    size_t before = cb_ring_cursor(arena);
    if (place + new_size < before)
        cb_arena_note_peak(arena);
    cb_ring_unlap(arena); /* the block may be the last of the lap before, whose end may not change */
    if (block.kind == CB_ARENA_FORGOTTEN)
        arena->forgotten = cb_ring_blocks(arena);
    if (place + new_size > block.start + old_size)
        cb_hook_show(old + old_size, place + new_size - (block.start + old_size));
    if (place != block.start)
        memmove(moved, old, cb_arena_min(old_size, new_size));
    cb_ring_set_top(arena, cb_span_of(place, place + new_size));
    cb_hook_hide(old, place - block.start);
    if (place + new_size < before)
        cb_hook_hide(moved + new_size, before - place - new_size);
    return moved;
}

void *cb_arena_resize(cutback_arena *arena, struct cb_arena_block block, size_t old_size, size_t new_size,
                      size_t align) {
    unsigned char *old = cb_scope_byte(arena, block.start);
    if (cb_realloc_on_top(arena, block, old_size))
        return cb_realloc_top(arena, block, old_size, new_size, align);
    if (new_size > old_size || !cb_arena_aligned((uintptr_t)old, align))
        return NULL;
    cb_hook_hide(old + new_size, old_size - new_size);
    return old;
}

/* Allocates anew, copies, frees. */
static void *cb_realloc_away(cutback_arena *arena, void *ptr, size_t old_size, size_t new_size,
                             size_t align) {
    void *moved = cutback_cold_alloc(arena, new_size, align);
    if (moved == NULL)
        return NULL;
    memcpy(moved, ptr, cb_arena_min(old_size, new_size));
    cutback_cold_free(arena, ptr, old_size);
    return moved;
}

void *cutback_cold_realloc(cutback_arena *arena, void *ptr, size_t old_size, size_t new_size, size_t align) {
    cb_arena_catch_up(arena);
    if (!cb_arena_ready(arena))
        return NULL;
    if (!cb_arena_valid_align(align))
        return cb_arena_fail(arena);
    if (ptr == NULL || old_size == 0)
        return cutback_cold_alloc(arena, new_size, align);
    if (new_size == 0) {
        cutback_cold_free(arena, ptr, old_size);
        return cb_arena_empty(align);
    }
    struct cb_arena_block block = cb_arena_identify(arena, ptr, old_size);
    if (block.kind == CB_ARENA_NONE || block.kind == CB_ARENA_DEAD)
        return cb_arena_fail(arena);
    void *place = cb_arena_resize(arena, block, old_size, new_size, align);
    if (place != NULL)
        return place;
    if (cb_realloc_on_top(arena, block, old_size))
        return cb_arena_fail(arena); /* there is even less room above it */
    return cb_realloc_away(arena, ptr, old_size, new_size, align);
}
