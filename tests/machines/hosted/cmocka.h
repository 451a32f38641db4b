/*
 * As much of cmocka as the unit tests of the heap use, on machines for which Debian's cross compilers bring a C library
 * and nothing else. A demand that does not hold ends the program with status 1.
 *
 * Layer: tests. Threading: demands from any thread; the rest from the main one.
 */
#ifndef CB_TESTS_MACHINES_HOSTED_CMOCKA_H
#define CB_TESTS_MACHINES_HOSTED_CMOCKA_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*CMFixtureFunction)(void **state);

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
    CMFixtureFunction setup;
};

static jmp_buf machine_skipped;

#define cmocka_unit_test(function)                                                                           \
    { #function, function, NULL }
#define cmocka_unit_test_setup(function, setup)                                                              \
    { #function, function, setup }
#define cmocka_run_group_tests(tests, setup, teardown)                                                       \
    machine_run((tests), sizeof(tests) / sizeof *(tests), (setup), (teardown))

/* The tests of a group, one after another; with CUTBACK_TEST only that one. */
static inline int machine_run(const struct CMUnitTest *tests, size_t count, CMFixtureFunction setup,
                              CMFixtureFunction teardown) {
    const char *only = getenv("CUTBACK_TEST");
    static size_t passed, i; /* static: they outlive a jump */
    void *state = NULL;
    if (setup != NULL && setup(&state) != 0) {
        exit(1);
    }
    for (; i < count; i++) {
        if (only != NULL && strcmp(only, tests[i].name) != 0) {
            continue;
        }
        if (setjmp(machine_skipped) != 0) {
            printf("skipped %s\n", tests[i].name);
            continue;
        }
        if (tests[i].setup != NULL && tests[i].setup(&state) != 0) {
            exit(1);
        }
        tests[i].run(&state);
        passed++;
    }
    if (teardown != NULL && teardown(&state) != 0) {
        exit(1);
    }
    printf("passed %zu\n", passed);
    return 0;
}

#define skip() longjmp(machine_skipped, 1)

_Noreturn static inline void _fail(const char *file, int line) {
    fprintf(stderr, "%s:%d: not so\n", file, line);
    fflush(stderr);
    _exit(1);
}

#define fail() _fail(__FILE__, __LINE__)

static inline void machine_demand(int condition, const char *text, const char *file, int line) {
    if (!condition) {
        fprintf(stderr, "%s:%d: not so: %s\n", file, line, text);
        fflush(stderr);
        _exit(1);
    }
}

static inline int machine_in_range(uint64_t value, uint64_t low, uint64_t high) {
    return value >= low && value <= high;
}

#define MACHINE_DEMAND(condition, text) machine_demand((condition), text, __FILE__, __LINE__)
#define assert_true(condition) MACHINE_DEMAND(!!(condition), #condition)
#define assert_false(condition) MACHINE_DEMAND(!(condition), "not " #condition)
#define assert_null(pointer) MACHINE_DEMAND((pointer) == NULL, #pointer " == NULL")
#define assert_non_null(pointer) MACHINE_DEMAND((pointer) != NULL, #pointer " != NULL")
#define assert_ptr_equal(a, b) MACHINE_DEMAND((const void *)(a) == (const void *)(b), #a " == " #b)
#define assert_ptr_not_equal(a, b) MACHINE_DEMAND((const void *)(a) != (const void *)(b), #a " != " #b)
#define assert_int_equal(a, b) MACHINE_DEMAND((uint64_t)(a) == (uint64_t)(b), #a " == " #b)
#define assert_int_not_equal(a, b) MACHINE_DEMAND((uint64_t)(a) != (uint64_t)(b), #a " != " #b)
#define assert_memory_equal(a, b, size) MACHINE_DEMAND(memcmp((a), (b), (size)) == 0, #a " is " #b)
#define assert_string_equal(a, b) MACHINE_DEMAND(strcmp((a), (b)) == 0, #a " is " #b)
#define assert_in_range(value, low, high)                                                                    \
    MACHINE_DEMAND(machine_in_range((uint64_t)(value), (uint64_t)(low), (uint64_t)(high)),                   \
                   #value " is in range")

#define print_error(...) fprintf(stderr, __VA_ARGS__)
#define print_message(...) printf(__VA_ARGS__)

#endif
