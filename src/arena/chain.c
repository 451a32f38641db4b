/*
 * The chain: an arena for each chunk, the newest first.
 *
 * Layer:     on top of the arena. Freestanding; includes cutback_chain.h and the arena's own headers only.
 * Threading: as the arena: one thread at a time.
 *
 * Invariants of an initialised chain, between calls (chain_check.h checks them):
 *   C1  the arena of each chunk holds its own invariants.
 *   C2  `beneath` is what is used in all chunks but the newest; `held` is the size of all.
 *   C3  no chunk of the chain is empty, unless it is the only one and is to be kept; then no other is kept. The kept
 *       chunk is empty.
 *   C4  the ids of the open marks rise from the oldest chunk to the newest. None is above `marks`.
 */
#include "cutback_chain.h"
#include "arena/arena.h"

/* Expanded nowhere else, so that there is a symbol for them. */
extern void *cutback_chain_alloc(cutback_chain *chain, size_t size, size_t align);
extern void cutback_chain_free(cutback_chain *chain, void *ptr, size_t size);
extern void *cutback_chain_realloc(cutback_chain *chain, void *ptr, size_t old_size, size_t new_size,
                                   size_t align);

static void *cb_chain_fail(cutback_chain *chain) {
    if (chain->source.supply != NULL)
        chain->failed_requests++;
    return NULL;
}

static bool cb_chain_empty(const cutback_chunk *chunk) {
    return chunk->arena.depth == 0 && cb_ring_blocks(&chunk->arena) == 0;
}

/* Notes how much has been in use since this was last called; before `beneath` or the newest chunk changes. */
static void cb_chain_note_peak(cutback_chain *chain) {
    if (chain->newest == NULL)
        return;
    cutback_arena *arena = &chain->newest->arena;
    cb_arena_note_peak(arena);
    chain->peak = cb_arena_max(chain->peak, chain->beneath + arena->peak - cb_scope_bottom(arena));
    arena->peak = cb_ring_cursor(arena);
}

/* ---- chunks that come and go ---- */

/* Puts a chunk that is empty on top of the others. */
static void cb_chain_push(cutback_chain *chain, cutback_chunk *chunk) {
    cb_chain_note_peak(chain);
    if (chain->newest != NULL)
        chain->beneath += cutback_used(&chain->newest->arena);
    chunk->older = chain->newest;
    chunk->arena.peak = cb_ring_cursor(&chunk->arena);
    chain->newest = chunk;
}

/* Makes a chunk of what the source supplied; NULL if it is less than `least` bytes, or cannot be used. */
static cutback_chunk *cb_chain_furnish(const cutback_chain *chain, void *supplied, size_t size,
                                       size_t least) {
    size_t ring = chain->slots * sizeof(cutback_slot);
    size_t padding = (size_t)(0 - (uintptr_t)supplied) & (_Alignof(cutback_chunk) - 1);
    if (size < least)
        return NULL;
    unsigned char *start = (unsigned char *)supplied + padding;
    cutback_chunk *chunk = (cutback_chunk *)(void *)start;
    unsigned char *memory = start + sizeof *chunk + ring;
    memset(chunk, 0, sizeof *chunk);
    if (!cutback_init(&chunk->arena, memory, size - padding - sizeof *chunk - ring,
                      (cutback_slot *)(void *)(start + sizeof *chunk), chain->slots))
        return NULL;
    chunk->supplied = supplied;
    chunk->size = size;
    return chunk;
}

/* Gets a chunk in which `need` bytes fit, and makes it the newest. */
static bool cb_chain_grow(cutback_chain *chain, size_t need) {
    size_t least = sizeof(cutback_chunk) + _Alignof(cutback_chunk) - 1 + chain->slots * sizeof(cutback_slot);
    if (chain->kept != NULL && chain->kept->arena.capacity >= need) {
        cb_chain_push(chain, chain->kept);
        chain->kept = NULL;
        return true;
    }
    need = cb_arena_max(need, chain->chunk);
    if (chain->source.supply == NULL || need > SIZE_MAX / 2 - least)
        return false;
    least += need;
    size_t size = least;
    void *supplied = chain->source.supply(chain->source.context, &size);
    if (supplied == NULL)
        return false;
    cutback_chunk *chunk = cb_chain_furnish(chain, supplied, size, least);
    if (chunk == NULL) {
        chain->source.take(chain->source.context, supplied, size);
        return false;
    }
    chain->held += size;
    chain->held_peak = cb_arena_max(chain->held_peak, chain->held);
    cb_chain_push(chain, chunk);
    return true;
}

/* Gives a chunk back to the source, if there is one; what it counted is kept. */
static void cb_chain_give_back(cutback_chain *chain, cutback_chunk *chunk) {
    if (chunk == NULL)
        return;
    void *supplied = chunk->supplied;
    size_t size = chunk->size;
    chain->rewinds += chunk->arena.rewinds;
    chain->forgotten_frees += chunk->arena.forgotten_frees;
    chain->double_frees += chunk->arena.double_frees;
    chain->held -= size;
    cb_hook_show(chunk->arena.memory, chunk->arena.capacity);
    chain->source.take(chain->source.context, supplied, size);
}

/* Takes the chunk out of the chain if it is empty: it goes back, or is kept and another one goes back. */
static void cb_chain_drop(cutback_chain *chain, cutback_chunk **link) {
    cutback_chunk *chunk = *link;
    cutback_chunk *gone = chunk;
    if (!cb_chain_empty(chunk))
        return;
    if (chain->keep) {
        gone = chain->kept;
        chain->kept = chunk;
    }
    if (chain->keep && chain->newest == chunk && chunk->older == NULL) {
        chain->kept = NULL; /* it stays where it is used next */
    } else {
        *link = chunk->older;
        if (link == &chain->newest && chain->newest != NULL) {
            chain->beneath -= cutback_used(&chain->newest->arena);
            chain->newest->arena.peak = cb_ring_cursor(&chain->newest->arena);
        }
    }
    cb_chain_give_back(chain, gone);
}

/* The chunk that `ptr` points into, as the link to it; NULL if there is none. */
static cutback_chunk **cb_chain_find(cutback_chain *chain, const void *ptr) {
    cutback_chunk **link = &chain->newest;
    while (*link != NULL && !cutback_owns(&(*link)->arena, ptr))
        link = &(*link)->older;
    return *link != NULL ? link : NULL;
}

/* ---- set up ---- */

bool cutback_chain_init(cutback_chain *chain, cutback_source source, size_t chunk, size_t slots, bool keep) {
    uint64_t marks = chain->marks; /* carried over, so that marks of an earlier life are refused */
    memset(chain, 0, sizeof *chain);
    chain->marks = marks;
    if (source.supply == NULL || source.take == NULL || chunk > SIZE_MAX / 4 ||
        slots > SIZE_MAX / 4 / sizeof(cutback_slot))
        return false;
    chain->source = source;
    chain->chunk = chunk;
    chain->slots = slots;
    chain->keep = keep;
    return true;
}

/* Gives back what is in all chunks that are newer than this one, and they with it. */
static void cb_chain_cut(cutback_chain *chain, const cutback_chunk *chunk) {
    while (chain->newest != chunk) {
        bool last = chain->newest->older == NULL;
        cutback_clear(&chain->newest->arena);
        cb_chain_drop(chain, &chain->newest);
        if (last)
            return;
    }
}

void cutback_chain_clear(cutback_chain *chain) {
    cb_chain_note_peak(chain);
    cb_chain_cut(chain, NULL);
}

void cutback_chain_release(cutback_chain *chain) {
    cutback_chain_clear(chain);
    cb_chain_give_back(chain, chain->newest);
    cb_chain_give_back(chain, chain->kept);
    chain->newest = NULL;
    chain->kept = NULL;
}

/* ---- blocks ---- */

void *cutback_chain_cold_alloc(cutback_chain *chain, size_t size, size_t align) {
    if (!cb_arena_valid_align(align) || chain->source.supply == NULL)
        return cb_chain_fail(chain);
    if (size == 0)
        return cb_arena_empty(align);
    if (size > SIZE_MAX / 4 || align > SIZE_MAX / 4)
        return cb_chain_fail(chain);
    if (chain->newest != NULL && cb_chain_empty(chain->newest)) {
        cb_chain_note_peak(chain);
        chain->kept = chain->newest; /* it is too small */
        chain->newest = NULL;
    }
    if (!cb_chain_grow(chain, size + (align - 1)))
        return cb_chain_fail(chain);
    return cutback_cold_alloc(&chain->newest->arena, size, align);
}

void *cutback_chain_calloc(cutback_chain *chain, size_t count, size_t size, size_t align) {
    size_t total = 0;
    if (!cb_arena_product(count, size, &total))
        return cb_chain_fail(chain);
    void *block = cutback_chain_alloc(chain, total, align);
    if (block != NULL && total != 0)
        memset(block, 0, total);
    return block;
}

void cutback_chain_cold_free(cutback_chain *chain, void *ptr, size_t size) {
    cutback_chunk **link = cb_chain_find(chain, ptr);
    if (link == NULL || size == 0)
        return;
    cutback_arena *arena = &(*link)->arena;
    size_t before = cutback_used(arena);
    cb_chain_note_peak(chain);
#if !defined(__OPTIMIZE_SIZE__)
    arena->streak = NULL; /* a chunk that is empty goes back at once: nothing is put off */
#endif
    cutback_cold_free(arena, ptr, size);
    if (link != &chain->newest)
        chain->beneath -= before - cutback_used(arena);
    cb_chain_drop(chain, link);
}

/* Allocates anew, copies, frees. */
static void *cb_chain_move(cutback_chain *chain, void *ptr, size_t old_size, size_t new_size, size_t align) {
    void *moved = cutback_chain_alloc(chain, new_size, align);
    if (moved == NULL)
        return NULL;
    memcpy(moved, ptr, cb_arena_min(old_size, new_size));
    cutback_chain_cold_free(chain, ptr, old_size);
    return moved;
}

void *cutback_chain_cold_realloc(cutback_chain *chain, void *ptr, size_t old_size, size_t new_size,
                                 size_t align) {
    if (!cb_arena_valid_align(align))
        return cb_chain_fail(chain);
    if (ptr == NULL || old_size == 0)
        return cutback_chain_alloc(chain, new_size, align);
    if (new_size == 0) {
        cutback_chain_free(chain, ptr, old_size);
        return cb_arena_empty(align);
    }
    cutback_chunk **link = cb_chain_find(chain, ptr);
    if (link == NULL)
        return cb_chain_fail(chain);
    cutback_arena *arena = &(*link)->arena;
    struct cb_arena_block block = cb_arena_identify(arena, ptr, old_size);
    if (block.kind == CB_ARENA_NONE || block.kind == CB_ARENA_DEAD)
        return cb_chain_fail(chain);
    size_t before = cutback_used(arena);
    cb_chain_note_peak(chain);
    void *place = cb_arena_resize(arena, block, old_size, new_size, align);
    if (place == NULL)
        return cb_chain_move(chain, ptr, old_size, new_size, align);
    if (link != &chain->newest)
        chain->beneath += cutback_used(arena) - before; /* modulo the range of size_t */
    cb_chain_note_peak(chain);
    return place;
}

/* ---- scopes ---- */

static cutback_mark cb_chain_mark_newest(cutback_chain *chain) {
    cutback_arena *arena = &chain->newest->arena;
    arena->marks = chain->marks; /* an id is given once in the whole chain */
    return cutback_mark_set(arena);
}

/* A mark that is always refused. Field by field: clearing it would be a call of another function than memset. */
static cutback_chain_mark cb_chain_no_mark(cutback_chain *chain) {
    cutback_chain_mark mark;
    cb_chain_fail(chain);
    mark.chain = NULL;
    mark.mark.arena = NULL;
    mark.mark.id = 0;
    mark.mark.depth = 0;
    return mark;
}

cutback_chain_mark cutback_chain_mark_set(cutback_chain *chain) {
    cutback_chain_mark mark;
    if (chain->newest == NULL && !cb_chain_grow(chain, 0))
        return cb_chain_no_mark(chain);
    mark.mark = cb_chain_mark_newest(chain);
    if (mark.mark.id == 0) { /* no room for the record of a deep scope */
        if (!cb_chain_grow(chain, 0))
            return cb_chain_no_mark(chain);
        mark.mark = cb_chain_mark_newest(chain);
    }
    chain->marks = mark.mark.id;
    mark.chain = chain;
    return mark;
}

/* The chunk in which the mark is open; NULL if it is in none. */
static cutback_chunk *cb_chain_marked(const cutback_chain *chain, cutback_chain_mark mark) {
    cutback_chunk *chunk = mark.chain == chain ? chain->newest : NULL;
    while (chunk != NULL && !cb_scope_open(&chunk->arena, mark.mark))
        chunk = chunk->older;
    return chunk;
}

bool cutback_chain_reset(cutback_chain *chain, cutback_chain_mark mark) {
    cutback_chunk *chunk = cb_chain_marked(chain, mark);
    if (chunk == NULL)
        return false;
    cb_chain_note_peak(chain);
    cb_chain_cut(chain, chunk);
    cutback_reset(&chunk->arena, mark.mark);
    cb_chain_drop(chain, &chain->newest);
    return true;
}

/* Commits the mark in the chunk, which may be empty then. */
static void cb_chain_commit(cutback_chain *chain, cutback_chunk **link, cutback_mark mark) {
    cutback_arena *arena = &(*link)->arena;
    size_t before = cutback_used(arena);
    cutback_commit(arena, mark);
    if (link != &chain->newest)
        chain->beneath -= before - cutback_used(arena);
    cb_chain_drop(chain, link);
}

bool cutback_chain_commit(cutback_chain *chain, cutback_chain_mark mark) {
    const cutback_chunk *chunk = cb_chain_marked(chain, mark);
    cutback_chunk **link = &chain->newest;
    if (chunk == NULL)
        return false;
    cb_chain_note_peak(chain);
    for (cutback_chunk *newer = *link; newer != chunk; newer = *link) {
        if (newer == NULL)
            return false; /* never: the chunk is one of the chain's */
        if (newer->arena.depth != 0) {
            cutback_mark outermost = {&newer->arena, cb_scope_at(&newer->arena, 1)->id, 1};
            cb_chain_commit(chain, link, outermost);
        }
        if (*link == newer)
            link = &newer->older;
    }
    cb_chain_commit(chain, link, mark.mark);
    return true;
}

/* ---- look at it ---- */

bool cutback_chain_owns(const cutback_chain *chain, const void *ptr) {
    const cutback_chunk *chunk = chain->newest;
    while (chunk != NULL && !cutback_owns(&chunk->arena, ptr))
        chunk = chunk->older;
    return chunk != NULL;
}

size_t cutback_chain_used(const cutback_chain *chain) {
    return chain->newest != NULL ? chain->beneath + cutback_used(&chain->newest->arena) : 0;
}

/* Adds what a chunk counts. */
static void cb_chain_add_stats(cutback_chain_stats *stats, const cutback_chunk *chunk) {
    cutback_stats more = cutback_get_stats(&chunk->arena);
    stats->chunks++;
    stats->live_blocks += more.live_blocks;
    stats->rewinds += more.rewinds;
    stats->forgotten_frees += more.forgotten_frees;
    stats->double_frees += more.double_frees;
}

cutback_chain_stats cutback_chain_get_stats(const cutback_chain *chain) {
    cutback_chain_stats stats;
    stats.used = cutback_chain_used(chain);
    stats.peak = cb_arena_max(chain->peak, stats.used);
    if (chain->newest != NULL)
        stats.peak = cb_arena_max(stats.peak, chain->beneath + cutback_get_stats(&chain->newest->arena).peak);
    stats.live_blocks = 0;
    stats.rewinds = chain->rewinds;
    stats.forgotten_frees = chain->forgotten_frees;
    stats.double_frees = chain->double_frees;
    stats.failed_requests = chain->failed_requests;
    stats.chunks = 0;
    stats.held = chain->held;
    stats.held_peak = chain->held_peak;
    for (const cutback_chunk *chunk = chain->newest; chunk != NULL; chunk = chunk->older)
        cb_chain_add_stats(&stats, chunk);
    if (chain->kept != NULL)
        cb_chain_add_stats(&stats, chain->kept);
    return stats;
}
