/*
 * compare.c: runs a program under each malloc in turn. See compare.h.
 *
 * A first run, under glibc, is shown and not measured: it brings the program's files into memory. Then come
 * the rounds, each beginning with another malloc, so that a busy moment of the machine, or a place in the
 * order, hits all alike.
 *
 * Layer: launcher, above child, environment, figures and libraries. Threads: one.
 */
#include "compare.h"

#include "check.h"
#include "environment.h"
#include "libraries.h"
#include "mallocs.h"
#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 5
#define COPY_CHUNK 65536 /* bytes */
#define PATIENCE_MILLISECONDS 1000

struct bench {
    struct cb_comparison comparison;
    const char *path, *prepare, *only, *gate; /* prepare, only and gate may be NULL */
    int input;                                /* what the program reads */
    off_t input_start;                        /* -1: it cannot be given again, and need not be */
    int nowhere;                              /* /dev/null */
    bool shows_progress;
    double spent; /* seconds, in the runs of the rounds */
};

/* ---- Who takes part ---- */

static void note_malloc(const struct cb_needed *needed, void *found) {
    bool is_libc = strncmp(needed->name, "libc.so.", 8) == 0;
    *(bool *)found |= needed->path != NULL && !is_libc && cb_environment_is_malloc(needed->path);
}

/* A program that is linked with another malloc uses glibc's when libc comes before that. */
static char *library_of_glibc(const char *path) {
    bool other = false;
    cb_libraries_each_needed(path, note_malloc, &other);
    return other ? cb_libraries_find("libc.so.6") : NULL;
}

static void add_contender(struct cb_comparison *comparison, const char *name, char *library) {
    comparison->contenders[comparison->count++] = (struct cb_contender){
        .name = name, .library = library, .runs = cb_obtain(comparison->rounds * sizeof(struct cb_outcome))};
}

static void find_contenders(struct cb_comparison *comparison, const char *path, const char *library) {
    comparison->contenders = cb_obtain((2 + cb_malloc_others()) * sizeof *comparison->contenders);
    add_contender(comparison, "glibc", library_of_glibc(path));
    add_contender(comparison, "cutback", cb_text("%s", library));
    for (size_t i = 0; i < cb_malloc_others(); i++) {
        char *other = cb_malloc_find(cb_malloc_other(i));
        if (other != NULL) {
            add_contender(comparison, cb_malloc_other(i), other);
        }
    }
}

/* ---- What the program reads: the same each time ---- */

static int copy_of(int from) {
    static char chunk[COPY_CHUNK];
    struct pollfd input = {.fd = from, .events = POLLIN};
    if (poll(&input, 1, PATIENCE_MILLISECONDS) == 0) {
        cb_say("waiting for the input, which each run gets anew (without any: </dev/null)");
    }
    FILE *file = tmpfile();
    int copy = file != NULL ? fcntl(fileno(file), F_DUPFD_CLOEXEC, 3) : -1;
    if (file != NULL) {
        fclose(file);
    }
    ssize_t got = 1;
    while (copy >= 0 && (got = read(from, chunk, sizeof chunk)) > 0) {
        if (write(copy, chunk, (size_t)got) != got) {
            got = -1;
            break;
        }
    }
    if (copy < 0 || got < 0) {
        cb_die(CB_STATUS_OURS, "the input cannot be kept for the later runs: %s", strerror(errno));
    }
    return copy;
}

static void open_input(struct bench *bench) {
    struct stat status;
    bench->input = bench->nowhere;
    bench->input_start = -1;
    if (fstat(STDIN_FILENO, &status) != 0) {
        return;
    }
    if (S_ISREG(status.st_mode)) {
        bench->input = STDIN_FILENO;
        bench->input_start = lseek(STDIN_FILENO, 0, SEEK_CUR);
    } else if (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)) {
        bench->input = copy_of(STDIN_FILENO);
        bench->input_start = 0;
    } else if (isatty(STDIN_FILENO)) {
        cb_say("the program reads from /dev/null, not from the terminal");
    }
}

/* ---- Runs ---- */

static void clear_progress(const struct bench *bench) {
    if (bench->shows_progress) {
        fprintf(stderr, "\r%70s\r", "");
    }
}

/* After so many of all runs. */
static void show_progress(const struct bench *bench, unsigned done, const char *name) {
    const struct cb_comparison *comparison = &bench->comparison;
    unsigned left = comparison->rounds * comparison->count - done;
    if (bench->shows_progress) {
        char *time =
            done > 0 ? cb_text(", about %.0f s left", bench->spent / done * left) : cb_text("%s", "");
        char *line =
            cb_text("round %u of %u: %s%s", done / comparison->count + 1, comparison->rounds, name, time);
        fprintf(stderr, "\r%-70.70s", line);
        free(line);
        free(time);
    }
}

/* The signal was for the launcher, too. A status of wait that is its number alone means killed by it. */
static void stop_if_interrupted(const struct bench *bench, const struct cb_outcome *outcome) {
    if (outcome->interrupted != 0) {
        clear_progress(bench);
        cb_say("interrupted: nothing is compared");
        cb_child_end_like(&(struct cb_outcome){.status = outcome->interrupted});
    }
}

static void prepare(const struct bench *bench, bool shown) {
    char *words[] = {"sh", "-c", (char *)bench->prepare, NULL};
    struct cb_streams streams = {bench->nowhere, shown ? -1 : bench->nowhere, -1};
    if (bench->prepare == NULL) {
        return;
    }
    struct cb_outcome outcome = cb_child_run("/bin/sh", words, streams);
    stop_if_interrupted(bench, &outcome);
    if (!cb_child_succeeded(&outcome)) {
        clear_progress(bench);
        char *how = cb_child_describe(&outcome);
        cb_die(CB_STATUS_OURS, "--prepare: %s: %s", bench->prepare, how);
    }
}

static struct cb_outcome run_once(const struct bench *bench, const char *library, bool shown) {
    const char *list = getenv("LD_PRELOAD");
    char *kept = cb_text("%s", list != NULL ? list : "");
    if (bench->input_start >= 0 && lseek(bench->input, bench->input_start, SEEK_SET) < 0) {
        cb_die(CB_STATUS_OURS, "the input cannot be read again: %s", strerror(errno));
    }
    if (bench->only != NULL) {
        cb_environment_only(bench->only, library, bench->gate);
    } else if (library != NULL) {
        cb_environment_preload(library);
    }
    int output = shown ? -1 : bench->nowhere;
    struct cb_outcome outcome = cb_child_run(bench->path, bench->comparison.program,
                                             (struct cb_streams){bench->input, output, output});
    cb_environment_set_preload(kept);
    free(kept);
    return outcome;
}

static struct cb_outcome run_under(const struct bench *bench, const char *library, bool shown) {
    prepare(bench, shown);
    struct cb_outcome outcome = run_once(bench, library, shown);
    stop_if_interrupted(bench, &outcome);
    return outcome;
}

static void run_first(struct bench *bench) {
    struct cb_comparison *comparison = &bench->comparison;
    comparison->first = run_under(bench, comparison->contenders[0].library, true);
    const struct cb_outcome *first = &comparison->first;
    if (first->error != 0) {
        cb_child_refuse(comparison->program[0], first->error);
    }
    if (WIFSIGNALED(first->status)) {
        char *how = cb_child_describe(first);
        cb_die(CB_STATUS_SIGNAL + WTERMSIG(first->status),
               "%s is %s under glibc already: nothing is compared", comparison->program[0], how);
    }
}

static void run_rounds(struct bench *bench) {
    struct cb_comparison *comparison = &bench->comparison;
    for (unsigned round = 0; round < comparison->rounds; round++) {
        for (unsigned i = 0; i < comparison->count; i++) {
            struct cb_contender *contender = &comparison->contenders[(round + i) % comparison->count];
            show_progress(bench, round * comparison->count + i, contender->name);
            contender->runs[round] = run_under(bench, contender->library, false);
            bench->spent += contender->runs[round].seconds;
        }
    }
    clear_progress(bench);
}

/* ---- Figures ---- */

double cb_compare_value(const struct cb_outcome *outcome, enum cb_measure measure) {
    const struct rusage *used = &outcome->used;
    switch (measure) {
    case CB_MEASURE_CPU:
        return (double)(used->ru_utime.tv_sec + used->ru_stime.tv_sec) +
               (double)(used->ru_utime.tv_usec + used->ru_stime.tv_usec) * 1e-6;
    case CB_MEASURE_WALL:
        return outcome->seconds;
    case CB_MEASURE_PEAK:
        return (double)used->ru_maxrss / 1024;
    default:
        return (double)(used->ru_minflt + used->ru_majflt);
    }
}

static bool ended_alike(const struct cb_outcome *one, const struct cb_outcome *other) {
    return one->error == other->error && one->status == other->status;
}

static void sum_up_measure(const struct cb_comparison *comparison, struct cb_contender *contender,
                           enum cb_measure measure, double *values) {
    const struct cb_outcome *base = comparison->contenders[0].runs;
    size_t count = 0;
    for (unsigned round = 0; round < comparison->rounds; round++) {
        if (ended_alike(&contender->runs[round], &comparison->first)) {
            values[count++] = cb_compare_value(&contender->runs[round], measure);
        }
    }
    contender->differing = comparison->rounds - (unsigned)count;
    contender->figures[measure] = cb_figures_of(values, count);
    count = 0;
    for (unsigned round = 0; round < comparison->rounds; round++) {
        double other = cb_compare_value(&base[round], measure);
        if (ended_alike(&contender->runs[round], &comparison->first) &&
            ended_alike(&base[round], &comparison->first) && other > 0) {
            values[count++] = cb_compare_value(&contender->runs[round], measure) / other;
        }
    }
    contender->ratios[measure] = cb_figures_of(values, count);
}

static void sum_up(struct cb_comparison *comparison) {
    double *values = cb_obtain(comparison->rounds * sizeof *values);
    for (unsigned i = 0; i < comparison->count; i++) {
        for (int measure = 0; measure < CB_MEASURES; measure++) {
            sum_up_measure(comparison, &comparison->contenders[i], (enum cb_measure)measure, values);
        }
    }
    free(values);
}

/* ---- All of it ---- */

static int open_json(const char *name) {
    int file = name != NULL ? open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666) : -1;
    if (name != NULL && file < 0) {
        cb_die(CB_STATUS_OURS, "--json: %s: %s", name, strerror(errno));
    }
    return file;
}

/* One more run, whose calls are recorded for a page. */
static bool make_report(struct bench *bench, struct cb_report *report, int file) {
    const struct cb_comparison *comparison = &bench->comparison;
    const char **names = cb_obtain((comparison->count + 1) * sizeof *names);
    for (unsigned i = 0; i < comparison->count; i++) {
        names[i] = comparison->contenders[i].name;
    }
    names[comparison->count] = NULL;
    report->compares = cb_compare_write(comparison, file);
    prepare(bench, false);
    cb_report_record(report);
    struct cb_outcome recorded = run_once(bench, report->recorder, false);
    cb_report_recorded(report);
    if (recorded.interrupted != 0) {
        cb_report_close(report);
    }
    stop_if_interrupted(bench, &recorded);
    bool made = cb_report_make(report, &recorded, comparison->program, names);
    cb_report_close(report);
    free(names);
    return made;
}

int cb_compare(const struct cb_arguments *arguments, const char *path, const char *library, const char *gate,
               struct cb_report *report) {
    struct bench bench = {
        .comparison = {.program = arguments->program,
                       .rounds = arguments->rounds != 0 ? arguments->rounds : ROUNDS},
        .path = path,
        .prepare = arguments->prepare,
        .only = arguments->only,
        .gate = gate,
        .nowhere = open("/dev/null", O_RDWR | O_CLOEXEC),
        .shows_progress = isatty(STDERR_FILENO),
    };
    struct cb_comparison *comparison = &bench.comparison;
    if (arguments->only == NULL) {
        cb_check_refuse(arguments->program[0], path, library); /* all would run under glibc, and look alike */
    }
    int json = open_json(arguments->json);
    cb_environment_drop_mallocs();
    find_contenders(comparison, path, library);
    open_input(&bench);
    run_first(&bench);
    run_rounds(&bench);
    sum_up(comparison);
    cb_compare_print(comparison);
    if (json >= 0 && !cb_compare_write(comparison, json)) {
        cb_die(CB_STATUS_OURS, "--json: %s: %s", arguments->json, strerror(errno));
    }
    fflush(stdout);
    if (report != NULL && !make_report(&bench, report, dup(report->compared))) {
        return CB_STATUS_OURS;
    }
    unsigned differing = 0;
    for (unsigned i = 0; i < comparison->count; i++) {
        differing += comparison->contenders[i].differing;
    }
    return differing == 0 ? CB_STATUS_WORKS : CB_STATUS_FAILS;
}
