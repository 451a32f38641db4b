/*
 * Tests that need a process of their own: a part of one runs in a child, and says there what is wrong.
 *
 * Layer:     tests.
 * Threading: none.
 */
#ifndef CB_TESTS_HEAP_CHILD_H
#define CB_TESTS_HEAP_CHILD_H

#include "fixture.h"

#include "../support/child.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child. */
static inline void demand(bool good, const char *what) {
    if (!good) {
        print_error("%s\n", what);
        _exit(1);
    }
}
#define DEMAND(condition) demand(condition, #condition)

/* Runs it in a child; the wait status. */
static inline int status_of_child(void (*work)(void)) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        work();
        _exit(0);
    }
    return fixture_end_of(child);
}

static inline void in_child(void (*work)(void)) {
    assert_int_equal(status_of_child(work), 0);
}

#endif
