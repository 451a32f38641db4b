/*
 * Requests beyond what the machine has, under each overcommit rule of the system: by the usual one they are
 * refused, one by one; by `always` they succeed; by the strict one what counts is what is left of all.
 *
 * Layer:     tests.
 * Threading: none; each test is a process of its own.
 */
#include "child.h"

#include <errno.h>
#include <stdio.h>

#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define MACHINE GIB                 /* bytes of memory and swap that the machine seems to have */
#define BEYOND (MACHINE + 64 * MIB) /* more than that */

/* Every way to ask for memory; what it gives, or NULL and ENOMEM. */
enum {
    BY_MALLOC,
    BY_CALLOC,
    BY_REALLOC,
    BY_REALLOC_OF_LARGE,
    BY_ALIGNED,
    BY_MEMALIGN,
    BY_VALLOC,
    BY_PVALLOC,
    WAYS
};

static void *ask(int way, size_t size) {
    void *old = NULL, *p = NULL;
    errno = 0;
    switch (way) {
    case BY_MALLOC:
        p = cb_malloc(size);
        break;
    case BY_CALLOC:
        p = cb_calloc(size / 16 + 1, 16);
        break;
    case BY_REALLOC:
    case BY_REALLOC_OF_LARGE:
        old = cb_malloc(way == BY_REALLOC ? 100 : 70 * MIB);
        DEMAND(old != NULL);
        fixture_fill(old, 100, 1);
        p = cb_realloc(old, size);
        DEMAND(fixture_holds(p != NULL ? p : old, 100, 1));
        break;
    case BY_ALIGNED:
        p = cb_aligned_alloc(4096, size);
        break;
    case BY_MEMALIGN:
        errno = cb_posix_memalign(&p, MIB, size);
        break;
    case BY_VALLOC:
        p = cb_valloc(size);
        break;
    default:
        p = cb_pvalloc(size);
        break;
    }
    DEMAND(p != NULL || errno == ENOMEM);
    if (p == NULL) {
        cb_free(old);
    }
    return p;
}

static void check_heap(void) {
    const char *wrong = cb_heap_check();
    demand(wrong == NULL, wrong);
}

static void by_the_usual_rule(void) {
    cb_os_assume(0, MACHINE);
    for (int way = 0; way < WAYS; way++) {
        DEMAND(ask(way, BEYOND) == NULL);
        DEMAND(ask(way, 1024 * GIB) == NULL);
        void *p = ask(way, MACHINE - 2 * MIB);
        DEMAND(p != NULL);
        DEMAND(ask(way, BEYOND) == NULL); /* however large the heap is */
        cb_free(p);
        DEMAND(ask(way, BEYOND) == NULL); /* or what of it is free side by side */
        check_heap();
    }
    /* together they may be more */
    void *p[8];
    for (int i = 0; i < 8; i++) {
        p[i] = cb_malloc(MACHINE / 2);
        DEMAND(p[i] != NULL);
    }
    for (int i = 0; i < 8; i++) {
        cb_free(p[i]);
    }
    DEMAND(cb_malloc(BEYOND) == NULL);
    check_heap();
}

static void by_always(void) {
    cb_os_assume(1, MACHINE);
    for (int way = 0; way < WAYS; way++) {
        void *p = ask(way, 4 * MACHINE);
        DEMAND(p != NULL);
        cb_free(p);
        check_heap();
    }
}

/* What is left of all of the memory, the map of the heap included. */
static void by_the_strict_rule(void) {
    cb_free(cb_malloc(100));
    cb_os_assume(2, MACHINE);
    for (int way = 0; way < WAYS; way++) {
        DEMAND(ask(way, BEYOND) == NULL);
        void *p = ask(way, MACHINE / 2);
        DEMAND(p != NULL);
        DEMAND(ask(way, MACHINE / 2) == NULL);
        cb_free(p);
        void *again = ask(way, MACHINE / 2); /* it is the heap's still */
        DEMAND(again != NULL);
        cb_free(again);
        check_heap();
    }
}

/* Buffers that grow are asked for as well, though not at each step. */
static void growing(void) {
    enum { STEP = 1 << 20 };
    cb_os_assume(0, MACHINE);
    unsigned char *p = cb_malloc(STEP), *q;
    size_t size = STEP;
    int calls = cb_os_calls();
    while ((q = cb_realloc(p, size + STEP)) != NULL) {
        p = q;
        p[size] = 1;
        size += STEP;
        DEMAND(size <= MACHINE);
    }
    DEMAND(size >= MACHINE - STEP);
    DEMAND(cb_os_calls() - calls < 500); /* a thousand steps */
    cb_free(p);
    check_heap();
}

static void the_usual_rule_refuses_what_the_machine_does_not_have(void **state) {
    (void)state;
    in_child(by_the_usual_rule);
}

static void always_grants_everything(void **state) {
    (void)state;
    in_child(by_always);
}

static void the_strict_rule_counts_what_is_left(void **state) {
    (void)state;
    in_child(by_the_strict_rule);
}

static void growth_is_refused_like_anything_else(void **state) {
    (void)state;
    in_child(growing);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_usual_rule_refuses_what_the_machine_does_not_have),
        cmocka_unit_test(always_grants_everything),
        cmocka_unit_test(the_strict_rule_counts_what_is_left),
        cmocka_unit_test(growth_is_refused_like_anything_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
