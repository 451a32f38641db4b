/*
 * Inside the arena: what its source files share.
 *
 * Layer:     arena. Freestanding; includes cutback.h, ring.h, scope.h and hooks.h only.
 * Threading: as the arena: one thread at a time.
 *
 * Glossary: see cutback.h. An *offset* counts bytes from the base, which is the address of the memory rounded
 * down to CUTBACK_GRAIN: an offset has the alignment of its address.
 *
 * The fast path in cutback.h looks at the newest block only. It is right because of what A8 says of `floor`. An
 * arena that is not fast has `end` 0, `floor` at `slot`, `shallow` 0 and no floor in its records, so that every
 * call ends in a cold one.
 *
 * Invariants of an initialised arena, between calls, beside those of ring.h (check.h checks them):
 *   A1  cursor <= limit <= the end of the memory; limit is as scope.h says; peak is no more than that.
 *   A2  ring <= floor <= slot <= last; forgotten is no more than the number of blocks.
 *   A3  scope 0 starts at the bottom; from there to the innermost, starts and blocks do not fall, ids rise.
 *   A4  the innermost scope starts at or below the cursor. Hence a reset, which goes to the start of an open
 *       scope, never raises the cursor.
 *   A5  a block belongs to the last scope that starts at or below it.
 *   A6  a scope counts exactly its dead blocks, of those that the ring knows and of the forgotten ones, if the
 *       caller freed no forgotten block twice.
 *   A7  settled: if nothing is live in the innermost scope, it starts at the cursor; otherwise the newest
 *       block, if it belongs to that scope and is known, is live.
 *   A8  blocks at or above `floor` belong to the innermost scope, are known and are live. They can be popped
 *       without a look at anything else, for either no block of the scope is dead, or one beneath `floor` is
 *       live and the one right beneath it is not known to be dead. The same holds for the floor of each
 *       enclosing scope, in the record of the scope inside it, as long as that is not below `lapped` or
 *       `forgotten`, and not SIZE_MAX, which says that the enclosing scope is not settled.
 *   A9  while frees are put off, A6 to A8 hold for the arena as it was before them, but `end` and `shallow` are 0 and
 *       `floor` is at `slot`, so that every call ends in a cold one, which catches up. The blocks are known, of this
 *       lap and of the innermost scope, whose record is in the arena, and that is fast.
 *   A10 no block that starts below `lost` is known.
 */
#ifndef CB_ARENA_ARENA_H
#define CB_ARENA_ARENA_H

#include "cutback.h"
#include "arena/hooks.h"
#include "arena/ring.h"
#include "arena/scope.h"

/* A function that is expanded nowhere; and one that is called seldom as well. */
#if defined(__GNUC__)
#define CB_ARENA_WHOLE __attribute__((noinline))
#define CB_ARENA_APART __attribute__((noinline, cold))
#else
#define CB_ARENA_WHOLE
#define CB_ARENA_APART
#endif

/* The environment's: a freestanding implementation has no string.h, but the compiler needs these anyway. */
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);

/* The kinds of things that a pointer and a size turn out to be. */
enum cb_arena_kind {
    CB_ARENA_NONE,      /* no block of this arena */
    CB_ARENA_DEAD,      /* freed before */
    CB_ARENA_KNOWN,     /* live, in the ring */
    CB_ARENA_FORGOTTEN, /* presumably live: the ring no longer knows */
};

struct cb_arena_block {
    enum cb_arena_kind kind;
    size_t start;  /* its offset */
    size_t end;    /* KNOWN: where its place ends, which is beyond start + size after a shrink that stayed;
                      FORGOTTEN: where it ends at the latest */
    size_t number; /* KNOWN: blocks beneath it */
    size_t scope;  /* KNOWN, FORGOTTEN: the index of the scope that it belongs to */
};

static inline bool cb_arena_aligned(uintptr_t address, size_t align) {
    return (address & (align - 1)) == 0;
}

static inline bool cb_arena_valid_align(size_t align) {
    return align != 0 && (align & (align - 1)) == 0;
}

static inline size_t cb_arena_max(size_t a, size_t b) {
    return a > b ? a : b;
}

static inline size_t cb_arena_min(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Stands for an empty block: not NULL, aligned, never accessed. */
static inline void *cb_arena_empty(size_t align) {
    return (void *)(uintptr_t)align; /* there is no object behind it */
}

static inline void *cb_arena_fail(cutback_arena *arena) {
    arena->failed_requests++;
    return NULL;
}

/* Before the cursor is lowered: it may never have been as high. */
static inline void cb_arena_note_peak(cutback_arena *arena) {
    arena->peak = cb_arena_max(arena->peak, cb_ring_cursor(arena));
}

/*
 * Does what was put off of the frees of blocks near the top. Whatever looks at the newest block, the ring or the counts
 * of a scope calls it first.
 */
#if defined(__OPTIMIZE_SIZE__)
static inline void cb_arena_catch_up(const cutback_arena *arena) {
    (void)arena; /* nothing is ever put off */
}
#else
void cb_arena_perform(cutback_arena *arena);

/* The arena is as writable as it really is, like what strchr returns. */
static inline void cb_arena_catch_up(const cutback_arena *arena) {
    if (arena->put_off != 0)
        cb_arena_perform((cutback_arena *)(uintptr_t)arena);
}
#endif

/*
 * Sets the floor as low as A8 allows; if blocks are dead, as low as is seen at once. The innermost scope is
 * settled.
 */
void cb_arena_set_floor(cutback_arena *arena);

/* Frees a block of any kind. */
CB_ARENA_APART void cb_arena_free_any(cutback_arena *arena, void *ptr, size_t size);

/* Whether the arena is initialised. One that CUTBACK_INIT declared is made ready now. */
bool cb_arena_ready(cutback_arena *arena);

/* Decides whether the arena may take the fast path. Who changes that in use sets the floors as A8 says. */
void cb_arena_set_state(cutback_arena *arena);

/* The offset of the first place at or above `offset` with the alignment; false if `size` bytes do not fit
 * there. */
bool cb_arena_place(const cutback_arena *arena, size_t offset, size_t size, size_t align, size_t *place);

/* a times b, or false if that overflows. */
bool cb_arena_product(size_t a, size_t b, size_t *product);

/* Finds out what the `size` bytes at `ptr` are. */
struct cb_arena_block cb_arena_identify(const cutback_arena *arena, const void *ptr, size_t size);

/*
 * Resizes a live block where it is: on top, as far as there is room; elsewhere if it shrinks and keeps its alignment.
 * NULL if that cannot be, with nothing changed. Neither size is 0.
 */
void *cb_arena_resize(cutback_arena *arena, struct cb_arena_block block, size_t old_size, size_t new_size,
                      size_t align);

/*
 * Takes back what can be taken back in the innermost scope (establishes A7 and A8). `dead` says whether the
 * newest block is dead. Returns how many blocks came back. O(1) amortised: each step pops a block.
 */
size_t cb_arena_settle(cutback_arena *arena, bool dead);

#endif
