/*
 * The arena: set up, allocate, free, and look at it.
 *
 * Layer:     arena. Freestanding; includes the arena's own headers only.
 * Threading: as the arena: one thread at a time.
 */
#include "arena/arena.h"

/* ---- set up ---- */

static bool cb_arena_overlap(uintptr_t a, size_t a_size, uintptr_t b, size_t b_size) {
    return a < b ? b - a < a_size : a - b < b_size;
}

static bool cb_arena_acceptable(const void *memory, size_t capacity, const cutback_slot *ring, size_t slots) {
    uintptr_t start = (uintptr_t)memory;
    uintptr_t ring_start = (uintptr_t)ring;
    if (memory == NULL || capacity > SIZE_MAX / 2 || capacity > UINTPTR_MAX - start)
        return false;
    if (slots == 0)
        return true;
    if (ring == NULL || slots > SIZE_MAX / 2 / sizeof *ring ||
        slots * sizeof *ring > UINTPTR_MAX - ring_start)
        return false;
    return !cb_arena_overlap(start, capacity, ring_start, slots * sizeof *ring);
}

bool cutback_init(cutback_arena *arena, void *memory, size_t capacity, cutback_slot *ring, size_t slots) {
    uint64_t marks = arena->marks; /* carried over, so that marks of an earlier life are refused */
    memset(arena, 0, sizeof *arena);
    arena->marks = marks;
    if (!cb_arena_acceptable(memory, capacity, ring, slots))
        return false;
    arena->memory = memory;
    arena->capacity = capacity;
    arena->limit = capacity;
    arena->ring = slots != 0 ? ring : NULL;
    arena->slots = slots;
    cb_hook_hide(arena->memory, capacity);
    return true;
}

/* ---- allocate ---- */

bool cb_arena_place(const cutback_arena *arena, size_t offset, size_t size, size_t align, size_t *place) {
    size_t room = arena->limit - offset;
    size_t padding = (size_t)(0 - ((uintptr_t)arena->memory + offset)) & (align - 1);
    if (padding > room || size > room - padding)
        return false;
    *place = offset + padding;
    return true;
}

void *cutback_alloc(cutback_arena *arena, size_t size, size_t align) {
    size_t start = 0;
    if (arena->memory == NULL)
        return NULL;
    if (!cb_arena_valid_align(align))
        return cb_arena_fail(arena);
    if (size == 0)
        return cb_arena_empty(align);
    if (!cb_arena_place(arena, arena->cursor, size, align, &start))
        return cb_arena_fail(arena);
    cb_ring_push(arena, arena->cursor, start);
    cb_scope_innermost(arena)->live++;
    cb_hook_show(arena->memory + start, size);
    cb_arena_move_cursor(arena, start + size);
    return arena->memory + start;
}

/*
 * a times b, or false if that overflows. By doubling, because a division, and on the smallest machines a
 * product, is a call into the compiler's library.
 */
static bool cb_arena_product(size_t a, size_t b, size_t *product) {
    size_t sum = 0;
    size_t term = a > b ? a : b;
    for (size_t rest = a > b ? b : a; rest != 0; rest >>= 1) {
        if ((rest & 1) != 0 && term > SIZE_MAX - sum)
            return false;
        sum += (rest & 1) != 0 ? term : 0;
        if (rest > 1 && term > SIZE_MAX / 2)
            return false;
        term <<= 1;
    }
    *product = sum;
    return true;
}

void *cutback_calloc(cutback_arena *arena, size_t count, size_t size, size_t align) {
    size_t total = 0;
    if (arena->memory == NULL)
        return NULL;
    if (!cb_arena_product(count, size, &total))
        return cb_arena_fail(arena);
    void *block = cutback_alloc(arena, total, align);
    if (block != NULL && total != 0)
        memset(block, 0, total);
    return block;
}

/* ---- free ---- */

/* The index of the scope that the block at `start` belongs to (A5): the innermost as a rule, else found by
 * bisection. */
static size_t cb_arena_scope_of(const cutback_arena *arena, size_t start) {
    size_t low = 0;
    size_t high = arena->depth;
    if (start >= cb_scope_at(arena, high)->start)
        return high;
    while (high - low > 1) { /* scope low starts at or below the block, scope high above it */
        size_t middle = low + (high - low) / 2;
        if (cb_scope_at(arena, middle)->start <= start)
            low = middle;
        else
            high = middle;
    }
    return low;
}

struct cb_arena_block cb_arena_identify(const cutback_arena *arena, const void *ptr, size_t size) {
    size_t start = (size_t)((uintptr_t)ptr - (uintptr_t)arena->memory); /* huge if ptr is below */
    size_t horizon = cb_ring_horizon(arena);
    struct cb_arena_block block = {CB_ARENA_NONE, start, horizon, arena->count, arena->depth};
    if (arena->memory == NULL || start >= arena->cursor)
        return block;
    if (start >= horizon) {
        block.position = cb_ring_find(arena, start);
        if (block.position == arena->count)
            return block;
        block.end = cb_ring_end(arena, block.position);
    }
    if (size > block.end - start)
        return block;
    block.scope = cb_arena_scope_of(arena, start);
    bool known = start >= horizon;
    bool dead = known && cb_ring_dead(cb_ring_at(arena, block.position));
    if (dead || cb_scope_at(arena, block.scope)->live == 0)
        block.kind = CB_ARENA_DEAD;
    else
        block.kind = known ? CB_ARENA_KNOWN : CB_ARENA_FORGOTTEN;
    return block;
}

void cb_arena_move_cursor(cutback_arena *arena, size_t to) {
    if (to < arena->cursor)
        cb_hook_hide(arena->memory + to, arena->cursor - to);
    arena->cursor = to;
    if (to > arena->peak)
        arena->peak = to;
}

void cb_arena_settle(cutback_arena *arena) {
    const cutback_scope *scope = cb_scope_innermost(arena);
    size_t cursor = arena->cursor;
    while (arena->count != 0) {
        const cutback_slot *newest = cb_ring_newest(arena);
        bool inside = cb_ring_start(newest) >= scope->start;
        if (!inside || (scope->live != 0 && !cb_ring_dead(newest)))
            break;
        cursor = newest->before;
        arena->count--;
    }
    cb_arena_move_cursor(arena, scope->live != 0 ? cursor : scope->start);
}

/* Everything but the block on top: finds out what it is. */
static void cb_arena_free_elsewhere(cutback_arena *arena, void *ptr, size_t size) {
    struct cb_arena_block block = cb_arena_identify(arena, ptr, size);
    if (block.kind == CB_ARENA_NONE)
        return;
    if (block.kind == CB_ARENA_DEAD) {
        arena->double_frees++;
        return;
    }
    if (block.kind == CB_ARENA_KNOWN) {
        cb_ring_kill(cb_ring_at(arena, block.position));
        cb_hook_hide(arena->memory + block.start, block.end - block.start);
    } else {
        arena->forgotten_frees++;
        cb_hook_hide(arena->memory + block.start, size);
    }
    cb_scope_at(arena, block.scope)->live--;
    size_t before = arena->cursor;
    cb_arena_settle(arena);
    arena->rewinds += arena->cursor < before;
}

void cutback_free(cutback_arena *arena, void *ptr, size_t size) {
    cutback_scope *scope = cb_scope_innermost(arena);
    if (ptr == NULL || size == 0)
        return;
    if (arena->count != 0) {
        const cutback_slot *newest = cb_ring_newest(arena);
        size_t start = cb_ring_start(newest);
        if (ptr == arena->memory + start && start >= scope->start && size <= arena->cursor - start) {
            scope->live--; /* it is live (A7) */
            arena->count--;
            cb_arena_move_cursor(arena, newest->before);
            arena->rewinds++;
            if (scope->live == 0 || (arena->count != 0 && cb_ring_dead(cb_ring_newest(arena))))
                cb_arena_settle(arena);
            return;
        }
    }
    cb_arena_free_elsewhere(arena, ptr, size);
}

/* ---- look at it ---- */

bool cutback_owns(const cutback_arena *arena, const void *ptr) {
    return arena->memory != NULL && (uintptr_t)ptr - (uintptr_t)arena->memory < arena->capacity;
}

size_t cutback_used(const cutback_arena *arena) {
    return arena->cursor;
}

size_t cutback_remaining(const cutback_arena *arena) {
    return arena->limit - arena->cursor;
}

cutback_stats cutback_get_stats(const cutback_arena *arena) {
    cutback_stats stats;
    stats.used = arena->cursor;
    stats.peak = arena->peak;
    stats.live_blocks = 0;
    for (size_t i = 0; i <= arena->depth; i++)
        stats.live_blocks += cb_scope_at(arena, i)->live;
    stats.rewinds = arena->rewinds;
    stats.forgotten_frees = arena->forgotten_frees;
    stats.double_frees = arena->double_frees;
    stats.failed_requests = arena->failed_requests;
    return stats;
}
