/*
 * A forked child that frees what its parent's threads have allocated. It does not have those threads, so it must
 * not touch their heaps; yet the memory goes back, or is used again, in the child, its children, and theirs.
 *
 * Layer:     tests.
 * Threading: the point.
 */
#include "fixture.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 8, EACH = BED_SANITIZED ? 4000 : 20000, ALL = THREADS * EACH, GENERATIONS = 5 };

#define MEGABYTE ((size_t)1 << 20)

static unsigned char *object[ALL];
static size_t total; /* bytes that were asked for */
static pthread_barrier_t made, end;

static size_t size_of(size_t i) {
    return i % 40 == 0 ? 1100 + i * 7 % 20000 : 16 + i * 13 % 900;
}

static void *make_and_sleep(void *argument) {
    size_t first = (size_t)(uintptr_t)argument * EACH;
    for (size_t i = first; i < first + EACH; i++) {
        object[i] = cb_malloc(size_of(i));
        fixture_fill(object[i], size_of(i), (unsigned char)i);
    }
    pthread_barrier_wait(&made);
    pthread_barrier_wait(&end);
    for (size_t i = first; i < first + EACH; i++) {
        if (!fixture_holds(object[i], size_of(i), (unsigned char)i)) {
            abort();
        }
        cb_free(object[i]);
    }
    return NULL;
}

static void drop(size_t i) {
    if (!fixture_holds(object[i], size_of(i), (unsigned char)i)) {
        _exit(51);
    }
    cb_free(object[i]);
    object[i] = NULL;
}

static void shuffle(size_t *order, size_t count) {
    uint64_t random = fixture_seed(3);
    for (size_t i = 0; i < count; i++) {
        size_t k = (size_t)(fixture_random(&random) % (i + 1));
        order[i] = order[k];
        order[k] = i;
    }
}

static int check_less(const char *what, size_t is, size_t most, int status) {
    print_message("%s: %zu KiB (at most %zu)\n", what, is >> 10, most >> 10);
    return is <= most ? 0 : status;
}

/* The child's own. */
static void come_and_go(size_t bytes) {
    static void *own[ALL];
    size_t count = 0, sum = 0;
    while (sum < bytes && count < ALL) {
        own[count] = cb_malloc(size_of(count));
        sum += size_of(count++);
    }
    while (count > 0) {
        cb_free(own[--count]);
    }
}

static int free_all(void) {
    static size_t order[ALL];
    alarm(120);
    shuffle(order, ALL);
    for (size_t i = 0; i < ALL; i++) {
        drop(order[i]);
    }
    size_t after = fixture_resident(), mapped = cb_mallinfo2().arena;
    int status = BED_SANITIZED ? 0 : check_less("left in the child", after, 12 * MEGABYTE, 1);
    for (int round = 0; round < 3; round++) {
        come_and_go(total);
    }
    size_t more = cb_mallinfo2().arena - mapped;
    status |= check_less("mapped for as much again", more, total / 8, 2);
    return cb_heap_check() == NULL ? status : 4;
}

/* Each generation frees a part, and has a child for the rest. */
static int free_in_turn(int generation, size_t mapped_first) {
    alarm(120);
    for (size_t i = 0; i < ALL; i++) {
        if (object[i] != NULL && (i / 64) % GENERATIONS == (size_t)generation) {
            drop(i);
        }
    }
    come_and_go(total / 4);
    size_t mapped = cb_mallinfo2().arena;
    int status = check_less("mapped since the first", mapped - mapped_first, total / 3, 8);
    if (generation + 1 < GENERATIONS && status == 0) {
        pid_t child = fork();
        if (child == 0) {
            _exit(free_in_turn(generation + 1, mapped_first));
        }
        return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 16;
    }
    cb_malloc_trim(0); /* what came and went may be wanted again, and be kept for that */
    return BED_SANITIZED ? status
                         : status | check_less("left in the last", fixture_resident(), 12 * MEGABYTE, 32);
}

static void in_child(int (*run)(void)) {
    pthread_t thread[THREADS];
    int status = -1;
    cb_free(cb_malloc(1));
    pthread_barrier_init(&made, NULL, THREADS + 1);
    pthread_barrier_init(&end, NULL, THREADS + 1);
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, make_and_sleep, (void *)i), 0);
    }
    pthread_barrier_wait(&made);
    total = 0;
    for (size_t i = 0; i < ALL; i++) {
        total += size_of(i);
    }
    pid_t child = fork();
    if (child == 0) {
        _exit(run());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    pthread_barrier_wait(&end);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    pthread_barrier_destroy(&made);
    pthread_barrier_destroy(&end);
    assert_int_equal(status, 0);
}

static int free_in_generations(void) {
    return free_in_turn(0, cb_mallinfo2().arena);
}

static void what_a_child_frees_comes_back(void **state) {
    (void)state;
    in_child(free_all);
}

static void what_generations_free_comes_back(void **state) {
    (void)state;
    in_child(free_in_generations);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_child_frees_comes_back),
        cmocka_unit_test(what_generations_free_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
