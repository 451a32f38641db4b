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

#if defined(__GNUC__)
#define CUTBACK_API __attribute__((visibility("default")))
#else
#define CUTBACK_API
#endif

/*
 * How many marks may be open at a time at no cost in memory. Which scopes are open, and how much is live in
 * each, has to be kept somewhere: for so many it is kept in the arena itself (16 or 24 bytes a scope), for
 * deeper ones at the end of the memory while they are open. It is part of the layout of cutback_arena:
 * whoever changes it compiles the library and everything that uses it with the same value.
 */
#ifndef CUTBACK_SCOPES
#define CUTBACK_SCOPES 32
#endif

/* One remembered allocation. Declare an array of them as the ring; the content is the arena's business. */
typedef struct cutback_slot {
    size_t before; /* where the cursor stood before the padding, as an offset into the memory */
    size_t tag;    /* offset of the block times two, plus one when it is dead */
} cutback_slot;

/* One scope. Private. */
typedef struct cutback_scope {
    uint64_t id;  /* of the mark that opened it; never used twice in the life of an arena */
    size_t start; /* the cursor when it was opened */
    size_t live;  /* live blocks that belong to it */
} cutback_scope;

/*
 * An arena. A complete type, to be placed anywhere: static, on the stack, in another structure. All zero
 * means "not yet initialised", and is what it should be before the first cutback_init. The fields are
 * private. Do not copy an arena (two cannot share memory and ring), nor move it while a mark is open (the
 * mark is refused afterwards).
 */
typedef struct cutback_arena {
    unsigned char *memory; /* NULL: not initialised */
    size_t capacity;
    size_t limit;  /* end of what can be handed out: the capacity, less what very deep scopes need */
    size_t cursor; /* offset into memory */
    size_t peak;   /* highest cursor so far */

    cutback_slot *ring;
    size_t slots; /* length of the ring */
    size_t first; /* index of its oldest entry */
    size_t count; /* entries in use */

    uint64_t marks;                           /* the last id given to a mark */
    size_t depth;                             /* open marks; scopes[depth] is the innermost scope */
    cutback_scope scopes[CUTBACK_SCOPES + 1]; /* [0] is the arena itself */

    size_t rewinds;
    size_t forgotten_frees;
    size_t double_frees;
    size_t failed_requests;
} cutback_arena;

/*
 * What cutback_mark_set returns: a small value, to be kept and handed to cutback_reset or cutback_commit
 * once. All zero is a mark that is always refused. The fields are private.
 */
typedef struct cutback_mark {
    const cutback_arena *arena;
    uint64_t id;
    size_t depth;
} cutback_mark;

/* What cutback_get_stats returns. The counters start at 0 with each cutback_init. */
typedef struct cutback_stats {
    size_t used; /* bytes between the start of memory and the cursor, padding and dead blocks included */
    size_t peak; /* the largest `used` so far */
    size_t live_blocks;     /* blocks handed out, and neither freed nor gone with a scope */
    size_t rewinds;         /* calls that moved the cursor back */
    size_t forgotten_frees; /* frees of blocks that the ring no longer knew */
    size_t double_frees;    /* frees that were ignored because the block was known to be dead */
    size_t failed_requests; /* NULLs returned, and marks that could not be opened */
} cutback_stats;

/*
 * Makes `arena` ready to hand out the `capacity` bytes at `memory`, remembering the last `slots` allocations
 * in `ring`.
 *
 * `memory` needs no alignment. `slots` may be 0, and `ring` is then not looked at (NULL will do): a plain
 * bump allocator. Both stay the caller's, who keeps them until the last use of the arena. Neither is written
 * to here.
 *
 * Returns false if `memory` is NULL, `capacity` exceeds SIZE_MAX / 2 or wraps around the address space,
 * `ring` is NULL with `slots` not 0, or the ring overlaps the memory. The arena is then not initialised,
 * whatever it was before.
 *
 * Invalidates, on an arena that was in use, every block and every mark: such marks are refused from here on.
 * For that the arena carries the number of its last mark over, which is why its first content should be zero.
 */
CUTBACK_API bool cutback_init(cutback_arena *arena, void *memory, size_t capacity, cutback_slot *ring,
                              size_t slots);

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
CUTBACK_API void *cutback_alloc(cutback_arena *arena, size_t size, size_t align);

/*
 * Hands out `count` times `size` bytes aligned to `align`, all zero. As cutback_alloc otherwise; NULL as well
 * if the product overflows.
 */
CUTBACK_API void *cutback_calloc(cutback_arena *arena, size_t count, size_t size, size_t align);

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
 * Invalidates `ptr`. O(1) amortised on top, O(log slots) elsewhere (plus O(log depth) for a block that is
 * older than the innermost scope).
 */
CUTBACK_API void cutback_free(cutback_arena *arena, void *ptr, size_t size);

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
CUTBACK_API void *cutback_realloc(cutback_arena *arena, void *ptr, size_t old_size, size_t new_size,
                                  size_t align);

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
CUTBACK_API cutback_mark cutback_mark_set(cutback_arena *arena);

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
CUTBACK_API bool cutback_reset(cutback_arena *arena, cutback_mark mark);

/*
 * Ends the scope of `mark`, and every scope opened after it, and keeps what was allocated: the blocks now
 * belong to the enclosing scope. If that uncovers older blocks that were freed meanwhile, the cursor moves
 * back over them, by the rules of cutback_free.
 *
 * Returns false as cutback_reset does. Invalidates the mark, and every later one. O(1) amortised.
 */
CUTBACK_API bool cutback_commit(cutback_arena *arena, cutback_mark mark);

/* Whether `ptr` points into the memory of the arena, in use or free. False for an arena that is not
 * initialised. */
CUTBACK_API bool cutback_owns(const cutback_arena *arena, const void *ptr);

/* The bytes between the start of memory and the cursor: blocks, padding, and what is dead but not yet given
 * back. */
CUTBACK_API size_t cutback_used(const cutback_arena *arena);

/* The bytes between the cursor and the end of what can be handed out: the largest request that fits, at
 * alignment 1. */
CUTBACK_API size_t cutback_remaining(const cutback_arena *arena);

/* The statistics of the arena; all zero for one that is not initialised. */
CUTBACK_API cutback_stats cutback_get_stats(const cutback_arena *arena);

#ifdef __cplusplus
}
#endif

#endif
