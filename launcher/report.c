/*
 * report.c: see report.h.
 *
 * Layer: launcher, above child, environment and place. Threads: one.
 */
#include "report.h"

#include "environment.h"
#include "place.h"
#include "say.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_BEGINS "<!DOCTYPE html>"
#define WORDS_BEFORE_PROGRAM 32
#define COPY_CHUNK 65536 /* bytes */

/* ---- The page's file ---- */

static bool is_page(int file) {
    char start[sizeof PAGE_BEGINS - 1];
    struct stat status;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) {
        return true;
    }
    return pread(file, start, sizeof start, 0) == (ssize_t)sizeof start &&
           memcmp(start, PAGE_BEGINS, sizeof start) == 0;
}

/* Where there is no such file, one is made and removed, so that the program does not run for nothing. */
static void open_page(struct cb_report *report) {
    struct stat status;
    bool was_there = stat(report->out, &status) == 0;
    bool is_file = !was_there || S_ISREG(status.st_mode);
    int how = is_file ? O_RDWR
                      : O_WRONLY | O_NONBLOCK; /* of a pipe the only reader is another's, or there is none */
    report->file = open(report->out, how | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (report->file < 0 && was_there && errno == EACCES) {
        report->file = open(report->out, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    }
    if (report->file < 0) {
        cb_die(CB_STATUS_OURS, "--report: %s cannot be written to: %s", report->out, strerror(errno));
    }
    if (!is_file) {
        (void)fcntl(report->file, F_SETFL, 0);
    }
    if (!is_page(report->file)) {
        cb_die(CB_STATUS_OURS, "--report: %s is there, and is no page: it is not written over", report->out);
    }
    if (!was_there) {
        close(report->file);
        unlink(report->out);
        report->file = -1;
    }
}

static bool copy_page(const struct cb_report *report, int from) {
    static char chunk[COPY_CHUNK];
    ssize_t got;
    off_t at = 0;
    int file =
        report->file >= 0 ? report->file : open(report->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0) {
        return false;
    }
    (void)!ftruncate(file, 0); /* of a pipe or a device there is nothing to cut off */
    while ((got = pread(from, chunk, sizeof chunk, at)) > 0) {
        for (ssize_t done = 0; done < got;) {
            ssize_t written = write(file, chunk + done, (size_t)(got - done));
            if (written < 0 && errno != EINTR) {
                return false;
            }
            done += written > 0 ? written : 0;
        }
        at += got;
    }
    return got == 0 && close(file) == 0;
}

/* ---- What draws it ---- */

static int file_in_memory(const char *name) {
    int file = memfd_create(name, 0); /* the program in Python gets it */
    if (file < 0) {
        cb_die(CB_STATUS_OURS, "no file in memory: %s", strerror(errno));
    }
    return file;
}

static bool can_draw(const char *python, char *drawer) {
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    char *words[] = {(char *)python, drawer, "--can-draw",
                     NULL}; /* by its path, which says what packages it has */
    struct cb_outcome outcome = cb_child_run(python, words, (struct cb_streams){nowhere, nowhere, nowhere});
    close(nowhere);
    if (outcome.interrupted != 0) {
        cb_child_end_like(&(struct cb_outcome){.status = outcome.interrupted});
    }
    return cb_child_succeeded(&outcome);
}

/* The first python3 of PATH, or else the system's, which is the one that packages of matplotlib are for. */
static char *find_python(char *drawer) {
    static char of_system[] = "/usr/bin/python3";
    struct cb_place place = cb_place_program("python3");
    if (place.status == CB_STATUS_WORKS && can_draw(place.path, drawer)) {
        return place.path;
    }
    if (can_draw(of_system, drawer)) {
        return of_system;
    }
    cb_die(CB_STATUS_OURS, "--report needs python3 with matplotlib: apt-get install python3-matplotlib");
}

struct cb_report cb_report_open(const char *out) {
    struct cb_report report = {.out = out,
                               .drawer = cb_place_report(),
                               .replay = cb_place_replay(),
                               .recorder = cb_place_library(CB_LIBRARY_RECORD),
                               .compared = file_in_memory("cutback-compared")};
    open_page(&report);
    report.python = find_python(report.drawer);
    return report;
}

/* ---- Recording ---- */

static void set_options(const char *options) {
    if (options == NULL) {
        unsetenv("CUTBACK_OPTIONS");
    } else if (setenv("CUTBACK_OPTIONS", options, 1) != 0) {
        cb_die(CB_STATUS_OURS, "out of memory");
    }
}

void cb_report_record(struct cb_report *report) {
    const char *root = getenv("TMPDIR"), *options = getenv("CUTBACK_OPTIONS");
    report->options = options != NULL ? cb_text("%s", options) : NULL;
    report->folder = cb_text("%s/cutback-report.XXXXXX", root != NULL && root[0] == '/' ? root : "/tmp");
    if (mkdtemp(report->folder) == NULL) {
        cb_die(CB_STATUS_OURS, "--report: no folder for the recording, %s: %s", report->folder,
               strerror(errno));
    }
    char *option = cb_text("record=%s/%%p", report->folder);
    if (!cb_environment_option(option) || !cb_environment_option("record_sites=1")) {
        cb_report_close(report);
        cb_die(CB_STATUS_OURS, "--report: the name of TMPDIR has a comma or a %% in it");
    }
    free(option);
}

void cb_report_recorded(struct cb_report *report) {
    set_options(report->options);
    free(report->options);
    report->options = NULL;
}

/* ---- The page ---- */

static void remove_folder(const char *folder) {
    DIR *files = opendir(folder);
    for (const struct dirent *entry; files != NULL && (entry = readdir(files)) != NULL;) {
        if (entry->d_name[0] != '.') {
            unlinkat(dirfd(files), entry->d_name, 0);
        }
    }
    if (files != NULL) {
        closedir(files);
    }
    rmdir(folder);
}

void cb_report_close(struct cb_report *report) {
    if (report->folder != NULL) {
        remove_folder(report->folder);
        free(report->folder);
        report->folder = NULL;
    }
}

static char *describe(const struct cb_outcome *run) {
    double cpu = (double)(run->used.ru_utime.tv_sec + run->used.ru_stime.tv_sec) +
                 (double)(run->used.ru_utime.tv_usec + run->used.ru_stime.tv_usec) * 1e-6;
    char *end = cb_child_describe(run);
    char *text = cb_text("%.6f,%.6f,%ld,%s", run->seconds, cpu, run->used.ru_maxrss, end);
    free(end);
    return text;
}

/* The words for the program in Python. The caller frees the array. */
static char **words_for(const struct cb_report *report, const struct cb_outcome *run, char **program,
                        const char *const *mallocs) {
    size_t count = 0, given = 0;
    while (program[given] != NULL) {
        given++;
    }
    char **words = cb_obtain((WORDS_BEFORE_PROGRAM + given + 1) * sizeof *words);
    words[count++] = report->python;
    words[count++] = report->drawer;
    words[count++] = "--replay";
    words[count++] = report->replay;
    words[count++] = "--traces";
    words[count++] = report->folder;
    words[count++] = "--run";
    words[count++] = describe(run);
    words[count++] = "--version";
    words[count++] = CB_VERSION;
    if (report->compares) {
        words[count++] = "--compared";
        words[count++] = cb_text("/proc/self/fd/%d", report->compared);
    }
    for (size_t i = 0; mallocs[i] != NULL && count + 3 < WORDS_BEFORE_PROGRAM; i++) {
        words[count++] = "--malloc";
        words[count++] = (char *)mallocs[i];
    }
    words[count++] = "--";
    memcpy(words + count, program, (given + 1) * sizeof *words);
    return words;
}

bool cb_report_make(struct cb_report *report, const struct cb_outcome *run, char **program,
                    const char *const *mallocs) {
    int page = file_in_memory("cutback-page"), nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    char **words = words_for(report, run, program, mallocs);
    struct cb_outcome outcome = cb_child_run(report->python, words, (struct cb_streams){nowhere, page, -1});
    free(words);
    bool good = cb_child_succeeded(&outcome);
    signal(SIGPIPE, SIG_IGN); /* a pipe that nobody reads: told as any file that cannot be written to */
    if (outcome.interrupted != 0) {
        cb_report_close(report);
        cb_say("interrupted: there is no report");
        cb_child_end_like(&(struct cb_outcome){.status = outcome.interrupted});
    }
    if (good && !copy_page(report, page)) {
        cb_say("--report: %s cannot be written to: %s", report->out, strerror(errno));
        good = false;
    } else if (good) {
        cb_say("the report is in %s", report->out);
    } else if (outcome.error != 0 || WIFSIGNALED(outcome.status) ||
               WEXITSTATUS(outcome.status) != CB_REPORT_TOLD) {
        char *how = cb_child_describe(&outcome);
        cb_say("there is no report: %s: %s", report->drawer, how);
        free(how);
    }
    close(page);
    close(nowhere);
    return good;
}
