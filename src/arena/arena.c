/*
 * The arena: set up, allocate.
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

void cb_arena_set_state(cutback_arena *arena) {
    arena->state = CB_ARENA_FAST;
    if (!cb_ring_fast(arena) || arena->slots == 0 || arena->buckets != 0 || cb_hook_active())
        arena->state = CB_ARENA_SLOW;
    if (cb_scope_bottom(arena) + arena->capacity >= CB_RING_WIDE)
        arena->state = CB_ARENA_WIDE;
    arena->end = cb_ring_fast(arena) ? arena->limit : 0;
    arena->shallow = cb_ring_fast(arena) ? CUTBACK_SCOPES : 0;
}

/* Makes an arena whose memory and ring are acceptable ready for use. */
static void cb_arena_start(cutback_arena *arena) {
    uintptr_t memory = (uintptr_t)arena->memory;
    arena->base = memory & ~(uintptr_t)(CUTBACK_GRAIN - 1);
    size_t bottom = cb_scope_bottom(arena);
    arena->limit = bottom + arena->capacity;
    cb_arena_set_state(arena);
    arena->length = arena->slots >> cb_ring_wide(arena);
    arena->slot = arena->ring;
    arena->floor = arena->ring;
    arena->last = arena->ring;
    if (arena->length != 0)
        arena->last += arena->length << cb_ring_wide(arena);
    arena->scopes[0].start = bottom;
    cb_ring_set_top(arena, cb_scope_beneath(&arena->scopes[0])); /* there is none: it starts at 0 */
    arena->peak = bottom;
    cb_hook_hide(arena->memory, arena->capacity);
}

bool cb_arena_ready(cutback_arena *arena) {
    if (arena->state == CB_ARENA_DECLARED && arena->size == sizeof *arena)
        cb_arena_start(arena);
    return arena->state > CB_ARENA_DECLARED;
}

bool cutback_cold_init(cutback_arena *arena, void *memory, size_t capacity, cutback_slot *ring, size_t slots,
                       size_t size) {
    uint64_t marks = arena->marks; /* carried over, so that marks of an earlier life are refused */
    memset(arena, 0, cb_arena_min(size, sizeof *arena));
    arena->marks = marks;
    if (size != sizeof *arena || !cb_arena_acceptable(memory, capacity, ring, slots))
        return false;
    arena->memory = memory;
    arena->capacity = capacity;
    arena->ring = slots != 0 ? ring : NULL;
    arena->slots = slots;
    cb_arena_start(arena);
    return true;
}

void cutback_clear(cutback_arena *arena) {
    if (!cb_arena_ready(arena))
        return;
    cb_arena_catch_up(arena);
    size_t before = cb_ring_cursor(arena);
    cb_arena_note_peak(arena);
    cb_ring_cut(arena, 0, cb_scope_beneath(&arena->scopes[0]));
    arena->scopes[0].dead = 0;
    cb_scope_set_depth(arena, 0);
    cb_arena_settle(arena, false);
    cb_hook_hide(arena->memory, before - cb_scope_bottom(arena));
}

/* ---- allocate ---- */

bool cb_arena_place(const cutback_arena *arena, size_t offset, size_t size, size_t align, size_t *place) {
    size_t room = arena->limit - offset;
    size_t padding = (size_t)(0 - (arena->base + offset)) & (align - 1);
    if (padding > room || size > room - padding)
        return false;
    *place = offset + padding;
    return true;
}

void *cutback_cold_alloc(cutback_arena *arena, size_t size, size_t align) {
    size_t start = 0;
    cb_arena_catch_up(arena);
    if (!cb_arena_ready(arena))
        return NULL;
    if (!cb_arena_valid_align(align))
        return cb_arena_fail(arena);
    if (size == 0)
        return cb_arena_empty(align);
    if (!cb_arena_place(arena, cb_ring_cursor(arena), size, align, &start))
        return cb_arena_fail(arena);
    size_t lapped = arena->lapped;
    cb_ring_push(arena, cb_span_of(start, start + size));
    if (!cb_ring_fast(arena))
        arena->floor = arena->slot;
    else if (arena->lapped != lapped)
        arena->floor = arena->ring;
    cb_hook_show(cb_scope_byte(arena, start), size);
    return cb_scope_byte(arena, start);
}

/* By doubling, because a division, and on the smallest machines a product, is a call into the compiler's library. */
bool cb_arena_product(size_t a, size_t b, size_t *product) {
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
    if (!cb_arena_ready(arena))
        return NULL;
    if (!cb_arena_product(count, size, &total))
        return cb_arena_fail(arena);
    void *block = cutback_alloc(arena, total, align);
    if (block != NULL && total != 0)
        memset(block, 0, total);
    return block;
}
