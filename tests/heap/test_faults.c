/*
 * Every fault that a program can make with free is told in one line, and ends the program by SIGABRT, or not,
 * as on_error says. Runs faults/faults.c with the library preloaded; that program prints the address that the
 * report must name.
 *
 * Environment: CUTBACK_PRELOAD, the library; CUTBACK_FAULTS, the program.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "../support/fault_list.h"
#include "../support/fault_run.h"

/* `what`: the report, with %s for the address. */
static void expect(const char *fault, const char *what) {
    char line[256];
    struct run abort = run(fault, "on_error=abort");
    snprintf(line, sizeof line, what, abort.out);
    strcat(line, "\n");
    assert_string_equal(abort.err, line);
    assert_true(WIFSIGNALED(abort.status) && WTERMSIG(abort.status) == SIGABRT);

    struct run warn = run(fault, "on_error=warn");
    snprintf(line, sizeof line, what, warn.out);
    strcat(line, "\n");
    assert_string_equal(warn.err, line);
    assert_true(WIFEXITED(warn.status));
    assert_int_equal(WEXITSTATUS(warn.status), 0);

    struct run ignore = run(fault, "on_error=ignore");
    assert_string_equal(ignore.err, "");
    assert_true(WIFEXITED(ignore.status));
    assert_int_equal(WEXITSTATUS(ignore.status), 0);
}

#define TEST(fault, report)                                                                                  \
    static void fault##_is_told(void **state) {                                                              \
        (void)state;                                                                                         \
        expect(#fault, report);                                                                              \
    }
FAULTS_OF_PLAIN(TEST)

static void no_fault_is_not_told(void **state) {
    (void)state;
    static const char *const names[] = {"none", "foreign", "foreign_from_threads", "foreign_without_break"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct run none = run(names[i], "on_error=abort");
        assert_string_equal(none.err, "");
        assert_int_equal(none.status, 0);
    }
}

/* The page before it may be anything, so either report may be the right one. */
static void free_of_the_start_of_a_mapping_is_told(void **state) {
    (void)state;
    struct run start = run("free_of_start_of_mapping", "");
    assert_ptr_equal(strstr(start.err, "cutback: free(): pointer to "), start.err);
    assert_true(WIFSIGNALED(start.status) && WTERMSIG(start.status) == SIGABRT);
}

/* Also when the program has closed standard error before it exits. */
static void statistics_are_told_at_exit(void **state) {
    (void)state;
    static const char *const names[] = {"none", "close_stderr"};
    for (size_t i = 0; i < 2; i++) {
        struct run none = run(names[i], "stats=1");
        assert_ptr_equal(strstr(none.err, "cutback: process "), none.err);
        assert_int_equal(none.err[strlen(none.err) - 1], '\n');
        assert_int_equal(none.status, 0);
    }
}

int main(void) {
#define ENTRY(fault, report) cmocka_unit_test(fault##_is_told),
    const struct CMUnitTest tests[] = {
        FAULTS_OF_PLAIN(ENTRY) cmocka_unit_test(no_fault_is_not_told),
        cmocka_unit_test(statistics_are_told_at_exit),
        cmocka_unit_test(free_of_the_start_of_a_mapping_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
