/*
 * Every fault that the debug variant looks for is told, with the object, what is wrong with it, and where it
 * was allocated, freed and misused. Runs faults.c with the library preloaded; that program prints the address
 * that the report must name.
 *
 * Environment: CUTBACK_PRELOAD, the library; CUTBACK_FAULTS, the program; CUTBACK_PLAIN_FAULTS, that of the library
 * without the variant.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "../support/fault_list.h"
#include "../support/fault_run.h"

/* Whether the trace with this title has a frame of this function. */
static bool trace_has(const char *report, const char *title, const char *function) {
    char start[64], name[64];
    snprintf(start, sizeof start, "\n  %s: ", title);
    snprintf(name, sizeof name, "(%s)\n", function);
    const char *at = strstr(report, start);
    while (at != NULL && at[1] == ' ') {
        const char *end = strchr(at + 1, '\n');
        const char *found = strstr(at, name);
        if (end == NULL || (found != NULL && found < end)) {
            return found != NULL;
        }
        at = strncmp(end, "\n   ", 4) == 0 ? end : NULL; /* the frames after the first are further in */
    }
    return false;
}

struct expected {
    const char *fault;
    int signal;
    const char *first;  /* line of the report; %s for the address */
    const char *second; /* or NULL */
    const char *allocated, *freed, *place,
        *now; /* functions in the traces, or NULL; and the title of `now` */
};

/* The signal, and the lines that say what was found. */
static void expect_report(const struct expected *expected, const struct run *got) {
    char first[256];
    snprintf(first, sizeof first, expected->first, got->out);
    size_t length = strcspn(got->err, "\n");
    if (strncmp(got->err, first, length) != 0 || strlen(first) != length) {
        fail_msg("expected %s, got: %s", first, got->err);
    }
    assert_true(WIFSIGNALED(got->status));
    assert_int_equal(WTERMSIG(got->status), expected->signal);
    if (expected->second != NULL) {
        assert_int_equal(strncmp(got->err + length + 1, expected->second, strlen(expected->second)), 0);
    }
}

/* Those of freed objects without traces as well, where the records are shorter. */
static void expect(const struct expected *expected) {
    struct run got = run(expected->fault, "");
    expect_report(expected, &got);
    if ((expected->allocated != NULL && !trace_has(got.err, "allocated at", expected->allocated)) ||
        (expected->freed != NULL && !trace_has(got.err, "freed at", expected->freed)) ||
        (expected->place != NULL && !trace_has(got.err, expected->place, expected->now))) {
        fail_msg("a trace is not there: %s", got.err);
    }
    if (expected->freed != NULL) {
        got = run(expected->fault, "traces=0");
        expect_report(expected, &got);
        assert_null(strstr(got.err, "allocated at"));
    }
}

#define FREE "cutback: free(): "
#define MADE "make_object"
#define DROPPED "drop_object"

/* X(fault, signal, first line, second line, allocated in, freed in, place, function there) */
#define FAULTS(X)                                                                                            \
    X(overflow_then_free, SIGABRT, FREE "overflow of %s (61 bytes)", "  byte 0x41 at offset 61\n", MADE,     \
      NULL, "called at", DROPPED)                                                                            \
    X(overflow_then_exit, SIGABRT, "cutback: exit(): overflow of %s (64 bytes)",                             \
      "  byte 0x41 at offset 64\n", MADE, NULL, NULL, NULL)                                                  \
    X(overflow_then_realloc, SIGABRT, "cutback: realloc(): overflow of %s (64 bytes)",                       \
      "  byte 0x41 at offset 64\n", MADE, NULL, "called at", "resize_object")                                \
    X(overflow_of_nothing, SIGABRT, FREE "overflow of %s", "  byte 0x41 at offset 0\n", MADE, NULL,          \
      "called at", DROPPED)                                                                                  \
    X(overflow_far, SIGABRT, FREE "overflow of %s (100 bytes)", "  byte 0x41 at offset 131\n", MADE, NULL,   \
      "called at", DROPPED)                                                                                  \
    X(underflow_then_free, SIGABRT, FREE "underflow of %s (64 bytes)", "  byte 0x41 at offset -1\n", MADE,   \
      NULL, "called at", DROPPED)                                                                            \
    X(underflow_then_exit, SIGABRT, "cutback: exit(): underflow of %s (64 bytes)",                           \
      "  byte 0x41 at offset -32\n", MADE, NULL, NULL, NULL)                                                 \
    X(write_after_free_then_exit, SIGABRT, "cutback: exit(): write after free of %s (64 bytes)",             \
      "  byte 0x41 at offset 7\n", MADE, DROPPED, NULL, NULL)                                                \
    X(write_after_free_then_go_on, SIGABRT, FREE "write after free of %s (64 bytes)",                        \
      "  byte 0x41 at offset 7\n", MADE, DROPPED, "noticed at", "drop_again")                                \
    X(overflow_of_freed, SIGABRT, "cutback: exit(): write after free of %s (64 bytes)",                      \
      "  byte 0x41 at offset 64\n", MADE, DROPPED, NULL, NULL)                                               \
    X(overflow_of_aligned, SIGABRT, FREE "overflow of %s (1000 bytes)", "  byte 0x41 at offset 1000\n",      \
      "main", NULL, "called at", DROPPED)                                                                    \
    X(underflow_of_aligned, SIGABRT, FREE "underflow of %s (1000 bytes)", "  byte 0x41 at offset -1\n",      \
      "main", NULL, "called at", DROPPED)                                                                    \
    X(overflow_of_calloc, SIGABRT, FREE "overflow of %s (100 bytes)", "  byte 0x41 at offset 100\n", "main", \
      NULL, "called at", DROPPED)                                                                            \
    X(large_overflow, SIGSEGV, "cutback: SIGSEGV: overflow of %s (200000 bytes)",                            \
      "  access at offset 200000\n", MADE, NULL, "accessed at", "spoil")                                     \
    X(large_overflow_by_one, SIGABRT, FREE "overflow of %s (199997 bytes)",                                  \
      "  byte 0x41 at offset 199997\n", MADE, NULL, "called at", DROPPED)                                    \
    X(large_overflow_of_aligned, SIGSEGV, "cutback: SIGSEGV: overflow of %s (65536 bytes)",                  \
      "  access at offset 65536\n", "main", NULL, "accessed at", "spoil")                                    \
    X(large_underflow, SIGABRT, FREE "underflow of %s (200000 bytes)", "  byte 0x41 at offset -1\n", MADE,   \
      NULL, "called at", DROPPED)                                                                            \
    X(large_read_after_free, SIGSEGV, "cutback: SIGSEGV: use after free of %s (200000 bytes)",               \
      "  access at offset 0\n", MADE, DROPPED, "accessed at", "main")                                        \
    X(large_double_free, SIGABRT, FREE "double free of %s (200000 bytes)", NULL, MADE, DROPPED, "called at", \
      "drop_again")                                                                                          \
    X(double_free, SIGABRT, FREE "double free of %s (64 bytes)", NULL, MADE, DROPPED, "called at",           \
      "drop_again")                                                                                          \
    X(double_free_late, SIGABRT, FREE "double free of %s (64 bytes)", NULL, MADE, DROPPED, "called at",      \
      "drop_again")                                                                                          \
    X(free_of_interior, SIGABRT, FREE "pointer into the middle of an object: %s", "  object 0x", MADE, NULL, \
      "called at", DROPPED)                                                                                  \
    X(free_of_unaligned, SIGABRT, FREE "unaligned pointer %s", "  object 0x", MADE, NULL, "called at",       \
      DROPPED)                                                                                               \
    X(free_of_freed_interior, SIGABRT, FREE "pointer into the middle of a freed object: %s", "  object 0x",  \
      MADE, DROPPED, "called at", "drop_again")                                                              \
    X(free_of_stack, SIGABRT, FREE "pointer into the stack: %s", NULL, NULL, NULL, "called at", DROPPED)     \
    X(realloc_of_freed, SIGABRT, "cutback: realloc(): use after free of %s (64 bytes)", NULL, MADE, DROPPED, \
      "called at", "resize_object")                                                                          \
    X(usable_size_of_freed, SIGABRT, "cutback: malloc_usable_size(): use after free of %s (64 bytes)", NULL, \
      MADE, DROPPED, "called at", "main")                                                                    \
    X(free_with_wrong_size, SIGABRT, "cutback: free_sized(): wrong size given for %s (64 bytes)", NULL,      \
      MADE, NULL, "called at", "main")                                                                       \
    X(overflow_in_thread, SIGABRT, FREE "overflow of %s (64 bytes)", "  byte 0x41 at offset 64\n", MADE,     \
      NULL, "called at", DROPPED)                                                                            \
    X(overflow_in_child, SIGABRT, FREE "overflow of %s (64 bytes)", "  byte 0x41 at offset 64\n", MADE,      \
      NULL, "called at", DROPPED)

#define TEST(name, ...)                                                                                      \
    static void name##_is_told(void **state) {                                                               \
        (void)state;                                                                                         \
        expect(&(struct expected){#name, __VA_ARGS__});                                                      \
    }
FAULTS(TEST)

static void no_fault_is_not_told(void **state) {
    (void)state;
    static const char *const options[] = {"", "quarantine=0", "quarantine=100K", "quarantine=4G"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct run got = run("none", options[i]);
        assert_string_equal(got.err, "");
        assert_int_equal(got.status, 0);
    }
}

static void leaks_are_listed_by_where(void **state) {
    (void)state;
    struct run got = run("leaks", "leaks=1");
    assert_int_equal(got.status, 0);
    assert_int_equal(strncmp(got.err, "cutback: exit(): never freed: ", 30), 0);
    const char *some = strstr(got.err, "\n  3 objects, 300000 bytes\n"),
               *little = strstr(got.err, "\n  1 object, 40000 bytes\n");
    assert_non_null(some);
    assert_non_null(little);
    assert_true(some < little);
    assert_true(trace_has(some + 1, "allocated at", "leak_some"));
    assert_true(trace_has(little + 1, "allocated at", "leak_little"));
    assert_null(strstr(got.err, "200000 bytes"));
    assert_string_equal(run("leaks", "").err, "");
}

static void warnings_do_not_end_the_program(void **state) {
    (void)state;
    static const char *const faults[] = {
        "overflow_then_free",         "overflow_then_exit", "double_free",
        "underflow_then_free",        "realloc_of_freed",   "free_of_interior",
        "write_after_free_then_go_on"};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct run got = run(faults[i], "on_error=warn");
        assert_int_equal(got.status, 0);
        assert_non_null(strstr(got.err, "cutback: "));
        assert_null(strstr(strstr(got.err, "cutback: ") + 1, "cutback: ")); /* told once */
        got = run(faults[i], "on_error=ignore");
        assert_int_equal(got.status, 0);
        assert_string_equal(got.err, "");
    }
}

/* The debug variant finds all that the library finds without it, though it may say more, or something else. */
static void the_faults_of_the_library_are_told_as_well(void **state) {
    (void)state;
#define NAME(fault, report) #fault,
    static const char *const names[] = {FAULTS_OF_PLAIN(NAME)};
    setenv("CUTBACK_FAULTS", getenv("CUTBACK_PLAIN_FAULTS"), 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct run got = run(names[i], "");
        if (strncmp(got.err, "cutback: ", 9) != 0 || !WIFSIGNALED(got.status)) {
            fail_msg("%s: status %x, %s", names[i], (unsigned)got.status, got.err);
        }
    }
}

int main(void) {
#define ENTRY(name, ...) cmocka_unit_test(name##_is_told),
    const struct CMUnitTest tests[] = {
        FAULTS(ENTRY) cmocka_unit_test(no_fault_is_not_told),
        cmocka_unit_test(leaks_are_listed_by_where),
        cmocka_unit_test(warnings_do_not_end_the_program),
        cmocka_unit_test(the_faults_of_the_library_are_told_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
