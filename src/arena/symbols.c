/*
 * The arena: the functions of the fast path as symbols. Their definitions are in cutback.h; in a library compiled for size
 * they are the cold ones.
 *
 * Layer:     arena. Freestanding; includes cutback.h only.
 * Threading: as the arena: one thread at a time.
 */
#if defined(__OPTIMIZE_SIZE__) && !defined(CUTBACK_CALLS)
#define CUTBACK_CALLS
#endif
#include "cutback.h"

#if defined(CUTBACK_CALLS)
bool cutback_init(cutback_arena *arena, void *memory, size_t capacity, cutback_slot *ring, size_t slots) {
    return cutback_cold_init(arena, memory, capacity, ring, slots, sizeof *arena);
}

void *cutback_alloc(cutback_arena *arena, size_t size, size_t align) {
    return cutback_cold_alloc(arena, size, align);
}

void cutback_free(cutback_arena *arena, void *ptr, size_t size) {
    cutback_cold_free(arena, ptr, size);
}

void *cutback_realloc(cutback_arena *arena, void *ptr, size_t old_size, size_t new_size, size_t align) {
    return cutback_cold_realloc(arena, ptr, old_size, new_size, align);
}

cutback_mark cutback_mark_set(cutback_arena *arena) {
    return cutback_cold_mark(arena);
}

bool cutback_reset(cutback_arena *arena, cutback_mark mark) {
    return cutback_cold_reset(arena, mark);
}
#else
extern bool cutback_init(cutback_arena *arena, void *memory, size_t capacity, cutback_slot *ring,
                         size_t slots);
extern void *cutback_alloc(cutback_arena *arena, size_t size, size_t align);
extern void cutback_free(cutback_arena *arena, void *ptr, size_t size);
extern void *cutback_realloc(cutback_arena *arena, void *ptr, size_t old_size, size_t new_size, size_t align);
extern cutback_mark cutback_mark_set(cutback_arena *arena);
extern bool cutback_reset(cutback_arena *arena, cutback_mark mark);
#endif
