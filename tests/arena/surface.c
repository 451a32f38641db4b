/*
 * The header as C99 and later, and as C++11 and later, read it: everything that is public is used once. Compiled by
 * check_header.sh, in each language with every warning, and run.
 *
 * Layer: tests. Threading: none.
 */
#include "cutback.h"

#if CUTBACK_VERSION != CUTBACK_VERSION_MAJOR * 10000 + CUTBACK_VERSION_MINOR * 100 + CUTBACK_VERSION_PATCH
#error "the version"
#endif

#if defined(__cplusplus) && __cplusplus >= 202002L
#define CONSTANT constinit
#else
#define CONSTANT
#endif

static unsigned char surface_memory[256];
static cutback_slot surface_ring[4];
CONSTANT static cutback_arena surface_arena = CUTBACK_INIT(surface_memory, surface_ring);

int main(void) {
    cutback_arena other = CUTBACK_INIT(surface_memory, surface_ring);
    cutback_mark mark = cutback_mark_set(&surface_arena);
    void *block = cutback_alloc(&surface_arena, 10, 8);
    block = cutback_realloc(&surface_arena, block, 10, 20, 8);
    cutback_free(&surface_arena, block, 20);
    block = cutback_calloc(&surface_arena, 2, 4, 4);
    if (block == NULL || !cutback_owns(&surface_arena, block) || !cutback_commit(&surface_arena, mark))
        return 1;
    mark = cutback_mark_set(&surface_arena);
    if (!cutback_reset(&surface_arena, mark) || cutback_used(&surface_arena) != 8 ||
        cutback_remaining(&surface_arena) != 248 || cutback_get_stats(&surface_arena).live_blocks != 1)
        return 1;
    cutback_clear(&surface_arena);
    if (!cutback_init(&other, surface_memory, sizeof surface_memory, surface_ring, 4))
        return 1;
    return cutback_used(&surface_arena) == 0 ? 0 : 1;
}
