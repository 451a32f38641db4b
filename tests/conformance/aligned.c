/*
 * posix_memalign, aligned_alloc, memalign, valloc, pvalloc.
 *
 * Layer:     tests.
 */
#include "conformance.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_ALIGN ((size_t)16 << 20)

static bool aligned_to(const void *p, size_t align) {
    return p != NULL && ((uintptr_t)p & (align - 1)) == 0;
}

static enum verdict posix_memalign_aligns(void) {
    for (size_t align = sizeof(void *); align <= MOST_ALIGN; align *= 2) {
        for (size_t size = 1; size <= 100000; size *= 7) {
            void *p = NULL;
            REQUIRE(posix_memalign(&p, align, size) == 0 && aligned_to(opaque(p), align));
            memset(p, 1, size);
            free(p);
        }
    }
    return HOLDS;
}

static enum verdict size_equal_to_alignment(void) {
    for (size_t align = sizeof(void *); align <= MOST_ALIGN; align *= 2) {
        void *p[4];
        for (int i = 0; i < 4; i++) {
            REQUIRE(posix_memalign(&p[i], align, align) == 0 && aligned_to(opaque(p[i]), align));
        }
        for (int i = 0; i < 4; i++) {
            free(p[i]);
        }
    }
    return HOLDS;
}

static enum verdict posix_memalign_refuses(void) {
    static const size_t bad[] = {0, 1, 2, 4, 3, 12, 24, 100, SIZE_MAX};
    for (size_t i = 0; i < 9; i++) {
        void *p = &p;
        REQUIRE(posix_memalign(&p, unknown(bad[i]), 10) == EINVAL);
        free(opaque(NULL));
    }
    return HOLDS;
}

static enum verdict posix_memalign_leaves_output(void) {
    void *p = &p;
    REQUIRE(posix_memalign(&p, unknown(3), 10) == EINVAL && p == &p);
    REQUIRE(posix_memalign(&p, unknown(64), unknown(SIZE_MAX - 100)) == ENOMEM && p == &p);
    REQUIRE(posix_memalign(&p, unknown(64), unknown(PTRDIFF_MAX)) == ENOMEM && p == &p);
    return HOLDS;
}

static enum verdict posix_memalign_keeps_errno(void) {
    void *p = NULL;
    errno = 99;
    REQUIRE(posix_memalign(&p, 64, 100) == 0 && errno == 99);
    free(opaque(p));
    REQUIRE(posix_memalign(&p, unknown(64), unknown(PTRDIFF_MAX)) == ENOMEM && errno == 99);
    return HOLDS;
}

static enum verdict posix_memalign_of_nothing(void) {
    void *p = NULL, *q = NULL;
    REQUIRE(posix_memalign(&p, 64, unknown(0)) == 0 && posix_memalign(&q, 64, unknown(0)) == 0);
    REQUIRE(opaque(p) == NULL || (p != q && aligned_to(p, 64)));
    free(p);
    free(q);
    return HOLDS;
}

static enum verdict aligned_alloc_aligns(void) {
    for (size_t align = 1; align <= MOST_ALIGN; align *= 2) {
        void *p = opaque(aligned_alloc(unknown(align), align * 2));
        REQUIRE(aligned_to(p, align));
        memset(p, 1, align * 2);
        free(p);
    }
    return HOLDS;
}

static enum verdict aligned_alloc_of_any_size(void) {
    for (size_t size = 1; size < 5000; size += 37) {
        void *p = opaque(aligned_alloc(unknown(256), unknown(size)));
        REQUIRE(aligned_to(p, 256) && malloc_usable_size(p) >= size);
        memset(p, 1, size);
        free(p);
    }
    return HOLDS;
}

static enum verdict aligned_alloc_refuses(void) {
    static const size_t align[] = {0, 3, 24, 48, 4095, 4096 + 16, SIZE_MAX / 2 + 2, SIZE_MAX};
    for (size_t i = 0; i < sizeof align / sizeof *align; i++) {
        errno = 0;
        REQUIRE(opaque(aligned_alloc(unknown(align[i]), unknown(align[i] % 5000))) == NULL &&
                errno == EINVAL);
    }
    return HOLDS;
}

static enum verdict too_much_is_refused(void) {
    for (size_t align = 32; align <= MOST_ALIGN; align *= 2) {
        errno = 0;
        REQUIRE(opaque(aligned_alloc(unknown(align), unknown(((size_t)PTRDIFF_MAX + 1)))) == NULL &&
                errno == ENOMEM);
        errno = 0;
        REQUIRE(opaque(memalign(unknown(align), unknown(SIZE_MAX - 15))) == NULL && errno == ENOMEM);
    }
    return HOLDS;
}

static enum verdict an_absurd_alignment_is_refused(void) {
    errno = 0;
    REQUIRE(opaque(memalign(unknown(SIZE_MAX / 2 + 2), 1)) == NULL && errno == EINVAL);
    errno = 0;
    REQUIRE(opaque(memalign(unknown((size_t)1 << 62), 1)) == NULL && errno == ENOMEM);
    return HOLDS;
}

static enum verdict memalign_rounds_alignment_up(void) {
    void *p = opaque(memalign(unknown(48), 100));
    REQUIRE(aligned_to(p, 64));
    free(p);
    p = opaque(memalign(unknown(0), 100));
    REQUIRE(p != NULL);
    free(p);
    return HOLDS;
}

static enum verdict whole_pages(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t size = 1; size < 100000; size += 3001) {
        void *p = opaque(valloc(size)), *q = opaque(pvalloc(size));
        REQUIRE(aligned_to(p, page) && aligned_to(q, page));
        REQUIRE(malloc_usable_size(q) >= (size + page - 1) / page * page);
        free(p);
        free(q);
    }
    errno = 0;
    REQUIRE(opaque(pvalloc(unknown(SIZE_MAX - 10))) == NULL && errno == ENOMEM);
    return HOLDS;
}

static enum verdict aligned_objects_are_resized(void) {
    for (size_t align = 32; align <= (size_t)1 << 20; align *= 2) {
        void *p = opaque(aligned_alloc(align, align * 2));
        fill(p, align * 2, 1);
        p = opaque(realloc(p, align * 5));
        REQUIRE(p != NULL && filled(p, align * 2, 1));
        p = opaque(realloc(p, 10));
        REQUIRE(p != NULL && filled(p, 10, 1));
        free(p);
    }
    return HOLDS;
}

static enum verdict aligned_objects_among_others(void) {
    enum { COUNT = 500 };
    static void *p[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        p[i] = opaque(i % 3 == 0 ? malloc(i) : memalign((size_t)16 << i % 10, i * 5));
        fill(p[i], i, (unsigned char)i);
    }
    for (size_t i = 0; i < COUNT; i++) {
        REQUIRE(filled(p[i], i, (unsigned char)i));
        free(p[i]);
    }
    return HOLDS;
}

const struct property aligned_properties[] = {
    {"posix_memalign aligns up to 16 MiB", posix_memalign_aligns},
    {"posix_memalign aligns where size equals alignment", size_equal_to_alignment},
    {"posix_memalign refuses a bad alignment with EINVAL", posix_memalign_refuses},
    {"posix_memalign leaves its output alone on error", posix_memalign_leaves_output},
    {"posix_memalign keeps errno, when it fails too", posix_memalign_keeps_errno},
    {"posix_memalign of 0 bytes returns NULL or distinct pointers", posix_memalign_of_nothing},
    {"aligned_alloc aligns up to 16 MiB", aligned_alloc_aligns},
    {"aligned_alloc takes sizes that are no multiple of the alignment", aligned_alloc_of_any_size},
    {"aligned_alloc refuses what is no power of two with EINVAL", aligned_alloc_refuses},
    {"aligned_alloc and memalign refuse more than PTRDIFF_MAX with ENOMEM", too_much_is_refused},
    {"memalign refuses absurd alignments as glibc does", an_absurd_alignment_is_refused},
    {"memalign rounds an alignment up to a power of two", memalign_rounds_alignment_up},
    {"valloc and pvalloc return whole pages", whole_pages},
    {"aligned objects can be resized", aligned_objects_are_resized},
    {"aligned objects live among others", aligned_objects_among_others},
    {NULL, NULL},
};
