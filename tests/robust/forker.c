/*
 * A library that other people's programs might have: its constructor, which runs before ours since nothing
 * depends on the order, has fork call a handler in the child. The handler allocates, and starts threads that
 * allocate and are not waited for.
 *
 * Layer: tests.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/random.h"

enum { THREADS = 3, KEPT = 64 };

extern bool forker_forks; /* in the child's handler: once more */
bool forker_forks;
void forker_start(void);
void forker_join(void);
void forker_register(void);

static pthread_t thread[THREADS];
static bool started;

static void fail(void) {
    abort();
}

/* All kinds of locks are wanted all the time; what was allocated stays as it is. */
static void *allocate(void *argument) {
    unsigned char *kept[KEPT] = {0};
    uint64_t state = (uintptr_t)argument;
    for (size_t i = 0; i < 600; i++) {
        uint64_t random = fixture_random(&state);
        size_t at = random >> 40 & (KEPT - 1), kind = random >> 33 & 15;
        size_t size = kind == 0 ? 150000 : kind < 5 ? 9000 : 300;
        unsigned char mark = (unsigned char)at;
        if (kept[at] != NULL && (kept[at][0] != mark || kept[at][299] != mark)) {
            fail();
        }
        free(kept[at]);
        kept[at] = malloc(size);
        if (kept[at] == NULL) {
            fail();
        }
        kept[at][0] = kept[at][299] = mark;
    }
    for (size_t i = 0; i < KEPT; i++) {
        free(kept[i]);
    }
    return NULL;
}

void forker_start(void) {
    void *large = malloc(2000000), *small[100];
    for (size_t i = 0; i < 100; i++) {
        small[i] = malloc(4000);
    }
    for (uintptr_t i = 0; i < THREADS; i++) {
        if (pthread_create(&thread[i], NULL, allocate, (void *)(i + 1)) != 0) {
            fail();
        }
    }
    for (size_t i = 0; i < 100; i++) {
        free(small[i]);
    }
    free(large);
    started = true;
}

void forker_join(void) {
    for (int i = 0; i < THREADS && started; i++) {
        pthread_join(thread[i], NULL);
    }
    started = false;
}

static void in_child(void) {
    started = false;
    if (forker_forks) {
        int status;
        forker_forks = false; /* not in the children's children */
        free(malloc(100000));
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            allocate(&status);
            forker_join();
            _exit(0);
        }
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            fail();
        }
        forker_join();
    }
    forker_start();
}

void forker_register(void) {
    pthread_atfork(NULL, NULL, in_child);
}

static __attribute__((constructor)) void construct(void) {
    if (getenv("FORKER_EARLY") != NULL) {
        forker_register();
    }
}
