/*
 * compare.h: --compare: the program under glibc, cutback, and every other malloc that is installed, in
 * turn.
 *
 * Layer: launcher, above child, environment, figures and libraries. Threads: one.
 */
#ifndef CB_LAUNCHER_COMPARE_H
#define CB_LAUNCHER_COMPARE_H

#include "arguments.h"
#include "child.h"
#include "figures.h"
#include "report.h"

enum cb_measure { CB_MEASURE_CPU, CB_MEASURE_WALL, CB_MEASURE_PEAK, CB_MEASURE_FAULTS, CB_MEASURES };

struct cb_contender {
    const char *name;
    char *library;           /* its path; NULL: nothing is preloaded */
    struct cb_outcome *runs; /* by round */
    unsigned differing;      /* runs that ended otherwise than the first of all; they are in no figure */
    struct cb_figures figures[CB_MEASURES];
    struct cb_figures ratios[CB_MEASURES]; /* to the first contender, in the same round */
};

struct cb_comparison {
    char **program; /* its name and arguments */
    unsigned rounds;
    struct cb_outcome first;         /* under glibc, shown and not measured */
    struct cb_contender *contenders; /* glibc, cutback, others */
    unsigned count;
};

/*
 * Runs, prints, and returns the exit status of the launcher. `library` is cutback's, `gate` that of --only
 * or NULL. With `report`, which may be NULL, the program runs once more at the end, to be recorded for it.
 */
int cb_compare(const struct cb_arguments *arguments, const char *path, const char *library, const char *gate,
               struct cb_report *report);

/* In the units of the table: seconds, seconds, MiB, faults. */
double cb_compare_value(const struct cb_outcome *outcome, enum cb_measure measure);

/* table.c: for people; json.c: every run, for programs. False: it could not be written. */
void cb_compare_print(const struct cb_comparison *comparison);
bool cb_compare_write(const struct cb_comparison *comparison, int file);

#endif
