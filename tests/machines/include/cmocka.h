/*
 * As much of cmocka as the unit tests of the arena use, where there is no C library. A demand that does not hold ends
 * the program with status 1.
 *
 * Layer: tests. Threading: none.
 */
#ifndef CB_TESTS_MACHINES_CMOCKA_H
#define CB_TESTS_MACHINES_CMOCKA_H

#include <stddef.h>
#include <stdint.h>

#include "machine.h"

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

#define cmocka_unit_test(function)                                                                           \
    { #function, function }

#define cmocka_run_group_tests_name(group, tests, setup, teardown)                                           \
    machine_run((group), (tests), sizeof(tests) / sizeof *(tests))

static inline int machine_run(const char *group, const struct CMUnitTest *tests, size_t count) {
    for (size_t i = 0; i < count; i++) {
        machine_current = tests[i].name;
        tests[i].run(NULL);
    }
    machine_print(group);
    machine_print(": passed ");
    machine_print_number(count);
    machine_print("\n");
    return 0;
}

#define machine_demand(condition, text) ((condition) ? (void)0 : machine_fail(text, __FILE__, __LINE__))

#define assert_true(condition) machine_demand(condition, #condition)
#define assert_false(condition) machine_demand(!(condition), "not " #condition)
#define assert_null(pointer) machine_demand((pointer) == NULL, #pointer " == NULL")
#define assert_non_null(pointer) machine_demand((pointer) != NULL, #pointer " != NULL")
#define assert_ptr_equal(a, b) machine_demand((const void *)(a) == (const void *)(b), #a " == " #b)
#define assert_int_equal(a, b) machine_demand((uint64_t)(a) == (uint64_t)(b), #a " == " #b)
#define assert_memory_equal(a, b, size) machine_demand(memcmp((a), (b), (size)) == 0, #a " is " #b)

/* Nothing: the demand that follows says where it was. */
static inline void print_error(const char *format, ...) {
    (void)format;
}

#endif
