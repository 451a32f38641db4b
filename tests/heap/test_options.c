/*
 * Options, and the lines that the heap writes.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

#include "heap/misuse.h"
#include "heap/options.h"
#include "heap/line.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

static struct cb_options parse(const char *text, unsigned bad) {
    struct cb_options options = cb_options;
    assert_int_equal(cb_options_parse(&options, text, true), bad);
    return options;
}

static void words_are_understood(void **state) {
    (void)state;
    assert_int_equal(parse("on_error=warn", 0).on_error, CB_ERROR_WARN);
    assert_int_equal(parse("on_error=ignore", 0).on_error, CB_ERROR_IGNORE);
    assert_int_equal(parse("on_error=abort", 0).on_error, CB_ERROR_ABORT);
    assert_int_equal(parse("", 0).deepbind, CB_DEEPBIND_DROP);
    assert_int_equal(parse("deepbind=keep", 0).deepbind, CB_DEEPBIND_KEEP);
    assert_int_equal(parse("deepbind=keep,deepbind=drop", 0).deepbind, CB_DEEPBIND_DROP);
    assert_int_equal(parse("purge=never", 0).purge, CB_PURGE_NEVER);
    assert_int_equal(parse("stats_format=json", 0).stats_format, CB_STATS_JSON);
    assert_int_equal(parse("stats_format=json,stats_format=text", 0).stats_format, CB_STATS_TEXT);
}

static void statistics_come_at_exit_or_on_a_signal(void **state) {
    (void)state;
    assert_int_equal(parse("", 0).stats, CB_STATS_OFF);
    assert_int_equal(parse("stats=1", 0).stats, CB_STATS_EXIT);
    assert_int_equal(parse("stats=exit", 0).stats, CB_STATS_EXIT);
    assert_int_equal(parse("stats=exit,stats=0", 0).stats, CB_STATS_OFF);
    assert_int_equal(parse("stats=USR1", 0).stats, CB_STATS_SIGNAL + SIGUSR1);
    assert_int_equal(parse("stats=SIGUSR2", 0).stats, CB_STATS_SIGNAL + SIGUSR2);
    assert_int_equal(parse("stats=SIGVTALRM", 0).stats, CB_STATS_SIGNAL + SIGVTALRM);
}

static void paths_are_taken_as_they_are(void **state) {
    (void)state;
    static char longest[CB_OPTION_PATH + 16] = "stats_file=";
    assert_string_equal(parse("", 0).stats_file, "");
    assert_string_equal(parse("stats_file=/tmp/a b.%p.%t.100%%", 0).stats_file, "/tmp/a b.%p.%t.100%%");
    assert_string_equal(parse("stats_file=longer,stats_file=x=y", 0).stats_file, "x=y");
    memset(longest + 11, 'a', CB_OPTION_PATH - 1);
    assert_int_equal(strlen(parse(longest, 0).stats_file), CB_OPTION_PATH - 1);
    longest[11 + CB_OPTION_PATH - 1] = 'a';
    assert_string_equal(parse(longest, 1).stats_file, "");
}

static void sizes_are_understood(void **state) {
    (void)state;
    assert_int_equal(parse("reserve=0", 0).reserve, 0);
    assert_int_equal(parse("reserve=123", 0).reserve, 123);
    assert_int_equal(parse("reserve=4k", 0).reserve, 4096);
    assert_int_equal(parse("reserve=4M", 0).reserve, 4 << 20);
    assert_int_equal(parse("reserve=2G", 0).reserve, (size_t)2 << 30);
    assert_int_equal(parse("reserve=18446744073709551615", 0).reserve, SIZE_MAX);
}

static void bad_values_change_nothing(void **state) {
    (void)state;
    static const char *const bad[] = {"reserve=18446744073709551616",
                                      "reserve=99999999999G",
                                      "reserve=",
                                      "reserve=K",
                                      "reserve=1KK",
                                      "reserve=-1",
                                      "reserve= 1",
                                      "reserve=1x",
                                      "on_error=",
                                      "on_error",
                                      "on_error=Warn",
                                      "on_error=warn ",
                                      "deepbind=1",
                                      "stats=2",
                                      "stats=yes",
                                      "stats=",
                                      "stats=SIG",
                                      "stats=usr1",
                                      "stats=SIGSIGUSR1",
                                      "stats=USR11",
                                      "stats=KILL",
                                      "stats=TERM",
                                      "stats=SEGV",
                                      "stats=10",
                                      "stats_format=xml",
                                      "stats_file",
                                      "stats_file=",
                                      "stats_file=%",
                                      "stats_file=a%x",
                                      "stats_file=%p%",
                                      "=",
                                      "=1",
                                      "nothing"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct cb_options options = parse(bad[i], 1);
        assert_memory_equal(&options, &cb_options, sizeof options);
    }
}

static void several_are_read_in_order(void **state) {
    (void)state;
    struct cb_options options = parse(",stats=1,,reserve=1M,bad,reserve=2M,", 1);
    assert_int_equal(options.stats, 1);
    assert_int_equal(options.reserve, 2 << 20);
}

/* What goes to standard error while `what` runs, with another standard error than the process started with. */
static const char *written(void (*what)(void)) {
    static char text[4096];
    int ends[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    cb_os_note_stderr();
    what();
    dup2(saved, STDERR_FILENO);
    cb_os_note_stderr();
    close(saved);
    close(ends[1]);
    ssize_t got = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void bad_options(void) {
    struct cb_options options = cb_options;
    cb_options_parse(&options, "colour=red,reserve=lots", false);
}

static void bad_options_are_told_in_a_line_each(void **state) {
    (void)state;
    assert_string_equal(written(bad_options), "cutback: CUTBACK_OPTIONS: unknown option colour\n"
                                              "cutback: CUTBACK_OPTIONS: bad value lots for reserve\n");
}

static void a_misuse(void) {
    unsigned saved = cb_options.on_error;
    cb_options.on_error = CB_ERROR_WARN;
    cb_misuse_report("free", "double free of", 0x1234ab, 64);
    cb_misuse_report("realloc", "unaligned pointer", 1, 0);
    cb_options.on_error = CB_ERROR_IGNORE;
    cb_misuse_report("free", "nothing of", 1, 0);
    cb_options.on_error = saved;
}

static void misuse_is_told_as_documented(void **state) {
    (void)state;
    assert_string_equal(written(a_misuse), "cutback: free(): double free of 0x1234ab (64 bytes)\n"
                                           "cutback: realloc(): unaligned pointer 0x1\n");
}

static _Alignas(16) char no_object[64];

/* With prefixed names there is no other allocator to ask. */
static void misuses(void) {
    unsigned saved = cb_options.on_error;
    char *mapped = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cb_options.on_error = CB_ERROR_WARN;
    cb_free(mapped);
    errno = 0;
    assert_null(cb_realloc(no_object, 10));
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(cb_malloc_usable_size(mapped + 8), 0);
    cb_options.on_error = saved;
    munmap(mapped, 4096);
}

static void what_is_not_ours_is_told(void **state) {
    (void)state;
    const char *text = written(misuses);
    assert_ptr_equal(strstr(text, "cutback: free(): invalid pointer 0x"), text);
    assert_non_null(strstr(text, "cutback: realloc(): pointer into a program or library: 0x"));
    assert_non_null(strstr(text, "cutback: malloc_usable_size(): unaligned pointer 0x"));
}

/* The run is in the middle of a block, in what has died there, and a live object follows it at once. */
static void free_behind_a_run(void) {
    enum { OBJECTS = 4000, FROM = 1000, TO = 2000 };
    static char *object[OBJECTS], *other;
    unsigned saved = cb_options.on_error;
    for (int i = 0; i < OBJECTS; i++) {
        object[i] = cb_malloc(48);
    }
    for (int i = FROM; i < TO; i++) {
        cb_free(object[i]);
    }
    cb_malloc_trim(0);
    do {
        other = cb_malloc(100);
        assert_non_null(other);
    } while (other < object[FROM] || other >= object[TO]);
    cb_options.on_error = CB_ERROR_WARN;
    cb_free(object[TO + 1000] + 16);
    cb_options.on_error = saved;
}

static void what_follows_a_run_is_told_as_what_it_is(void **state) {
    (void)state;
    const char *text = written(free_behind_a_run);
    assert_ptr_equal(strstr(text, "cutback: free(): pointer into the middle of an object: 0x"), text);
}

static void a_long_line_is_cut(void **state) {
    (void)state;
    struct cb_line line = {.length = 0};
    for (int i = 0; i < 100; i++) {
        cb_line_string(&line, "0123456789");
        cb_line_number(&line, SIZE_MAX);
    }
    assert_int_equal(line.length, sizeof line.text - 1);
}

static void numbers_are_written_in_full(void **state) {
    (void)state;
    struct cb_line line = {.length = 0};
    cb_line_number(&line, 0);
    cb_line_string(&line, " ");
    cb_line_number(&line, SIZE_MAX);
    cb_line_string(&line, " ");
    cb_line_address(&line, UINTPTR_MAX);
    line.text[line.length] = '\0';
    assert_string_equal(line.text, "0 18446744073709551615 0xffffffffffffffff");
}

static void statistics(void) {
    cb_malloc_stats();
}

static void every_line_of_the_statistics_says_whose_it_is(void **state) {
    (void)state;
    cb_free(cb_malloc(10));
    const char *text = written(statistics);
    unsigned lines = 0;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1, lines++) {
        assert_ptr_equal(strstr(line, "cutback: "), line);
        assert_non_null(strchr(line, '\n'));
    }
    assert_true(lines >= 10);
}

static void mallopt_sets_the_reserve(void **state) {
    (void)state;
    size_t before = cb_options.reserve;
    assert_int_equal(cb_mallopt(M_TRIM_THRESHOLD, 123456), 1);
    assert_int_equal(cb_options.reserve, 123456);
    assert_int_equal(cb_mallopt(M_TRIM_THRESHOLD, -1), 1);
    assert_int_equal(cb_mallopt(M_MMAP_THRESHOLD, 1), 1);
    assert_int_equal(cb_options.reserve, 123456);
    cb_options.reserve = before;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_understood),
        cmocka_unit_test(statistics_come_at_exit_or_on_a_signal),
        cmocka_unit_test(paths_are_taken_as_they_are),
        cmocka_unit_test(sizes_are_understood),
        cmocka_unit_test(bad_values_change_nothing),
        cmocka_unit_test(several_are_read_in_order),
        cmocka_unit_test(bad_options_are_told_in_a_line_each),
        cmocka_unit_test(misuse_is_told_as_documented),
        cmocka_unit_test(what_is_not_ours_is_told),
        cmocka_unit_test(what_follows_a_run_is_told_as_what_it_is),
        cmocka_unit_test(a_long_line_is_cut),
        cmocka_unit_test(numbers_are_written_in_full),
        cmocka_unit_test(every_line_of_the_statistics_says_whose_it_is),
        cmocka_unit_test(mallopt_sets_the_reserve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
