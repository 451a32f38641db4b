/*
 * cutback: an arena that grows by chunks.
 *
 * Purpose:   a chain of chunks that a callback of the caller supplies and takes back, with the rules of cutback.h
 *            in each of them and across their borders. Optional: who does not call it does not link it.
 * Layer:     on top of cutback.h. Freestanding, as that is.
 * Threading: none. A chain belongs to one thread at a time.
 * Errors:    as in cutback.h: a request that cannot be met returns NULL (or false, or a mark that is refused) and
 *            changes nothing but the count of failed requests.
 *
 * The words are those of cutback.h. Each chunk is an arena with a ring of its own. Blocks are allocated in the
 * *newest* chunk. When one does not fit there, a new chunk is obtained, and what is left in the old one is used
 * again when that is the newest once more. A chunk that holds no live block and no open mark is *empty*: it goes
 * back at once, wherever it is in the chain, unless the chain is to keep one.
 *
 * All sizes are bytes, all alignments powers of two. No argument `chain` may be NULL.
 */
#ifndef CUTBACK_CHAIN_H
#define CUTBACK_CHAIN_H

#include "cutback.h"

#if defined(CUTBACK_MINIMAL)
#error "a chain needs the full arena, without CUTBACK_MINIMAL"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Where chunks come from: malloc, mmap, the pages of a kernel, another arena. Neither function may use the chain
 * that calls it.
 */
typedef struct cutback_source {
    /*
     * Returns a chunk of at least *size bytes, and stores in *size how many it has; NULL if there is none. It needs
     * no alignment. The chunk is the chain's until it is taken back.
     */
    void *(*supply)(void *context, size_t *size);
    /* Takes back a chunk, of the size that supply stored. */
    void (*take)(void *context, void *chunk, size_t size);
    void *context; /* the first argument of both */
} cutback_source;

/* The beginning of each chunk; behind it the ring, then the memory of its arena. Private. */
typedef struct cutback_chunk {
    cutback_arena arena;
    struct cutback_chunk *older;
    void *supplied; /* the chunk as supply returned it */
    size_t size;    /* and its size */
} cutback_chunk;

/*
 * A chain. A complete type, to be placed anywhere. All zero means "not yet initialised", and is what it should be
 * before the first cutback_chain_init. The fields are private. Do not copy or move a chain that is in use.
 */
typedef struct cutback_chain {
    cutback_chunk *newest; /* NULL: there is no chunk */
    cutback_chunk *kept;   /* an empty chunk that is not in the chain, or NULL */
    cutback_source source;
    size_t chunk;   /* as given to cutback_chain_init */
    size_t slots;   /* as well */
    bool keep;      /* as well */
    uint64_t marks; /* the last id given to a mark */

    size_t beneath;   /* bytes used in all chunks but the newest */
    size_t peak;      /* the highest `used` that was noted */
    size_t held;      /* bytes of all chunks, the kept one too */
    size_t held_peak; /* the most so far */
    size_t rewinds;   /* the counters of the chunks that are gone */
    size_t forgotten_frees;
    size_t double_frees;
    size_t failed_requests; /* of the chain */
} cutback_chain;

/* The result of cutback_chain_mark_set; as cutback_mark. All zero is a mark that is always refused. Private. */
typedef struct cutback_chain_mark {
    const cutback_chain *chain;
    cutback_mark mark;
} cutback_chain_mark;

/* The result of cutback_chain_get_stats. The counters start at 0 with each cutback_chain_init. */
typedef struct cutback_chain_stats {
    size_t used;        /* bytes below the cursors of all chunks, padding and dead blocks included */
    size_t peak;        /* the largest `used` so far */
    size_t live_blocks; /* blocks handed out, and neither freed nor gone with a scope */
    size_t rewinds;     /* as in cutback_stats, these and the next two */
    size_t forgotten_frees;
    size_t double_frees;
    size_t failed_requests; /* NULLs returned, and marks that could not be opened */
    size_t chunks;          /* that the chain has from its source, the kept one too */
    size_t held;            /* their bytes */
    size_t held_peak;       /* the most that these ever were */
} cutback_chain_stats;

/*
 * Makes `chain` ready. Nothing is obtained yet.
 *
 * `chunk` is what a chunk is to hold at least; a block that needs more gets a chunk as large as it needs. `slots` is
 * how many blocks each chunk remembers; their ring is in the chunk. Beside these a chunk needs
 * sizeof(cutback_chunk) bytes: 1,888 on 64-bit machines, of which 48 times CUTBACK_SCOPES are for marks. Supply is
 * asked for the sum.
 *
 * With `keep`, one empty chunk, the one that became empty last, does not go back and is used again when one is
 * needed, if it is large enough. Without, a chain whose only block is allocated and freed again and again obtains a
 * chunk each time.
 *
 * Returns false if a function of `source` is NULL, or `chunk` or the ring are larger than SIZE_MAX / 4. The chain is
 * then not initialised.
 *
 * A chain that was in use must be released first, or its chunks are lost. Invalidates every mark of it.
 */
CUTBACK_API bool cutback_chain_init(cutback_chain *chain, cutback_source source, size_t chunk, size_t slots,
                                    bool keep);

/*
 * Gives everything back at once, as cutback_clear does: all chunks, but for one that is to be kept.
 *
 * Invalidates every block and every mark. O(chunks).
 */
CUTBACK_API void cutback_chain_clear(cutback_chain *chain);

/* The same, and the kept chunk goes back as well: nothing of the source is held any more. The chain can be used
 * on. */
CUTBACK_API void cutback_chain_release(cutback_chain *chain);

/*
 * Hands out `size` bytes aligned to `align`, uninitialised. As cutback_alloc; obtains a chunk if the newest has no
 * room, and returns NULL if there is none to be had. O(1), beside what supply takes.
 */
CUTBACK_API CUTBACK_USED CUTBACK_SIZED(2) CUTBACK_ALIGNED(3) CUTBACK_INLINE
    void *cutback_chain_alloc(cutback_chain *chain, size_t size, size_t align);

/* Hands out `count` times `size` bytes aligned to `align`, all zero. NULL as well if the product overflows. */
CUTBACK_API CUTBACK_USED CUTBACK_SIZED(2, 3)
    CUTBACK_ALIGNED(4) void *cutback_chain_calloc(cutback_chain *chain, size_t count, size_t size,
                                                  size_t align);

/*
 * Frees the block at `ptr`, whose size is `size`. As cutback_free in the chunk that the block is in. If the chunk is
 * empty then, it goes back; if it was the newest, the one before it is the newest again.
 *
 * A chunk that is not the newest has no scope but those that were opened while it was: frees in it take effect at
 * once, also while a mark is open in a newer one.
 *
 * Ignored, beside what cutback_free ignores: a pointer into no chunk. O(1) amortised for what is on top of the newest
 * chunk; elsewhere as cutback_free, plus one step for each chunk that is newer than the block's.
 */
CUTBACK_API CUTBACK_INLINE void cutback_chain_free(cutback_chain *chain, void *ptr, size_t size);

/*
 * Resizes the block at `ptr` from `old_size` to `new_size` bytes, aligned to `align`. As cutback_realloc: on top of its
 * chunk, be that the newest or not, it grows and shrinks in place as far as the chunk has room; elsewhere it stays
 * if it shrinks. Otherwise it moves into the newest chunk, or a new one, and belongs to the innermost scope.
 *
 * Returns NULL, with the block untouched, where cutback_realloc would, or if no chunk is to be had.
 */
CUTBACK_API CUTBACK_USED CUTBACK_SIZED(4) CUTBACK_ALIGNED(5) CUTBACK_INLINE
    void *cutback_chain_realloc(cutback_chain *chain, void *ptr, size_t old_size, size_t new_size,
                                size_t align);

/*
 * Opens a scope at the cursor, inside the innermost one, as cutback_mark_set does. It covers what is allocated in this
 * chunk and in all that are obtained before it ends. Obtains a chunk if there is none, or if more than CUTBACK_SCOPES
 * marks are open in the newest and it has no room for another. O(1).
 */
CUTBACK_API cutback_chain_mark cutback_chain_mark_set(cutback_chain *chain);

/*
 * Ends the scope of `mark`, and every scope opened after it, and gives back all that was allocated in them: the chunks
 * obtained since, and what lies above the mark in its own.
 *
 * Returns false, with nothing changed, for a mark that cutback_reset would refuse. Invalidates every block allocated
 * since the mark was set, and the mark, and every later one. O(chunks given back) amortised.
 */
CUTBACK_API bool cutback_chain_reset(cutback_chain *chain, cutback_chain_mark mark);

/*
 * Ends the scope of `mark`, and every scope opened after it, and keeps what was allocated. Returns false as
 * cutback_chain_reset does. Invalidates the mark, and every later one. O(chunks obtained since).
 */
CUTBACK_API bool cutback_chain_commit(cutback_chain *chain, cutback_chain_mark mark);

/* Whether `ptr` points into the memory of a chunk of the chain, in use or free. O(chunks). */
CUTBACK_API bool cutback_chain_owns(const cutback_chain *chain, const void *ptr);

/* The bytes below the cursors of all chunks: blocks, padding, and what is dead but not yet given back. O(1). */
CUTBACK_API size_t cutback_chain_used(const cutback_chain *chain);

/* The statistics of the chain. O(chunks). */
CUTBACK_API cutback_chain_stats cutback_chain_get_stats(const cutback_chain *chain);

/* ---- the fast path, as in cutback.h ---- */

/* The functions above, for the cases that those below leave. Not to be called by anybody else. */
CUTBACK_API void *cutback_chain_cold_alloc(cutback_chain *chain, size_t size, size_t align);
CUTBACK_API void cutback_chain_cold_free(cutback_chain *chain, void *ptr, size_t size);
CUTBACK_API void *cutback_chain_cold_realloc(cutback_chain *chain, void *ptr, size_t old_size,
                                             size_t new_size, size_t align);

#if defined(CUTBACK_CALLS)
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 11
CUTBACK_API void *cutback_chain_alloc(cutback_chain *chain, size_t size, size_t align)
    __attribute__((malloc(cutback_chain_free, 2)));
CUTBACK_API void *cutback_chain_calloc(cutback_chain *chain, size_t count, size_t size, size_t align)
    __attribute__((malloc(cutback_chain_free, 2)));
#endif
#else
/* Whether this is the newest block, and one that the fast path may free. */
#define CUTBACK_CHAIN_TOP(arena, ptr, size)                                                                  \
    ((arena)->slot != (arena)->floor &&                                                                      \
     (size_t)((uintptr_t)(ptr) - (arena)->base) == (size_t)((arena)->top >> 32) &&                           \
     (size_t)((uintptr_t)(ptr) - (arena)->base) + (size) == (size_t)(uint32_t)(arena)->top)

CUTBACK_INLINE void *cutback_chain_alloc(cutback_chain *chain, size_t size, size_t align) {
    void *block = NULL;
    if (CUTBACK_RARELY(chain->newest == NULL))
        return cutback_chain_cold_alloc(chain, size, align);
    block = cutback_alloc(&chain->newest->arena, size, align);
    return CUTBACK_RARELY(block == NULL) ? cutback_chain_cold_alloc(chain, size, align) : block;
}

CUTBACK_INLINE void cutback_chain_free(cutback_chain *chain, void *ptr, size_t size) {
    cutback_arena *arena = NULL;
    if (CUTBACK_RARELY(chain->newest == NULL))
        return;
    arena = &chain->newest->arena;
    /* Left to the cold path: what is not on top, and the block in the first slot, which may be the last one in the
     * chunk, unless the chunk stays where it is. */
    if (CUTBACK_RARELY(!CUTBACK_CHAIN_TOP(arena, ptr, size) ||
                       (arena->slot == arena->ring + 1 &&
                        (!chain->keep || chain->kept != NULL || chain->newest->older != NULL))))
        cutback_chain_cold_free(chain, ptr, size);
    else
        cutback_free(arena, ptr, size);
}

CUTBACK_INLINE void *cutback_chain_realloc(cutback_chain *chain, void *ptr, size_t old_size, size_t new_size,
                                           size_t align) {
    void *place = NULL;
    if (CUTBACK_RARELY(chain->newest == NULL || new_size == 0 ||
                       !CUTBACK_CHAIN_TOP(&chain->newest->arena, ptr, old_size)))
        return cutback_chain_cold_realloc(chain, ptr, old_size, new_size, align);
    place = cutback_realloc(&chain->newest->arena, ptr, old_size, new_size, align);
    return CUTBACK_RARELY(place == NULL) ? cutback_chain_cold_realloc(chain, ptr, old_size, new_size, align)
                                         : place;
}
#undef CUTBACK_CHAIN_TOP
#endif

#ifdef __cplusplus
}
#endif

#endif
