/*
 * Threads, forks, and an end to the memory.
 *
 * Layer:     tests.
 * Threading: some properties are about it.
 */
#include "conformance.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/random.h"

enum { THREADS = 4, ROUNDS = 20000, SLOTS = 64 };

static void *_Atomic exchange[SLOTS];
static _Atomic bool stop;

/* Objects of one thread are freed by others; each begins with its size. */
static void *work(void *argument) {
    uint64_t state = (uintptr_t)argument;
    for (int i = 0; i < ROUNDS && !atomic_load(&stop); i++) {
        uint64_t random = fixture_random(&state);
        size_t size = 8 + (random >> 33) % 2000;
        unsigned char *p = malloc(size);
        if (p == NULL) {
            return argument;
        }
        memcpy(p, &size, 8);
        fill(p + 8, size - 8, (unsigned char)size);
        unsigned char *q = atomic_exchange(&exchange[(random >> 50) % SLOTS], p);
        if (q != NULL) {
            memcpy(&size, q, 8);
            if (!filled(q + 8, size - 8, (unsigned char)size)) {
                return argument;
            }
            free(q);
        }
    }
    return NULL;
}

static bool start_all(pthread_t *thread) {
    for (uintptr_t i = 0; i < THREADS; i++) {
        if (pthread_create(&thread[i], NULL, work, (void *)(i + 1)) != 0) {
            return false;
        }
    }
    return true;
}

static bool join_all(const pthread_t *thread) {
    bool good = true;
    for (int i = 0; i < THREADS; i++) {
        void *bad;
        good = pthread_join(thread[i], &bad) == 0 && bad == NULL && good;
    }
    return good;
}

static enum verdict threads_free_for_each_other(void) {
    pthread_t thread[THREADS];
    REQUIRE(start_all(thread));
    return join_all(thread) ? HOLDS : FAILS;
}

static void *leave(void *argument) {
    void *p = malloc((size_t)(uintptr_t)argument * 10 + 1);
    return p;
}

static enum verdict memory_outlives_its_thread(void) {
    for (uintptr_t i = 0; i < 500; i++) {
        pthread_t thread;
        void *p;
        REQUIRE(pthread_create(&thread, NULL, leave, (void *)i) == 0 && pthread_join(thread, &p) == 0);
        REQUIRE(p != NULL && malloc_usable_size(p) > i * 10);
        memset(p, 1, i * 10 + 1);
        free(p);
    }
    return HOLDS;
}

static enum verdict a_child_frees_what_the_parent_allocated(void) {
    void *p[1000];
    for (size_t i = 0; i < 1000; i++) {
        p[i] = opaque(malloc(i * 3));
    }
    pid_t child = fork();
    if (child == 0) {
        for (size_t i = 0; i < 1000; i++) {
            free(p[i]);
            p[i] = malloc(i);
        }
        _exit(p[999] != NULL ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child && status == 0);
    for (size_t i = 0; i < 1000; i++) {
        free(p[i]);
    }
    return HOLDS;
}

static enum verdict fork_while_threads_allocate(void) {
    pthread_t thread[THREADS];
    for (int i = 0; i < 30; i++) {
        REQUIRE(start_all(thread));
        pid_t child = fork();
        if (child == 0) {
            alarm(10);
            for (size_t k = 0; k < SLOTS; k++) {
                free(atomic_exchange(&exchange[k], NULL));
            }
            void *kept = NULL;
            for (size_t k = 0; k < 1000; k++) {
                free(kept);
                kept = opaque(malloc(k * 50));
            }
            _exit(kept != NULL ? 0 : 1);
        }
        int status = -1;
        bool good = child > 0 && waitpid(child, &status, 0) == child && status == 0;
        atomic_store(&stop, true);
        REQUIRE(join_all(thread) && good);
        atomic_store(&stop, false);
    }
    return HOLDS;
}

/* As under ulimit -v: when a request is refused, a smaller one is not, and what lives is as it was. */
static enum verdict after_exhaustion_the_next_smaller_request_works(void) {
    enum { COUNT = 4096 };
    static void *p[COUNT];
    struct rlimit limit = {(rlim_t)400 << 20, (rlim_t)400 << 20};
    void *early = opaque(malloc(1000));
    fill(early, 1000, 1);
    REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
    size_t size = (size_t)256 << 20, count = 0;
    while (size >= 65536 && count < COUNT) {
        errno = 0;
        void *got = opaque(malloc(size));
        if (got == NULL) {
            REQUIRE(errno == ENOMEM);
            size /= 2;
        } else {
            memset(got, 1, 100);
            p[count++] = got;
        }
    }
    REQUIRE(count > 0 && filled(early, 1000, 1));
    for (size_t i = 0; i < count; i++) {
        free(p[i]);
    }
    void *again = opaque(malloc((size_t)64 << 20));
    REQUIRE(again != NULL);
    free(again);
    free(early);
    return HOLDS;
}

static enum verdict after_exhaustion_half_works(void) {
    struct rlimit limit = {(rlim_t)600 << 20, (rlim_t)600 << 20};
    REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
    REQUIRE(opaque(malloc((size_t)700 << 20)) == NULL && errno == ENOMEM);
    void *p = opaque(malloc((size_t)300 << 20));
    REQUIRE(p != NULL);
    REQUIRE(opaque(realloc(p, (size_t)700 << 20)) == NULL && errno == ENOMEM);
    free(p);
    return HOLDS;
}

static enum verdict small_objects_until_nothing_is_left(void) {
    struct rlimit limit = {(rlim_t)200 << 20, (rlim_t)200 << 20};
    REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
    void **chain = NULL;
    for (;;) {
        void **next = opaque(malloc(480));
        if (next == NULL) {
            break;
        }
        *next = (void *)chain;
        chain = next;
    }
    REQUIRE(errno == ENOMEM && chain != NULL);
    size_t count = 0;
    for (; chain != NULL; count++) {
        void **next = *chain;
        free((void *)chain);
        chain = next;
    }
    REQUIRE(count > 100000);
    for (size_t i = 0; i < count / 2; i++) {
        void **next = opaque(malloc(480));
        REQUIRE(next != NULL);
        *next = (void *)chain;
        chain = next;
    }
    return HOLDS;
}

static enum verdict freed_memory_is_used_again(void) {
    struct rlimit limit = {(rlim_t)600 << 20, (rlim_t)600 << 20};
    REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
    for (size_t i = 0; i < 2000; i++) {
        void *p = opaque(malloc(((size_t)4 << 20) + i * 5000));
        REQUIRE(p != NULL);
        free(p);
    }
    return HOLDS;
}

const struct property process_properties[] = {
    {"threads free what others allocated", threads_free_for_each_other},
    {"memory outlives the thread that allocated it", memory_outlives_its_thread},
    {"a child frees what its parent allocated", a_child_frees_what_the_parent_allocated},
    {"fork works while threads allocate", fork_while_threads_allocate},
    {"after exhaustion the next smaller request succeeds", after_exhaustion_the_next_smaller_request_works},
    {"after a refused request one of half the limit succeeds", after_exhaustion_half_works},
    {"small objects until nothing is left, and then again", small_objects_until_nothing_is_left},
    {"freed memory is used again for other sizes", freed_memory_is_used_again},
    {NULL, NULL},
};
