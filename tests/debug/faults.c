/*
 * Programs with one fault each, for the debug variant; the argument says which. What the report must name is
 * told on standard output: the address. Whoever gets past the fault ends with status 0.
 *
 * The functions that allocate, free and misuse have names that the loader knows (the program is linked with
 * its symbols exported), so that the reports name them.
 *
 * Layer:     tests.
 * Threading: as the fault needs.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/fault.h"

#define NAMED __attribute__((noinline, visibility("default")))
#define LARGE ((size_t)200000)

NAMED void *make_object(size_t size) {
    void *p = malloc(size);
    if (p == NULL) {
        _exit(3);
    }
    memset(p, 1, size);
    return hide(p);
}

NAMED void drop_object(void *p) {
    free(hide(p));
    hide(NULL);
}

NAMED void drop_again(void *p) {
    free(hide(p));
    hide(NULL);
}

NAMED void *resize_object(void *p, size_t size) {
    return hide(realloc(hide(p), size));
}

NAMED void spoil(char *p) {
    ((char *)hide(p))[0] = 'A';
    hide(NULL);
}

/* ---- small objects ---- */

static void overflow_then_free(void) {
    char *p = say(make_object(61));
    spoil(p + 61);
    drop_object(p);
}

static void overflow_then_exit(void) {
    char *p = say(make_object(64));
    spoil(p + 64);
}

static void overflow_then_realloc(void) {
    char *p = say(make_object(64));
    spoil(p + 64);
    resize_object(p, 4000);
}

static void overflow_of_nothing(void) {
    char *p = say(make_object(0));
    spoil(p);
    drop_object(p);
}

static void overflow_far(void) {
    char *p = say(make_object(100));
    spoil(p + 100 + 31);
    drop_object(p);
}

static void underflow_then_free(void) {
    char *p = say(make_object(64));
    spoil(p - 1);
    drop_object(p);
}

static void underflow_then_exit(void) {
    spoil((char *)say(make_object(64)) - 32);
}

static void write_after_free_then_exit(void) {
    char *p = say(make_object(64));
    drop_object(p);
    spoil(p + 7);
}

static void write_after_free_then_go_on(void) {
    char *p = say(make_object(64));
    drop_object(p);
    spoil(p + 7);
    for (int i = 0; i < 100000; i++) {
        drop_again(make_object(1000));
    }
}

static void overflow_of_freed(void) {
    char *p = say(make_object(64));
    drop_object(p);
    spoil(p + 64);
}

static void overflow_of_aligned(void) {
    char *p = say(aligned_alloc(256, 1000));
    memset(p, 1, 1000);
    spoil(p + 1000);
    drop_object(p);
}

static void underflow_of_aligned(void) {
    char *p = say(memalign(4096, 1000));
    spoil(p - 1);
    drop_object(p);
}

static void overflow_of_calloc(void) {
    char *p = say(calloc(10, 10));
    spoil(p + 100);
    drop_object(p);
}

/* ---- large objects ---- */

static void large_overflow(void) {
    char *p = say(make_object(LARGE));
    spoil(p + LARGE);
}

/* Between the last byte and the guard page there may be some that the alignment leaves. */
static void large_overflow_by_one(void) {
    char *p = say(make_object(LARGE - 3));
    spoil(p + LARGE - 3);
    drop_object(p);
}

static void large_overflow_of_aligned(void) {
    char *p = say(aligned_alloc(4096, 65536));
    spoil(p + 65536);
}

static void large_underflow(void) {
    char *p = say(make_object(LARGE));
    spoil(p - 1);
    drop_object(p);
}

static void large_read_after_free(void) {
    char *p = say(make_object(LARGE));
    drop_object(p);
    printf("%d\n", *(volatile char *)p);
}

static void large_double_free(void) {
    char *p = say(make_object(LARGE));
    drop_object(p);
    drop_again(p);
}

/* ---- pointers ---- */

static void double_free(void) {
    char *p = say(make_object(64));
    drop_object(p);
    drop_again(p);
}

static void double_free_late(void) {
    char *p = say(make_object(64));
    drop_object(p);
    for (int i = 0; i < 1000; i++) {
        drop_object(make_object(64));
    }
    drop_again(p);
}

static void free_of_interior(void) {
    char *p = make_object(64);
    drop_object(say(p + 16));
}

static void free_of_unaligned(void) {
    char *p = make_object(64);
    drop_object(say(p + 1));
}

static void free_of_freed_interior(void) {
    char *p = make_object(64);
    drop_object(p);
    drop_again(say(p + 16));
}

static void free_of_stack(void) {
    _Alignas(16) char object[64];
    drop_object(say(object));
}

static void realloc_of_freed(void) {
    char *p = say(make_object(64));
    drop_object(p);
    resize_object(p, 100);
}

static void usable_size_of_freed(void) {
    char *p = say(make_object(64));
    drop_object(p);
    hide((void *)malloc_usable_size(p));
}

void free_sized(void *ptr, size_t size) __attribute__((weak));
static void free_with_wrong_size(void) {
    free_sized(say(make_object(64)), 65);
}

/* ---- threads, children ---- */

static void *spoil_and_drop(void *p) {
    spoil((char *)p + 64);
    drop_object(p);
    return NULL;
}

static void *churn(void *stop) {
    while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED)) {
        void *some[64];
        for (size_t i = 0; i < 64; i++) {
            some[i] = malloc(i * 50);
        }
        for (size_t i = 0; i < 64; i++) {
            free(some[i]);
        }
    }
    return NULL;
}

static void with_threads(void (*what)(void)) {
    pthread_t thread[4];
    int stop = 0;
    for (size_t i = 0; i < 4; i++) {
        pthread_create(&thread[i], NULL, churn, &stop);
    }
    what();
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
    }
}

static void spoil_in_thread(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, spoil_and_drop, say(make_object(64)));
    pthread_join(thread, NULL);
}

static void overflow_in_thread(void) {
    with_threads(spoil_in_thread);
}

/* Children of a process with busy threads allocate and free, and a fault in the last of them is found. */
static void have_children(void) {
    char *p = say(make_object(64));
    int status = 0;
    for (int i = 0; i < 300 && status == 0; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (size_t size = 0; size < 100; size++) {
                drop_object(make_object(size * 30));
            }
            if (i == 299) {
                spoil_and_drop(p);
            }
            _exit(0);
        }
        waitpid(child, &status, 0);
    }
    if (WIFSIGNALED(status)) {
        raise(WTERMSIG(status));
    }
}

static void overflow_in_child(void) {
    with_threads(have_children);
}

/* ---- no fault ---- */

NAMED void leak_some(void) {
    for (int i = 0; i < 3; i++) {
        hide(malloc(100000));
    }
}

NAMED void leak_little(void) {
    hide(malloc(40000));
}

static void leaks(void) {
    leak_some();
    leak_little();
    drop_object(make_object(LARGE));
}

/* Sizes, alignments and realloc of a program without faults. Ends the program when something is wrong. */
static void none(void) {
    for (size_t size = 0; size < 300000; size += 1 + size / 7) {
        char *p = make_object(size);
        size_t have = size;
        for (size_t next = 1; next < 200000; next = next * 3 + 1) {
            size_t same = next < have ? next : have;
            p = realloc(p, next);
            for (size_t i = 0; i < same; i++) {
                if (p[i] != 1) {
                    _exit(4);
                }
            }
            memset(p, 1, have = next);
        }
        drop_object(p);
    }
    for (size_t align = 16; align <= 65536; align *= 2) {
        for (size_t size = 1; size < 300000; size = size * 5 + 3) {
            char *p = memalign(align, size), *zero = calloc(1, size);
            if (((uintptr_t)p & (align - 1)) != 0 || malloc_usable_size(p) < size || zero[0] != 0 ||
                memcmp(zero, zero + 1, size - 1) != 0) {
                _exit(4);
            }
            memset(p, 2, size);
            memset(zero, 2, size);
            free(p);
            free(zero);
        }
    }
}

static const struct fault faults[] = {
    FAULT(overflow_then_free),
    FAULT(overflow_then_exit),
    FAULT(overflow_then_realloc),
    FAULT(overflow_of_nothing),
    FAULT(overflow_far),
    FAULT(underflow_then_free),
    FAULT(underflow_then_exit),
    FAULT(write_after_free_then_exit),
    FAULT(write_after_free_then_go_on),
    FAULT(overflow_of_freed),
    FAULT(overflow_of_aligned),
    FAULT(underflow_of_aligned),
    FAULT(overflow_of_calloc),
    FAULT(large_overflow),
    FAULT(large_overflow_by_one),
    FAULT(large_overflow_of_aligned),
    FAULT(large_underflow),
    FAULT(large_read_after_free),
    FAULT(large_double_free),
    FAULT(double_free),
    FAULT(double_free_late),
    FAULT(free_of_interior),
    FAULT(free_of_unaligned),
    FAULT(free_of_freed_interior),
    FAULT(free_of_stack),
    FAULT(realloc_of_freed),
    FAULT(usable_size_of_freed),
    FAULT(free_with_wrong_size),
    FAULT(overflow_in_thread),
    FAULT(overflow_in_child),
    FAULT(leaks),
    FAULT(none),
};

int main(int argc, char **argv) {
    return fault_run(faults, sizeof faults / sizeof *faults, argc, argv) ? 0 : 2;
}
