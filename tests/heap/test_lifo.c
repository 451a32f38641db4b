/*
 * Frees in the reverse order of the allocations rewind; frees in any other order are recycled.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

enum { MANY = 5000 };
static char *object[MANY];

static int bins_empty(void **state) {
    (void)state;
    cb_malloc_trim(0); /* nothing is parked, so everything comes from the run */
    return 0;
}

static void the_same_address_comes_back(void **state) {
    (void)state;
    for (size_t size = 0; size <= CB_MEDIUM_MAX; size += size < 2048 ? 1 : 977) {
        void *p = cb_malloc(size);
        cb_free(p);
        void *q = cb_malloc(size);
        cb_free(q);
        assert_ptr_equal(p, q);
    }
    assert_heap();
}

static void reverse_frees_bring_the_cursor_back(void **state) {
    (void)state;
    void *first = cb_malloc(16);
    for (size_t i = 0; i < 100; i++) {
        object[i] = cb_malloc(16 * (i % 60 + 1));
    }
    for (size_t i = 100; i-- > 0;) {
        cb_free(object[i]);
    }
    cb_free(first);
    assert_ptr_equal(cb_malloc(16), first);
    cb_free(first);
    assert_heap();
}

/* First the run, which is short unless the cursor has fallen back far, then the most recent frees. */
static void what_was_freed_below_the_top_is_found_once_the_run_is_used_up(void **state) {
    (void)state;
    void *p = cb_malloc(64), *q = cb_malloc(64);
    int count = 0;
    object[count++] = cb_malloc(64);
    cb_free(p);
    cb_free(q);
    do {
        object[count] = cb_malloc(64);
    } while (object[count] != q && ++count < MANY);
    assert_true(count < MANY);
    assert_ptr_equal(cb_malloc(64), p);
    while (count >= 0) {
        cb_free(object[count--]);
    }
    cb_free(p);
    assert_heap();
}

static size_t in_use(void) {
    return cb_mallinfo2().arena;
}

/* The order of frees: that of allocation, random, every other one first. */
static void free_in_order(int how) {
    uint64_t random = 5;
    for (size_t i = MANY; how == 1 && i > 1; i--) {
        size_t k = fixture_random(&random) % i;
        char *swap = object[i - 1];
        object[i - 1] = object[k];
        object[k] = swap;
    }
    for (size_t i = 0; i < MANY; i += how == 2 ? 2 : 1) {
        cb_free(object[i]);
    }
    for (size_t i = 1; how == 2 && i < MANY; i += 2) {
        cb_free(object[i]);
    }
}

static void frees_out_of_order_are_recycled(void **state) {
    (void)state;
    for (int how = 0; how < 3; how++) {
        size_t mapped = 0;
        for (int round = 0; round < 30; round++) {
            size_t size = 16 + (size_t)round * 40; /* another size each time: dead runs, not bins */
            for (size_t i = 0; i < MANY; i++) {
                object[i] = cb_malloc(size % 1500);
                assert_non_null(object[i]);
            }
            assert_heap();
            free_in_order(how);
            assert_heap();
            mapped = round == 20 ? in_use() : mapped;
        }
        assert_true(in_use() <= mapped + (8 << 20));
    }
}

static void memory_among_survivors_is_found_again(void **state) {
    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        object[i] = cb_malloc(112);
    }
    size_t mapped = in_use();
    for (int round = 0; round < 50; round++) {
        for (size_t i = (size_t)round % 4; i < MANY; i += 4) {
            cb_free(object[i]);
        }
        for (size_t i = (size_t)round % 4; i < MANY; i += 4) {
            object[i] = cb_malloc(round % 2 != 0 ? 112 : 96);
        }
        assert_heap();
    }
    assert_true(in_use() <= mapped + (4 << 20));
    free_in_order(1);
    assert_heap();
}

static void everything_goes_back_when_nothing_lives(void **state) {
    (void)state;
    for (int how = 0; how < 3; how++) {
        cb_malloc_trim(0);
        size_t before = cb_mallinfo2().uordblks;
        for (size_t i = 0; i < MANY; i++) {
            object[i] = cb_malloc(i % 3000);
        }
        free_in_order(how);
        cb_malloc_trim(0);
        assert_heap();
        assert_true(cb_mallinfo2().uordblks <= before + 3 * CB_BLOCK_SIZE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_same_address_comes_back, bins_empty),
        cmocka_unit_test_setup(reverse_frees_bring_the_cursor_back, bins_empty),
        cmocka_unit_test_setup(what_was_freed_below_the_top_is_found_once_the_run_is_used_up, bins_empty),
        cmocka_unit_test(frees_out_of_order_are_recycled),
        cmocka_unit_test(memory_among_survivors_is_found_again),
        cmocka_unit_test(everything_goes_back_when_nothing_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
