/*
 * Holes: what dies between survivors is found again by every size that fits, whatever was asked for in between.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

#include "heap/block.h"
#include "heap/list.h"
#include "heap/bin.h"
#include "heap/thread.h"

enum {
    OBJECTS = 20000,
    LONGS = 4000,
    SURVIVOR = 5 * 16,
    LONGEST = 60 * 16,
    RUN = CB_UNIT_GRANULES,
    GROWTH = 4096 /* granules */
};

static void *object[OBJECTS], *other[OBJECTS], *survivor[OBJECTS], *long_one[LONGS];
static size_t longs;

/* Objects of `size`, with survivors between them, are freed: all that is dead is holes of that size. */
static void make_holes(size_t size) {
    for (size_t i = 0; i < OBJECTS; i++) {
        object[i] = cb_malloc(size);
        survivor[i] = cb_malloc(SURVIVOR);
        assert_non_null(object[i]);
        assert_non_null(survivor[i]);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        cb_free(object[i]);
    }
    cb_bin_empty_all(&cb_thread);
    assert_heap();
}

static size_t waiting_with_holes(size_t granules) {
    size_t blocks = 0;
    for (const struct cb_block *b = cb_thread.heap->queue[CB_SWEEP_QUEUES + granules]; b != NULL; blocks++) {
        b = cb_list_next(b, CB_LIST_QUEUE);
    }
    return blocks;
}

static bool blocks_wait_for_a_sweep(void) {
    for (unsigned i = 1; i <= CB_SWEEP_QUEUES; i++) {
        if (cb_thread.heap->queue[i] != NULL) {
            return true;
        }
    }
    return false;
}

/* Asks for what no hole has room for, until every block that waited has been swept. */
static void sweep_in_vain(void) {
    for (longs = 0; blocks_wait_for_a_sweep() || longs < 8; longs++) {
        assert_true(longs < LONGS);
        long_one[longs] = cb_malloc(LONGEST);
        assert_non_null(long_one[longs]);
    }
    assert_heap();
}

static void free_all(size_t objects) {
    for (size_t i = 0; i < objects; i++) {
        cb_free(object[i]);
    }
    while (longs != 0) {
        cb_free(long_one[--longs]);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        cb_free(survivor[i]);
    }
    cb_bin_empty_all(&cb_thread);
    assert_heap();
}

/*
 * Holes of just the length that is asked for, however short, go to its bin: a few at a time where the bin has
 * not been larger. They are made of two sizes here, so that nothing of their own was freed before.
 */
static void holes_that_fit_exactly_are_filled(void **state) {
    (void)state;
    for (size_t i = 0; i < OBJECTS; i++) {
        object[i] = cb_malloc(2 * 16);
        other[i] = cb_malloc(4 * 16);
        survivor[i] = cb_malloc(SURVIVOR);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        cb_free(object[i]);
        cb_free(other[i]);
    }
    cb_bin_empty_all(&cb_thread);
    size_t used = cb_thread.heap->used;
    for (size_t i = 0; i < OBJECTS * 9 / 10; i++) {
        object[i] = cb_malloc(6 * 16);
        assert_non_null(object[i]);
        assert_true(cb_bin_count(cb_thread.heap, cb_small_bin(6)) <= 8);
        if (i % 1000 == 0) {
            assert_heap();
        }
    }
    assert_true(cb_thread.heap->used <= used + GROWTH);
    free_all(OBJECTS * 9 / 10);
}

static void holes_that_a_long_request_left_are_filled(void **state) {
    (void)state;
    make_holes(9 * 16);
    assert_int_equal(waiting_with_holes(9), 0);
    sweep_in_vain();
    struct cb_heap *heap = cb_thread.heap;
    size_t used = heap->used, dead = heap->dead;
    assert_true(waiting_with_holes(9) >= 4);
    /* Nine in ten of the holes are filled before the heap grows by more than a few runs. */
    for (size_t i = 0; i < OBJECTS * 9 / 10; i++) {
        object[i] = cb_malloc(9 * 16);
        assert_non_null(object[i]);
        if (i % 1000 == 0) {
            assert_heap();
        }
    }
    assert_true(heap->used <= used + GROWTH);
    assert_true(heap->dead < dead / 2);
    assert_heap();
    free_all(OBJECTS * 9 / 10);
}

static void a_shorter_request_fills_longer_holes(void **state) {
    (void)state;
    make_holes(12 * 16);
    sweep_in_vain();
    size_t used = cb_thread.heap->used;
    assert_true(waiting_with_holes(12) >= 4);
    for (size_t i = 0; i < OBJECTS; i++) { /* two fit a hole */
        object[i] = cb_malloc(6 * 16);
        assert_non_null(object[i]);
    }
    assert_true(cb_thread.heap->used <= used + GROWTH);
    assert_heap();
    free_all(OBJECTS);
}

/* A sweep among short holes is put off by a request that is longer than they are, and goes on where it was. */
static void sweeps_are_put_off_and_resumed(void **state) {
    (void)state;
    enum { TURNS = 600 };
    make_holes(12 * 16);
    sweep_in_vain();
    struct cb_heap *heap = cb_thread.heap;
    size_t used = heap->used, resumed = 0, filled = 0;
    for (size_t turn = 0; turn < TURNS; turn++) {
        for (size_t i = 0; i < 12; i++, filled++) {
            object[filled] = cb_malloc(12 * 16);
            assert_non_null(object[filled]);
        }
        assert_true(longs < LONGS);
        long_one[longs] = cb_malloc(LONGEST);
        assert_non_null(long_one[longs++]);
        const struct cb_block *next = heap->queue[CB_SWEEP_QUEUES + 12];
        resumed += next != NULL && next->holes_from != 0;
        assert_heap();
    }
    assert_true(resumed > TURNS / 10);
    /* A run for each of the long ones, and nothing but what that has left for the short. */
    assert_true(heap->used <= used + TURNS * RUN);
    free_all(filled);
}

/* Short holes are not waited with: what fills them is as well off in fresh memory. */
static void short_holes_are_left_alone(void **state) {
    (void)state;
    make_holes((CB_HOLE_LEAST - 1) * 16);
    sweep_in_vain();
    assert_int_equal(cb_thread.heap->holes & (((uint64_t)1 << CB_HOLE_LEAST) - 1), 0);
    free_all(0);
}

static void the_check_notices_broken_queues(void **state) {
    (void)state;
    make_holes(9 * 16);
    sweep_in_vain();
    struct cb_heap *heap = cb_thread.heap;
    struct cb_block *block = heap->queue[CB_SWEEP_QUEUES + 9];
    assert_non_null(block);
    struct cb_links *links = &block->list[CB_LIST_QUEUE];
    assert_int_not_equal(links->next, 0);
    heap->holes ^= (uint64_t)1 << 9;
    assert_string_equal(cb_heap_check(), "the mask of blocks that wait with holes is wrong");
    heap->holes ^= (uint64_t)1 << 9;
    links->prev++;
    assert_string_equal(cb_heap_check(), "a queue of blocks is broken");
    links->prev--;
    block->queue = 0;
    assert_string_equal(cb_heap_check(), "a queue of blocks is broken");
    block->queue = CB_SWEEP_QUEUES + 9;
    uint32_t next = links->next;
    links->next = 0;
    assert_string_equal(cb_heap_check(), "a block waits in no queue");
    links->next = next;
    block->holes_from++;
    assert_string_equal(cb_heap_check(), "a sweep is to begin inside something");
    block->holes_from--;
    assert_heap();
    free_all(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holes_that_fit_exactly_are_filled),
        cmocka_unit_test(holes_that_a_long_request_left_are_filled),
        cmocka_unit_test(a_shorter_request_fills_longer_holes),
        cmocka_unit_test(sweeps_are_put_off_and_resumed),
        cmocka_unit_test(short_holes_are_left_alone),
        cmocka_unit_test(the_check_notices_broken_queues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
