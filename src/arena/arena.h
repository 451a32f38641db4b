/*
 * Inside the arena: what its source files share.
 *
 * Layer:     arena. Freestanding; includes cutback.h, ring.h, scope.h and hooks.h only.
 * Threading: as the arena: one thread at a time.
 *
 * Glossary: see cutback.h. An *offset* counts bytes from the start of the memory.
 *
 * Invariants of an initialised arena, between calls, beside those of ring.h (check.h checks them):
 *   A1  cursor <= limit <= capacity <= SIZE_MAX / 2; cursor <= peak <= capacity; limit is as scope.h says.
 *   A2  count <= slots; first < slots, or both are 0.
 *   A3  scope 0 starts at 0; from there to the innermost, starts do not fall and ids rise.
 *   A4  the innermost scope starts at or below the cursor. Hence a reset, which goes to the start of an open
 *       scope, never raises the cursor.
 *   A5  a block belongs to the last scope that starts at or below it.
 *   A6  a scope counts at least the live blocks of its own that the ring knows, and exactly those that are
 *       live, if the caller freed no forgotten block twice.
 *   A7  settled: if nothing is live in the innermost scope, it starts at the cursor; otherwise the newest
 *       entry of the ring, if it belongs to that scope, is live.
 */
#ifndef CB_ARENA_ARENA_H
#define CB_ARENA_ARENA_H

#include "cutback.h"
#include "arena/hooks.h"
#include "arena/ring.h"
#include "arena/scope.h"

/* The environment's: a freestanding implementation has no string.h, but the compiler needs these anyway. */
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);

/* What a pointer and a size turn out to be. */
enum cb_arena_kind {
    CB_ARENA_NONE,      /* no block of this arena */
    CB_ARENA_DEAD,      /* freed before */
    CB_ARENA_KNOWN,     /* live, in the ring */
    CB_ARENA_FORGOTTEN, /* presumably live: the ring no longer knows */
};

struct cb_arena_block {
    enum cb_arena_kind kind;
    size_t start;    /* its offset */
    size_t end;      /* KNOWN: where its place ends, which is beyond start + size after a shrink that stayed;
                        FORGOTTEN: where it ends at the latest */
    size_t position; /* KNOWN: its position in the ring */
    size_t scope;    /* KNOWN, FORGOTTEN: the index of the scope that it belongs to */
};

static inline bool cb_arena_aligned(uintptr_t address, size_t align) {
    return (address & (align - 1)) == 0;
}

static inline bool cb_arena_valid_align(size_t align) {
    return align != 0 && (align & (align - 1)) == 0;
}

/* What stands for an empty block: not NULL, aligned, never accessed. */
static inline void *cb_arena_empty(size_t align) {
    return (void *)(uintptr_t)align; /* there is no object behind it */
}

static inline void *cb_arena_fail(cutback_arena *arena) {
    arena->failed_requests++;
    return NULL;
}

/* The offset of the first place at or above `offset` with the alignment; false if `size` bytes do not fit
 * there. */
bool cb_arena_place(const cutback_arena *arena, size_t offset, size_t size, size_t align, size_t *place);

/* What the `size` bytes at `ptr` are. */
struct cb_arena_block cb_arena_identify(const cutback_arena *arena, const void *ptr, size_t size);

/* Moves the cursor. Bytes that become free are hidden; those that come into use are the caller's to show. */
void cb_arena_move_cursor(cutback_arena *arena, size_t to);

/* Takes back what can be taken back in the innermost scope (establishes A7). O(1) amortised: each step pops
 * an entry. */
void cb_arena_settle(cutback_arena *arena);

#endif
