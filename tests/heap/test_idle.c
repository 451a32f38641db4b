/*
 * Heaps that no thread runs: what their threads had freed goes back when they end, what others free in them dies at
 * once, and malloc_trim reaches them all. Only what lives stays.
 *
 * Layer:     tests; reaches into the heap.
 * Threading: threads that end, one after the other or together.
 */
#include "fixture.h"

#include "heap/pages.h"
#include "heap/thread.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

enum { THREADS = 200, EACH = 400, SIZE = 1000, FEW = 64, FEW_SIZE = 3000 };

static void *object[THREADS][EACH];
static pthread_barrier_t together;

static void start_together(void *(*run)(void *)) {
    static pthread_t thread[THREADS];
    pthread_barrier_init(&together, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, run, object[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    pthread_barrier_destroy(&together);
}

static void *leave_all(void *argument) {
    void **mine = argument;
    for (int i = 0; i < EACH; i++) {
        mine[i] = cb_malloc(SIZE);
        memset(mine[i], 1, SIZE);
    }
    pthread_barrier_wait(&together);
    return NULL;
}

/* Each thread that ended has left two pages of stack, which libc keeps. */
#define STACKS ((size_t)THREADS * 3 * 4096)

static void what_others_free_in_idle_heaps_goes_back_at_once(void **state) {
    (void)state;
    cb_malloc_trim(0);
    size_t before = fixture_resident();
    start_together(leave_all);
    assert_true(fixture_resident() >= before + (size_t)THREADS * EACH * SIZE);
    for (int k = 0; k < EACH; k++) {
        for (int i = 0; i < THREADS; i++) {
            cb_free(object[i][k]);
        }
    }
    size_t left = fixture_resident();
    print_message("%zu KiB left of %d\n", (left - before) >> 10, THREADS * EACH * SIZE >> 10);
    assert_true(left <= before + STACKS + ((size_t)4 << 20));
    cb_malloc_trim(0);
    assert_true(fixture_resident() <= before + STACKS + ((size_t)2 << 20));
    assert_heap();
}

/* Each thread keeps another of its objects. */
static void *leave_one(void *argument) {
    void **mine = argument;
    size_t kept = (size_t)(mine - object[0]) / EACH % FEW;
    for (int i = 0; i < FEW; i++) {
        mine[i] = cb_malloc(FEW_SIZE);
        memset(mine[i], 1, FEW_SIZE);
    }
    for (size_t i = 0; i < FEW; i++) {
        if (i != kept) {
            cb_free(mine[i]);
        }
    }
    mine[0] = mine[kept];
    pthread_barrier_wait(&together);
    return NULL;
}

/* The 4 KiB of the object's block that are resident, and those that are in the pages which the object is in. */
static void count_units(const void *p, size_t *resident, size_t *needed) {
    unsigned char unit[CB_BLOCK_UNITS];
    uintptr_t block = (uintptr_t)p & ~(CB_BLOCK_SIZE - 1);
    assert_int_equal(mincore((void *)block, CB_BLOCK_SIZE, unit), 0);
    for (size_t i = 0; i < CB_BLOCK_UNITS; i++) {
        *resident += unit[i] & 1;
    }
    uintptr_t from = (uintptr_t)p & ~(cb_page_size - 1),
              to = cb_align_up((uintptr_t)p + FEW_SIZE, cb_page_size);
    *needed += (to - from) >> CB_UNIT_SHIFT;
}

/*
 * One heap waits as its thread left it. Of the blocks of the others nothing stays but the pages that the objects are
 * in; of the books, a page of map for each, and the heap itself.
 */
static void threads_that_end_leave_what_lives(void **state) {
    (void)state;
    cb_malloc_trim(0);
    size_t before = fixture_resident(), resident = 0, needed = 0;
    start_together(leave_one);
    size_t left = fixture_resident();
    for (int i = 0; i < THREADS; i++) {
        count_units(object[i][0], &resident, &needed);
    }
    print_message("%zu KiB left of %d objects; of their blocks %zu units, of which they need %zu\n",
                  (left - before) >> 10, THREADS, resident, needed);
    assert_true(resident <= needed + CB_BLOCK_UNITS);
    assert_true(left <= before + STACKS + ((size_t)1 << 20) + (needed << CB_UNIT_SHIFT) +
                            (size_t)THREADS * 2 * cb_page_size);
    for (int i = 0; i < THREADS; i++) {
        cb_free(object[i][0]);
    }
    cb_malloc_trim(0);
    assert_true(fixture_resident() <= before + STACKS + ((size_t)2 << 20));
    assert_heap();
}

static void *park_much(void *argument) {
    void **mine = argument;
    void *top;
    for (int i = 0; i < EACH; i++) {
        mine[i] = cb_malloc(SIZE);
        memset(mine[i], 1, SIZE);
    }
    top = cb_malloc(16);
    for (int i = 0; i < EACH; i++) {
        cb_free(mine[i]);
    }
    cb_free(top);
    return NULL;
}

/* The one heap that stays as it was, too. */
static void trim_reaches_what_an_ended_thread_parked(void **state) {
    (void)state;
    pthread_t thread;
    size_t before = 0;
    for (int round = 0; round < 2; round++) { /* the first makes the heap, and touches code and stack */
        cb_malloc_trim(0);
        before = fixture_resident();
        assert_int_equal(pthread_create(&thread, NULL, park_much, object[0]), 0);
        pthread_join(thread, NULL);
    }
    assert_true(fixture_resident() >= before + (size_t)EACH * SIZE / 2);
    cb_malloc_trim(0);
    assert_true(fixture_resident() <= before + ((size_t)64 << 10));
    assert_heap();
}

static size_t before_ten, after_ten; /* bytes resident */

/* One thread looks at the memory while the others stand still. */
static void look(void **mine, size_t *bytes) {
    pthread_barrier_wait(&together);
    *bytes = mine == object[0] ? fixture_resident() : *bytes;
    pthread_barrier_wait(&together);
}

static void *have_ten(void *argument) {
    enum { TEN = 10, TEN_SIZE = 100 };
    void **mine = argument;
    volatile unsigned char deep[4096]; /* of stack that malloc may need */
    for (size_t i = 0; i < sizeof deep; i += 64) {
        deep[i] = 0;
    }
    look(mine, &before_ten);
    for (int i = 0; i < TEN; i++) {
        mine[i] = cb_malloc(TEN_SIZE);
        memset(mine[i], 1, TEN_SIZE);
    }
    look(mine, &after_ten);
    for (int i = 0; i < TEN; i++) {
        cb_free(mine[i]);
    }
    return NULL;
}

/* A page for the objects, one of the map, and the heap itself. What the thread and its stack cost is not the heap's. */
static void an_idle_thread_with_ten_objects_costs_little(void **state) {
    (void)state;
    memset(object, 1, sizeof object);
    start_together(have_ten);
    print_message("%zu bytes a thread\n", (after_ten - before_ten) / THREADS);
    assert_true(after_ten <= before_ten + (size_t)THREADS * 12 * 1024);
    assert_heap();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_thread_with_ten_objects_costs_little), /* first: the heaps are made by it */
        cmocka_unit_test(trim_reaches_what_an_ended_thread_parked),
        cmocka_unit_test(threads_that_end_leave_what_lives),
        cmocka_unit_test(what_others_free_in_idle_heaps_goes_back_at_once),
    };
    cb_free(cb_malloc(1));
    if (BED_SANITIZED) { /* which keep memory of their own for threads */
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
