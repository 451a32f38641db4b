/*
 * main.c: cutback-replay: the command line, and what a replay has found. See replay.h.
 *
 * Layer: replay, the top; finds libraries by way of the launcher's parts. Threads: one.
 */
#include "replay.h"

#include "environment.h"
#include "mallocs.h"
#include "place.h"
#include "say.h"

#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JSON_VERSION 1 /* of --json */

enum {
    OPTION_DUMP = 1000,
    OPTION_ADVISE,
    OPTION_JSON,
    OPTION_SHRINK,
    OPTION_TEST,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option options[] = {
    {"malloc", required_argument, NULL, 'm'},       {"check", required_argument, NULL, 'c'},
    {"dump", optional_argument, NULL, OPTION_DUMP}, {"advise", optional_argument, NULL, OPTION_ADVISE},
    {"json", no_argument, NULL, OPTION_JSON},       {"shrink", required_argument, NULL, OPTION_SHRINK},
    {"test", required_argument, NULL, OPTION_TEST}, {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION}, {NULL, 0, NULL, 0},
};

struct arguments {
    const char *malloc, *check, *shrink, *test, *trace;
    bool dump_text, dump_json, advise_text, advise_json, json;
};

static void print_help(void) {
    puts("usage: cutback-replay [OPTIONS] FILE\n"
         "\n"
         "Runs the calls of a trace (cutback-run --record) under whatever malloc is loaded: as many threads, "
         "the\n"
         "same sizes, in the same order. Checks what is in the objects; prints time and memory.\n"
         "\n"
         "  -m, --malloc NAME   under glibc, cutback, jemalloc, ... or LIBRARY.so\n"
         "  -c, --check HOW     ends (the usual), all or none of each object's bytes\n"
         "  --json              print it as JSON, with live and resident memory over time\n"
         "  --advise[=text]     say whether the program suits an arena; run nothing\n"
         "  --advise=json       the same as JSON\n"
         "  --dump[=text]       print every call, one a line, and run nothing\n"
         "  --dump=json         print a summary, and run nothing\n"
         "  --shrink FILE       write the smallest trace that still fails to FILE\n"
         "  --test COMMAND      with --shrink: fails where this does ($1: the trace)\n"
         "  --help              print this\n"
         "  --version           print the version\n"
         "\n"
         "The manual page says more: man cutback-replay");
}

_Noreturn static void answer(int which) {
    if (which == OPTION_HELP) {
        print_help();
    } else {
        puts("cutback-replay " CB_VERSION);
    }
    exit(cb_finish(0));
}

static void read_format(const char *name, const char *value, bool *text, bool *json) {
    if (value == NULL || strcmp(value, "text") == 0) {
        *text = true;
    } else if (strcmp(value, "json") == 0) {
        *json = true;
    } else {
        cb_die(CB_STATUS_USAGE, "%s is text or json, not %s", name, value);
    }
}

static void read_one(struct arguments *arguments, int which, const char *value) {
    switch (which) {
    case 'm':
        arguments->malloc = value;
        break;
    case 'c':
        arguments->check = value;
        break;
    case OPTION_DUMP:
        read_format("--dump", value, &arguments->dump_text, &arguments->dump_json);
        break;
    case OPTION_ADVISE:
        read_format("--advise", value, &arguments->advise_text, &arguments->advise_json);
        break;
    case OPTION_JSON:
        arguments->json = true;
        break;
    case OPTION_SHRINK:
        arguments->shrink = value;
        break;
    case OPTION_TEST:
        arguments->test = value;
        break;
    default:
        answer(which);
    }
}

static void check_together(const struct arguments *arguments) {
    bool dumps = arguments->dump_text || arguments->dump_json;
    bool advises = arguments->advise_text || arguments->advise_json;
    bool replays = !dumps && !advises && arguments->shrink == NULL;
    const struct {
        bool wrong;
        const char *text;
    } rules[] = {
        {arguments->advise_text && arguments->advise_json, "--advise is text or json, not both"},
        {advises &&
             (dumps || arguments->shrink != NULL || arguments->malloc != NULL || arguments->check != NULL),
         "--advise goes with no other option"},
        {arguments->json && !replays, "--json is for a replay (--dump=json, --advise=json)"},
        {arguments->dump_text && arguments->dump_json, "--dump is text or json, not both"},
        {dumps && arguments->shrink != NULL, "--dump and --shrink do not go together"},
        {dumps && arguments->malloc != NULL, "--dump runs nothing: --malloc is for a replay"},
        {dumps && arguments->check != NULL, "--dump runs nothing: --check is for a replay"},
        {arguments->test != NULL && arguments->shrink == NULL, "--test is for --shrink"},
        {arguments->test != NULL && arguments->malloc != NULL, "--test says by itself under which malloc"},
        {arguments->test != NULL && arguments->check != NULL, "--test says by itself what is checked"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].wrong) {
            cb_die(CB_STATUS_USAGE, "%s", rules[i].text);
        }
    }
}

static struct arguments read_arguments(int count, char **words) {
    struct arguments arguments = {.trace = NULL};
    int which;
    opterr = 0;
    while ((which = getopt_long(count, words, "+:m:c:", options, NULL)) != -1) {
        if (which == '?' || which == ':') {
            const char *word = optopt > 0 && optopt < OPTION_DUMP && words[optind - 1][1] != '-'
                                   ? cb_text("-%c", optopt)
                                   : words[optind - 1];
            if (which == '?' && optopt > OPTION_DUMP) {
                cb_die(CB_STATUS_USAGE, "%.*s takes no value (see cutback-replay --help)",
                       (int)strcspn(word, "="), word);
            }
            cb_die(CB_STATUS_USAGE,
                   which == ':' ? "%s wants a value (see cutback-replay --help)"
                                : "there is no option %s (see cutback-replay --help)",
                   word);
        }
        read_one(&arguments, which, optarg);
    }
    if (words[optind] == NULL || words[optind + 1] != NULL) {
        cb_die(CB_STATUS_USAGE, words[optind] == NULL ? "which trace? (see cutback-replay --help)"
                                                      : "one trace at a time (see cutback-replay --help)");
    }
    arguments.trace = words[optind];
    check_together(&arguments);
    return arguments;
}

static enum cb_check check_of(const char *word) {
    static const char *const words[] = {
        [CB_CHECK_ENDS] = "ends", [CB_CHECK_ALL] = "all", [CB_CHECK_NONE] = "none"};
    for (size_t i = 0; word != NULL && i < sizeof words / sizeof *words; i++) {
        if (strcmp(word, words[i]) == 0) {
            return (enum cb_check)i;
        }
    }
    if (word != NULL) {
        cb_die(CB_STATUS_USAGE, "--check is ends, all or none, not %s", word);
    }
    return CB_CHECK_ENDS;
}

/* ---- Under another malloc ---- */

_Noreturn static void refuse_malloc(const char *name, int error) {
    char *known = cb_text("%s, %s", CB_MALLOC_GLIBC, CB_MALLOC_CUTBACK);
    if (strchr(name, '/') != NULL) {
        cb_die(CB_STATUS_MISSING, "%s: %s", name, strerror(error));
    }
    for (size_t i = 0; i < cb_malloc_others(); i++) {
        if (strcmp(name, cb_malloc_other(i)) == 0) {
            cb_die(CB_STATUS_MISSING, "no malloc of this name is installed: %s", name);
        }
        known = cb_text("%s, %s", known, cb_malloc_other(i));
    }
    cb_die(CB_STATUS_MISSING, "no malloc is known as %s, but %s, and LIBRARY.so by a path with a slash", name,
           known);
}

/* Starts this program anew with that malloc preloaded, and without the option. */
_Noreturn static void become_under(const struct arguments *arguments) {
    char *library = cb_malloc_find(arguments->malloc);
    if (library == NULL && strcmp(arguments->malloc, CB_MALLOC_GLIBC) != 0) {
        refuse_malloc(arguments->malloc, errno);
    }
    if (library != NULL && !cb_environment_is_malloc(library)) {
        cb_die(CB_STATUS_MISSING, "%s is no library that defines malloc", library);
    }
    cb_environment_drop_mallocs();
    if (library != NULL) {
        cb_environment_preload(library);
    }
    const char *words[8] = {"cutback-replay", "--check",
                            arguments->check != NULL ? arguments->check : "ends"};
    size_t count = 3;
    if (arguments->json) {
        words[count++] = "--json";
    }
    words[count++] = "--";
    words[count] = arguments->trace;
    execv("/proc/self/exe", (char *const *)(const void *)words);
    cb_die(CB_STATUS_OURS, "/proc/self/exe: %s", strerror(errno));
}

/* ---- What it was like ---- */

static double mebibytes(uint64_t bytes) {
    return (double)bytes / (1 << 20);
}

static uint64_t above(uint64_t bytes, uint64_t base) {
    return bytes > base ? bytes - base : 0;
}

static void print_resident(const struct cb_plan *plan, const struct cb_replay_result *result) {
    const struct cb_sample *samples = plan->samples.start;
    double live = 0, resident = 0;
    uint64_t peak_live = 0, at_peak = 0;
    for (uint32_t i = 0; i < plan->sample_count; i++) {
        uint64_t here = above(samples[i].resident, result->base);
        live += (double)samples[i].live;
        resident += (double)here;
        if (samples[i].live >= peak_live) {
            peak_live = samples[i].live;
            at_peak = here;
        }
    }
    printf("resident: %.2f MiB at most, %.2f MiB at the end\n", mebibytes(above(result->peak, result->base)),
           mebibytes(above(result->at_end, result->base)));
    if (live > 0 && peak_live > 0) {
        printf("resident / live: %.2f at the peak, %.2f on average\n", (double)at_peak / (double)peak_live,
               resident / live);
    }
}

/* The library of the malloc that is called; "": not known. */
static const char *malloc_in_use(void) {
    Dl_info info;
    return dladdr((void *)malloc, &info) != 0 && info.dli_fname != NULL ? info.dli_fname : "";
}

static void print_json(const struct cb_plan *plan, const struct cb_replay_result *result) {
    const struct cb_sample *samples = plan->samples.start;
    const char *library = malloc_in_use();
    unsigned long long faults = result->minor_faults + result->major_faults;
    printf("{\n  \"version\": %d,\n  \"malloc\": ", JSON_VERSION);
    cb_json_text(library, strlen(library));
    printf(",\n  \"calls\": %llu,\n  \"seconds\": %.6f,\n  \"user_seconds\": %.6f,\n  \"system_seconds\": "
           "%.6f,\n",
           (unsigned long long)plan->calls, result->seconds, result->user, result->system);
    printf("  \"peak_bytes\": %llu,\n  \"peak_resident\": %llu,\n  \"end_resident\": %llu,\n  "
           "\"page_faults\": %llu,\n",
           (unsigned long long)plan->peak_live, (unsigned long long)above(result->peak, result->base),
           (unsigned long long)above(result->at_end, result->base), faults);
    printf("  \"samples\": [");
    for (uint32_t i = 0; i < plan->sample_count; i++) {
        printf("%s\n    [%llu, %.6f, %llu, %llu]", i > 0 ? "," : "", (unsigned long long)samples[i].calls,
               (double)samples[i].nanoseconds * 1e-9, (unsigned long long)samples[i].live,
               (unsigned long long)above(samples[i].resident, result->base));
    }
    printf("\n  ]\n}\n");
}

static void print_result(const struct cb_plan *plan, const struct cb_replay_result *result, uint64_t lost) {
    const char *library = malloc_in_use();
    if (library[0] != '\0') {
        printf("malloc: %s\n", library);
    }
    printf("calls: %llu by %u thread%s, recorded in %.3f s", (unsigned long long)plan->calls,
           plan->part_count, plan->part_count == 1 ? "" : "s", (double)plan->nanoseconds * 1e-9);
    unsigned long long left_out = plan->skipped + lost, faults = result->minor_faults + result->major_faults;
    if (left_out > 0) {
        printf(" (not replayed: %llu)", left_out);
    }
    printf("\nlive: %.2f MiB in %llu objects at most, %.2f MiB in %llu never freed\n",
           mebibytes(plan->peak_live), (unsigned long long)plan->peak_objects, mebibytes(plan->end_live),
           (unsigned long long)plan->end_objects);
    printf("time: %.4f s (user %.4f s, system %.4f s)\n", result->seconds, result->user, result->system);
    print_resident(plan, result);
    printf("page faults: %llu\n", faults);
}

static int replay(const struct arguments *arguments) {
    struct cb_trace_reader reader;
    struct cb_plan plan;
    enum cb_check check = check_of(arguments->check);
    if (!cb_trace_open(&reader, arguments->trace) || !cb_plan_make(&plan, &reader)) {
        cb_die(CB_STATUS_OURS, "%s: %s", arguments->trace, reader.error);
    }
    uint64_t there = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (plan.peak_live > there) {
        cb_die(CB_STATUS_OURS,
               "%s: it has %.1f GiB live at its peak, and this machine has %.1f GiB of memory",
               arguments->trace, mebibytes(plan.peak_live) / 1024, mebibytes(there) / 1024);
    }
    struct cb_replay_result result = cb_replay_run(&plan, check);
    if (arguments->json) {
        print_json(&plan, &result);
    } else {
        print_result(&plan, &result, reader.header->lost);
    }
    return cb_finish(0);
}

static int shrink(const struct arguments *arguments) {
    char *words[8];
    size_t count = 0;
    words[count++] = "/proc/self/exe";
    words[count++] = "--check";
    words[count++] = (char *)(arguments->check != NULL ? arguments->check : "ends");
    if (arguments->malloc != NULL) {
        words[count++] = "--malloc";
        words[count++] = (char *)arguments->malloc;
    }
    words[count++] = "--";
    words[count] = NULL;
    check_of(arguments->check);
    return cb_shrink(&(struct cb_shrink){
        .trace = arguments->trace, .out = arguments->shrink, .command = arguments->test, .words = words});
}

int main(int count, char **words) {
    cb_say_as = "cutback-replay";
    struct arguments arguments = read_arguments(count, words);
    if (arguments.dump_text) {
        return cb_dump_text(arguments.trace);
    }
    if (arguments.dump_json) {
        return cb_dump_json(arguments.trace);
    }
    if (arguments.advise_text || arguments.advise_json) {
        return cb_print_advice(arguments.trace, arguments.advise_json);
    }
    if (arguments.shrink != NULL) {
        return shrink(&arguments);
    }
    if (arguments.malloc != NULL) {
        check_of(arguments.check);
        become_under(&arguments);
    }
    return replay(&arguments);
}
