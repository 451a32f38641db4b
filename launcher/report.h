/*
 * report.h: --report: a page about the program's memory, drawn from a recording of it.
 *
 * The program is recorded; a program in Python (report/) reads the traces by way of cutback-replay, and writes the page.
 *
 * Layer: launcher, above child, environment and place. Threads: one.
 */
#ifndef CB_LAUNCHER_REPORT_H
#define CB_LAUNCHER_REPORT_H

#include "child.h"

#include <stdbool.h>

/* The exit status of the program in Python when it has told by itself why there is no page. */
#define CB_REPORT_TOLD 3

struct cb_report {
    const char *out; /* the page's name, as the user has said it */
    int file;        /* it, open for writing; -1: it is made when there is something to put into it */
    char *python;    /* paths */
    char *drawer;    /* the program in Python */
    char *replay;    /* cutback-replay */
    char *recorder;  /* the library */
    char *folder;    /* for the traces */
    char *options;   /* CUTBACK_OPTIONS of the user; NULL: none */
    int compared;    /* a file in memory for what --compare has found */
    bool compares;   /* there is something in it */
};

/*
 * Opens the page and looks for all that is needed. Ends the launcher where the page cannot be written to or is some
 * other file, or where Python or matplotlib is missing.
 */
struct cb_report cb_report_open(const char *out);

/* Puts the options for the recorder into the environment, and takes them out again. */
void cb_report_record(struct cb_report *report);
void cb_report_recorded(struct cb_report *report);

/*
 * Makes the page of what was recorded in this run, with the resident memory under these mallocs (names as of
 * cutback-replay, the last one NULL). False, and told: there is none. If the launcher is interrupted meanwhile, it ends.
 */
bool cb_report_make(struct cb_report *report, const struct cb_outcome *run, char **program,
                    const char *const *mallocs);

/* Removes what was recorded. */
void cb_report_close(struct cb_report *report);

#endif
