/*
 * realloc and reallocarray.
 *
 * Layer:     tests.
 */
#include "conformance.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static enum verdict contents_are_kept(void) {
    static const size_t size[] = {1,       100,    50,    1000,  999,  5000, 70000, 69000, 1 << 20, 5 << 20,
                                  6 << 20, 100000, 40000, 20000, 3000, 1009, 1008,  500,   16,      1};
    void *p = opaque(malloc(10)), *other = NULL;
    size_t have = 10;
    fill(p, have, 1);
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        p = opaque(realloc(p, size[i]));
        REQUIRE(p != NULL && filled(p, have < size[i] ? have : size[i], 1));
        have = size[i];
        fill(p, have, 1);
        free(other);
        other = opaque(malloc(have / 2 + 1));
    }
    free(other);
    free(p);
    return HOLDS;
}

static enum verdict all_that_is_usable_is_kept(void) {
    for (size_t size = 1; size < 2000000; size += size / 2 + 1) {
        void *p = opaque(malloc(size)), *other = opaque(malloc(10));
        size_t usable = malloc_usable_size(p);
        fill(p, usable, 2);
        p = opaque(realloc(p, usable * 2 + 100));
        REQUIRE(p != NULL && filled(p, usable, 2));
        free(other);
        free(p);
    }
    return HOLDS;
}

static enum verdict of_null_allocates(void) {
    void *p = opaque(realloc(opaque(NULL), 100)), *q = opaque(realloc(opaque(NULL), unknown(0)));
    REQUIRE(p != NULL && q != NULL && p != q);
    fill(p, 100, 1);
    free(p);
    free(q);
    return HOLDS;
}

static enum verdict to_zero_frees(void) {
    for (size_t size = 1; size < 1000000; size *= 10) {
        REQUIRE(opaque(realloc(opaque(malloc(size)), unknown(0))) == NULL);
    }
    return HOLDS;
}

static enum verdict a_refusal_changes_nothing(void) {
    for (size_t size = 1; size < 1000000; size *= 10) {
        void *p = opaque(malloc(size));
        fill(p, size, 3);
        errno = 0;
        REQUIRE(opaque(realloc(p, unknown((size_t)PTRDIFF_MAX + 1))) == NULL && errno == ENOMEM);
        errno = 0;
        REQUIRE(opaque(realloc(p, unknown(SIZE_MAX))) == NULL && errno == ENOMEM);
        REQUIRE(filled(p, size, 3));
        free(p);
    }
    return HOLDS;
}

static enum verdict reallocarray_overflow(void) {
    void *p = opaque(malloc(100));
    fill(p, 100, 4);
    errno = 0;
    REQUIRE(opaque(reallocarray(opaque(p), unknown(SIZE_MAX / 2), unknown(3))) == NULL && errno == ENOMEM);
    errno = 0;
    REQUIRE(opaque(reallocarray(opaque(p), unknown((size_t)1 << 33), unknown((size_t)1 << 33))) == NULL &&
            errno == ENOMEM);
    REQUIRE(filled(p, 100, 4));
    p = opaque(reallocarray(p, 50, 20));
    REQUIRE(p != NULL && filled(p, 100, 4));
    free(p);
    return HOLDS;
}

static enum verdict results_are_aligned(void) {
    void *p = NULL;
    for (size_t size = 16; size < 100000; size += size / 3) {
        p = opaque(realloc(p, size));
        REQUIRE(p != NULL && ((uintptr_t)p & 15) == 0);
    }
    free(p);
    return HOLDS;
}

static enum verdict a_success_keeps_errno(void) {
    void *p = NULL;
    errno = 4321;
    for (size_t size = 1; size < (size_t)8 << 20; size *= 2) {
        p = opaque(realloc(p, size));
        REQUIRE(p != NULL && errno == 4321);
    }
    free(p);
    return errno == 4321 ? HOLDS : FAILS;
}

const struct property resize_properties[] = {
    {"realloc keeps the contents through a sequence of sizes", contents_are_kept},
    {"realloc keeps all that malloc_usable_size counts", all_that_is_usable_is_kept},
    {"realloc(NULL, n) is malloc(n)", of_null_allocates},
    {"realloc(p, 0) frees and returns NULL", to_zero_frees},
    {"realloc that refuses sets ENOMEM and changes nothing", a_refusal_changes_nothing},
    {"realloc aligns its results", results_are_aligned},
    {"realloc that succeeds keeps errno", a_success_keeps_errno},
    {"reallocarray refuses a product that overflows with ENOMEM", reallocarray_overflow},
    {NULL, NULL},
};
