/*
 * A thread that has been cancelled, and does not know yet, calls the functions that write: none of them is a
 * cancellation point. The report is written and the process ends, or goes on, as on_error says; the thread is
 * cancelled at its next own cancellation point.
 *
 * usage: cancel [CASE]
 */
#include "report.h"

static _Atomic int passed;
static FILE *information;

static void with_double_free(void) {
    free_twice();
}

static void with_realloc_of_freed(void) {
    void *volatile p = malloc(40);
    free(p);
    CHECK(realloc(p, 100) == NULL);
}

static void with_bad_free(void) {
    static _Alignas(16) char object[64];
    void *volatile p = object;
    free(p);
}

static void with_stats(void) {
    malloc_stats();
}

static void with_info(void) {
    CHECK(malloc_info(0, information) == 0);
}

static void with_exit(void) {
    exit(0);
}

static void *cancelled(void *what) {
    pthread_cancel(pthread_self());
    ((void (*)(void))what)();
    atomic_store(&passed, 1);
    pthread_testcancel();
    return NULL;
}

static void in_cancelled_thread(void (*what)(void)) {
    void *result = NULL;
    pthread_t thread = fixture_thread(cancelled, (void *)what);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(atomic_load(&passed) == 1 && result == PTHREAD_CANCELED);
}

#define CASE(name)                                                                                           \
    static void case_##name(void) {                                                                          \
        in_cancelled_thread(with_##name);                                                                    \
    }
CASE(double_free)
CASE(realloc_of_freed)
CASE(bad_free)
CASE(stats)
CASE(exit)

/* To a stream without a buffer, so that each part is written at once. */
static void case_info(void) {
    char text[4096];
    information = tmpfile();
    CHECK(information != NULL && setvbuf(information, NULL, _IONBF, 0) == 0);
    in_cancelled_thread(with_info);
    rewind(information);
    text[fread(text, 1, sizeof text - 1, information)] = '\0';
    CHECK(strstr(text, "</malloc>") != NULL);
}

static const struct report_case cases[] = {
    {"double_free", case_double_free},
    {"realloc_of_freed", case_realloc_of_freed},
    {"bad_free", case_bad_free},
    {"stats", case_stats},
    {"info", case_info},
    {"exit", case_exit},
    {NULL, NULL},
};

static void expect(const char *name, const char *options, const char *line, bool abort_expected) {
    char text[20000];
    int status = run_case(name, options, text, sizeof text);
    bool written = line == NULL ? *text == '\0' : strstr(text, line) != NULL;
    if (!written || (abort_expected ? !aborted(status) : status != 0)) {
        printf("%s, %s: status %x, standard error:\n%s\n", name, options, (unsigned)status, text);
        fflush(stdout);
    }
    CHECK(written);
    CHECK(abort_expected ? aborted(status) : status == 0);
}

int main(int count, char **argument) {
    static const char *const faults[][2] = {
        {"double_free", DOUBLE_FREE},
        {"realloc_of_freed", "cutback: realloc(): use after free of "},
        {"bad_free", "cutback: free(): pointer into a program or library: "},
    };
    if (count > 1) {
        return be_case(cases, argument[1]);
    }
    fixture_begin(120);
    for (int i = 0; i < 3; i++) {
        expect(faults[i][0], "on_error=abort", faults[i][1], true);
        expect(faults[i][0], "on_error=warn", faults[i][1], false);
        expect(faults[i][0], "on_error=ignore", NULL, false);
    }
    static const char *const modes[] = {"on_error=abort", "on_error=warn", "on_error=ignore"};
    for (int i = 0; i < 3; i++) {
        char with_stats_at_exit[60];
        snprintf(with_stats_at_exit, sizeof with_stats_at_exit, "%s,stats=1", modes[i]);
        expect("stats", modes[i], "cutback: mapped: ", false);
        expect("info", modes[i], NULL, false);
        expect("exit", with_stats_at_exit, "cutback: mapped: ", false);
    }
    return 0;
}
