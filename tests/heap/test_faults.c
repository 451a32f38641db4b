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
#include "../fault_run.h"

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

#define FREED "cutback: free(): double free of %s"
#define INSIDE "cutback: free(): pointer into the middle of an object: %s"

#define NOWHERE "inaccessible memory: %s"
#define NOT_MALLOC "memory that is not from malloc: %s"

/* name, report */
#define FAULTS(FAULT)                                                                                        \
    FAULT(double_free_at_once, FREED)                                                                        \
    FAULT(double_free_of_parked, FREED " (64 bytes)")                                                        \
    FAULT(double_free_later, FREED)                                                                          \
    FAULT(double_free_of_merged, FREED)                                                                      \
    FAULT(double_free_after_reuse, INSIDE)                                                                   \
    FAULT(double_free_medium, FREED " (5056 bytes)")                                                         \
    FAULT(double_free_medium_on_top, FREED " (5056 bytes)")                                                  \
    FAULT(double_free_large, FREED)                                                                          \
    FAULT(double_free_large_merged, FREED)                                                                   \
    FAULT(double_free_remote, FREED " (64 bytes)")                                                           \
    FAULT(double_free_both_remote, FREED " (64 bytes)")                                                      \
    FAULT(free_own_then_remote, FREED " (64 bytes)")                                                         \
    FAULT(free_of_stack, "cutback: free(): pointer into the stack: %s")                                      \
    FAULT(free_of_far_stack, "cutback: free(): pointer into the stack: %s")                                  \
    FAULT(free_of_thread_stack, "cutback: free(): pointer into the stack: %s")                               \
    FAULT(free_of_static, "cutback: free(): pointer into a program or library: %s")                          \
    FAULT(free_of_function, "cutback: free(): pointer into a program or library: %s")                        \
    FAULT(free_of_interior, INSIDE)                                                                          \
    FAULT(free_of_interior_medium, INSIDE)                                                                   \
    FAULT(free_of_interior_large, INSIDE)                                                                    \
    FAULT(free_of_interior_large_near, INSIDE)                                                               \
    FAULT(free_of_unaligned, "cutback: free(): unaligned pointer %s")                                        \
    FAULT(free_of_unaligned_by_one, "cutback: free(): unaligned pointer %s")                                 \
    FAULT(free_of_aligned_interior, INSIDE)                                                                  \
    FAULT(free_of_aligned_padding, FREED)                                                                    \
    FAULT(free_of_end, FREED)                                                                                \
    FAULT(realloc_of_freed, "cutback: realloc(): use after free of %s (64 bytes)")                           \
    FAULT(realloc_of_freed_large, "cutback: realloc(): use after free of %s")                                \
    FAULT(realloc_of_interior, "cutback: realloc(): pointer into the middle of an object: %s")               \
    FAULT(usable_size_of_freed, "cutback: malloc_usable_size(): use after free of %s (64 bytes)")            \
    FAULT(usable_size_of_interior,                                                                           \
          "cutback: malloc_usable_size(): pointer into the middle of an object: %s")                         \
    FAULT(free_of_nowhere, "cutback: free(): pointer to " NOWHERE)                                           \
    FAULT(realloc_of_nowhere, "cutback: realloc(): pointer to " NOWHERE)                                     \
    FAULT(usable_size_of_nowhere, "cutback: malloc_usable_size(): pointer to " NOWHERE)                      \
    FAULT(free_of_inaccessible, "cutback: free(): pointer to " NOWHERE)                                      \
    FAULT(free_behind_end_of_file, "cutback: free(): pointer to " NOWHERE)                                   \
    FAULT(free_of_mapping, "cutback: free(): pointer to " NOT_MALLOC)                                        \
    FAULT(free_of_unaligned_in_mapping, "cutback: free(): unaligned pointer %s")                             \
    FAULT(free_of_filled_mapping, "cutback: free(): pointer to " NOT_MALLOC)                                 \
    FAULT(free_of_file_mapping, "cutback: free(): pointer to " NOT_MALLOC)                                   \
    FAULT(free_of_forged_before_free, "cutback: free(): pointer to " NOT_MALLOC)                             \
    FAULT(free_of_forged_mapped, "cutback: free(): pointer to " NOT_MALLOC)                                  \
    FAULT(free_of_forged_in_no_heap, "cutback: free(): pointer to " NOT_MALLOC)                              \
    FAULT(free_of_forged_too_long, "cutback: free(): pointer to " NOT_MALLOC)                                \
    FAULT(realloc_of_mapping, "cutback: realloc(): pointer to " NOT_MALLOC)                                  \
    FAULT(usable_size_of_mapping, "cutback: malloc_usable_size(): pointer to " NOT_MALLOC)                   \
    FAULT(free_of_interior_of_foreign, "cutback: free(): pointer to " NOT_MALLOC)                            \
    FAULT(free_of_stack_of_other, "cutback: free(): pointer to " NOT_MALLOC)

#define TEST(fault, report)                                                                                  \
    static void fault##_is_told(void **state) {                                                              \
        (void)state;                                                                                         \
        expect(#fault, report);                                                                              \
    }
FAULTS(TEST)

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
        FAULTS(ENTRY) cmocka_unit_test(no_fault_is_not_told),
        cmocka_unit_test(statistics_are_told_at_exit),
        cmocka_unit_test(free_of_the_start_of_a_mapping_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
