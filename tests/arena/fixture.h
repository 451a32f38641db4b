/*
 * The ground of the arena tests: an arena over memory of its own, and words for what they ask of it.
 *
 * Layer:     tests. Includes cutback.h, the arena's check and cmocka.
 * Threading: none.
 */
#ifndef CB_TESTS_ARENA_FIXTURE_H
#define CB_TESTS_ARENA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cutback.h"
#if defined(CUTBACK_MINIMAL)
#include "arena/hooks.h"
#else
#include "arena/check.h"
#endif

#include "../support/pattern.h"

#define BED_MEMORY 4096
#define BED_RING 64

struct bed {
    cutback_arena arena;
    cutback_slot ring[BED_RING];
    _Alignas(256) unsigned char memory[BED_MEMORY];
};

/* An arena over `capacity` bytes, aligned to 256, that remembers `slots` blocks. Each call makes a new one.
 */
static inline cutback_arena *fixture_make(size_t capacity, size_t slots) {
    static struct bed bed;
    assert_true(capacity <= BED_MEMORY && slots <= BED_RING);
    memset(&bed.arena, 0, sizeof bed.arena);
    assert_true(cutback_init(&bed.arena, bed.memory, capacity, bed.ring, slots));
    return &bed.arena;
}

#if defined(CUTBACK_MINIMAL)
static inline unsigned char *fixture_memory(const cutback_arena *arena) {
    return arena->scopes[0].start;
}

static inline size_t fixture_known(const cutback_arena *arena) {
    return arena->known;
}

/* A mark that says that it is the arena's, and is not. */
static inline cutback_mark fixture_forged(const cutback_arena *arena) {
    (void)arena;
    return (cutback_mark){1, 1};
}

static inline const char *cb_arena_check(const cutback_arena *arena) {
    return arena->known <= arena->slots && arena->cursor <= arena->end ? NULL : "out of bounds";
}
#else
static inline unsigned char *fixture_memory(const cutback_arena *arena) {
    return arena->memory;
}

/* Blocks that the ring remembers. */
static inline size_t fixture_known(const cutback_arena *arena) {
    return cb_ring_blocks(arena) - cb_ring_first(arena);
}

static inline cutback_mark fixture_forged(const cutback_arena *arena) {
    return (cutback_mark){arena, 0, 0};
}
#endif

/* Where a block lies. */
static inline size_t fixture_offset(const cutback_arena *arena, const void *ptr) {
    assert_non_null(ptr);
    return (size_t)((const unsigned char *)ptr - fixture_memory(arena));
}

/* Demands that the cursor is at `used`, and that the invariants hold. */
#define assert_used(arena, used)                                                                             \
    do {                                                                                                     \
        assert_int_equal(cutback_used(arena), (used));                                                       \
        assert_null(cb_arena_check(arena));                                                                  \
    } while (0)

/* Demands a figure of the statistics. */
#if defined(CUTBACK_MINIMAL) /* which has none */
#define assert_stat(arena, field, value) ((void)(arena), (void)(value))
#else
#define assert_stat(arena, field, value) assert_int_equal(cutback_get_stats(arena).field, (value))
#endif

/* Demands that two arenas are the same to the bit: nothing has changed. */
#define assert_unchanged(arena, copy) assert_memory_equal((arena), (copy), sizeof *(copy))

static inline void fixture_expect(const unsigned char *block, size_t size, unsigned char seed) {
    for (size_t i = 0; i < size; i++)
        assert_int_equal(block[i], fixture_byte(seed, i));
}

#endif
