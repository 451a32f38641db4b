/*
 * The arena in the small, for CUTBACK_MINIMAL: all of it. cutback.h says how it differs.
 *
 * Layer:     arena. Freestanding; includes cutback.h only.
 * Threading: as the arena: one thread at a time.
 *
 * Blocks are in the ring in the order of their addresses, the newest in the slot before `next`; `known` of them. A block
 * ends where the next one begins, or at the cursor. A scope counts its live blocks; a block belongs to the last scope
 * that starts at or below it. Between calls the innermost scope is settled: it starts at the cursor if nothing is live
 * in it, and otherwise the newest block, if it is known and of that scope, is live.
 */
#include "cutback.h"

#if defined(CUTBACK_MINIMAL)

/* The environment's: a freestanding implementation has no string.h, but the compiler needs these anyway. */
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);

/* ---- set up ---- */

bool cutback_init(cutback_arena *arena, void *memory, size_t capacity, cutback_slot *ring, size_t slots) {
    size_t marks = arena->marks; /* carried over, so that marks of an earlier life are refused */
    memset(arena, 0, sizeof *arena);
    arena->marks = marks;
    if (memory == NULL || capacity > SIZE_MAX / 2 || capacity > UINTPTR_MAX - (uintptr_t)memory ||
        (ring == NULL && slots != 0))
        return false;
    arena->scopes[0].start = memory;
    arena->end = (unsigned char *)memory + capacity;
    arena->ring = ring;
    arena->slots = slots;
    cutback_clear(arena);
    return true;
}

void cutback_clear(cutback_arena *arena) {
    arena->cursor = arena->scopes[0].start;
    arena->scopes[0].live = 0;
    arena->depth = 0;
    arena->known = 0;
}

/* ---- the ring ---- */

/* The index of the slot before slot `i`. */
static size_t cb_minimal_previous(const cutback_arena *arena, size_t i) {
    return (i != 0 ? i : arena->slots) - 1;
}

/* A pointer and a size turn out to be one of these. */
struct cb_minimal_block {
    cutback_scope *scope; /* NULL: no live block of this arena */
    cutback_slot *slot;   /* NULL: the ring does not know it */
    unsigned char *end;   /* of its place; not known: where that ends at the latest */
};

/* Finds the block, from the newest one down. */
static struct cb_minimal_block cb_minimal_find(cutback_arena *arena, const unsigned char *ptr, size_t size) {
    struct cb_minimal_block block = {NULL, NULL, arena->cursor};
    cutback_scope *scope = &arena->scopes[arena->depth];
    size_t i = arena->next;
    if ((uintptr_t)ptr < (uintptr_t)arena->scopes[0].start || (uintptr_t)ptr >= (uintptr_t)arena->cursor)
        return block;
    for (size_t rest = arena->known; rest != 0; rest--) {
        i = cb_minimal_previous(arena, i);
        if (arena->ring[i].before <= ptr) {
            block.slot = &arena->ring[i];
            break;
        }
        block.end = arena->ring[i].before;
    }
    if ((block.slot != NULL && block.slot->start != ptr) || size > (size_t)(block.end - ptr))
        return block;
    while (ptr < scope->start)
        scope--;
    if (scope->live != 0)
        block.scope = scope;
    return block;
}

/* Takes back what can be taken back in the innermost scope. */
static void cb_minimal_settle(cutback_arena *arena) {
    const cutback_scope *scope = &arena->scopes[arena->depth];
    for (; arena->known != 0; arena->known--) {
        size_t i = cb_minimal_previous(arena, arena->next);
        cutback_slot *newest = &arena->ring[i];
        if (newest->before < scope->start || (scope->live != 0 && newest->start != NULL))
            break;
        arena->cursor = newest->before;
        arena->next = i;
    }
    if (scope->live == 0)
        arena->cursor = scope->start;
}

/* ---- allocate, free, resize ---- */

/* The bytes between the place and the next one with the alignment. */
static size_t cb_minimal_padding(const unsigned char *place, size_t align) {
    return (size_t)(0 - (uintptr_t)place) & (align - 1);
}

/* The first place at or above `from` with the alignment, or NULL if the size does not fit there. */
static unsigned char *cb_minimal_place(const cutback_arena *arena, unsigned char *from, size_t size,
                                       size_t align) {
    size_t room = (size_t)(arena->end - from);
    size_t padding = cb_minimal_padding(from, align);
    return padding > room || size > room - padding ? NULL : from + padding;
}

static bool cb_minimal_valid_align(size_t align) {
    return align != 0 && (align & (align - 1)) == 0;
}

void *cutback_alloc(cutback_arena *arena, size_t size, size_t align) {
    if (!cb_minimal_valid_align(align))
        return NULL;
    if (size == 0)
        return arena->end != NULL ? (void *)(uintptr_t)align : NULL;
    unsigned char *start = cb_minimal_place(arena, arena->cursor, size, align);
    if (start == NULL)
        return NULL;
    if (arena->slots != 0) {
        cutback_slot *slot = &arena->ring[arena->next];
        slot->before = arena->cursor;
        slot->start = start;
        arena->next = arena->next + 1 != arena->slots ? arena->next + 1 : 0;
        arena->known += arena->known != arena->slots;
    }
    arena->scopes[arena->depth].live++;
    arena->cursor = start + size;
    return start;
}

/* The product is found by doubling: on the smallest machines a division is a call into the compiler's library. */
void *cutback_calloc(cutback_arena *arena, size_t count, size_t size, size_t align) {
    size_t total = 0;
    for (size_t rest = size != 0 ? count : 0; rest != 0; rest >>= 1) {
        if ((rest & 1) != 0 && size > SIZE_MAX - total)
            return NULL;
        total += (rest & 1) != 0 ? size : 0;
        if (rest > 1 && size > SIZE_MAX / 2)
            return NULL;
        size <<= 1;
    }
    void *block = cutback_alloc(arena, total, align);
    if (block != NULL && total != 0)
        memset(block, 0, total);
    return block;
}

void cutback_free(cutback_arena *arena, void *ptr, size_t size) {
    struct cb_minimal_block block = cb_minimal_find(arena, ptr, size);
    if (block.scope == NULL || size == 0)
        return;
    if (block.slot != NULL)
        block.slot->start = NULL;
    block.scope->live--;
    cb_minimal_settle(arena);
}

void *cutback_realloc(cutback_arena *arena, void *ptr, size_t old_size, size_t new_size, size_t align) {
    unsigned char *old = ptr;
    if (!cb_minimal_valid_align(align))
        return NULL;
    if (ptr == NULL || old_size == 0)
        return cutback_alloc(arena, new_size, align);
    if (new_size == 0) {
        cutback_free(arena, ptr, old_size);
        return cutback_alloc(arena, 0, align);
    }
    struct cb_minimal_block block = cb_minimal_find(arena, old, old_size);
    if (block.scope == NULL)
        return NULL;
    size_t kept = old_size < new_size ? old_size : new_size;
    unsigned char *end = block.slot != NULL ? block.end : old + old_size;
    if (end == arena->cursor && block.scope == &arena->scopes[arena->depth]) { /* on top */
        unsigned char *place = cb_minimal_place(arena, old, new_size, align);
        if (place == NULL)
            return NULL;
        memmove(place, old, kept);
        arena->cursor = place + new_size;
        if (block.slot != NULL)
            block.slot->start = place;
        return place;
    }
    if (new_size <= old_size && cb_minimal_padding(old, align) == 0)
        return ptr;
    void *moved = cutback_alloc(arena, new_size, align);
    if (moved != NULL) {
        memcpy(moved, old, kept);
        cutback_free(arena, ptr, old_size);
    }
    return moved;
}

/* ---- scopes ---- */

cutback_mark cutback_mark_set(cutback_arena *arena) {
    cutback_mark mark = {0, 0};
    if (arena->depth != CUTBACK_SCOPES && arena->end != NULL) {
        cutback_scope *scope = &arena->scopes[++arena->depth];
        scope->start = arena->cursor;
        scope->live = 0;
        scope->id = ++arena->marks;
        mark.id = scope->id;
        mark.depth = arena->depth;
    }
    return mark;
}

bool cutback_mark_open(const cutback_arena *arena, cutback_mark mark) {
    return mark.depth - 1 < arena->depth && arena->scopes[mark.depth].id == mark.id;
}

/* Ends the scope of the mark and all inside, of which `live` blocks stay. */
static bool cb_minimal_end(cutback_arena *arena, cutback_mark mark, bool stay) {
    size_t live = 0;
    if (!cutback_mark_open(arena, mark))
        return false;
    for (size_t i = mark.depth; stay && i <= arena->depth; i++)
        live += arena->scopes[i].live;
    arena->depth = mark.depth;
    arena->scopes[mark.depth].live = live;
    cb_minimal_settle(arena); /* if nothing stays, the cursor goes to the start */
    arena->depth--;
    arena->scopes[mark.depth - 1].live += live;
    cb_minimal_settle(arena);
    return true;
}

bool cutback_reset(cutback_arena *arena, cutback_mark mark) {
    return cb_minimal_end(arena, mark, false);
}

bool cutback_commit(cutback_arena *arena, cutback_mark mark) {
    return cb_minimal_end(arena, mark, true);
}

/* ---- look at it ---- */

bool cutback_owns(const cutback_arena *arena, const void *ptr) {
    uintptr_t start = (uintptr_t)arena->scopes[0].start;
    return (uintptr_t)ptr - start < (uintptr_t)arena->end - start;
}

size_t cutback_used(const cutback_arena *arena) {
    return (size_t)(arena->cursor - arena->scopes[0].start);
}

size_t cutback_remaining(const cutback_arena *arena) {
    return (size_t)(arena->end - arena->cursor);
}

#endif
