/*
 * Whose block an object is in: known at once by cb_owner_cache, and otherwise by the block table. And heaps that have
 * become nearly empty, whose bins keep next to nothing.
 *
 * Layer:     tests.
 * Threading: one other thread.
 */
#include "fixture.h"

#include "heap/bin.h"
#include "heap/thread.h"

#include <pthread.h>

static _Atomic uint64_t *entry_of(const void *p) {
    return &cb_owner_cache[cb_block_number(cb_block_of((uintptr_t)p)) % CB_OWNER_CACHE];
}

static void blocks_are_known_by_the_tag_of_their_heap(void **state) {
    (void)state;
    void *small = cb_malloc(40), *medium = cb_malloc(4000), *large = cb_malloc(400000);
    size_t number = cb_block_number(cb_block_of((uintptr_t)small));
    assert_true(cb_owner_cache_is(cb_thread.tag, number));
    assert_true(cb_owner_cache_is(cb_thread.tag, cb_block_number(cb_block_of((uintptr_t)medium))));
    assert_false(cb_owner_cache_is(cb_thread.tag, cb_block_number(cb_block_of((uintptr_t)large))));
    assert_false(cb_owner_cache_is(CB_NO_TAG, number));
    assert_false(cb_owner_cache_is(cb_thread.tag + ((uint64_t)1 << CB_TAG_SHIFT), number));
    /* The same entry, but another block; and an address that is not aligned. */
    assert_false(cb_owner_cache_is(cb_thread.tag, number + CB_OWNER_CACHE));
    assert_false(cb_owner_cache_is(cb_thread.tag, number - CB_OWNER_CACHE));
    for (uintptr_t off = 1; off < CB_GRANULE; off++) {
        size_t granule = cb_granule_of((uintptr_t)small + off);
        assert_false(cb_owner_cache_is(cb_thread.tag, cb_block_number_of(granule)));
    }
    cb_free(large);
    cb_free(medium);
    cb_free(small);
    assert_heap();
}

/* As in a heap of more than 16 GiB, where blocks share entries. */
static void what_cb_near_does_not_know_is_freed_all_the_same(void **state) {
    (void)state;
    enum { COUNT = 300 };
    static const size_t sizes[] = {16, 48, 1000, 1500, 30000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        void *object[COUNT];
        for (size_t i = 0; i < COUNT; i++) {
            object[i] = cb_malloc(sizes[s]);
            assert_non_null(object[i]);
            memset(object[i], (int)i, sizes[s]);
        }
        for (size_t i = 0; i < COUNT; i++) {
            _Atomic uint64_t *entry = entry_of(object[i]);
            uint64_t known = *entry, other = i % 2 != 0 ? 0 : known + CB_OWNER_CACHE;
            *entry = other;
            assert_true(cb_malloc_usable_size(object[i]) >= sizes[s]);
            if (i % 3 == 0) {
                object[i] = cb_realloc(object[i], sizes[s] + 500);
                assert_non_null(object[i]);
                assert_int_equal(*(unsigned char *)object[i], (unsigned char)i);
            }
            cb_free(object[i]);
            if (*entry == other) { /* else a block was taken meanwhile, and has the entry */
                *entry = known;
            }
        }
        assert_heap();
    }
}

static void *first_heap(void *tag) {
    cb_free(cb_malloc(24));
    *(uint64_t *)tag = cb_thread.tag;
    return NULL;
}

static void heaps_have_tags_of_their_own(void **state) {
    (void)state;
    uint64_t tag = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, first_heap, &tag), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(tag != cb_thread.tag && tag != CB_NO_TAG);
    assert_int_equal(tag & (((uint64_t)1 << CB_TAG_SHIFT) - 1), 0);
}

/* Where little lives in many blocks, a bin of medium objects may hold nothing, and one of small ones one. */
static void a_nearly_empty_heap_keeps_next_to_nothing(void **state) {
    (void)state;
    enum { MOST = 200000 };
    static void *object[MOST];
    static const size_t sizes[] = {200, 3000};
    for (size_t s = 0; s < 2; s++) {
        size_t count = ((size_t)30 << 20) / sizes[s], parked = 0;
        for (size_t i = 0; i < count; i++) {
            object[i] = cb_malloc(sizes[s]);
            assert_non_null(object[i]);
        }
        size_t step = 97; /* all over the blocks; prime to count */
        assert_true(count % step != 0);
        for (size_t i = 0, k = 0; i < count; i++, k = (k + step) % count) {
            cb_free(object[k]);
        }
        assert_heap();
        struct cb_heap *heap = cb_thread.heap;
        for (unsigned i = CB_BIN_BEGIN; i < CB_BINS; i = cb_bin_next(i)) {
            parked += cb_bin_count(heap, i) * cb_bin_granules(i);
        }
        assert_true(parked << CB_GRANULE_SHIFT <= 64 << 10);
        void *p = cb_malloc(sizes[s]); /* and it goes on from there */
        assert_non_null(p);
        cb_free(p);
        assert_heap();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_known_by_the_tag_of_their_heap),
        cmocka_unit_test(what_cb_near_does_not_know_is_freed_all_the_same),
        cmocka_unit_test(heaps_have_tags_of_their_own),
        cmocka_unit_test(a_nearly_empty_heap_keeps_next_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
