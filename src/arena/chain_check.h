/*
 * The invariants of a chain, as a function: one check for each of those that chain.c states.
 *
 * Layer:     on top of the arena, but no part of the library: tests and fuzzers call it after every step. Includes
 *            cutback_chain.h and check.h only.
 * Threading: as the arena: one thread at a time.
 */
#ifndef CB_ARENA_CHAIN_CHECK_H
#define CB_ARENA_CHAIN_CHECK_H

#include "cutback_chain.h"
#include "arena/check.h"

static inline bool cb_chain_check_empty(const cutback_chunk *chunk) {
    return cutback_get_stats(&chunk->arena).live_blocks == 0 && chunk->arena.depth == 0;
}

/* NULL if the invariants hold, else which one does not. */
static inline const char *cb_chain_check(const cutback_chain *chain) {
    size_t beneath = 0;
    size_t held = 0;
    uint64_t last = chain->marks;
    for (const cutback_chunk *chunk = chain->newest; chunk != NULL; chunk = chunk->older) {
        const char *fault = cb_arena_check(&chunk->arena); /* C1 */
        if (fault != NULL)
            return fault;
        beneath += chunk == chain->newest ? 0 : cutback_used(&chunk->arena);
        held += chunk->size;
        if (cb_chain_check_empty(chunk) &&
            !(chain->keep && chain->kept == NULL && chunk == chain->newest && chunk->older == NULL))
            return "C3: an empty chunk did not go back";
        for (size_t i = chunk->arena.depth; i != 0; i--) {
            if (cb_scope_at(&chunk->arena, i)->id > last)
                return "C4: the numbers of the marks do not rise";
            last = cb_scope_at(&chunk->arena, i)->id - 1;
        }
    }
    if (chain->kept != NULL && (!chain->keep || !cb_chain_check_empty(chain->kept)))
        return "C3: a chunk is kept that should not be";
    if (chain->kept != NULL)
        held += chain->kept->size;
    if (held != chain->held || held > chain->held_peak)
        return "C2: wrong size of all chunks";
    return beneath == chain->beneath ? NULL : "C2: wrong use of the older chunks";
}

#endif
