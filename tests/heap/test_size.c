/*
 * Sizes and alignments: what is usable, how little is wasted, what is refused, what an overflow cannot reach.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

#include <errno.h>

#include "heap/bin.h"

static void every_size_is_usable_and_aligned(void **state) {
    (void)state;
    for (size_t size = 0; size < 70000; size += size < 1100 ? 1 : 61) {
        unsigned char *p = cb_malloc(size);
        assert_int_equal((uintptr_t)p & 15, 0);
        assert_true(cb_malloc_usable_size(p) >= size && cb_malloc_usable_size(p) != 0);
        memset(p, 1, cb_malloc_usable_size(p));
        cb_free(p);
    }
    assert_heap();
}

static void little_is_wasted(void **state) {
    (void)state;
    for (size_t size = 1; size <= CB_MEDIUM_MAX; size++) {
        void *p = cb_malloc(size);
        size_t usable = cb_malloc_usable_size(p);
        assert_true(usable < size + (size <= CB_SMALL_MAX ? 16 : 64));
        cb_free(p);
    }
    for (size_t size = CB_MEDIUM_MAX + 1; size < 1 << 20; size += 4001) {
        void *p = cb_malloc(size);
        assert_true(cb_malloc_usable_size(p) < size + cb_os_page_size());
        cb_free(p);
    }
}

static void classes_hold_their_sizes_and_rise(void **state) {
    (void)state;
    for (size_t size = CB_SMALL_MAX + 1; size <= CB_MEDIUM_MAX; size++) {
        size_t granules = cb_medium_granules(size);
        unsigned bin = cb_medium_bin(granules);
        assert_in_range(bin, CB_MEDIUM_BIN, CB_BINS - 2);
        assert_in_range(granules, cb_bin_granules(bin), cb_bin_granules(bin + 1) - 1);
        assert_int_equal(cb_medium_bin(cb_bin_granules(bin)), bin);
    }
}

/* 4,900 and 5,000 bytes are of one class: an object of the one length is no good for the other, but the reverse. */
static void a_bin_hands_out_only_what_is_long_enough(void **state) {
    (void)state;
    void *shorter = cb_malloc(4900), *keep = cb_malloc(4900);
    assert_int_equal(cb_medium_bin(cb_medium_granules(4900)), cb_medium_bin(cb_medium_granules(5000)));
    cb_free(shorter);
    void *longer = cb_malloc(5000), *keep_too = cb_malloc(5000);
    assert_ptr_not_equal(longer, shorter);
    assert_true(cb_malloc_usable_size(longer) >= 5000);
    cb_free(longer);
    assert_ptr_equal(cb_malloc(4900), longer);
    assert_true(cb_malloc_usable_size(longer) >= 5000);
    assert_heap();
    cb_free(longer);
    cb_free(keep);
    cb_free(keep_too);
    cb_malloc_trim(0);
}

static void a_medium_object_that_becomes_small_is_small(void **state) {
    (void)state;
    char *p = cb_malloc(20000), *above = cb_malloc(20000);
    fixture_fill(p, 100, 3);
    p = cb_realloc(p, 100);
    assert_in_range(cb_malloc_usable_size(p), 100, 127);
    assert_true(fixture_holds(p, 100, 3));
    assert_heap();
    cb_free(p);
    cb_free(above);
}

static void objects_of_no_bytes_are_distinct(void **state) {
    (void)state;
    void *p[100];
    for (int i = 0; i < 100; i++) {
        p[i] = cb_malloc(0);
        assert_non_null(p[i]);
        for (int k = 0; k < i; k++) {
            assert_ptr_not_equal(p[i], p[k]);
        }
    }
    for (int i = 0; i < 100; i++) {
        cb_free(p[i]);
    }
}

static void more_than_can_be_is_refused(void **state) {
    (void)state;
    size_t too_much[] = {(size_t)PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX,
                         SIZE_MAX - 15,       SIZE_MAX - 4095,         SIZE_MAX / 2 - 4096};
    for (size_t i = 0; i < 6; i++) {
        errno = 0;
        assert_null(cb_malloc(too_much[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(cb_calloc(1, too_much[i]));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(cb_calloc(too_much[i], 2));
        assert_int_equal(errno, ENOMEM);
        for (size_t align = 16; align != 0; align *= 2) {
            errno = 0;
            assert_null(cb_memalign(align, too_much[i]));
            assert_int_equal(errno, ENOMEM);
        }
        errno = 0;
        assert_null(cb_pvalloc(too_much[i]));
        assert_int_equal(errno, ENOMEM);
    }
    assert_heap();
}

static void every_alignment_is_kept_for_every_size(void **state) {
    (void)state;
    static const size_t size[] = {0, 1, 16, 17, 100, 300, 1008, 1009, 4000, 32768, 32769, 100000, 1 << 20};
    for (size_t align = 1; align <= (size_t)1 << 30; align *= 2) {
        char *p[13];
        for (size_t i = 0; i < 13; i++) {
            p[i] = cb_memalign(align, size[i]);
            assert_non_null(p[i]);
            assert_int_equal((uintptr_t)p[i] & (align - 1), 0);
            fixture_fill(p[i], size[i], (unsigned char)i);
            assert_true(cb_malloc_usable_size(p[i]) >= size[i]);
        }
        assert_heap();
        for (size_t i = 0; i < 13; i++) {
            assert_true(fixture_holds(p[i], size[i], (unsigned char)i));
            cb_free(p[(i * 5) % 13]);
            assert_heap();
            p[(i * 5) % 13] = cb_memalign(align, size[(i * 5) % 13]);
            fixture_fill(p[(i * 5) % 13], size[(i * 5) % 13], (unsigned char)(i * 5 % 13));
        }
        for (size_t i = 0; i < 13; i++) {
            cb_free(p[i]);
        }
    }
    assert_heap();
}

static void an_aligned_object_can_be_resized(void **state) {
    (void)state;
    for (size_t align = 32; align <= 1 << 16; align *= 2) {
        char *p = cb_memalign(align, 500);
        fixture_fill(p, 500, 3);
        p = cb_realloc(p, 2000);
        assert_true(fixture_holds(p, 500, 3));
        p = cb_realloc(p, 20);
        assert_true(fixture_holds(p, 20, 3));
        cb_free(p);
        assert_heap();
    }
}

static void a_bad_alignment_is_refused(void **state) {
    (void)state;
    static const size_t bad[] = {0, 1, 2, 4, 7, 24, 100, SIZE_MAX};
    for (size_t i = 0; i < 8; i++) {
        void *out = &out;
        errno = 55;
        assert_int_equal(cb_posix_memalign(&out, bad[i], 10), EINVAL);
        assert_ptr_equal(out, &out);
        assert_int_equal(errno, 55);
    }
}

static void memalign_takes_what_glibc_takes(void **state) {
    (void)state;
    static const size_t align[] = {0, 1, 3, 24, 100, 5000}, got[] = {16, 16, 16, 32, 128, 8192};
    for (size_t i = 0; i < 6; i++) {
        void *p = cb_memalign(align[i], 100);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p & (got[i] - 1), 0);
        cb_free(p);
    }
    errno = 0;
    assert_null(cb_memalign(SIZE_MAX / 2 + 2, 1));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(cb_aligned_alloc(64, (size_t)PTRDIFF_MAX + 1));
    assert_int_equal(errno, ENOMEM);
    assert_heap();
}

static void aligned_alloc_takes_powers_of_two_only(void **state) {
    (void)state;
    static const size_t bad[] = {0, 3, 24, 100, 5000, SIZE_MAX / 2 + 2, SIZE_MAX};
    for (size_t i = 0; i < 7; i++) {
        errno = 0;
        assert_null(cb_aligned_alloc(bad[i], 100));
        assert_int_equal(errno, EINVAL);
    }
    for (size_t align = 1; align <= 8192; align *= 2) {
        void *p = cb_aligned_alloc(align, 100); /* no multiple of most of them */
        assert_non_null(p);
        assert_int_equal((uintptr_t)p & (align - 1), 0);
        cb_free(p);
    }
    assert_heap();
}

static void whole_pages_are_whole_pages(void **state) {
    (void)state;
    size_t page = cb_os_page_size();
    void *p = cb_valloc(10), *q = cb_pvalloc(page + 1), *none = cb_pvalloc(0);
    assert_int_equal((uintptr_t)p & (page - 1), 0);
    assert_int_equal((uintptr_t)q & (page - 1), 0);
    assert_true(cb_malloc_usable_size(q) >= 2 * page);
    assert_int_equal((uintptr_t)none & (page - 1), 0);
    cb_cfree(p);
    cb_free_sized(q, page + 1);
    cb_free_aligned_sized(none, page, 0);
    errno = 0;
    assert_null(cb_pvalloc(SIZE_MAX - 1));
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(cb_malloc_usable_size(NULL), 0);
    assert_heap();
}

/*
 * What is written past an object may hit other objects, but nothing that the heap keeps: it goes on as
 * before. The writes stay in memory that belongs to the heap.
 */
static void an_overflow_does_no_harm_to_the_heap(void **state) {
    (void)state;
    enum { PAST = 65536 };
    static const size_t size[] = {16, 500, 3000, 20000, 100000};
    void *behind[400];
    char *p[5];
    for (size_t i = 0; i < 5; i++) {
        p[i] = cb_malloc(size[i]);
        for (size_t k = 0; k < 80; k++) {
            behind[i * 80 + k] = cb_malloc(size[i] + 1024); /* so that there is something to hit */
        }
    }
    void *last = cb_malloc((size_t)4 << 20);
    for (size_t i = 0; i < 5; i++) {
        memset(p[i], 0xC1, size[i] + PAST);
        assert_heap();
    }
    for (size_t i = 0; i < 400; i += 2) {
        cb_free(behind[i]);
    }
    assert_heap();
    for (size_t i = 0; i < 400; i += 2) {
        behind[i] = cb_calloc(1, i * 100);
        assert_non_null(behind[i]);
    }
    assert_heap();
    for (size_t i = 0; i < 400; i++) {
        cb_free(behind[i]);
    }
    for (size_t i = 0; i < 5; i++) {
        cb_free(p[i]);
    }
    cb_free(last);
    cb_malloc_trim(0);
    assert_heap();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_is_usable_and_aligned),
        cmocka_unit_test(little_is_wasted),
        cmocka_unit_test(classes_hold_their_sizes_and_rise),
        cmocka_unit_test(a_bin_hands_out_only_what_is_long_enough),
        cmocka_unit_test(a_medium_object_that_becomes_small_is_small),
        cmocka_unit_test(objects_of_no_bytes_are_distinct),
        cmocka_unit_test(more_than_can_be_is_refused),
        cmocka_unit_test(every_alignment_is_kept_for_every_size),
        cmocka_unit_test(an_aligned_object_can_be_resized),
        cmocka_unit_test(a_bad_alignment_is_refused),
        cmocka_unit_test(memalign_takes_what_glibc_takes),
        cmocka_unit_test(aligned_alloc_takes_powers_of_two_only),
        cmocka_unit_test(whole_pages_are_whole_pages),
        cmocka_unit_test(an_overflow_does_no_harm_to_the_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
