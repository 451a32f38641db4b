/*
 * Small objects at large alignments lie in blocks, among others: what is between them is dead memory that serves
 * ordinary requests, and where it was never touched nobody gives it back to the system.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

#include "heap/block.h"
#include "heap/pages.h"
#include "heap/bin.h"
#include "heap/thread.h"

#define KIB ((size_t)1 << 10)

enum { PAGES = 64, OBJECTS = 2000, OTHERS = 20000, SIZE = 200, TURNS = 40000, MOST_ALIGN = 12 };

static void *object[OBJECTS], *other[OTHERS];
static size_t size_of[OTHERS];

static struct cb_heap *heap_of(void *p) {
    return atomic_load_explicit(&cb_block_of((uintptr_t)p)->owner, memory_order_relaxed);
}

static struct cb_pages_totals totals(void) {
    struct cb_pages_totals now;
    cb_pages_totals(&now);
    return now;
}

static void *make(size_t align, size_t size) {
    unsigned char *p = cb_memalign(align, size);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p & (align - 1), 0);
    assert_true(cb_malloc_usable_size(p) >= size);
    p[0] = p[size - 1] = 1;
    return p;
}

static void make_all(size_t align, size_t size) {
    for (size_t i = 0; i < OBJECTS; i++) {
        object[i] = make(align, size);
    }
    assert_heap();
}

static void free_all(void) {
    for (size_t i = 0; i < OBJECTS; i++) {
        cb_free(object[i]);
    }
    cb_bin_empty_all(&cb_thread);
    assert_heap();
}

/* As many in a block as there are places, and nothing is purged for what lies between them. */
static void places_of_blocks_are_used(void **state) {
    (void)state;
    for (size_t align = 2 * KIB; align <= CB_BLOCK_SIZE / 2; align *= 2) {
        cb_malloc_trim(0);
        size_t places = CB_BLOCK_SIZE / align, blocks = cb_thread.heap->blocks;
        size_t purges = totals().purges, dead = cb_thread.heap->dead_pages;
        make_all(align, SIZE);
        for (size_t i = 0; i < OBJECTS; i++) {
            assert_ptr_equal(heap_of(object[i]), cb_thread.heap);
        }
        assert_true(cb_thread.heap->blocks <= blocks + OBJECTS / places + 2);
        assert_int_equal(totals().purges, purges);
        assert_true(cb_thread.heap->dead_pages <= dead + PAGES); /* of a block that was used before */
        free_all();
        assert_true(cb_thread.heap->blocks <= blocks + 2);
    }
}

/* What is between them serves medium objects before anything else does. */
static void others_lie_between(void **state) {
    (void)state;
    enum { ALIGN = 64 * 1024, MEDIUM = 3000, FIT = (ALIGN - 1024) / 3072 };
    make_all(ALIGN, SIZE);
    size_t blocks = cb_thread.heap->blocks, count = 0;
    for (; count < OTHERS; count++) {
        other[count] = cb_malloc(MEDIUM);
        assert_non_null(other[count]);
    }
    assert_true(OTHERS < OBJECTS * FIT * 9 / 10);
    assert_int_equal(cb_thread.heap->blocks, blocks);
    assert_heap();
    while (count != 0) {
        cb_free(other[--count]);
    }
    free_all();
}

/* A place that is free is found again, parked or dead. */
static void places_are_used_again(void **state) {
    (void)state;
    uint64_t seed = fixture_seed(3);
    static const size_t align[] = {4 * KIB, 16 * KIB, 64 * KIB, 128 * KIB};
    for (size_t k = 0; k < sizeof align / sizeof *align; k++) {
        make_all(align[k], SIZE);
        size_t blocks = cb_thread.heap->blocks;
        for (size_t i = 0; i < TURNS; i++) {
            size_t at = fixture_random(&seed) % OBJECTS;
            cb_free(object[at]);
            if (i % 100 == 0) {
                cb_bin_empty_all(&cb_thread);
            }
            object[at] = make(align[k], SIZE);
        }
        assert_true(cb_thread.heap->blocks <= blocks + blocks / 10 + 1);
        free_all();
    }
}

/* An object that is aligned better than need be stays for whoever needs it. */
static void the_least_aligned_that_fits_is_taken(void **state) {
    (void)state;
    make_all(4 * KIB, SIZE);
    void *far = make(64 * KIB, SIZE), *near = make(4 * KIB, SIZE);
    void *top = make(4 * KIB, SIZE); /* else it is near that is taken back by the cursor */
    assert_int_not_equal((uintptr_t)near & (64 * KIB - 1), 0);
    cb_free(near);
    cb_free(far);
    assert_ptr_equal(make(4 * KIB, SIZE), near);
    assert_ptr_equal(make(64 * KIB, SIZE), far);
    cb_free(top);
    cb_free(far);
    cb_free(near);
    free_all();
}

/* All sizes and alignments, with ordinary objects between, reallocated and freed in any order. */
static void mixed_alignments_keep_the_invariants(void **state) {
    (void)state;
    uint64_t seed = fixture_seed(4);
    for (size_t i = 0; i < OTHERS; i++) {
        other[i] = NULL;
    }
    for (size_t i = 0; i < TURNS; i++) {
        size_t at = fixture_random(&seed) % (OTHERS / 8),
               size = 1 + fixture_random(&seed) % (32 * KIB >> fixture_random(&seed) % 10);
        unsigned char byte = (unsigned char)at;
        if (other[at] != NULL) {
            assert_true(fixture_holds(other[at], size_of[at], byte));
            if (i % 5 == 0) {
                void *moved = cb_realloc(other[at], size);
                assert_non_null(moved);
                assert_true(fixture_holds(moved, size < size_of[at] ? size : size_of[at], byte));
                other[at] = moved;
                size_of[at] = size;
                fixture_fill(moved, size, byte);
                continue;
            }
            cb_free(other[at]);
        }
        other[at] =
            i % 3 == 0 ? cb_malloc(size) : make((size_t)32 << fixture_random(&seed) % (MOST_ALIGN + 1), size);
        assert_non_null(other[at]);
        size_of[at] = size;
        fixture_fill(other[at], size, byte);
        if (i % 500 == 0) {
            assert_heap();
        }
    }
    for (size_t i = 0; i < OTHERS; i++) {
        cb_free(other[i]);
    }
    cb_bin_empty_all(&cb_thread);
    assert_heap();
}

static void the_check_notices_what_is_not_untouched(void **state) {
    (void)state;
    void *p = make(64 * KIB, SIZE);
    struct cb_block *block = cb_block_of((uintptr_t)p);
    uint64_t was = block->untouched;
    block->untouched = ~(uint64_t)0;
    assert_string_equal(cb_heap_check(), "a page that holds something live counts as dead");
    block->untouched = was;
    assert_heap();
    cb_free(p);
}

static int begin(void **state) {
    (void)state;
    cb_free(cb_malloc(1));
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_of_blocks_are_used),
        cmocka_unit_test(others_lie_between),
        cmocka_unit_test(places_are_used_again),
        cmocka_unit_test(the_least_aligned_that_fits_is_taken),
        cmocka_unit_test(mixed_alignments_keep_the_invariants),
        cmocka_unit_test(the_check_notices_what_is_not_untouched),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
