/*
 * hooks.h tells memory checkers which bytes of the arena may be touched.
 *
 * Layer:     arena. Includes nothing of the project.
 * Threading: as the arena: one thread at a time.
 *
 * Without a checker the functions are empty and vanish. With AddressSanitizer everything free in an arena is
 * poisoned: what lies above the cursor, padding, dead blocks. The grain is the checker's: in the 8 bytes that
 * hold the end of one block and the start of another, or padding followed by a block, nothing is poisoned.
 *
 * MemorySanitizer knows memory that nothing was written to, and no other: what is free is such memory, and a new block.
 *
 * Valgrind's memcheck is told the same, to the byte, and that a new block is not initialised. Its requests are
 * compiled in where its headers are there; in a program that valgrind does not run they are a few instructions
 * without effect, in the cold path only.
 */
#ifndef CB_ARENA_HOOKS_H
#define CB_ARENA_HOOKS_H

#include <stdbool.h>
#include <stddef.h>

/* Tests define CB_HOOK_NONE, to have the fast path in spite of a checker, and CB_HOOK_LISTEN, for the cold path
 * without one. */
#if !defined(CB_HOOK_NONE)
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CB_HOOK_ASAN 1
#elif __has_feature(memory_sanitizer)
#define CB_HOOK_MSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define CB_HOOK_ASAN 1
#endif
#endif

#if !defined(CB_HOOK_NONE) && !defined(CB_HOOK_LISTEN) && !defined(CB_HOOK_ASAN) &&                          \
    !defined(CB_HOOK_MSAN) && defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#define CB_HOOK_MEMCHECK 1
#endif
#endif

#if defined(CB_HOOK_ASAN)
#include <sanitizer/asan_interface.h>

/* Whether somebody listens. An arena that is looked at takes the cold path only. */
static inline bool cb_hook_active(void) {
    return true;
}

/* `size` bytes from `start` are free: nobody may touch them. */
static inline void cb_hook_hide(const void *start, size_t size) {
    __asan_poison_memory_region(start, size);
}

/* `size` bytes from `start` are about to be handed out. Their content is lost to memcheck. */
static inline void cb_hook_show(const void *start, size_t size) {
    __asan_unpoison_memory_region(start, size);
}
#elif defined(CB_HOOK_MSAN)
#include <sanitizer/msan_interface.h>

static inline bool cb_hook_active(void) {
    return true;
}

static inline void cb_hook_hide(const void *start, size_t size) {
    __msan_poison(start, size);
}

static inline void cb_hook_show(const void *start, size_t size) {
    __msan_allocated_memory(start, size);
}
#elif defined(CB_HOOK_MEMCHECK)
#include <valgrind/memcheck.h>

/* Only memcheck answers its own requests; under valgrind's other tools the program takes the path that it always
 * takes. */
static inline bool cb_hook_active(void) {
    return VALGRIND_MAKE_MEM_NOACCESS(NULL, 0) != 0;
}

static inline void cb_hook_hide(const void *start, size_t size) {
    (void)VALGRIND_MAKE_MEM_NOACCESS(start, size);
}

static inline void cb_hook_show(const void *start, size_t size) {
    (void)VALGRIND_MAKE_MEM_UNDEFINED(start, size);
}
#else
static inline bool cb_hook_active(void) {
#if defined(CB_HOOK_LISTEN)
    return true;
#else
    return false;
#endif
}

static inline void cb_hook_hide(const void *start, size_t size) {
    (void)start;
    (void)size;
}

static inline void cb_hook_show(const void *start, size_t size) {
    (void)start;
    (void)size;
}
#endif

#endif
