/*
 * System calls fail: each workload runs with the first, second, ... of its system calls and all later ones
 * failing, until it needs no more of them. Whatever is refused is refused with ENOMEM, what was there before
 * stays as it was, the invariants hold, and once memory can be had again the same workload succeeds.
 *
 * Layer:     tests.
 * Threading: each attempt runs in a thread of its own, or in a process of its own, so that it starts from
 * nothing.
 */
#include "fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

/* Sanitizers make it slow: then not every number of calls is tried. */
#define STEP (BED_SANITIZED ? 13 : 1)
#define GROWN ((size_t)(BED_SANITIZED ? 2 : 6) << 20)

enum { OBJECTS = 3000, EARLIER = 64, MOST_CALLS = 600 };

static void demand(bool good, const char *what) {
    if (!good) {
        print_error("%s\n", what);
        _exit(1);
    }
}
#define DEMAND(condition) demand(condition, #condition)

static void demand_heap(void) {
    const char *wrong = cb_heap_check();
    demand(wrong == NULL, wrong);
}

/* A workload returns false when something was refused; it then has freed what it got. */
static bool refused(const void *p) {
    if (p != NULL) {
        return false;
    }
    DEMAND(errno == ENOMEM);
    return true;
}

static bool many(size_t size, size_t count) {
    static void *object[OBJECTS];
    bool good = true;
    size_t made = 0;
    while (made < count && good) {
        object[made] = cb_malloc(size);
        if (refused(object[made])) {
            good = false;
        } else {
            fixture_fill(object[made], size, (unsigned char)made);
            made++;
        }
    }
    demand_heap();
    for (size_t i = 0; i < made; i += 2) {
        DEMAND(fixture_holds(object[i], size, (unsigned char)i));
        cb_free(object[i]);
    }
    for (size_t i = 1; i < made; i += 2) {
        DEMAND(fixture_holds(object[i], size, (unsigned char)i));
        cb_free(object[i]);
    }
    demand_heap();
    return good;
}

static bool small_objects(void) {
    return many(200, OBJECTS);
}

static bool medium_objects(void) {
    return many(5000, 1000);
}

static bool large_objects(void) {
    return many(100000, 100);
}

static bool aligned_objects(void) {
    void *p = cb_memalign(1 << 20, 3 << 20), *q = cb_memalign(4096, 100), *r = cb_memalign(64, 300);
    bool good = p != NULL && q != NULL && r != NULL;
    DEMAND(((uintptr_t)p & 0xfffff) == 0 && ((uintptr_t)q & 4095) == 0 && ((uintptr_t)r & 63) == 0);
    void *out = &good;
    int error = cb_posix_memalign(&out, 1 << 16, 1 << 16);
    DEMAND(error == 0 || (error == ENOMEM && out == &good));
    if (error == 0) {
        cb_free(out);
    }
    cb_free(q);
    cb_free(p);
    cb_free(r);
    demand_heap();
    return good && error == 0;
}

static bool zeroed_objects(void) {
    bool good = true;
    for (size_t size = 100; size < (size_t)8 << 20 && good; size *= 3) {
        unsigned char *p = cb_calloc(1, size);
        good = !refused(p);
        for (size_t i = 0; good && i < size; i++) {
            DEMAND(p[i] == 0);
            p[i] = 1;
        }
        cb_free(p);
        demand_heap();
    }
    return good;
}

static bool growing_object(void) {
    size_t have = 10;
    unsigned char *p = cb_malloc(have);
    if (refused(p)) {
        return false;
    }
    fixture_fill(p, have, 3);
    bool good = true;
    while (have < GROWN && good) {
        unsigned char *q = cb_realloc(p, have * 2);
        good = !refused(q);
        if (good) {
            p = q;
            DEMAND(fixture_holds(p, have, 3));
            have *= 2;
            fixture_fill(p, have, 3);
        }
        void *between = cb_malloc(have / 2); /* so that it has to move */
        good = good && !refused(between);
        cb_free(between);
    }
    DEMAND(fixture_holds(p, have, 3));
    for (; have > 100; have /= 3) {
        DEMAND(fixture_holds(p, have, 3));
        void *q = cb_realloc(p, have);
        p = q != NULL ? q : p;
    }
    cb_free(p);
    demand_heap();
    return good;
}

static bool trim(void) {
    bool good = many(3000, 1000);
    cb_malloc_trim(0);
    demand_heap();
    return good;
}

static void *free_it(void *p) {
    cb_free(p);
    return NULL;
}

static bool freed_elsewhere(void) {
    static void *object[200];
    bool good = true;
    for (size_t i = 0; i < 200; i++) {
        pthread_t thread;
        object[i] = cb_malloc(600);
        good = good && !refused(object[i]);
        if (i % 40 == 0 && object[i] != NULL && pthread_create(&thread, NULL, free_it, object[i]) == 0) {
            pthread_join(thread, NULL);
            object[i] = NULL;
        }
    }
    demand_heap();
    for (size_t i = 0; i < 200; i++) {
        cb_free(object[i]);
    }
    demand_heap();
    return good;
}

static void *do_workload(void *argument) {
    bool (*const *workload)(void) = argument;
    bool good = (*workload)();
    return good ? argument : NULL;
}

/* In a thread of its own, which may have to get a heap first. True when nothing was refused. */
static bool in_thread(bool (*workload)(void)) {
    pthread_t thread;
    void *good = NULL;
    DEMAND(pthread_create(&thread, NULL, do_workload, &workload) == 0);
    pthread_join(thread, &good);
    return good != NULL;
}

/* One process: the workload with call number `calls` failing, and again when none fails. */
static void attempt(bool (*workload)(void), int calls, bool earlier) {
    void *object[EARLIER] = {0};
    for (size_t i = 0; i < EARLIER && earlier; i++) {
        object[i] = cb_malloc(i * i * 16);
        fixture_fill(object[i], i * i * 16, (unsigned char)i);
    }
    cb_os_inject(calls);
    bool here = workload(), there = in_thread(workload);
    cb_os_inject(-1);
    demand_heap();
    for (size_t i = 0; i < EARLIER && earlier; i++) {
        DEMAND(fixture_holds(object[i], i * i * 16, (unsigned char)i));
        cb_free(object[i]);
    }
    DEMAND(workload());
    DEMAND(in_thread(workload));
    demand_heap();
    _exit(here && there ? 42 : 0);
}

/* Until as many calls as the workload needs are allowed: then nothing was refused, twice in a row. */
static void try_all(bool (*workload)(void), bool earlier) {
    int good = 0;
    for (int calls = 0; calls < MOST_CALLS && good < 2; calls += STEP) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            alarm(60);
            attempt(workload, calls, earlier);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 42)) {
            print_error("with %d system calls: status %x\n", calls, (unsigned)status);
            fail();
        }
        good = WEXITSTATUS(status) == 42 ? good + 1 : 0;
    }
    assert_int_equal(good, 2);
}

#define TEST(workload)                                                                                       \
    static void workload##_survive(void **state) {                                                           \
        (void)state;                                                                                         \
        try_all(workload, false);                                                                            \
        try_all(workload, true);                                                                             \
    }
TEST(small_objects)
TEST(medium_objects)
TEST(large_objects)
TEST(aligned_objects)
TEST(zeroed_objects)
TEST(growing_object)
TEST(trim)
TEST(freed_elsewhere)

/* Threads that come while nothing can be had: at some point there is no heap for the next one. */
enum { THREADS_MOST = 400 };
static pthread_mutex_t waiting = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t end = PTHREAD_COND_INITIALIZER;
static bool ended; /* guarded by waiting */

static void *begin_without_memory(void *answer) {
    _Atomic int *refusal = answer;
    void *p = cb_malloc(100); /* refused as well to a thread that has a heap, but no block for it */
    bool no_heap = cb_thread.heap == NULL;
    if (no_heap) {
        DEMAND(p == NULL && refused(cb_calloc(1, 10)) && refused(cb_memalign(64, 10)) &&
               refused(cb_malloc(100000)));
        DEMAND(refused(cb_calloc(1, 100000)) && refused(cb_memalign(4096, 10)));
        DEMAND(refused(cb_realloc(NULL, 10)));
        cb_free(NULL);
    }
    atomic_store(refusal, no_heap ? 2 : 1);
    pthread_mutex_lock(&waiting);
    while (!ended) {
        pthread_cond_wait(&end, &waiting);
    }
    pthread_mutex_unlock(&waiting);
    DEMAND(!refused(p != NULL ? p : (p = cb_malloc(100))));
    demand_heap();
    cb_free(p);
    return NULL;
}

static void begin_many(void) {
    static pthread_t thread[THREADS_MOST];
    static _Atomic int refusal[THREADS_MOST];
    size_t count = 0;
    cb_free(cb_malloc(1));
    cb_os_inject(0);
    bool one_refused = false;
    for (; count < THREADS_MOST && !one_refused; count++) {
        DEMAND(pthread_create(&thread[count], NULL, begin_without_memory, &refusal[count]) == 0);
        int answer;
        while ((answer = atomic_load(&refusal[count])) == 0) {
            sched_yield();
        }
        one_refused = answer == 2;
    }
    DEMAND(one_refused);
    cb_os_inject(-1);
    pthread_mutex_lock(&waiting);
    ended = true;
    pthread_cond_broadcast(&end);
    pthread_mutex_unlock(&waiting);
    for (size_t i = 0; i < count; i++) {
        pthread_join(thread[i], NULL);
    }
    demand_heap();
}

static void threads_that_get_no_heap_survive(void **state) {
    (void)state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60);
        begin_many();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_objects_survive),
        cmocka_unit_test(medium_objects_survive),
        cmocka_unit_test(large_objects_survive),
        cmocka_unit_test(aligned_objects_survive),
        cmocka_unit_test(zeroed_objects_survive),
        cmocka_unit_test(growing_object_survive),
        cmocka_unit_test(trim_survive),
        cmocka_unit_test(freed_elsewhere_survive),
        cmocka_unit_test(threads_that_get_no_heap_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
