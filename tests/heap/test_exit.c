/*
 * The last moments of threads: their first allocation, or many more, in any round of the destructors of
 * thread-specific data; threads that end by a bare system call. No heap may stay behind, and what others own
 * there is still good.
 *
 * Layer:     tests.
 * Threading: the point.
 */
#include "fixture.h"

#include "heap/stats.h"
#include "heap/thread.h"

#include <limits.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS = BED_SANITIZED ? 40 : 280, MOST = 5000, AT_ONCE = 40 };
#if defined(__SANITIZE_THREAD__) /* gcc */
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#define THREAD_SANITIZER __has_feature(thread_sanitizer) /* clang */
#else
#define THREAD_SANITIZER 0
#endif
#if THREAD_SANITIZER
#define ROUNDS                                                                                               \
    3 /* in the last round the thread sanitizer is done with the thread: no destructor may run there */
#else
#define ROUNDS PTHREAD_DESTRUCTOR_ITERATIONS
#endif

/* What a thread does at its end. */
struct end {
    int round; /* in which it allocates */
    int count; /* objects */
    bool first;
    int left;   /* rounds */
    void *kept; /* what it leaves to others */
};

static pthread_key_t key;
static pthread_barrier_t held, tried;

static void work(struct end *end) {
    static _Thread_local void *object[MOST];
    for (int i = 0; i < end->count; i++) {
        size_t size = i % 50 == 0 ? 3000 : (size_t)(i % 40) * 16 + 8;
        object[i] = cb_malloc(size);
        fixture_fill(object[i], size, (unsigned char)i);
    }
    for (int i = 0; i < end->count; i += 2) {
        cb_free(object[i]);
    }
    for (int i = 1; i < end->count; i += 2) {
        size_t size = i % 50 == 0 ? 3000 : (size_t)(i % 40) * 16 + 8;
        if (!fixture_holds(object[i], size, (unsigned char)i)) {
            abort();
        }
        cb_free(object[i]);
    }
    end->kept = cb_malloc(100);
    fixture_fill(end->kept, 100, 7);
}

static void destroy(void *value) {
    struct end *end = value;
    if (--end->left == 0) {
        work(end);
    } else {
        pthread_setspecific(key, end);
    }
}

static void *end_in_round(void *value) {
    struct end *end = value;
    if (!end->first) {
        cb_free(cb_malloc(50));
    }
    end->left = end->round;
    pthread_setspecific(key, end);
    return NULL;
}

static size_t heaps(void) {
    struct cb_stats stats;
    cb_stats_read(&stats);
    return stats.heaps;
}

static void drop_kept(const struct end *end) {
    assert_non_null(end->kept);
    assert_true(fixture_holds(end->kept, 100, 7));
    cb_free(end->kept);
}

static void one_after_the_other(void *(*run)(void *), struct end end, int threads) {
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        struct end each = end;
        assert_int_equal(pthread_create(&thread, NULL, run, &each), 0);
        pthread_join(thread, NULL);
        drop_kept(&each);
    }
}

static void leave_nothing(void *(*run)(void *), struct end end) {
    cb_free(cb_malloc(1));
    one_after_the_other(run, end, 8);
    size_t heaps_before = heaps(), before = fixture_resident();
    one_after_the_other(run, end, THREADS);
    size_t after = fixture_resident();
    if (!BED_SANITIZED && after > before + ((size_t)2 << 20)) {
        print_error("round %d, %d objects: %zu KiB more\n", end.round, end.count, (after - before) >> 10);
        fail();
    }
    assert_true(heaps() <= heaps_before + 2);
    assert_heap();
}

static void nothing_stays_of_allocations_in_any_round(void **state) {
    static const int counts[] = {10, 1000, MOST};
    (void)state;
    for (int round = 1; round <= ROUNDS; round++) {
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
#if !THREAD_SANITIZER
            leave_nothing(end_in_round, (struct end){.round = round, .count = counts[i], .first = true});
#endif
            leave_nothing(end_in_round, (struct end){.round = round, .count = counts[i]});
        }
    }
}

static void *hold_mutex(void *argument) {
    struct cb_alive *alive = argument;
    pthread_mutex_lock(&alive->mutex);
    pthread_barrier_wait(&held);
    pthread_barrier_wait(&tried);
    pthread_mutex_unlock(&alive->mutex);
    return NULL;
}

/* Whoever looks at a mark has it for a moment, in which it may be at a lock of the program's. */
static void a_mark_that_another_thread_has_is_not_waited_for(void **state) {
    (void)state;
    struct cb_alive alive;
    pthread_t thread;
    cb_alive_init(&alive);
    pthread_barrier_init(&held, NULL, 2);
    pthread_barrier_init(&tried, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, hold_mutex, &alive), 0);
    pthread_barrier_wait(&held);
    cb_alive_hold(&alive);
    assert_false(alive.held);
    cb_alive_drop(&alive); /* nothing of its own */
    pthread_barrier_wait(&tried);
    pthread_join(thread, NULL);
    cb_alive_hold(&alive);
    assert_true(alive.held);
    cb_alive_drop(&alive);
    assert_false(cb_alive_inherit(&alive));
}

#if !BED_SANITIZED /* they would know of the threads for ever */
/* The other way to end. */
static void *end_by_system_call(void *value) {
    work(value);
    syscall(SYS_exit, 0);
    return NULL;
}

static void nothing_stays_of_threads_that_end_by_a_system_call(void **state) {
    (void)state;
    leave_nothing(end_by_system_call, (struct end){.count = 10});
    leave_nothing(end_by_system_call, (struct end){.count = MOST});
}

static void at_once(void *(*run)(void *)) {
    static struct end end[AT_ONCE];
    pthread_t thread[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++) {
        end[i] = (struct end){.count = 1000, .round = 1, .first = true};
        assert_int_equal(pthread_create(&thread[i], NULL, run, &end[i]), 0);
    }
    for (int i = 0; i < AT_ONCE; i++) {
        pthread_join(thread[i], NULL);
    }
    for (int i = 0; i < AT_ONCE; i++) {
        drop_kept(&end[i]);
    }
}

static void count_running(struct cb_heap *heap, void *count) {
    *(size_t *)count += atomic_load(&heap->state) == CB_HEAP_RUNNING;
}

static size_t running(void) {
    size_t count = 0;
    cb_heaps_each(count_running, &count);
    return count;
}

static void trim_parks_what_was_left(void **state) {
    (void)state;
    at_once(end_by_system_call);
    cb_malloc_trim(0);
    size_t before = heaps();
    assert_int_equal(running(), 1);
    for (int i = 0; i < 10; i++) {
        at_once(end_by_system_call);
        at_once(end_in_round);
    }
    cb_malloc_trim(0);
    assert_int_equal(running(), 1);
    assert_true(heaps() <= before + AT_ONCE);
    assert_heap();
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_stays_of_allocations_in_any_round),
        cmocka_unit_test(a_mark_that_another_thread_has_is_not_waited_for),
#if !BED_SANITIZED
        cmocka_unit_test(nothing_stays_of_threads_that_end_by_a_system_call),
        cmocka_unit_test(trim_parks_what_was_left),
#endif
    };
    if (pthread_key_create(&key, destroy) != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
