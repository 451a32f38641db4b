/*
 * The arena: the functions of the fast path as symbols. Their definitions are in cutback.h.
 *
 * Layer:     arena. Freestanding; includes cutback.h only.
 * Threading: as the arena: one thread at a time.
 */
#include "cutback.h"

extern bool cutback_init(cutback_arena *arena, void *memory, size_t capacity, cutback_slot *ring,
                         size_t slots);
extern void *cutback_alloc(cutback_arena *arena, size_t size, size_t align);
extern void cutback_free(cutback_arena *arena, void *ptr, size_t size);
extern void *cutback_realloc(cutback_arena *arena, void *ptr, size_t old_size, size_t new_size, size_t align);
extern cutback_mark cutback_mark_set(cutback_arena *arena);
extern bool cutback_reset(cutback_arena *arena, cutback_mark mark);
