/*
 * arguments.h: the command line. One line of CB_ARGUMENTS adds an option and its help; the manual page and
 * the completion are compared with it by a test.
 *
 * Layer: launcher. Threads: one.
 */
#ifndef CB_LAUNCHER_ARGUMENTS_H
#define CB_LAUNCHER_ARGUMENTS_H

#include <stdbool.h>

/* X(identifier, name, letter or 0, name of its value, in brackets where there may be none, or NULL, help) */
#define CB_ARGUMENTS(X)                                                                                      \
    X(CHECK, "check", 0, NULL, "say whether it will work, and if not why; do not run it")                    \
    X(COMPARE, "compare", 0, NULL, "run it under glibc, cutback and others; print a table")                  \
    X(ROUNDS, "rounds", 'n', "ROUNDS", "with --compare: so many runs under each (5)")                        \
    X(PREPARE, "prepare", 0, "COMMAND", "with --compare: carry this out before each run")                    \
    X(JSON, "json", 0, "FILE", "with --compare: write every run to this file, too")                          \
    X(ONLY, "only", 0, "NAME,...", "only programs of these names, whoever starts them")                      \
    X(OPTION, "option", 0, "NAME=VALUE", "an option of cutback (see below)")                                 \
    X(STATS, "stats", 0, "[=FORMAT]", "statistics when a process ends, as text or json")                     \
    X(STATS_FILE, "stats-file", 0, "FILE", "with --stats: add them to this file (%p: process)")              \
    X(DEBUG, "debug", 0, NULL, "find faults in its use of memory; sum up at the end")                        \
    X(RECORD, "record", 0, "FILE", "write every call of malloc to this trace")                               \
    X(REPORT, "report", 0, "FILE", "write a page with pictures of its memory to this file")                  \
    X(HELP, "help", 0, NULL, "print this")                                                                   \
    X(VERSION, "version", 0, NULL, "print the version")

struct cb_arguments {
    bool check, compare, stats, debug;
    unsigned rounds;            /* 0: not given */
    const char *prepare, *json; /* NULL: not given */
    const char *only, *record;  /* NULL: not given */
    const char *report;         /* NULL: not given */
    const char *stats_file;     /* NULL: not given */
    char **program;             /* its name and arguments, ends with NULL */
};

/*
 * Reads the command line. Options for the heap go into the environment. --help and --version are answered,
 * and wrong usage is told, and these end the launcher.
 */
struct cb_arguments cb_arguments_read(int count, char **words);

#endif
