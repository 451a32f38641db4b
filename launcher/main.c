/*
 * main.c: cutback-run, which runs a program on cutback's malloc. It becomes the program: nothing stays in
 * between that could hold up signals, the exit status or the terminal, except with --debug, --compare and --report.
 *
 * Layer: launcher, above all of it. Threads: one.
 */
#include "arguments.h"
#include "check.h"
#include "child.h"
#include "compare.h"
#include "debug.h"
#include "environment.h"
#include "place.h"
#include "report.h"
#include "say.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The path of what is to run. Where there is nothing that could run, the launcher ends. */
static const char *find_program(const char *name) {
    struct cb_place place = cb_place_program(name);
    if (place.status != CB_STATUS_WORKS) {
        bool by_path = strchr(name, '/') == NULL && place.status == CB_STATUS_MISSING;
        cb_die(place.status, by_path ? "%s: not found in PATH" : "%s: %s", name, strerror(place.error));
    }
    return place.path;
}

static int check(const struct cb_arguments *arguments, const char *path, const char *library) {
    struct cb_findings findings = {.count = 0};
    cb_check_program(&findings, path);
    cb_check_surroundings(&findings, library);
    cb_check_print(&findings, arguments->program[0], path);
    return findings.against == 0 ? CB_STATUS_WORKS : CB_STATUS_FAILS;
}

static void preload(const struct cb_arguments *arguments, const char *library, const char *gate) {
    if (gate == NULL) {
        cb_environment_preload(library);
    } else {
        cb_environment_only(arguments->only, library, gate);
    }
}

/* Runs the program while its calls are recorded, draws the page, and ends as the program did. */
_Noreturn static void report_on(const struct cb_arguments *arguments, const char *path, const char *library,
                                const char *gate) {
    static const char *const mallocs[] = {"cutback", NULL};
    if (gate == NULL) {
        cb_check_refuse(arguments->program[0], path, library);
    }
    struct cb_report report = cb_report_open(arguments->report);
    cb_report_record(&report);
    const char *list = getenv("LD_PRELOAD");
    char *kept = cb_text("%s", list != NULL ? list : "");
    preload(arguments, report.recorder, gate);
    struct cb_outcome outcome = cb_child_run(path, arguments->program, (struct cb_streams){-1, -1, -1});
    cb_environment_set_preload(kept);
    cb_report_recorded(&report);
    if (outcome.error != 0) {
        cb_report_close(&report);
        cb_child_refuse(arguments->program[0], outcome.error);
    }
    bool made = cb_report_make(&report, &outcome, arguments->program, mallocs);
    cb_report_close(&report);
    if (!made) {
        exit(CB_STATUS_OURS);
    }
    cb_child_end_like(&outcome);
}

_Noreturn static void become(const char *path, char **words) {
    execv(path, words);
    int error = errno;
    char **by_shell = error == ENOEXEC ? cb_child_by_shell(path, words) : NULL;
    if (by_shell != NULL) {
        execv(by_shell[0], by_shell);
        error = errno;
    }
    cb_child_refuse(words[0], error);
}

/* The status, unless what was said did not get through. */
static int finish(int status) {
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        cb_die(CB_STATUS_OURS, "standard output cannot be written to");
    }
    return status;
}

int main(int count, char **words) {
    if (count == 2 && strcmp(words[1], CB_TRIAL_ARGUMENT) == 0) {
        return cb_check_trial();
    }
    struct cb_arguments arguments = cb_arguments_read(count, words);
    const char *path = find_program(arguments.program[0]);
    char *library = cb_place_library(arguments.debug            ? CB_LIBRARY_DEBUG
                                     : arguments.record != NULL ? CB_LIBRARY_RECORD
                                                                : CB_LIBRARY_HEAP);
    char *gate = arguments.only != NULL ? cb_place_library(CB_LIBRARY_ONLY) : NULL;
    if (arguments.check) {
        return finish(check(&arguments, path, library));
    }
    if (arguments.compare) {
        struct cb_report report;
        if (arguments.report != NULL) {
            report = cb_report_open(arguments.report);
        }
        return finish(cb_compare(&arguments, path, library, gate, arguments.report != NULL ? &report : NULL));
    }
    if (arguments.report != NULL) {
        report_on(&arguments, path, library, gate);
    }
    preload(&arguments, library, gate);
    if (arguments.debug) {
        cb_debug_run(path, arguments.program);
    }
    become(path, arguments.program);
}
