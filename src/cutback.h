/*
 * cutback: a bump allocator that gives memory back.
 *
 * Purpose:   the whole public surface of the arena (libcutback).
 * Layer:     arena, the lowest. Freestanding: needs stddef, stdint, stdbool and limits, and from its
 *            environment memcpy, memmove and memset, nothing else.
 * Threading: none. An arena belongs to one thread at a time; two arenas share nothing.
 * Errors:    a request that cannot be met returns NULL (or false, or a mark that is refused) and changes
 *            nothing but the count of failed requests. Nothing is printed, nothing aborts.
 *
 * Words used below. A *block* is what one allocation handed out; it is live until it is freed, then dead. The
 * *cursor* is the end of the memory in use: blocks lie below it, free memory above. The *ring* remembers the
 * last `slots` blocks; older ones are *forgotten*. A *scope* is what a mark opens; an arena without an open
 * mark is one scope that never ends. A block belongs to the scope that was innermost when it was allocated;
 * it is *on top* when it is live, ends at the cursor and belongs to the innermost scope.
 *
 * All sizes are bytes. All alignments are powers of two; they are alignments of the address, so that the
 * memory given to cutback_init may start anywhere. No argument `arena` may be NULL.
 */
#ifndef CUTBACK_H
#define CUTBACK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header, as numbers and as one that can be compared: 200 for 0.2.0. */
#define CUTBACK_VERSION_MAJOR 0
#define CUTBACK_VERSION_MINOR 2
#define CUTBACK_VERSION_PATCH 0
#define CUTBACK_VERSION (CUTBACK_VERSION_MAJOR * 10000 + CUTBACK_VERSION_MINOR * 100 + CUTBACK_VERSION_PATCH)

/*
 * For the compiler: that the result of a function is memory of so many bytes, so aligned, and that it is a mistake to
 * drop it. The numbers are those of the arguments. It is not told that nothing else points there (attribute malloc): a
 * block lies in an array that the caller has, and compilers would take a comparison of the two for false.
 */
#if defined(__GNUC__)
#define CUTBACK_API __attribute__((visibility("default")))
#define CUTBACK_SIZED(...) __attribute__((alloc_size(__VA_ARGS__)))
#define CUTBACK_USED __attribute__((warn_unused_result))
#if defined(__clang__)
#define CUTBACK_ALIGNED(align) /* clang 14 crashes where the alignment is a constant 0 */
#else
#define CUTBACK_ALIGNED(align) __attribute__((alloc_align(align)))
#endif
#else
#define CUTBACK_API
#define CUTBACK_SIZED(...)
#define CUTBACK_ALIGNED(align)
#define CUTBACK_USED
#endif

/* The cold part of the function is a call: the compiler keeps it out of the way. */
#if defined(__GNUC__)
#define CUTBACK_RARELY(condition) __builtin_expect(!!(condition), 0)
#else
#define CUTBACK_RARELY(condition) (condition)
#endif

/*
 * The functions of the fast path are defined in this header, and as symbols in the library as well: for calls
 * that the compiler does not expand, for pointers to them, and for other languages. Where a program is compiled for
 * speed, gcc and clang expand each call, whatever they think of its size. With CUTBACK_CALLS defined
 * before, the header defines none: all are calls. That is shorter, and it is for static analysis: gcc then knows
 * which function frees what cutback_alloc returns, and warns of free(), which it does not do for functions that
 * it may expand. (Blocks need not be freed one by one: switch its warning of leaks off.)
 */
#if defined(__GNUC__) && defined(__OPTIMIZE__) && !defined(__OPTIMIZE_SIZE__)
#define CUTBACK_EXPANDED __attribute__((always_inline))
#else
#define CUTBACK_EXPANDED
#endif
#if defined(CUTBACK_CALLS) || defined(CUTBACK_MINIMAL)
#define CUTBACK_INLINE
#elif defined(__GNUC_GNU_INLINE__) && !defined(__cplusplus)
#define CUTBACK_INLINE extern inline __attribute__((gnu_inline)) CUTBACK_EXPANDED
#else
#define CUTBACK_INLINE inline CUTBACK_EXPANDED
#endif

/*
 * How many marks may be open at a time at no cost in memory. Which scopes are open, and how much is live in
 * each, has to be kept somewhere: for so many it is kept in the arena itself (32 or 48 bytes a scope), for
 * deeper ones at the end of the memory while they are open. It is part of the layout of cutback_arena:
 * whoever changes it compiles the library and everything that uses it with the same value. Where it differs,
 * cutback_init returns false, and an arena of CUTBACK_INIT stays not initialised.
 */
#ifndef CUTBACK_SCOPES
#if defined(CUTBACK_MINIMAL)
#define CUTBACK_SCOPES 8
#else
#define CUTBACK_SCOPES 32
#endif
#endif

/*
 * CUTBACK_MINIMAL is for machines where code is what is short: alloc, free, mark and reset are below 700 bytes on a
 * Cortex-M0. The library is then the one file arena/minimal.c. Each block is placed, and each free, reset and commit
 * gives back, as in the full arena, and what that one ignores is ignored. The differences:
 *
 * - All functions are calls. A free looks for its block from the newest one down: O(d) where it is d blocks below the
 *   top, O(slots) where it is forgotten.
 * - There are no statistics: no cutback_get_stats, cutback_get_usage, cutback_watch_frees. Nothing is counted.
 * - At most CUTBACK_SCOPES marks are open at a time. A further one is refused.
 * - Not noticed: a ring that overlaps the memory; a mark of another arena, if a scope of this one has the same number and
 *   depth; a mark used again after SIZE_MAX others.
 * - AddressSanitizer and valgrind are not told anything. cutback_chain.h is not to be had.
 *
 * The functions have other names for the linker, with the number of scopes in them: a program and a library that do not
 * agree on either macro do not link.
 */
#if defined(CUTBACK_MINIMAL)
#define CUTBACK_PASTED(prefix, scopes, name) prefix##scopes##name
#define CUTBACK_NAMED(scopes, name) CUTBACK_PASTED(cutback_minimal_, scopes, name)
#define cutback_init CUTBACK_NAMED(CUTBACK_SCOPES, _init)
#define cutback_clear CUTBACK_NAMED(CUTBACK_SCOPES, _clear)
#define cutback_alloc CUTBACK_NAMED(CUTBACK_SCOPES, _alloc)
#define cutback_calloc CUTBACK_NAMED(CUTBACK_SCOPES, _calloc)
#define cutback_free CUTBACK_NAMED(CUTBACK_SCOPES, _free)
#define cutback_realloc CUTBACK_NAMED(CUTBACK_SCOPES, _realloc)
#define cutback_mark_set CUTBACK_NAMED(CUTBACK_SCOPES, _mark_set)
#define cutback_reset CUTBACK_NAMED(CUTBACK_SCOPES, _reset)
#define cutback_commit CUTBACK_NAMED(CUTBACK_SCOPES, _commit)
#define cutback_mark_open CUTBACK_NAMED(CUTBACK_SCOPES, _mark_open)
#define cutback_owns CUTBACK_NAMED(CUTBACK_SCOPES, _owns)
#define cutback_used CUTBACK_NAMED(CUTBACK_SCOPES, _used)
#define cutback_remaining CUTBACK_NAMED(CUTBACK_SCOPES, _remaining)
#endif

/* The largest alignment that the fast path knows; larger ones take the cold path. */
#define CUTBACK_GRAIN 4096

#if defined(CUTBACK_MINIMAL)
/* The types of the full arena, below, in the small. All zero is an arena that hands out nothing. */
typedef struct cutback_slot {
    unsigned char *before; /* where the block begins, before its padding: the end of the block beneath */
    unsigned char *start;  /* NULL: it is dead */
} cutback_slot;

typedef struct cutback_scope {
    unsigned char *start; /* the cursor when it was opened */
    size_t live;          /* its own blocks */
    size_t id;            /* of the mark that opened it */
    size_t unused;        /* the size is a power of two: no multiplication finds a scope */
} cutback_scope;

typedef struct cutback_arena {
    unsigned char *cursor;
    unsigned char *end;
    cutback_slot *ring;
    size_t slots;
    size_t next;  /* slot, to be written */
    size_t known; /* slots before it that say something */
    size_t depth; /* open marks */
    size_t marks; /* the last id given to one */
    cutback_scope scopes[CUTBACK_SCOPES + 1];
} cutback_arena;

typedef struct cutback_mark {
    size_t id;
    size_t depth;
} cutback_mark;

#else
/*
 * One remembered allocation. Declare an array of them as the ring; the content is the arena's business. An
 * arena whose memory is 4 GiB (less a few KiB) or more uses two for each block, and the cold path only.
 */
typedef struct cutback_slot {
    uint64_t word; /* the block beneath: its start times 2^32 plus its end, the other way round when dead */
} cutback_slot;

/* One scope. Private. Blocks are numbered from the bottom: block k has k blocks beneath it. */
typedef struct cutback_scope {
    uint64_t id;   /* of the mark that opened it; never used twice in the life of an arena */
    size_t newest; /* the start of the newest block when it was opened; with `start` the other way round */
    size_t start;  /* when that block is dead */
    size_t first;  /* blocks below the cursor when it was opened */
    size_t dead;   /* its own blocks that were freed and have not come back */
    size_t floor;  /* the floor of the scope around it, as a number of blocks; SIZE_MAX: not settled */
} cutback_scope;

/*
 * An arena. A complete type, to be placed anywhere: static, on the stack, in another structure. All zero
 * means "not yet initialised", and is what it should be before the first cutback_init. The fields are
 * private. Do not copy an arena (two cannot share memory and ring), nor move it while a mark is open (the
 * mark is refused afterwards).
 *
 * The fast path touches the first eight fields, which are one cache line on 64-bit machines where the arena
 * is aligned to 64. Places are offsets from `base`, which is the address of the memory rounded down to
 * CUTBACK_GRAIN.
 */
typedef struct cutback_arena {
    uint64_t top;        /* the newest block: its start times 2^32, plus its end, which is the cursor */
    size_t end;          /* how far the fast path may go; 0: nowhere */
    cutback_slot *slot;  /* the next to be written */
    cutback_slot *last;  /* the end of the ring */
    cutback_slot *floor; /* blocks whose slot is at or above it are freed without a look at what is beneath */
    uintptr_t base;
    size_t peak;  /* highest cursor so far, of those that were left */
    size_t depth; /* open marks; scopes[depth] is the innermost scope */

    size_t shallow; /* marks that the fast path may open */
    uint64_t marks; /* the last id given to a mark */
    cutback_slot *ring;
    size_t length;    /* blocks that the ring remembers */
    size_t lapped;    /* blocks below the cursor that were pushed before the ring was last begun anew */
    size_t forgotten; /* blocks below the cursor that the ring surely does not know */

    void *memory; /* NULL: not initialised */
    size_t capacity;
    size_t slots;       /* as given to cutback_init */
    size_t limit;       /* end of what can be handed out: the end of memory, less what deep scopes need */
    size_t wide_newest; /* `top` where 32 bits do not suffice */
    size_t wide_cursor;
    size_t size;    /* of the arena as its owner knows it; CUTBACK_INIT only */
    unsigned state; /* 0: not initialised, 1: by CUTBACK_INIT and not used yet, above: in use */

    size_t rewinds;
    size_t forgotten_frees;
    size_t double_frees;
    size_t failed_requests;
    size_t *distances; /* as given to cutback_watch_frees */
    size_t buckets;

    cutback_scope scopes[CUTBACK_SCOPES + 1]; /* [0] is the arena itself */

    size_t lost;  /* the ring surely knows no block that starts below this */
    uint32_t was; /* `put_off` before the last free of these; not beside it: gcc makes a vector of both */
    const cutback_slot *streak; /* where `slot` was after the last free of a block near the top */
    const cutback_slot
        *low;           /* while frees are put off: slots above it are known and of the innermost scope */
    cutback_slot *lent; /* while frees are put off: the slot that has the span of the newest block; or NULL */
    uint64_t word;      /* what was in it before */
    uint32_t put_off;   /* bit i: the block whose span is in slot[-i] was freed */
} cutback_arena;

/*
 * The result of cutback_mark_set: a small value, to be kept and handed to cutback_reset or cutback_commit
 * once. All zero is a mark that is always refused. The fields are private.
 */
typedef struct cutback_mark {
    const cutback_arena *arena;
    uint64_t id;
    size_t depth;
} cutback_mark;

#endif

/* The result of cutback_get_stats. The counters start at 0 with each cutback_init. */
typedef struct cutback_stats {
    size_t used; /* bytes between the start of memory and the cursor, padding and dead blocks included */
    size_t peak; /* the largest `used` so far */
    size_t live_blocks; /* blocks handed out, and neither freed nor gone with a scope */
    size_t rewinds;     /* calls after which blocks came back that had been freed before, but not in order */
    size_t forgotten_frees; /* frees of blocks that the ring no longer knew */
    size_t double_frees;    /* frees that were ignored because the block was known to be dead */
    size_t failed_requests; /* NULLs returned, and marks that could not be opened */
} cutback_stats;

/* The result of cutback_get_usage: bytes between the start of memory and the cursor. Their sum is `used`. */
typedef struct cutback_usage {
    size_t live;      /* in blocks that the ring knows, and that are live */
    size_t dead;      /* in blocks that it knows, and that were freed, but are not on top */
    size_t padding;   /* before all these, for alignment */
    size_t forgotten; /* below the oldest block that the ring knows: it does not say what is there */
} cutback_usage;

/*
 * Makes `arena` ready to hand out the `capacity` bytes at `memory`, remembering the last `slots` allocations
 * in `ring`.
 *
 * `memory` needs no alignment. `slots` may be 0, and `ring` is then not looked at (NULL will do): a plain
 * bump allocator, though one that takes the cold path; with one slot it is faster. Both stay the caller's,
 * who keeps them until the last use of the arena. Neither is written to here.
 *
 * Returns false if `memory` is NULL, `capacity` exceeds SIZE_MAX / 2 or wraps around the address space,
 * `ring` is NULL with `slots` not 0, the ring overlaps the memory, or the library was compiled with another
 * CUTBACK_SCOPES. The arena is then not initialised, whatever it was before.
 *
 * Invalidates, on an arena that was in use, every block and every mark: such marks are refused from here on.
 * For that the arena carries the number of its last mark over, which is why its first content should be zero.
 */
CUTBACK_API CUTBACK_INLINE bool cutback_init(cutback_arena *arena, void *memory, size_t capacity,
                                             cutback_slot *ring, size_t slots);

/*
 * The same as an initialiser, for arrays `bytes` and `ring`:
 *
 *     static cutback_arena arena = CUTBACK_INIT(bytes, ring);
 *
 * It is a constant (in C++20, constinit): the arena can be used before main, and without a call. That the ring
 * does not lie inside the memory is not checked here.
 */
#if defined(CUTBACK_MINIMAL)
#define CUTBACK_INIT(bytes, ring)                                                                            \
    {                                                                                                        \
        (bytes), (bytes) + sizeof(bytes), (ring), sizeof(ring) / sizeof(cutback_slot), 0, 0, 0, 0, {         \
            { (bytes), 0, 0, 0 }                                                                             \
        }                                                                                                    \
    }
#else
#define CUTBACK_INIT(bytes, ring)                                                                            \
    {                                                                                                        \
        0, 0, NULL, NULL, NULL, 0, 0, 0, 0, 0, (ring), 0, 0, 0, (bytes), sizeof(bytes),                      \
            sizeof(ring) / sizeof(cutback_slot), 0, 0, 0, sizeof(cutback_arena), 1, 0, 0, 0, 0, NULL, 0,     \
            {{0, 0, 0, 0, 0, 0}}, 0, 0, NULL, NULL, NULL, 0, 0                                               \
    }
#endif

/*
 * Gives everything back at once: the cursor goes to the start of the memory, every scope ends, and the ring is
 * empty. The statistics go on counting. Does nothing to an arena that is not initialised.
 *
 * Invalidates every block, and every mark: they are refused from here on. O(1).
 */
CUTBACK_API void cutback_clear(cutback_arena *arena);

/*
 * Hands out `size` bytes aligned to `align`, uninitialised.
 *
 * `size` 0 returns a pointer that is not NULL, aligned as asked, and not to be accessed; it touches neither
 * arena nor ring, and freeing it with size 0 does nothing. It may equal other pointers.
 *
 * Returns NULL, with nothing changed, if padding and size do not fit, if `align` is no power of two (0 is
 * none), or if the arena is not initialised. Invalidates nothing; with a full ring, the oldest remembered
 * block is forgotten. O(1).
 */
CUTBACK_API CUTBACK_USED CUTBACK_SIZED(2) CUTBACK_ALIGNED(3) CUTBACK_INLINE
    void *cutback_alloc(cutback_arena *arena, size_t size, size_t align);

/*
 * Hands out `count` times `size` bytes aligned to `align`, all zero. As cutback_alloc otherwise; NULL as well
 * if the product overflows.
 */
CUTBACK_API CUTBACK_USED CUTBACK_SIZED(2, 3)
    CUTBACK_ALIGNED(4) void *cutback_calloc(cutback_arena *arena, size_t count, size_t size, size_t align);

/*
 * Frees the block at `ptr`, whose size is `size` (as last asked for: after a realloc, its new size).
 *
 * On top and remembered: the cursor moves back over the block, its padding, and every dead block beneath it
 * that the ring still knows, but not beyond the start of the innermost scope. Remembered but not on top: the
 * block is marked dead and comes back when the cursor gets there. Forgotten: counted, nothing comes back by
 * itself. In each case, if no block of the innermost scope is live any more, the cursor falls back to the
 * start of that scope.
 *
 * Ignored: NULL; size 0; a pointer outside the memory, above the cursor, or where the ring knows that no
 * block starts; a size that cannot be, because it reaches into the next block. Ignored and counted: a second
 * free of a block that the ring still knows, or in a scope that has no live block. A second free of a
 * *forgotten* block is otherwise the caller's fault, as with every allocator: it is taken for the free of
 * another block, and the scope may be cut back while that one is in use.
 *
 * Invalidates `ptr`. O(1) amortised on top, O(log d) for the block that is d blocks below it, O(log slots) for
 * a forgotten one (plus O(log depth) for a block that is older than the innermost scope). In a library compiled for
 * size: O(d), O(slots) for a forgotten one, plus O(depth).
 */
CUTBACK_API CUTBACK_INLINE void cutback_free(cutback_arena *arena, void *ptr, size_t size);

/*
 * Resizes the block at `ptr` from `old_size` to `new_size` bytes, aligned to `align`, which may differ from
 * before. The first min(old_size, new_size) bytes keep their content.
 *
 * On top: grows and shrinks in place; for this, the ring need not remember the block. If the place does not
 * have the alignment, the block slides up to the next one that has, over itself, keeping its padding.
 * Elsewhere: stays if `new_size` is at most `old_size` and the place has the alignment; what is cut off comes
 * back with the block. Otherwise a new block is allocated, the content copied, and the old one freed. A block
 * that is older than the innermost scope is always elsewhere.
 *
 * `ptr` NULL or `old_size` 0: as cutback_alloc. `new_size` 0: frees `ptr` and returns what cutback_alloc does
 * for 0.
 *
 * Returns NULL, with the block untouched and still live, if there is no room, for the reasons that
 * cutback_alloc lists, or if `ptr` is no live block of this arena (as far as cutback_free would notice).
 *
 * Invalidates `ptr` unless NULL is returned; the result may equal it. O(1) amortised, or as cutback_free,
 * plus the copy.
 */
CUTBACK_API CUTBACK_USED CUTBACK_SIZED(4) CUTBACK_ALIGNED(5) CUTBACK_INLINE
    void *cutback_realloc(cutback_arena *arena, void *ptr, size_t old_size, size_t new_size, size_t align);

/*
 * Opens a scope at the cursor, inside the innermost one. Until it ends, nothing older moves: older blocks
 * that are freed meanwhile are remembered as dead, and come back afterwards.
 *
 * While more than CUTBACK_SCOPES marks are open, each further one takes sizeof(cutback_scope) bytes from the
 * far end of the memory: the cursor is not moved, but less remains.
 *
 * Returns a mark that is always refused, and opens nothing, if these do not fit (counted as a failed request)
 * or the arena is not initialised. Invalidates nothing. O(1).
 */
CUTBACK_API CUTBACK_INLINE cutback_mark cutback_mark_set(cutback_arena *arena);

/*
 * Ends the scope of `mark`, and every scope opened after it, and gives back all that was allocated in them.
 * The cursor goes to where it was when the mark was set, and then lower, over older blocks that were freed
 * meanwhile, by the rules of cutback_free. It is never raised.
 *
 * Returns false, with nothing changed, if the scope of `mark` has ended (a copy of a mark is the same mark),
 * if the mark is another arena's, was set before the last cutback_init, or never opened a scope.
 *
 * Invalidates every block allocated since the mark was set, and the mark, and every later one. O(1)
 * amortised.
 */
CUTBACK_API CUTBACK_INLINE bool cutback_reset(cutback_arena *arena, cutback_mark mark);

/*
 * Ends the scope of `mark`, and every scope opened after it, and keeps what was allocated: the blocks now
 * belong to the enclosing scope. If that uncovers older blocks that were freed meanwhile, the cursor moves
 * back over them, by the rules of cutback_free.
 *
 * Returns false as cutback_reset does. Invalidates the mark, and every later one. O(1) amortised.
 */
CUTBACK_API bool cutback_commit(cutback_arena *arena, cutback_mark mark);

/* Whether the scope of `mark` is open: cutback_reset and cutback_commit would return true. Changes nothing. */
CUTBACK_API bool cutback_mark_open(const cutback_arena *arena, cutback_mark mark);

/* Whether `ptr` points into the memory of the arena, in use or free. False for an arena that is not
 * initialised. */
CUTBACK_API bool cutback_owns(const cutback_arena *arena, const void *ptr);

/* The bytes between the start of memory and the cursor: blocks, padding, and what is dead but not yet given
 * back. */
CUTBACK_API size_t cutback_used(const cutback_arena *arena);

/* The bytes between the cursor and the end of what can be handed out: the largest request that fits, at
 * alignment 1. */
CUTBACK_API size_t cutback_remaining(const cutback_arena *arena);

#if !defined(CUTBACK_MINIMAL)
/* The statistics of the arena; all zero for one that is not initialised. */
CUTBACK_API cutback_stats cutback_get_stats(const cutback_arena *arena);

/* Tells live, dead and padding bytes apart. O(slots) plus O(depth). All zero for an arena that is not initialised. */
CUTBACK_API cutback_usage cutback_get_usage(const cutback_arena *arena);

/*
 * Answers how many slots a program needs: from here on, each free adds one to an element of `counts`, an array of `n`,
 * by how many blocks lie above the freed one, live or dead. counts[0] is for none; counts[i] for at least 2^(i-1) and
 * fewer than 2^i; the last one for all above. So 2^i slots suffice for what is counted in counts[0] to counts[i]. A
 * block that the ring has forgotten is counted in `forgotten_frees` only: run it with a ring that is large. A realloc
 * that moves is a free as well.
 *
 * While it counts, every call takes the cold path, as with a memory checker; at other times it costs nothing. `counts`
 * stays the caller's, who sets it to zero before. NULL, or 0 for `n`, ends it, and so does cutback_init. Returns false
 * if the arena is not initialised. Invalidates nothing. O(depth).
 */
CUTBACK_API bool cutback_watch_frees(cutback_arena *arena, size_t *counts, size_t n);

/* ---- the fast path: common cases, expanded where they are called; everything else is a cold call ---- */

/* The functions above, for the cases that those below leave. Not to be called by anybody else. */
CUTBACK_API bool cutback_cold_init(cutback_arena *arena, void *memory, size_t capacity, cutback_slot *ring,
                                   size_t slots, size_t size);
CUTBACK_API void *cutback_cold_alloc(cutback_arena *arena, size_t size, size_t align);
CUTBACK_API void cutback_cold_free(cutback_arena *arena, void *ptr, size_t size);
CUTBACK_API void *cutback_cold_realloc(cutback_arena *arena, void *ptr, size_t old_size, size_t new_size,
                                       size_t align);
CUTBACK_API cutback_mark cutback_cold_mark(cutback_arena *arena);
CUTBACK_API bool cutback_cold_reset(cutback_arena *arena, cutback_mark mark);

#endif

#if defined(CUTBACK_CALLS) || defined(CUTBACK_MINIMAL)
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 11
CUTBACK_API void *cutback_alloc(cutback_arena *arena, size_t size, size_t align)
    __attribute__((malloc(cutback_free, 2)));
CUTBACK_API void *cutback_calloc(cutback_arena *arena, size_t count, size_t size, size_t align)
    __attribute__((malloc(cutback_free, 2)));
#endif
#else
CUTBACK_INLINE bool cutback_init(cutback_arena *arena, void *memory, size_t capacity, cutback_slot *ring,
                                 size_t slots) {
    return cutback_cold_init(arena, memory, capacity, ring, slots, sizeof *arena);
}

CUTBACK_INLINE void *cutback_alloc(cutback_arena *arena, size_t size, size_t align) {
    uint64_t top = arena->top;
    size_t start = ((size_t)(uint32_t)top + (align - 1)) & (0 - align);
    size_t end = start + size;
    cutback_slot *slot = arena->slot;
    uintptr_t address = 0;
    if (CUTBACK_RARELY(align - 1 >= CUTBACK_GRAIN || (align & (align - 1)) != 0))
        return cutback_cold_alloc(arena, size, align);
    if (CUTBACK_RARELY(end <= start || end > arena->end))
        return cutback_cold_alloc(arena, size, align);
    if (CUTBACK_RARELY(slot == arena->last)) { /* the ring begins anew, over its oldest entries */
        slot = arena->ring;
        arena->floor = slot;
        arena->lapped += arena->length;
    }
    slot->word = top;
    arena->slot = slot + 1;
    arena->top = (uint64_t)start << 32 | end;
    address = arena->base + start;
#if defined(__GNUC__)
    if (address == 0)
        __builtin_unreachable(); /* so that the caller's comparison with NULL costs nothing here */
#endif
    return (void *)address;
}

CUTBACK_INLINE void cutback_free(cutback_arena *arena, void *ptr, size_t size) {
    uint64_t top = arena->top;
    cutback_slot *slot = arena->slot;
    size_t start = (size_t)((uintptr_t)ptr - arena->base);
    if (CUTBACK_RARELY(slot == arena->floor || start != (size_t)(top >> 32) ||
                       start + size != (size_t)(uint32_t)top)) {
        cutback_cold_free(arena, ptr, size);
        return;
    }
    if (CUTBACK_RARELY((uint32_t)top > arena->peak))
        arena->peak = (uint32_t)top;
    arena->slot = slot - 1;
    arena->top = slot[-1].word;
}

CUTBACK_INLINE void *cutback_realloc(cutback_arena *arena, void *ptr, size_t old_size, size_t new_size,
                                     size_t align) {
    uint64_t top = arena->top;
    size_t start = (size_t)((uintptr_t)ptr - arena->base);
    size_t end = start + new_size;
    if (CUTBACK_RARELY(arena->slot == arena->floor || start != (size_t)(top >> 32) ||
                       start + old_size != (size_t)(uint32_t)top))
        return cutback_cold_realloc(arena, ptr, old_size, new_size, align);
    if (CUTBACK_RARELY(align - 1 >= CUTBACK_GRAIN || (align & (align - 1)) != 0 ||
                       (start & (align - 1)) != 0 || end <= start || end > arena->end))
        return cutback_cold_realloc(arena, ptr, old_size, new_size, align);
    if (new_size < old_size && (uint32_t)top > arena->peak)
        arena->peak = (uint32_t)top;
    arena->top = (uint64_t)start << 32 | end;
    return ptr;
}

CUTBACK_INLINE cutback_mark cutback_mark_set(cutback_arena *arena) {
    size_t depth = arena->depth;
    cutback_scope *scope = NULL;
    cutback_mark mark;
    if (CUTBACK_RARELY(depth >= arena->shallow))
        return cutback_cold_mark(arena);
    scope = &arena->scopes[depth + 1];
    scope->id = ++arena->marks;
    scope->newest = (size_t)(arena->top >> 32);
    scope->start = (size_t)(uint32_t)arena->top;
    scope->first = arena->lapped + (size_t)(arena->slot - arena->ring);
    scope->dead = 0;
    scope->floor = arena->lapped + (size_t)(arena->floor - arena->ring);
    arena->floor = arena->slot;
    arena->depth = depth + 1;
    mark.arena = arena;
    mark.id = scope->id;
    mark.depth = depth + 1;
    return mark;
}

CUTBACK_INLINE bool cutback_reset(cutback_arena *arena, cutback_mark mark) {
    size_t depth = arena->depth;
    const cutback_scope *scope = NULL;
    if (CUTBACK_RARELY(mark.arena != arena || mark.depth != depth || depth - 1 >= arena->shallow))
        return cutback_cold_reset(arena, mark);
    /* The scope around it is settled, and since the mark the ring has neither begun anew nor forgotten. */
    scope = &arena->scopes[depth];
    if (CUTBACK_RARELY(mark.id != scope->id || scope->floor < arena->forgotten ||
                       scope->floor - arena->lapped > (size_t)(arena->slot - arena->ring)))
        return cutback_cold_reset(arena, mark);
    if (CUTBACK_RARELY((uint32_t)arena->top > arena->peak))
        arena->peak = (uint32_t)arena->top;
    arena->top = (uint64_t)scope->newest << 32 | scope->start;
    arena->slot = arena->ring + (scope->first - arena->lapped);
    arena->floor = arena->ring + (scope->floor - arena->lapped);
    arena->depth = depth - 1;
    return true;
}

#endif

#ifdef __cplusplus
}
#endif

#endif
