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
#include "record.h"
#include "report.h"
#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The path of what is to run. Where there is nothing that could run, the launcher ends. */
static const char *find_program(const struct cb_arguments *arguments) {
    const char *name = arguments->program[0];
    struct cb_place place = cb_place_program(name);
    if (place.status == CB_STATUS_WORKS) {
        return place.path;
    }
    if (strchr(name, '/') != NULL || place.status != CB_STATUS_MISSING) {
        cb_die(place.status, "%s: %s", name, strerror(place.error));
    }
    bool is_format = arguments->stats && (strcmp(name, "json") == 0 || strcmp(name, "text") == 0);
    bool is_rounds = arguments->compare && name[0] != '\0' && name[strspn(name, "0123456789")] == '\0';
    cb_die(place.status, "%s: not found in PATH%s%s%s", name,
           is_format   ? " (--stats="
           : is_rounds ? " (-n "
                       : "",
           is_format || is_rounds ? name : "", is_format || is_rounds ? "?)" : "");
}

static int check(const struct cb_arguments *arguments, const char *path, const char *library) {
    struct cb_findings findings = {.count = 0};
    cb_check_program(&findings, path);
    cb_check_surroundings(&findings, library);
    cb_check_print(&findings, arguments->program[0], path);
    return findings.against == 0 ? CB_STATUS_WORKS : CB_STATUS_FAILS;
}

/* Of a program that cutback cannot be in there would be no trace, and no statistics, without a word. */
static void look_at(const struct cb_arguments *arguments, const char *path) {
    if (arguments->only != NULL) {
        return;
    }
    if (arguments->record != NULL) {
        cb_check_refuse(arguments->program[0], path, NULL);
    } else if (arguments->stats) {
        cb_check_warn(arguments->program[0], path);
    }
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

/*
 * A standard stream that is closed is closed for the program as well; meanwhile it must not be the number of another
 * file, and nothing can be read from it or written to it.
 */
static void keep_closed(void) {
    for (int stream = 0; stream <= STDERR_FILENO; stream++) {
        if (fcntl(stream, F_GETFD) < 0) {
            (void)open("/dev/null", (stream == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
        }
    }
}

int main(int count, char **words) {
    keep_closed();
    if (count == 2 && strcmp(words[1], CB_TRIAL_ARGUMENT) == 0) {
        return cb_check_trial();
    }
    struct cb_arguments arguments = cb_arguments_read(count, words);
    const char *path = find_program(&arguments);
    char *library = cb_place_library(arguments.debug            ? CB_LIBRARY_DEBUG
                                     : arguments.record != NULL ? CB_LIBRARY_RECORD
                                                                : CB_LIBRARY_HEAP);
    char *gate = arguments.only != NULL ? cb_place_library(CB_LIBRARY_ONLY) : NULL;
    if (arguments.check) {
        return cb_finish(check(&arguments, path, library));
    }
    if (arguments.compare) {
        struct cb_report report;
        if (arguments.report != NULL) {
            report = cb_report_open(arguments.report);
        }
        return cb_finish(
            cb_compare(&arguments, path, library, gate, arguments.report != NULL ? &report : NULL));
    }
    if (arguments.report != NULL) {
        report_on(&arguments, path, library, gate);
    }
    look_at(&arguments, path);
    if (arguments.record != NULL) {
        cb_record_prepare(arguments.record);
    }
    preload(&arguments, library, gate);
    if (arguments.debug) {
        cb_debug_run(path, arguments.program);
    }
    become(path, arguments.program);
}
