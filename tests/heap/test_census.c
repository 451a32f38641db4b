/*
 * The census: in a heap that rests, it counts each object once, in its state and under its size, wherever the runs are.
 *
 * Layer:     tests.
 * Threading: one besides, which frees what the first allocated; three that do both while statistics are read.
 */
#include "fixture.h"

#include "heap/census.h"
#include "heap/bin.h"
#include "heap/stats.h"
#include "heap/thread.h"

#include <pthread.h>

enum { OBJECTS = 4096 };

static void *object[OBJECTS];
static uint64_t seed;

static size_t some_size(void) {
    uint64_t r = fixture_random(&seed);
    size_t most = r % 64 == 0 ? 300000 : r % 4 == 0 ? CB_MEDIUM_MAX : CB_SMALL_MAX;
    return 1 + (r >> 8) % most;
}

static void count(struct cb_census_count *counted, size_t bytes) {
    counted->objects++;
    counted->bytes += bytes;
}

static void assert_same(struct cb_census_count found, struct cb_census_count expected) {
    assert_int_equal(found.objects, expected.objects);
    assert_int_equal(found.bytes, expected.bytes);
}

/* Bytes in the bins of the calling thread's heap. */
static struct cb_census_count in_rings(void) {
    struct cb_census_count found = {0, 0};
    struct cb_heap *heap = cb_thread.heap;
    for (unsigned i = CB_BIN_BEGIN; i < CB_BINS; i = cb_bin_next(i)) {
        found.objects += cb_bin_count(heap, i);
        for (size_t k = 0; k < cb_bin_count(heap, i); k++) {
            found.bytes += cb_bin_object_granules(i, heap->bins->bin[i].slot[k]) * CB_GRANULE;
        }
    }
    return found;
}

/* The census says what the test and the bins know. `remote`: objects that another thread has freed. */
static void assert_census(struct cb_census_count remote) {
    struct cb_census census;
    struct cb_census_count live = {0, 0}, power[CB_CENSUS_POWERS] = {{0, 0}};
    for (size_t i = 0; i < OBJECTS; i++) {
        if (object[i] != NULL) {
            size_t bytes = cb_malloc_usable_size(object[i]);
            count(&live, bytes);
            count(&power[cb_census_power(bytes)], bytes);
        }
    }
    cb_census_take(&census, CB_LOCK_WAIT);
    assert_same(census.live, live);
    for (unsigned i = 0; i < CB_CENSUS_POWERS; i++) {
        assert_same(census.power[i], power[i]);
    }
    assert_same(census.parked, in_rings());
    assert_same(census.remote, remote);
    assert_int_equal(census.blocks_left_out, 0);
    assert_false(census.large_left_out);
}

static void free_all(void) {
    for (size_t i = 0; i < OBJECTS; i++) {
        cb_free(object[i]);
        object[i] = NULL;
    }
}

/* Objects of all sizes come and go, and grow, and now and then everything is looked at. */
static void every_object_is_counted_once(void **state) {
    (void)state;
    seed = fixture_seed(18);
    for (unsigned step = 1; step <= 60000; step++) {
        size_t i = fixture_random(&seed) % OBJECTS;
        if (fixture_random(&seed) % 8 == 0 && object[i] != NULL) {
            object[i] = cb_realloc(object[i], some_size());
        } else {
            cb_free(object[i]);
            object[i] =
                fixture_random(&seed) % 3 != 0 ? cb_malloc(some_size()) : cb_memalign(64, some_size());
        }
        if (step % 1500 == 0) {
            assert_census((struct cb_census_count){0, 0});
        }
    }
    free_all();
    assert_census((struct cb_census_count){0, 0});
    cb_malloc_trim(0);
    assert_census((struct cb_census_count){0, 0});
    assert_heap();
}

static void powers_are_those_that_hold_the_size(void **state) {
    (void)state;
    assert_int_equal(cb_census_power(16), 4);
    assert_int_equal(cb_census_power(17), 5);
    assert_int_equal(cb_census_power(32), 5);
    assert_int_equal(cb_census_power(33), 6);
    assert_int_equal(cb_census_power((size_t)1 << 47), 47);
    assert_int_equal(cb_census_power(((size_t)1 << 47) + 1), 48);
}

static void *free_some(void *remote) {
    for (size_t i = 0; i < OBJECTS; i += 3) {
        size_t bytes = cb_malloc_usable_size(object[i]);
        if (bytes <= CB_MEDIUM_MAX) {
            count(remote, bytes);
        }
        cb_free(object[i]);
        object[i] = NULL;
    }
    return NULL;
}

static void what_others_free_is_told_apart(void **state) {
    (void)state;
    struct cb_census_count remote = {0, 0};
    pthread_t thread;
    for (size_t i = 0; i < OBJECTS; i++) {
        object[i] =
            cb_malloc(some_size() % 64 + 1); /* too few units to be collected for a thread that sleeps */
    }
    assert_int_equal(pthread_create(&thread, NULL, free_some, &remote), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(remote.objects > OBJECTS / 4);
    assert_census(remote);
    struct cb_stats stats;
    cb_stats_read(&stats);
    size_t before = stats.taken_in + stats.collected;
    free_all();
    void *medium = cb_malloc(5000); /* on this slow path or a later one it takes in what it finds */
    cb_malloc_trim(0);
    cb_stats_read(&stats);
    assert_int_equal(stats.taken_in + stats.collected - before, remote.objects);
    cb_free(medium);
}

static _Atomic bool ends;
static void *_Atomic handed[64];

/* Allocates, and frees what others have allocated, of all sizes. */
static void *work(void *number) {
    uint64_t state = (uint64_t)(uintptr_t)number;
    while (!atomic_load_explicit(&ends, memory_order_relaxed)) {
        uint64_t r = fixture_random(&state);
        size_t most = r % 64 == 0 ? 300000 : r % 4 == 0 ? CB_MEDIUM_MAX : CB_SMALL_MAX;
        cb_free(atomic_exchange(&handed[r >> 32 & 63], cb_malloc(1 + (r >> 8) % most)));
    }
    return NULL;
}

/* While others are at work, whatever is read is in order; nothing is left out, for it is waited for. */
static void statistics_of_a_busy_process_are_in_order(void **state) {
    (void)state;
    pthread_t thread[3];
    static struct cb_stats stats;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, work, (void *)(i + 1)), 0);
    }
    for (int i = 0; i < 50; i++) {
        cb_stats_read_all(&stats, CB_LOCK_WAIT, false);
        assert_int_equal(stats.left_out & ~(unsigned)CB_LEFT_OUT_RESIDENT, 0);
        assert_int_equal(stats.in_use + stats.free, stats.pages.mapped);
        assert_true(stats.taken <= stats.reserve.most_in_use);
        assert_true(stats.census.live.bytes <= stats.pages.mapped);
        assert_true(stats.running >= 1 && stats.running <= stats.heaps);
        cb_os_yield();
    }
    atomic_store(&ends, true);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    }
    for (size_t i = 0; i < 64; i++) {
        cb_free(atomic_exchange(&handed[i], NULL));
    }
    cb_malloc_trim(0);
    cb_stats_read_all(&stats, CB_LOCK_WAIT, false);
    assert_int_equal(stats.census.live.objects, 0);
}

/* A lock that is held is waited for no longer than is said, and what it guards is left out. */
static void what_is_locked_is_left_out(void **state) {
    (void)state;
    struct cb_census census;
    struct cb_heap *heap = cb_thread_heap();
    object[0] = cb_malloc(100);
    object[1] = cb_malloc(100000);
    assert_true(cb_lock_try(&heap->lock));
    cb_census_take(&census, cb_os_milliseconds());
    cb_lock_drop(&heap->lock);
    assert_true(census.blocks_left_out >= 1);
    assert_int_equal(census.live.objects, 1);
    assert_int_equal(census.large.objects, 1);
    free_all();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(powers_are_those_that_hold_the_size),
        cmocka_unit_test(every_object_is_counted_once),
        cmocka_unit_test(what_others_free_is_told_apart),
        cmocka_unit_test(statistics_of_a_busy_process_are_in_order),
        cmocka_unit_test(what_is_locked_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
