/*
 * What the tests of reports stand on: the test starts itself again, once per case and per mode of on_error,
 * with a standard error of the test's choice, and reads what has arrived there.
 *
 * Layer:     tests.
 * Threading: none of its own.
 */
#ifndef CB_TESTS_ROBUST_REPORT_FIXTURE_H
#define CB_TESTS_ROBUST_REPORT_FIXTURE_H

#include "fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>

#define DOUBLE_FREE "cutback: free(): double free of "

struct report_case {
    const char *name;
    void (*run)(void);
};

/* Frees an object twice; in a mode in which that returns. */
static BED_UNUSED void free_twice(void) {
    void *volatile p = malloc(40);
    free(p);
    free(p);
}

extern char **environ;

/* Starts the case with descriptor `error` as its standard error; -1: it has none. */
static BED_UNUSED pid_t start_case(const char *name, const char *options, int error) {
    char self[4096] = {0};
    CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        setenv("CUTBACK_OPTIONS", options, 1);
        if (error < 0) {
            close(STDERR_FILENO);
        } else if (error != STDERR_FILENO) {
            dup2(error, STDERR_FILENO);
        }
        execl(self, self, name, (char *)NULL);
        _exit(98);
    }
    return child;
}

/* Runs the case with a pipe for standard error and returns how it ended. */
static BED_UNUSED int run_case(const char *name, const char *options, char *text, size_t size) {
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    pid_t child = start_case(name, options, ends[1]);
    close(ends[1]);
    fixture_read_all(ends[0], text, size);
    close(ends[0]);
    return fixture_end_of(child);
}

static inline bool aborted(int status) {
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* In the started program: runs the case of that name. */
static BED_UNUSED int be_case(const struct report_case *cases, const char *name) {
    alarm(60);
    for (; cases->name != NULL; cases++) {
        if (strcmp(cases->name, name) == 0) {
            cases->run();
            return 0;
        }
    }
    return 97;
}

#endif
