/*
 * stats.py runs this under the preload library: it tells that the library prints its statistics by raising SIGUSR1.
 *
 * usage: stats_program quiet|fork|own|none
 *        stats_program busy THREADS SIGNALS
 *        stats_program forks THREADS CHILDREN
 *        stats_program exit MICROSECONDS
 *
 * Layer:     tests.
 * Threading: as many as `busy` and `forks` are told.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/random.h"

#define CHECK(x)                                                                                             \
    do {                                                                                                     \
        if (!(x)) {                                                                                          \
            dprintf(2, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x);                                       \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

static void *take(size_t size) {
    void *p = malloc(size);
    CHECK(p != NULL);
    memset(p, 1, size);
    return p;
}

/* ---- One thread ---- */

#define SMALL 1000
#define MEDIUM 10
#define LARGE 3

static void *object[SMALL + MEDIUM + LARGE];

/* The figures of mallinfo2 and malloc_info, on standard output; without allocating anything. */
static void print_figures(void) {
    static char buffer[8192];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    struct mallinfo2 info = mallinfo2();
    printf("%zu %zu %zu %zu\n", info.arena, info.uordblks, info.fordblks, info.keepcost);
    CHECK(malloc_info(0, stdout) == 0);
    fflush(stdout);
    malloc_stats();
}

/* Three reports: before, after these objects, and after all figures were asked for. */
static void quiet(void) {
    raise(SIGUSR1);
    for (int i = 0; i < SMALL; i++) {
        object[i] = take(100);
    }
    for (int i = SMALL; i < SMALL + MEDIUM; i++) {
        object[i] = take(5000);
    }
    for (int i = SMALL + MEDIUM; i < SMALL + MEDIUM + LARGE; i++) {
        object[i] = take(1000000);
    }
    for (int i = 100; i < 200; i++) {
        free(object[i]);
    }
    raise(SIGUSR1);
    print_figures();
    raise(SIGUSR1);
}

/* A report of the parent, one of the child, and another of the parent. */
static void with_child(void) {
    for (int i = 0; i < SMALL; i++) {
        object[i] = take(1000);
    }
    raise(SIGUSR1);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < SMALL / 2; i++) {
            free(object[i]);
        }
        raise(SIGUSR1);
        exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    raise(SIGUSR1);
}

static _Atomic int caught;

static void catch (int signal) {
    (void)signal;
    atomic_fetch_add(&caught, 1);
}

/* The program's own handler takes the place of the library's. */
static void own(void) {
    struct sigaction before, action = {.sa_handler = catch};
    CHECK(sigaction(SIGUSR1, &action, &before) == 0 && before.sa_handler != SIG_DFL);
    raise(SIGUSR1);
    CHECK(atomic_load(&caught) == 1);
}

static void end(int signal) {
    (void)signal;
    exit(0);
}

/* A handler ends the process wherever the thread is in the heap. */
static void exit_in_handler(long microseconds) {
    struct itimerval once = {.it_value = {0, microseconds}};
    CHECK(signal(SIGALRM, end) != SIG_ERR && setitimer(ITIMER_REAL, &once, NULL) == 0);
    for (size_t i = 0;; i++) {
        void **slot = &object[i * 7 % (SMALL + MEDIUM)];
        free(*slot);
        *slot = malloc(i * 37 % 3000);
        if (i % 64 == 0) {
            free(malloc(100000));
            malloc_trim(0);
        }
    }
}

/* ---- Many threads ---- */

#define THREADS_MOST 16
#define EACH 512

static void *_Atomic shared[EACH]; /* whoever takes an object out frees it */
static _Atomic bool ends;

/* A thread's own object holds its first byte at both ends; signals disturb neither that nor errno. */
static void *work(void *seed) {
    uint64_t state = (uintptr_t)seed;
    unsigned char *mine[EACH] = {NULL};
    size_t size[EACH] = {0};
    while (!atomic_load_explicit(&ends, memory_order_relaxed)) {
        uint64_t r = fixture_random(&state);
        size_t i = r % EACH;
        errno = 1234;
        CHECK(mine[i] == NULL ||
              (mine[i][0] == (unsigned char)i && mine[i][size[i] - 1] == (unsigned char)i));
        if ((r >> 20) % 4 == 0) {
            mine[i] = atomic_exchange(&shared[i], mine[i]);
        }
        free(mine[i]);
        size[i] = (r >> 32) % 256 == 0 ? 40000 + (r >> 40) % 400000
                                       : 1 + (r >> 40) % ((r >> 36) % 16 == 0 ? 20000 : 400);
        mine[i] = malloc(size[i]);
        CHECK(mine[i] != NULL && errno == 1234);
        mine[i][0] = mine[i][size[i] - 1] = (unsigned char)i;
        if ((r >> 10) % 4096 == 0) {
            malloc_trim(0);
        }
    }
    for (size_t i = 0; i < EACH; i++) {
        free(mine[i]);
    }
    return NULL;
}

static pthread_t thread[THREADS_MOST];

static void start(size_t threads) {
    CHECK(threads <= THREADS_MOST);
    for (size_t i = 0; i < threads; i++) {
        CHECK(pthread_create(&thread[i], NULL, work, (void *)(i + 1)) == 0);
    }
}

static void stop(size_t threads) {
    atomic_store(&ends, true);
    for (size_t i = 0; i < threads; i++) {
        CHECK(pthread_join(thread[i], NULL) == 0);
    }
}

/* Each thread in turn gets the signal, and now and then the whole process. */
static void busy(size_t threads, unsigned signals) {
    start(threads);
    for (unsigned i = 0; i < signals; i++) {
        CHECK(i % 16 == 0 ? kill(getpid(), SIGUSR1) == 0 : pthread_kill(thread[i % threads], SIGUSR1) == 0);
        usleep(200);
    }
    stop(threads);
}

/* Children that are forked while other threads are at work: each reports, works and reports again. */
static void forks(size_t threads, unsigned children) {
    start(threads);
    for (unsigned i = 0; i < children; i++) {
        pid_t child = fork();
        if (child == 0) {
            raise(SIGUSR1);
            for (int k = 0; k < SMALL; k++) {
                object[k] = take((size_t)k + 1);
            }
            raise(SIGUSR1);
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    stop(threads);
}

int main(int count, char **word) {
    const char *what = count > 1 ? word[1] : "";
    unsigned first = count > 2 ? (unsigned)atoi(word[2]) : 0,
             second = count > 3 ? (unsigned)atoi(word[3]) : 0;
    alarm(120);
    if (strcmp(what, "quiet") == 0) {
        quiet();
    } else if (strcmp(what, "fork") == 0) {
        with_child();
    } else if (strcmp(what, "own") == 0) {
        own();
    } else if (strcmp(what, "busy") == 0) {
        busy(first, second);
    } else if (strcmp(what, "forks") == 0) {
        forks(first, second);
    } else if (strcmp(what, "exit") == 0) {
        exit_in_handler(first);
    } else if (strcmp(what, "none") != 0) {
        return 2;
    }
    return 0;
}
