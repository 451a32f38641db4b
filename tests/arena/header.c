/*
 * The header alone, as strict C11: compiles without a warning, and the types are complete.
 *
 * Layer: tests. Threading: none.
 */
#include "cutback.h"

_Static_assert(sizeof(cutback_slot) <= 2 * sizeof(size_t), "a slot is two words");
_Static_assert(sizeof(cutback_mark) <= 24, "a mark is a small value");

static cutback_arena header_arena;
static cutback_slot header_ring[4];
static unsigned char header_memory[64];

int main(void) {
    void *block = NULL;
    if (!cutback_init(&header_arena, header_memory, sizeof header_memory, header_ring, 4))
        return 1;
    block = cutback_alloc(&header_arena, 8, 8);
    cutback_free(&header_arena, block, 8);
    return cutback_used(&header_arena) == 0 ? 0 : 1;
}
