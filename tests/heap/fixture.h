/*
 * What the tests of the heap stand on: cmocka, the heap with prefixed names, random numbers, filled objects.
 *
 * Layer:     tests.
 * Threading: none of its own; the random numbers are the caller's.
 */
#ifndef CB_TESTS_HEAP_FIXTURE_H
#define CB_TESTS_HEAP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "heap/check.h"
#include "heap/malloc.h"
#include "os/os.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define BED_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BED_SANITIZED 1
#endif
#endif
#ifndef BED_SANITIZED
#define BED_SANITIZED 0
#endif

/* Demands that the invariants hold; says which does not. */
static inline void fixture_check_at(const char *file, int line) {
    const char *wrong = cb_heap_check();
    if (wrong != NULL) {
        print_error("%s\n", wrong);
        _fail(file, line);
    }
}
#define assert_heap() fixture_check_at(__FILE__, __LINE__)

/* splitmix64 */
static inline uint64_t fixture_random(uint64_t *seed) {
    uint64_t z = (*seed += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* The seed of a test: fixed, so that a failure is one that can be had again; CUTBACK_TEST_SEED chooses
 * another. */
static inline uint64_t fixture_seed(uint64_t fixed) {
    const char *text = getenv("CUTBACK_TEST_SEED");
    return text != NULL ? strtoull(text, NULL, 0) : fixed;
}

static inline void fixture_fill(void *object, size_t size, unsigned char seed) {
    for (size_t i = 0; i < size; i++) {
        ((unsigned char *)object)[i] = (unsigned char)(seed + i * 7 + (i >> 8));
    }
}

static inline bool fixture_holds(const void *object, size_t size, unsigned char seed) {
    for (size_t i = 0; i < size; i++) {
        if (((const unsigned char *)object)[i] != (unsigned char)(seed + i * 7 + (i >> 8))) {
            return false;
        }
    }
    return true;
}

#endif
