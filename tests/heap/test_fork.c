/*
 * Forks from a program whose threads are busy allocating. Each child frees what the parent's threads
 * allocated, allocates, starts threads, forks again; none may hang (an alarm ends it) or find its memory
 * changed.
 *
 * Layer:     tests.
 * Threading: the point.
 */
#include "fixture.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, SHARED = 256, CHILD_SECONDS = 60 };
#define FORKS (BED_SANITIZED ? 40 : 240)

/* release by the thread that puts an object in, acquire by whoever takes it out */
static unsigned char *_Atomic shared[SHARED];
static _Atomic bool stop;

/*
 * All meet here before the first fork and after the last one: AddressSanitizer allocates while a thread starts
 * and while it ends, under locks of its own that it does not mend in a child.
 */
static pthread_barrier_t all_run;

static size_t size_of(const unsigned char *p) {
    size_t size;
    memcpy(&size, p, sizeof size);
    return size;
}

static unsigned char *make(uint64_t *random) {
    uint64_t r = fixture_random(random);
    size_t size = 16 + (r % 64 == 0 ? (r >> 8) % 300000 : r % 8 == 0 ? (r >> 8) % 9000 : (r >> 8) % 300);
    unsigned char *p = cb_malloc(size);
    if (p != NULL) {
        memcpy(p, &size, sizeof size);
        fixture_fill(p + sizeof size, size - sizeof size, (unsigned char)size);
    }
    return p;
}

/* Frees it; false when its contents have changed. */
static bool drop(unsigned char *p) {
    bool good = p == NULL ||
                fixture_holds(p + sizeof(size_t), size_of(p) - sizeof(size_t), (unsigned char)size_of(p));
    cb_free(p);
    return good;
}

static void *busy(void *argument) {
    uint64_t random = (uintptr_t)argument;
    pthread_barrier_wait(&all_run);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        unsigned char *p = make(&random);
        p = atomic_exchange_explicit(&shared[fixture_random(&random) % SHARED], p, memory_order_acq_rel);
        if (!drop(p)) {
            abort();
        }
    }
    return NULL;
}

static void *brief(void *argument) {
    uint64_t random = (uintptr_t)argument;
    bool good = true;
    for (int i = 0; i < 200; i++) {
        unsigned char *p = make(&random), *q = make(&random);
        good = good && p != NULL && q != NULL && drop(p) && drop(q);
    }
    return good && cb_heap_check() == NULL ? argument : NULL;
}

static int wait_for(pid_t child) {
    int status = -1;
    return child > 0 && waitpid(child, &status, 0) == child ? status : -1;
}

/* What a child does; its exit status. */
static int live(unsigned depth, uint64_t seed) {
    alarm(CHILD_SECONDS);
    for (size_t i = 0; i < SHARED; i++) {
        if (!drop(atomic_exchange_explicit(&shared[i], NULL, memory_order_acquire))) {
            return 10;
        }
    }
    if (cb_heap_check() != NULL) {
        return 11;
    }
    if (brief((void *)(uintptr_t)(seed + 1)) == NULL) {
        return 12;
    }
#if !defined(__SANITIZE_THREAD__) /* it supports no threads in the child of a threaded program */
    pthread_t thread[2];
    for (uintptr_t i = 0; i < 2; i++) {
        if (pthread_create(&thread[i], NULL, brief, (void *)(uintptr_t)(seed + 2 + i)) != 0) {
            return 13;
        }
    }
    for (int i = 0; i < 2; i++) {
        void *good;
        pthread_join(thread[i], &good);
        if (good == NULL) {
            return 14;
        }
    }
#endif
    if (depth > 0) {
        pid_t child = fork();
        if (child == 0) {
            _exit(live(depth - 1, seed + 100));
        }
        return wait_for(child) == 0 ? 0 : 15;
    }
    return cb_heap_check() == NULL ? 0 : 16;
}

static pid_t fork_by_call(void) {
    return fork();
}

/* Runs no handlers, as some runtimes do it. */
static pid_t fork_by_system_call(void) {
    return (pid_t)syscall(SYS_fork);
}

static void storm(pid_t (*split)(void), unsigned depth, int forks) {
    pthread_t thread[THREADS];
    cb_free(cb_malloc(1)); /* starts the heap, as a program's first allocation does before it has threads */
    atomic_store(&stop, false);
    pthread_barrier_init(&all_run, NULL, THREADS + 1);
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, busy, (void *)(i + 1)), 0);
    }
    pthread_barrier_wait(&all_run);
    for (int i = 0; i < forks; i++) {
        pid_t child = split();
        if (child == 0) {
            _exit(live(i % 4 == 0 ? depth : 0, (uint64_t)i * 1000));
        }
        int status = wait_for(child);
        if (status != 0) {
            print_error("fork %d: status %x\n", i, (unsigned)status);
        }
        assert_int_equal(status, 0);
        assert_heap();
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    for (size_t i = 0; i < SHARED; i++) {
        assert_true(drop(atomic_exchange(&shared[i], NULL)));
    }
    pthread_barrier_destroy(&all_run);
    assert_heap();
}

static void children_of_busy_threads_live(void **state) {
    (void)state;
    storm(fork_by_call, 2, FORKS);
}

static void children_that_ran_no_handlers_live(void **state) {
    (void)state;
#if !BED_SANITIZED
    storm(fork_by_system_call, 0, FORKS / 2);
#else
    (void)fork_by_system_call;
    skip();
#endif
}

#if !BED_SANITIZED
/* In the child of a fork without handlers: another thread than the one that forked is the first to allocate. */
static int live_after_another(const struct cb_heap *heap, bool torn) {
    pthread_t thread;
    void *good = NULL;
    alarm(CHILD_SECONDS);
    if (pthread_create(&thread, NULL, brief, (void *)1) != 0) { /* libc's malloc is not ours here */
        return 20;
    }
    pthread_join(thread, &good);
    cb_free(cb_malloc(100000));
    if (good == NULL || (cb_thread.heap == heap) == torn) {
        return 21;
    }
    if (!torn && atomic_load(&heap->state) != CB_HEAP_RUNNING) {
        return 22;
    }
    return brief((void *)2) != NULL ? 0 : 23;
}
#endif

static void the_thread_that_forked_gets_its_heap_back_unless_it_was_being_changed(void **state) {
    (void)state;
#if !BED_SANITIZED
    cb_free(cb_malloc(1));
    struct cb_heap *heap = cb_thread.heap;
    for (int torn = 0; torn < 2; torn++) {
        if (torn) {
            cb_lock_take(&heap->lock); /* as a thread does that lets objects of it die */
        }
        pid_t child = fork_by_system_call();
        if (child == 0) {
            cb_lock_note_reset(&heap->lock); /* another thread holds it */
            _exit(live_after_another(heap, torn != 0));
        }
        if (torn) {
            cb_lock_drop(&heap->lock);
        }
        assert_int_equal(wait_for(child), 0);
    }
#else
    skip();
#endif
}

static void *fork_often(void *argument) {
    void *good = argument;
    pthread_barrier_wait(&all_run);
    for (int i = 0; i < FORKS / 4 && good != NULL; i++) {
        pid_t child = fork();
        if (child == 0) {
            _exit(live(0, (uintptr_t)argument + (uintptr_t)i));
        }
        if (wait_for(child) != 0) {
            good = NULL;
        }
    }
    pthread_barrier_wait(&all_run);
    return good;
}

static void several_threads_fork_at_once(void **state) {
    (void)state;
    pthread_t thread[2];
    pthread_barrier_init(&all_run, NULL, 2);
    for (uintptr_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, fork_often, (void *)(i + 1)), 0);
    }
    for (int i = 0; i < 2; i++) {
        void *good;
        pthread_join(thread[i], &good);
        assert_non_null(good);
    }
    pthread_barrier_destroy(&all_run);
    assert_heap();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_of_busy_threads_live),
        cmocka_unit_test(children_that_ran_no_handlers_live),
        cmocka_unit_test(the_thread_that_forked_gets_its_heap_back_unless_it_was_being_changed),
        cmocka_unit_test(several_threads_fork_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
