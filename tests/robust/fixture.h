/*
 * The ground of the tests in hostile surroundings. Each is a program of its own that runs with the library
 * preloaded; without one it says as much about libc's malloc. Exit status 0: well; 77: skipped; a message and
 * SIGABRT: something broke; SIGALRM: something hung.
 *
 * Layer:     tests.
 * Threading: none of its own; the random numbers are the caller's.
 */
#ifndef CB_TESTS_ROBUST_FIXTURE_H
#define CB_TESTS_ROBUST_FIXTURE_H

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/child.h"
#include "../support/pattern.h"
#include "../support/proc.h"
#include "../support/random.h"

#define BED_UNUSED __attribute__((unused))

/* Says where; with write, since the program may be about to show that stdio's memory is broken. */
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fixture_failed(__FILE__, __LINE__, #condition);                                                  \
        }                                                                                                    \
    } while (0)

static _Noreturn BED_UNUSED void fixture_failed(const char *file, int line, const char *condition) {
    char text[300];
    int length = snprintf(text, sizeof text, "%s:%d: not so: %s (errno %d)\n", file, line, condition, errno);
    if (write(STDERR_FILENO, text, (size_t)length) != length) {
        _exit(99);
    }
    abort();
}

/* Ends the process if it hangs, and makes sure that what was to be preloaded is what malloc is. */
static inline void fixture_begin(unsigned seconds) {
    const char *preload = getenv("LD_PRELOAD");
    Dl_info info;
    alarm(seconds);
    if (preload != NULL && *preload != '\0') {
        CHECK(dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) != 0);
        CHECK(strstr(preload, info.dli_fname) != NULL);
    }
}

static BED_UNUSED _Noreturn void fixture_skip(const char *why) {
    printf("SKIP: %s\n", why);
    exit(77);
}

/* An object that says itself what must be in it. */
struct fixture_object {
    size_t size; /* of all of it */
    uint64_t seed;
    unsigned char content[];
};

/* Mostly small, some medium, a few large. */
static inline size_t fixture_size(uint64_t *random) {
    uint64_t r = fixture_random(random);
    size_t kind = r & 127;
    r >>= 8;
    return kind == 0 ? r % 400000 : kind < 12 ? r % 30000 : r % 500;
}

static inline void fixture_fill_object(struct fixture_object *object, size_t size, uint64_t seed) {
    object->size = size;
    object->seed = seed;
    fixture_fill(object->content, size - sizeof *object, (unsigned char)seed);
}

static inline struct fixture_object *fixture_make(uint64_t *random) {
    size_t size = sizeof(struct fixture_object) + fixture_size(random);
    struct fixture_object *object = malloc(size);
    CHECK(object != NULL);
    fixture_fill_object(object, size, fixture_random(random));
    return object;
}

static inline void fixture_verify(const struct fixture_object *object) {
    CHECK(fixture_holds(object->content, object->size - sizeof *object, (unsigned char)object->seed));
}

/* Frees it, NULL too, after a look at what is in it. */
static inline void fixture_drop(struct fixture_object *object) {
    if (object != NULL) {
        fixture_verify(object);
        free(object);
    }
}

/* Allocates and frees for a while, in all sizes and several orders, among them realloc and calloc. */
static inline void fixture_work(uint64_t seed, int steps) {
    struct fixture_object *held[64] = {0};
    for (int i = 0; i < steps; i++) {
        struct fixture_object **at = &held[fixture_random(&seed) % 64];
        uint64_t what = fixture_random(&seed) % 16;
        if (what == 0 && *at != NULL) {
            size_t size = sizeof **at + fixture_size(&seed), old = (*at)->size;
            fixture_verify(*at);
            *at = realloc(*at, size);
            CHECK(*at != NULL);
            (*at)->size = size < old ? size : old;
            fixture_verify(*at);
            fixture_fill_object(*at, size, fixture_random(&seed));
        } else if (what == 1) {
            size_t size = fixture_size(&seed);
            unsigned char *zero = calloc(1, size + 1);
            CHECK(zero != NULL);
            for (size_t k = 0; k <= size; k++) {
                CHECK(zero[k] == 0);
            }
            memset(zero, 0xA5, size + 1);
            free(zero);
        } else if (what == 2) {
            struct fixture_object *stack[32];
            for (int k = 0; k < 32; k++) {
                stack[k] = fixture_make(&seed);
            }
            for (int k = 31; k >= 0; k--) {
                fixture_drop(stack[k]);
            }
        } else {
            fixture_drop(*at);
            *at = what < 12 ? fixture_make(&seed) : NULL;
        }
    }
    for (int i = 0; i < 64; i++) {
        fixture_drop(held[i]);
    }
}

/* Waits for a child that must end well. */
static inline void fixture_wait(pid_t child) {
    CHECK(child > 0);
    int status = fixture_end_of(child);
    if (status != 0) {
        fprintf(stderr, "a child ended with status %x\n", (unsigned)status);
    }
    CHECK(status == 0);
}

static inline pthread_t fixture_thread(void *(*run)(void *), void *argument) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run, argument);
    CHECK(error == 0);
    return thread;
}

#endif
