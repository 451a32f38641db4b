/*
 * fault_run.h: runs a program that makes one mistake, with the library preloaded, and keeps what it prints.
 *
 * Environment: CUTBACK_PRELOAD, the library; CUTBACK_FAULTS, the program; it takes the mistake's name.
 *
 * Layer:     tests.
 * Threading: none.
 */
#ifndef CB_TESTS_FAULT_RUN_H
#define CB_TESTS_FAULT_RUN_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"

struct run {
    int status;
    char out[256], err[8192]; /* out: without its newline */
};

static void become_fault(const char *fault, const char *options) {
    const char *program = getenv("CUTBACK_FAULTS");
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    alarm(60);
    setenv("LD_PRELOAD", getenv("CUTBACK_PRELOAD"), 1);
    setenv("CUTBACK_OPTIONS", options, 1);
    execl(program, program, fault, (char *)NULL);
    _exit(127);
}

static struct run run(const char *fault, const char *options) {
    struct run run;
    int out[2], err[2];
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(err), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        become_fault(fault, options);
    }
    close(out[1]);
    close(err[1]);
    fixture_read_all(out[0], run.out, sizeof run.out);
    fixture_read_all(err[0], run.err, sizeof run.err);
    close(out[0]);
    close(err[0]);
    run.status = fixture_end_of(child);
    run.out[strcspn(run.out, "\n")] = '\0';
    return run;
}

#endif
