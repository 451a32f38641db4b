/*
 * malloc, calloc, free, malloc_usable_size, free_sized.
 *
 * Layer:     tests.
 */
#include "conformance.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static enum verdict sixteen_byte_alignment(void) {
    for (size_t size = 1; size < 5000; size++) {
        void *p = opaque(malloc(size));
        REQUIRE(p != NULL && ((uintptr_t)p & (size >= 16 ? 15 : _Alignof(max_align_t) / 2 - 1)) == 0);
        free(p);
    }
    return HOLDS;
}

/* Even where the size would not need it: programs keep tags in the low bits, and cast. */
static enum verdict sixteen_byte_alignment_of_small(void) {
    void *p[64];
    for (size_t i = 0; i < 64; i++) {
        p[i] = opaque(malloc(i % 16));
        REQUIRE(((uintptr_t)p[i] & 15) == 0);
    }
    for (size_t i = 0; i < 64; i++) {
        free(p[i]);
    }
    return HOLDS;
}

static enum verdict no_bytes_are_distinct(void) {
    void *p[50];
    for (int i = 0; i < 50; i++) {
        p[i] = opaque(i % 2 != 0 ? malloc(0) : calloc(0, 8));
        REQUIRE(p[i] != NULL);
        for (int k = 0; k < i; k++) {
            REQUIRE(p[i] != p[k]);
        }
    }
    for (int i = 0; i < 50; i++) {
        free(p[i]);
    }
    return HOLDS;
}

static enum verdict free_of_null(void) {
    free(opaque(NULL));
    return HOLDS;
}

static enum verdict free_keeps_errno(void) {
    static const size_t size[] = {0, 10, 1000, 5000, 100000, 10000000, 100000000};
    for (int round = 0; round < 4; round++) {
        void *p[7];
        for (int i = 0; i < 7; i++) {
            p[i] = opaque(malloc(size[i]));
            REQUIRE(p[i] != NULL);
        }
        for (int i = 0; i < 7; i++) {
            errno = 1234 + i;
            free(p[i]);
            REQUIRE(errno == 1234 + i);
        }
    }
    return HOLDS;
}

static enum verdict too_much_is_refused(void) {
    static const size_t size[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 4096};
    for (size_t i = 0; i < 4; i++) {
        errno = 0;
        REQUIRE(opaque(malloc(unknown(size[i]))) == NULL && errno == ENOMEM);
    }
    return HOLDS;
}

static enum verdict calloc_overflow(void) {
    static const size_t factor[][2] = {{SIZE_MAX, 2},
                                       {2, SIZE_MAX},
                                       {SIZE_MAX / 2, 3},
                                       {(size_t)1 << 33, (size_t)1 << 33},
                                       {SIZE_MAX, SIZE_MAX}};
    for (size_t i = 0; i < 5; i++) {
        errno = 0;
        REQUIRE(opaque(calloc(unknown(factor[i][0]), unknown(factor[i][1]))) == NULL && errno == ENOMEM);
    }
    return HOLDS;
}

static enum verdict calloc_clears_used_memory(void) {
    for (size_t size = 1; size < (size_t)4 << 20; size += size / 3 + 1) {
        for (int round = 0; round < 3; round++) {
            void *p = opaque(malloc(size));
            REQUIRE(p != NULL);
            memset(p, 0xA5, size);
            free(p);
            void *q = opaque(calloc(size, 1));
            REQUIRE(q != NULL && zero(q, size));
            memset(q, 0x5A, size);
            free(q);
        }
    }
    return HOLDS;
}

static enum verdict calloc_clears_all_that_is_usable(void) {
    for (size_t size = 1; size < 100000; size += size / 9 + 1) {
        void *p = opaque(malloc(size));
        memset(p, 0xA5, malloc_usable_size(p));
        free(p);
        void *q = opaque(calloc(1, size));
        REQUIRE(q != NULL && zero(q, malloc_usable_size(q)));
        free(q);
    }
    return HOLDS;
}

static enum verdict usable_size_is_enough_and_writable(void) {
    unsigned char *p[200];
    for (size_t i = 0; i < 200; i++) {
        size_t size = i * i * 3;
        p[i] = opaque(malloc(size));
        REQUIRE(p[i] != NULL && malloc_usable_size(p[i]) >= size);
        fill(p[i], malloc_usable_size(p[i]), (unsigned char)i);
    }
    for (size_t i = 0; i < 200; i++) {
        REQUIRE(filled(p[i], malloc_usable_size(p[i]), (unsigned char)i));
        free(p[i]);
    }
    return HOLDS;
}

static enum verdict usable_size_is_stable(void) {
    void *p = opaque(malloc(777));
    size_t size = malloc_usable_size(p);
    for (int i = 0; i < 1000; i++) {
        free(opaque(malloc((size_t)i * 5)));
        REQUIRE(malloc_usable_size(p) == size);
    }
    free(p);
    return HOLDS;
}

static enum verdict usable_size_of_null(void) {
    return malloc_usable_size(opaque(NULL)) == 0 ? HOLDS : FAILS;
}

static enum verdict free_with_sizes(void) {
    void (*sized)(void *, size_t) = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
    void (*aligned)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
    if (sized == NULL || aligned == NULL) {
        return ABSENT;
    }
    for (size_t size = 1; size < 100000; size = size * 2 + 1) {
        sized(opaque(malloc(size)), size);
        aligned(opaque(aligned_alloc(64, size * 64)), 64, size * 64);
    }
    sized(NULL, 0);
    aligned(NULL, 64, 0);
    return HOLDS;
}

static enum verdict objects_do_not_overlap(void) {
    enum { COUNT = 2000 };
    static unsigned char *p[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        p[i] = opaque(malloc(i));
        fill(p[i], i, (unsigned char)(i * 3));
    }
    for (size_t i = 0; i < COUNT; i += 2) {
        free(p[i]);
        p[i] = opaque(malloc(COUNT - i));
        fill(p[i], COUNT - i, (unsigned char)i);
    }
    for (size_t i = 0; i < COUNT; i++) {
        REQUIRE(i % 2 == 0 ? filled(p[i], COUNT - i, (unsigned char)i)
                           : filled(p[i], i, (unsigned char)(i * 3)));
        free(p[i]);
    }
    return HOLDS;
}

static enum verdict mallinfo2_counts(void) {
    enum { COUNT = 1000, SIZE = 10000 };
    static void *p[COUNT];
    struct mallinfo2 (*info)(void) = (struct mallinfo2(*)(void))dlsym(RTLD_DEFAULT, "mallinfo2");
    if (info == NULL) {
        return ABSENT;
    }
    struct mallinfo2 before = info();
    for (int i = 0; i < COUNT; i++) {
        p[i] = opaque(malloc(SIZE));
    }
    struct mallinfo2 after = info();
    for (int i = 0; i < COUNT; i++) {
        free(p[i]);
    }
    size_t rise = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd; /* within a tenth or two */
    return rise >= COUNT * SIZE / 10 * 9 && rise <= COUNT * SIZE / 10 * 12 ? HOLDS : FAILS;
}

const struct property allocation_properties[] = {
    {"malloc aligns to max_align_t", sixteen_byte_alignment},
    {"malloc aligns to 16 even where the size is less", sixteen_byte_alignment_of_small},
    {"malloc(0) and calloc(0) return distinct pointers", no_bytes_are_distinct},
    {"malloc refuses more than PTRDIFF_MAX with ENOMEM", too_much_is_refused},
    {"objects do not overlap", objects_do_not_overlap},
    {"calloc refuses a product that overflows with ENOMEM", calloc_overflow},
    {"calloc clears memory that was used before", calloc_clears_used_memory},
    {"calloc clears all that malloc_usable_size counts", calloc_clears_all_that_is_usable},
    {"free(NULL) does nothing", free_of_null},
    {"free keeps errno", free_keeps_errno},
    {"free_sized and free_aligned_sized free", free_with_sizes},
    {"malloc_usable_size is at least what was asked for, and writable", usable_size_is_enough_and_writable},
    {"malloc_usable_size is stable", usable_size_is_stable},
    {"malloc_usable_size(NULL) is 0", usable_size_of_null},
    {"mallinfo2 counts what is in use", mallinfo2_counts},
    {NULL, NULL},
};
