/*
 * realloc: in place on top, down elsewhere, contents kept whatever the way; large objects grow, move and
 * shrink.
 *
 * Layer:     tests.
 * Threading: one thread at a time.
 */
#include "fixture.h"

#include <errno.h>
#include <pthread.h>

static int bins_empty(void **state) {
    (void)state;
    cb_malloc_trim(0);
    return 0;
}

static void an_object_on_top_grows_in_place(void **state) {
    (void)state;
    char *p = cb_malloc(16);
    for (size_t size = 17; size <= CB_SMALL_MAX; size += 13) {
        fixture_fill(p, size - 13 < 16 ? 16 : size - 13, 1);
        char *q = cb_realloc(p, size);
        assert_ptr_equal(q, p);
        assert_true(fixture_holds(q, size - 13 < 16 ? 16 : size - 13, 1));
    }
    cb_free(p);
    assert_heap();
}

static void an_object_on_top_shrinks_in_place_and_gives_back(void **state) {
    (void)state;
    char *p = cb_malloc(1000);
    fixture_fill(p, 1000, 2);
    assert_ptr_equal(cb_realloc(p, 100), p);
    assert_true(fixture_holds(p, 100, 2));
    char *next = cb_malloc(64);
    assert_ptr_equal(next, p + 112);
    cb_free(next);
    cb_free(p);
    assert_heap();
}

static void a_medium_object_on_top_grows_in_place(void **state) {
    (void)state;
    char *p = cb_malloc(2000);
    fixture_fill(p, 2000, 3);
    char *q = cb_realloc(p, 8000);
    assert_ptr_equal(q, p);
    assert_true(fixture_holds(q, 2000, 3));
    cb_free(q);
    assert_heap();
}

static void an_object_elsewhere_shrinks_in_place(void **state) {
    (void)state;
    char *p = cb_malloc(800), *top = cb_malloc(16);
    fixture_fill(p, 800, 4);
    assert_ptr_equal(cb_realloc(p, 100), p);
    assert_true(fixture_holds(p, 100, 4));
    assert_heap();
    cb_free(top);
    cb_free(p);
    assert_heap();
}

static void an_object_elsewhere_moves_to_grow(void **state) {
    (void)state;
    char *p = cb_malloc(100), *top = cb_malloc(16);
    fixture_fill(p, 100, 5);
    char *q = cb_realloc(p, 500);
    assert_true(q != p);
    assert_true(fixture_holds(q, 100, 5));
    cb_free(q);
    cb_free(top);
    assert_heap();
}

static void a_little_less_stays_as_it_is(void **state) {
    (void)state;
    char *p = cb_malloc(1000);
    size_t usable = cb_malloc_usable_size(p);
    assert_ptr_equal(cb_realloc(p, usable), p);
    assert_ptr_equal(cb_realloc(p, usable - 20), p);
    assert_true(cb_malloc_usable_size(p) >= usable - 20);
    cb_free(p);
}

/* Up and down through all kinds of objects, with something else on top each time. */
static void contents_survive_every_change_of_size(void **state) {
    (void)state;
    uint64_t random = fixture_seed(9);
    static const size_t most[] = {64, 1008, 4096, 32768, 200000, 3 << 20};
    for (int round = 0; round < 60; round++) {
        size_t have = 1 + fixture_random(&random) % 100;
        char *p = cb_malloc(have), *other = NULL;
        fixture_fill(p, have, 6);
        for (int step = 0; step < 20; step++) {
            size_t size = 1 + fixture_random(&random) % most[fixture_random(&random) % 6];
            p = cb_realloc(p, size);
            assert_non_null(p);
            assert_true(fixture_holds(p, have < size ? have : size, 6));
            have = size;
            fixture_fill(p, have, 6);
            cb_free(other);
            other = cb_malloc(have / 2);
        }
        cb_free(other);
        cb_free(p);
        assert_heap();
    }
}

static void of_null_allocates(void **state) {
    (void)state;
    char *p = cb_realloc(NULL, 50);
    assert_non_null(p);
    fixture_fill(p, 50, 1);
    cb_free(p);
    p = cb_realloc(NULL, 0);
    assert_non_null(p);
    cb_free(p);
}

static void to_zero_frees(void **state) {
    (void)state;
    static const size_t size[] = {1, 50, 5000, 500000};
    for (size_t i = 0; i < 4; i++) {
        assert_null(cb_realloc(cb_malloc(size[i]), 0));
        assert_heap();
    }
}

static void more_than_can_be_is_refused_and_changes_nothing(void **state) {
    (void)state;
    static const size_t size[] = {10, 1000, 5000, 100000, 3 << 20};
    for (size_t i = 0; i < 5; i++) {
        char *p = cb_malloc(size[i]);
        fixture_fill(p, size[i], 7);
        size_t too_much[] = {(size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX, SIZE_MAX, SIZE_MAX - 4096,
                             (size_t)1 << 50};
        for (size_t k = 0; k < 5; k++) {
            errno = 0;
            assert_null(cb_realloc(p, too_much[k]));
            assert_int_equal(errno, ENOMEM);
        }
        errno = 0;
        assert_null(cb_reallocarray(p, SIZE_MAX / 2, 3));
        assert_int_equal(errno, ENOMEM);
        assert_true(fixture_holds(p, size[i], 7));
        cb_free(p);
        assert_heap();
    }
}

static void a_large_object_keeps_its_contents_when_its_pages_move(void **state) {
    (void)state;
    enum { STEPS = 40 };
    size_t have = 600000;
    unsigned char *p = cb_malloc(have);
    fixture_fill(p, have, 8);
    void *in_the_way[STEPS];
    for (int i = 0; i < STEPS; i++) { /* more often than pages may be moved */
        in_the_way[i] = cb_malloc(40000);
        size_t size = have + 200000;
        p = cb_realloc(p, size);
        assert_non_null(p);
        assert_true(fixture_holds(p, have, 8));
        fixture_fill(p, size, 8);
        have = size;
    }
    for (int i = 0; i < STEPS; i++) {
        cb_free(in_the_way[i]);
    }
    assert_true(fixture_holds(p, have, 8));
    cb_free(p);
    unsigned char *q = cb_calloc(1, have);
    for (size_t i = 0; i < have; i++) {
        assert_int_equal(q[i], 0);
    }
    cb_free(q);
    assert_heap();
}

static void many_large_objects_grow_at_once(void **state) {
    (void)state;
    enum { OBJECTS = 48 };
    unsigned char *p[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++) {
        p[i] = cb_malloc(520000);
        fixture_fill(p[i], 520000, (unsigned char)i);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        p[i] = cb_realloc(p[i], 700000);
        assert_true(fixture_holds(p[i], 520000, (unsigned char)i));
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        p[i] = cb_realloc(p[i], i % 2 == 0 ? 300000 : 800000);
        assert_true(fixture_holds(p[i], i % 2 == 0 ? 300000 : 520000, (unsigned char)i));
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        cb_free(p[i]);
    }
    assert_heap();
}

static void a_large_object_that_shrinks_gives_its_tail_back(void **state) {
    (void)state;
    char *p = cb_malloc((size_t)8 << 20);
    fixture_fill(p, 100000, 9);
    size_t before = cb_mallinfo2().uordblks;
    assert_ptr_equal(cb_realloc(p, 100000), p);
    assert_true(cb_mallinfo2().uordblks + ((size_t)7 << 20) <= before);
    assert_true(fixture_holds(p, 100000, 9));
    assert_true(cb_malloc_usable_size(p) < 100000 + cb_os_page_size());
    cb_free(p);
    assert_heap();
}

static void a_large_object_grows_in_place_into_free_memory(void **state) {
    (void)state;
    char *p = cb_malloc((size_t)4 << 20);
    fixture_fill(p, 100000, 1);
    p = cb_realloc(p, 100000);
    char *q = cb_realloc(p, (size_t)3 << 20);
    assert_ptr_equal(q, p);
    assert_true(fixture_holds(q, 100000, 1));
    cb_free(q);
    assert_heap();
}

/* Where kinds of blocks meet, and where pages do. */
static const size_t borders[] = {112,   1008,  1024,  2048,  4096,  8192,  16384,  20480,
                                 28672, 32768, 36864, 40960, 49152, 65536, 131072, 1048576};
enum { BORDERS = sizeof borders / sizeof *borders, TURNS = 16 };

/* How often a block moves that is resized to `less` and back to `more`, again and again. */
static size_t moves_between(char **block, size_t more, size_t less) {
    size_t moves = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        char *p = cb_realloc(*block, turn % 2 == 0 ? less : more);
        assert_non_null(p);
        assert_true(cb_malloc_usable_size(p) >= (turn % 2 == 0 ? less : more));
        assert_true(fixture_holds(p, less, 5));
        moves += p != *block;
        *block = p;
    }
    return moves;
}

/*
 * The block stays where it is, if `less` is three quarters of it; what was asked for may be less than the
 * block.
 */
static void check_between(char *block, size_t more, size_t less, const char *kind) {
    assert_non_null(block);
    size_t usable = cb_malloc_usable_size(block);
    if (less < usable - usable / 4) {
        cb_free(block);
        return;
    }
    fixture_fill(block, less, 5);
    void *behind = cb_malloc(more); /* not on top */
    size_t moves = moves_between(&block, more, less);
    if (moves > 0) {
        print_error("%s: %zu to %zu and back, %d times: %zu moves\n", kind, more, less, TURNS / 2, moves);
    }
    assert_true(moves == 0);
    cb_free(behind);
    cb_free(block);
}

/*
 * Calls the function with pairs of sizes on both sides of every border, the lesser three quarters of the
 * greater or more.
 */
static void between_borders(void (*check)(size_t more, size_t less)) {
    for (size_t i = 0; i < BORDERS; i++) {
        size_t border = borders[i], part = border / 16;
        for (size_t above = 1; above <= border / 8 + 1; above += part) {
            for (size_t below = 0; below <= border / 8; below += part) {
                if (border - below >= (border + above) * 3 / 4 + 1) {
                    check(border + above, border - below);
                }
            }
        }
    }
    assert_heap();
}

static void between_own(size_t more, size_t less) {
    check_between(cb_malloc(more), more, less, "own");
}

static void *allocate(void *size) {
    return cb_malloc(*(size_t *)size);
}

static void between_others(size_t more, size_t less) {
    pthread_t thread;
    void *block = NULL;
    assert_int_equal(pthread_create(&thread, NULL, allocate, &more), 0);
    pthread_join(thread, &block);
    check_between(block, more, less, "of another thread");
}

static void between_aligned(size_t more, size_t less) {
    for (size_t align = 32; align <= 131072; align *= 8) {
        check_between(cb_aligned_alloc(align, more), more, less, "aligned");
    }
}

static void a_little_less_and_back_stays_where_it_is(void **state) {
    (void)state;
    between_borders(between_own);
    between_borders(between_others);
    between_borders(between_aligned);
}

/* More than the third by which blocks are good enough: one move up, and then it has the pages. */
static void a_large_block_stays_one_down_to_half_a_medium_one(void **state) {
    (void)state;
    for (size_t less = CB_MEDIUM_MAX / 2 + 1; less <= CB_MEDIUM_MAX; less += 1000) {
        char *p = cb_malloc(CB_MEDIUM_MAX + 1);
        fixture_fill(p, less, 5);
        assert_int_equal(moves_between(&p, CB_MEDIUM_MAX + 1, less), 0);
        cb_free(p);
    }
    assert_heap();
}

/* The same size again, whatever the block and its alignment. */
static void the_same_size_never_moves(void **state) {
    (void)state;
    for (size_t size = 1; size < 3000000; size += size / 3 + 1) {
        for (size_t align = 16; align <= 1 << 20; align *= 4) {
            char *p = cb_aligned_alloc(align, size);
            assert_ptr_equal(cb_realloc(p, size), p);
            assert_ptr_equal(cb_realloc(p, cb_malloc_usable_size(p)), p);
            cb_free(p);
        }
    }
    assert_heap();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_object_on_top_grows_in_place, bins_empty),
        cmocka_unit_test_setup(an_object_on_top_shrinks_in_place_and_gives_back, bins_empty),
        cmocka_unit_test_setup(a_medium_object_on_top_grows_in_place, bins_empty),
        cmocka_unit_test_setup(an_object_elsewhere_shrinks_in_place, bins_empty),
        cmocka_unit_test_setup(an_object_elsewhere_moves_to_grow, bins_empty),
        cmocka_unit_test(a_little_less_stays_as_it_is),
        cmocka_unit_test(contents_survive_every_change_of_size),
        cmocka_unit_test(of_null_allocates),
        cmocka_unit_test(to_zero_frees),
        cmocka_unit_test(more_than_can_be_is_refused_and_changes_nothing),
        cmocka_unit_test(a_large_object_keeps_its_contents_when_its_pages_move),
        cmocka_unit_test(many_large_objects_grow_at_once),
        cmocka_unit_test(a_large_object_that_shrinks_gives_its_tail_back),
        cmocka_unit_test(a_large_object_grows_in_place_into_free_memory),
        cmocka_unit_test(a_little_less_and_back_stays_where_it_is),
        cmocka_unit_test(a_large_block_stays_one_down_to_half_a_medium_one),
        cmocka_unit_test(the_same_size_never_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
