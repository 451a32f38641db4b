/*
 * A forked child is repaired exactly once, whoever enters first: our own handler, or another's that ran before
 * it or after it, allocates, and forks as well. The generation of the process counts the repairs.
 *
 * Layer:     tests.
 * Threading: none, but for what forks.
 */
#include "child.h"

#include "../support/no_wipe.h"
#include "heap/thread.h"

#include <pthread.h>

enum { ALARM = 60, SKIPPED = 77 };

static bool handler_forks, before_forks;
static uint32_t expected; /* generation of this process; the handler counts */

static uint32_t generation_now(void) {
    cb_free(cb_malloc(100000)); /* wants locks: looks at the word */
    return cb_thread.generation;
}

static void end_child(pid_t child) {
    int status = -1;
    DEMAND(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static void fork_inside(void) {
    pid_t child = fork();
    if (child == 0) {
        DEMAND(generation_now() == expected);
        DEMAND(cb_heap_check() == NULL);
        _exit(0);
    }
    end_child(child);
}

/* In the child: the first to allocate, or not. */
static void handle(void) {
    expected++;
    DEMAND(generation_now() == expected);
    if (handler_forks) {
        handler_forks = false;
        fork_inside();
    }
    DEMAND(generation_now() == expected);
}

/* In the parent, before the fork. */
static void prepare(void) {
    if (before_forks) {
        before_forks = false;
        fork_inside();
    }
}

static void fork_once(void) {
    pid_t child = fork();
    if (child == 0) {
        alarm(ALARM);
        DEMAND(generation_now() == expected);
        fork_inside(); /* and its children */
        DEMAND(generation_now() == expected);
        DEMAND(cb_heap_check() == NULL);
        _exit(0);
    }
    end_child(child);
    DEMAND(generation_now() == expected);
}

static bool has(char letter) {
    const char *how = getenv("CUTBACK_TEST_REPAIR");
    return how != NULL && strchr(how, letter) != NULL;
}

/* Before that of the heap: "e" for a handler that is registered early, "n" for a kernel that wipes no page. */
static __attribute__((constructor(101))) void construct(void) {
    if (has('n') && !forget_wipe()) {
        _exit(SKIPPED);
    }
    if (has('e')) {
        pthread_atfork(prepare, NULL, handle);
    }
}

/* The work of the process that was started so. */
static void live(void) {
    cb_free(cb_malloc(1));
    if (!has('e')) {
        pthread_atfork(prepare, NULL, handle);
    }
    expected = cb_thread.generation;
    for (int way = 0; way < 4; way++) {
        handler_forks = (way & 1) != 0;
        before_forks = (way & 2) != 0;
        fork_once();
    }
}

static void run(const char *how) {
    pid_t child = fork();
    if (child == 0) {
        setenv("CUTBACK_TEST_REPAIR", how, 1);
        execl("/proc/self/exe", "repair", (char *)NULL);
        _exit(1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
        skip();
    }
    assert_int_equal(status, 0);
}

static void before_our_handler(void **state) {
    (void)state;
    run("e");
}

static void after_our_handler(void **state) {
    (void)state;
    run("l");
}

static void before_our_handler_where_no_page_is_wiped(void **state) {
    (void)state;
    run("en");
}

static void after_our_handler_where_no_page_is_wiped(void **state) {
    (void)state;
    run("ln");
}

int main(void) {
    if (getenv("CUTBACK_TEST_REPAIR") != NULL) {
        live();
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_our_handler),
        cmocka_unit_test(after_our_handler),
        cmocka_unit_test(before_our_handler_where_no_page_is_wiped),
        cmocka_unit_test(after_our_handler_where_no_page_is_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
