/*
 * Holes: what dies between survivors is found again by every size that fits, whatever was asked for in between.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "bed.h"

#include "heap/block.h"
#include "heap/ring.h"
#include "heap/thread.h"

enum { OBJECTS = 60000, SURVIVOR = 5 * 16, LONGEST = 60 * 16, RUN = 2048 / 16 };

static void *object[OBJECTS], *survivor[OBJECTS];

/* Objects of `size`, with survivors between them, are freed: all that is dead is holes of that size. */
static void make_holes(size_t count, size_t size) {
    for (size_t i = 0; i < count; i++) {
        object[i] = cb_malloc(size);
        survivor[i] = cb_malloc(SURVIVOR);
        assert_non_null(object[i]);
        assert_non_null(survivor[i]);
    }
    for (size_t i = 0; i < count; i++) {
        cb_free(object[i]);
    }
    cb_ring_empty_all(cb_thread.heap);
    assert_heap();
}

static void free_survivors(size_t count) {
    for (size_t i = 0; i < count; i++) {
        cb_free(survivor[i]);
    }
    cb_ring_empty_all(cb_thread.heap);
    assert_heap();
}

static size_t waiting_with_holes(size_t granules) {
    size_t blocks = 0;
    for (const struct cb_block *b = cb_thread.heap->queue[CB_BLOCK_BINS + granules]; b != NULL; blocks++) {
        b = b->next != 0 ? cb_blocks + b->next : NULL;
    }
    return blocks;
}

/* Sweeps every block that waits: no hole is long enough, so what is asked for comes from fresh memory. */
static size_t ask_for_more_than_holes_have(void **kept, size_t count) {
    for (size_t i = 0; i < count; i++) {
        kept[i] = cb_malloc(LONGEST);
        assert_non_null(kept[i]);
    }
    assert_heap();
    return cb_thread.heap->used;
}

static void holes_that_a_long_request_left_are_filled(void **state) {
    (void)state;
    enum { COUNT = 20000, LONG = 200 };
    void *kept[LONG];
    make_holes(COUNT, 3 * 16);
    assert_int_equal(waiting_with_holes(3), 0);
    size_t used = ask_for_more_than_holes_have(kept, LONG);
    size_t waiting = waiting_with_holes(3), dead = cb_thread.heap->dead;
    assert_true(waiting >= 4);
    assert_int_equal(cb_thread.heap->holes, (uint64_t)1 << 3);
    /* Nine in ten of the holes are filled before the heap grows by more than a few runs. */
    for (size_t i = 0; i < COUNT * 9 / 10; i++) {
        object[i] = cb_malloc(3 * 16);
        assert_non_null(object[i]);
        if (i % 1000 == 0) {
            assert_heap();
        }
    }
    assert_true(cb_thread.heap->used <= used + 4096);
    assert_true(cb_thread.heap->dead < dead / 4);
    assert_heap();
    for (size_t i = 0; i < COUNT * 9 / 10; i++) {
        cb_free(object[i]);
    }
    for (size_t i = 0; i < LONG; i++) {
        cb_free(kept[i]);
    }
    free_survivors(COUNT);
}

static void a_shorter_request_fills_longer_holes(void **state) {
    (void)state;
    enum { COUNT = 20000, LONG = 200 };
    void *kept[LONG];
    make_holes(COUNT, 12 * 16);
    size_t used = ask_for_more_than_holes_have(kept, LONG);
    assert_true(waiting_with_holes(12) >= 4);
    for (size_t i = 0; i < COUNT; i++) { /* two fit a hole */
        object[i] = cb_malloc(6 * 16);
        assert_non_null(object[i]);
    }
    assert_true(cb_thread.heap->used <= used + 4096);
    assert_heap();
    for (size_t i = 0; i < COUNT; i++) {
        cb_free(object[i]);
    }
    for (size_t i = 0; i < LONG; i++) {
        cb_free(kept[i]);
    }
    free_survivors(COUNT);
}

/* A sweep among short holes is put off by a request that is longer than they are, and goes on where it was. */
static void sweeps_are_put_off_and_resumed(void **state) {
    (void)state;
    enum { COUNT = 20000, LONG = 200, TURNS = 600 };
    void *kept[LONG + TURNS];
    make_holes(COUNT, 12 * 16);
    size_t used = ask_for_more_than_holes_have(kept, LONG);
    size_t resumed = 0, filled = 0;
    for (size_t turn = 0; turn < TURNS; turn++) {
        for (size_t i = 0; i < 12; i++, filled++) {
            object[filled] = cb_malloc(12 * 16);
            assert_non_null(object[filled]);
        }
        kept[LONG + turn] = cb_malloc(LONGEST);
        assert_non_null(kept[LONG + turn]);
        const struct cb_block *next = cb_thread.heap->queue[CB_BLOCK_BINS + 12];
        resumed += next != NULL && next->holes_from != 0;
        assert_heap();
    }
    assert_true(resumed > TURNS / 10);
    /* A run for each of the long ones, and nothing but what that has left for the short. */
    assert_true(cb_thread.heap->used <= used + TURNS * RUN);
    for (size_t i = 0; i < filled; i++) {
        cb_free(object[i]);
    }
    for (size_t i = 0; i < LONG + TURNS; i++) {
        cb_free(kept[i]);
    }
    free_survivors(COUNT);
}

/* Holes of a size that is freed more than it is asked for stay where they are. */
static void rings_that_overflow_are_not_filled_by_sweeps(void **state) {
    (void)state;
    enum { COUNT = 20000, LONG = 200 };
    void *kept[LONG];
    make_holes(COUNT, 3 * 16);
    struct cb_heap *heap = cb_thread.heap;
    assert_int_equal(heap->wanted >> 3 & 1, 0);
    ask_for_more_than_holes_have(kept, LONG);
    assert_true(cb_ring_is_empty(heap, cb_small_ring(3)));
    for (size_t i = 0; i < LONG; i++) {
        cb_free(kept[i]);
    }
    free_survivors(COUNT);
}

static void the_check_notices_broken_queues(void **state) {
    (void)state;
    enum { COUNT = 20000, LONG = 200 };
    void *kept[LONG];
    make_holes(COUNT, 3 * 16);
    ask_for_more_than_holes_have(kept, LONG);
    struct cb_heap *heap = cb_thread.heap;
    struct cb_block *block = heap->queue[CB_BLOCK_BINS + 3];
    assert_non_null(block);
    heap->holes ^= (uint64_t)1 << 3;
    assert_string_equal(cb_heap_check(), "the mask of blocks that wait with holes is wrong");
    heap->holes ^= (uint64_t)1 << 3;
    block->prev++;
    assert_string_equal(cb_heap_check(), "a queue of blocks is broken");
    block->prev--;
    block->queue = 0;
    assert_string_equal(cb_heap_check(), "a queue of blocks is broken");
    block->queue = CB_BLOCK_BINS + 3;
    uint32_t next = block->next;
    block->next = 0;
    assert_string_equal(cb_heap_check(), "a block waits in no queue");
    block->next = next;
    block->holes_from++;
    assert_string_equal(cb_heap_check(), "a sweep is to begin inside something");
    block->holes_from--;
    assert_heap();
    for (size_t i = 0; i < LONG; i++) {
        cb_free(kept[i]);
    }
    free_survivors(COUNT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holes_that_a_long_request_left_are_filled),
        cmocka_unit_test(a_shorter_request_fills_longer_holes),
        cmocka_unit_test(sweeps_are_put_off_and_resumed),
        cmocka_unit_test(rings_that_overflow_are_not_filled_by_sweeps),
        cmocka_unit_test(the_check_notices_broken_queues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
