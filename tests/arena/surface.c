/*
 * The header as C99 and later, and as C++11 and later, read it: everything that is public is used once. Compiled by
 * check_header.sh, in each language with every warning, and run.
 *
 * Layer: tests. Threading: none.
 */
#include "cutback.h"
#include "cutback_chain.h"
#include "cutback_util.h"

#include <stdlib.h>

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

static void *surface_supply(void *context, size_t *size) {
    (void)context;
    return malloc(*size);
}

static void surface_take(void *context, void *chunk, size_t size) {
    (void)context;
    (void)size;
    free(chunk);
}

static int surface_chain(void) {
    static cutback_chain chain;
    cutback_source source = {surface_supply, surface_take, NULL};
    void *block = NULL;
    cutback_chain_mark mark;
    if (!cutback_chain_init(&chain, source, 100, 4, true))
        return 1;
    block = cutback_chain_calloc(&chain, 2, 4, 4);
    mark = cutback_chain_mark_set(&chain);
    block = cutback_chain_realloc(&chain, block, 8, 1000, 8);
    if (block == NULL || !cutback_chain_owns(&chain, block) || !cutback_chain_commit(&chain, mark))
        return 1;
    cutback_chain_free(&chain, block, 1000);
    mark = cutback_chain_mark_set(&chain);
    block = cutback_chain_alloc(&chain, 10, 1);
    if (block == NULL || !cutback_chain_reset(&chain, mark) || cutback_chain_used(&chain) != 0 ||
        cutback_chain_get_stats(&chain).chunks != 1)
        return 1;
    cutback_chain_clear(&chain);
    cutback_chain_release(&chain);
    return cutback_chain_get_stats(&chain).held == 0 ? 0 : 1;
}

static int surface_util(void) {
    const size_t count = 3;
    double *number = cutback_new(&surface_arena, double);
    int *numbers = cutback_array(&surface_arena, int, count);
    char **pointers = cutback_array(&surface_arena, char *, count);
    const char *text = cutback_strdup(&surface_arena, "text");
    numbers = cutback_resize(&surface_arena, int, numbers, count, count + 1);
    if (number == NULL || numbers == NULL || pointers == NULL || text == NULL ||
        cutback_dup(&surface_arena, numbers, sizeof *numbers, cutback_alignment(int)) == NULL)
        return 1;
    text = cutback_printf(&surface_arena, "%s %d", cutback_strndup(&surface_arena, text, 2), 1);
    cutback_clear(&surface_arena);
    return text != NULL ? 0 : 1;
}

int main(void) {
    cutback_arena other = CUTBACK_INIT(surface_memory, surface_ring);
    cutback_mark mark = cutback_mark_set(&surface_arena);
    void *block = cutback_alloc(&surface_arena, 10, 8);
    block = cutback_realloc(&surface_arena, block, 10, 20, 8);
    cutback_free(&surface_arena, block, 20);
    block = cutback_calloc(&surface_arena, 2, 4, 4);
    if (block == NULL || !cutback_owns(&surface_arena, block) || !cutback_mark_open(&surface_arena, mark) ||
        !cutback_commit(&surface_arena, mark))
        return 1;
    mark = cutback_mark_set(&surface_arena);
    if (!cutback_reset(&surface_arena, mark) || cutback_used(&surface_arena) != 8 ||
        cutback_remaining(&surface_arena) != 248 || cutback_get_stats(&surface_arena).live_blocks != 1)
        return 1;
    cutback_clear(&surface_arena);
    if (!cutback_init(&other, surface_memory, sizeof surface_memory, surface_ring, 4))
        return 1;
    if (surface_chain() != 0 || surface_util() != 0)
        return 1;
    return cutback_used(&surface_arena) == 0 ? 0 : 1;
}
