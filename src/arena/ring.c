/*
 * The ring: which blocks it knows, cut back and searched.
 *
 * Layer:     arena. Freestanding; includes ring.h only.
 * Threading: as the arena: one thread at a time.
 */
#include "arena/ring.h"

#if defined(__OPTIMIZE_SIZE__)
size_t cb_ring_first(const cutback_arena *arena) {
    return arena->forgotten;
}

size_t cb_ring_find(const cutback_arena *arena, size_t low, size_t high, size_t place) {
    do
        high--;
    while (high != low && cb_ring_before(arena, high) > place);
    return high;
}
#else
size_t cb_ring_first(const cutback_arena *arena) {
    size_t blocks = cb_ring_blocks(arena);
    size_t low = arena->forgotten;
    size_t high = arena->lapped;
    if (arena->length == 0)
        return blocks;
    if (low >= high)
        return low;
    if (blocks > arena->length && low < blocks - arena->length)
        low = blocks - arena->length;
    size_t border = blocks > high ? cb_ring_before(arena, high) : cb_ring_cursor(arena);
    if (cb_ring_before(arena, low) < border)
        return low;
    while (low < high) { /* R4 */
        size_t middle = low + (high - low) / 2;
        if (cb_ring_before(arena, middle) < border)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

size_t cb_ring_find(const cutback_arena *arena, size_t low, size_t high, size_t place) {
    enum { NEAR = 8 };
    size_t step = NEAR;
    while (high - low > step && cb_ring_before(arena, high - step) > place) {
        high -= step;
        step *= 2;
    }
    if (high - low > step)
        low = high - step;
    while (high - low > NEAR) {
        size_t middle = low + (high - low) / 2;
        if (cb_ring_before(arena, middle) <= place)
            low = middle;
        else
            high = middle;
    }
    size_t found = low;
    for (size_t k = low + 1; k < high; k++)
        found += cb_ring_before(arena, k) <= place; /* no branch to guess wrong */
    return found;
}
#endif

void cb_ring_unlap(cutback_arena *arena) {
    if (arena->length == 0 || arena->slot != arena->ring)
        return;
    arena->forgotten = cb_ring_first(arena);
    if (arena->forgotten >= arena->lapped)
        return;
    arena->lapped -= arena->length;
    arena->slot = arena->last;
    arena->floor = arena->slot;
}

void cb_ring_cut(cutback_arena *arena, size_t blocks, struct cb_span top) {
    if (blocks < arena->lapped)
        arena->forgotten = cb_ring_first(arena);
    if (blocks <= arena->forgotten) { /* nothing that is left is known */
        arena->forgotten = blocks;
        arena->lapped = blocks;
    } else if (blocks < arena->lapped) {
        arena->lapped -= arena->length;
    }
    if (arena->length != 0)
        arena->slot = arena->ring + ((blocks - arena->lapped) << cb_ring_wide(arena));
    cb_ring_set_top(arena, top);
}
