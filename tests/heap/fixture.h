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

#include "../support/pattern.h"
#include "../support/proc.h"
#include "../support/random.h"

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

#endif
