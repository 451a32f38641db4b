/*
 * print.c: see print.h.
 *
 * Layer: heap, and the public function malloc_stats. Threads: any.
 */
#include "heap/print.h"

#include "heap/names.h"
#include "heap/options.h"
#include "heap/line.h"
#include "heap/stats.h"
#include "os/os.h"

#include <signal.h>
#include <stdarg.h>
#include <string.h>

#define VERSION 1       /* of the JSON: doc/statistics.md */
#define PATIENCE 200    /* milliseconds that a report may wait for locks ... */
#define INTERRUPTING 20 /* ... and one from a signal handler, which may wait for what it interrupts */
#define BAR 40          /* characters of the longest bar */

enum reason { AT_EXIT, ON_SIGNAL, ON_CALL };

/* One report at a time; on the stack of a signal handler there may be little room. */
static struct {
    _Atomic uint64_t holder;        /* rank 0: the process of the thread that is printing; 0: none is.
                                       Acquire in take_report, release in drop_report */
    size_t length;                  /* guarded by holder, as all that follows */
    char text[6144];                /* more than all figures at their largest take */
    char path[CB_OPTION_PATH * 11]; /* two characters may become 20 digits */
    char program[2 * 16 + 1];       /* its name, escaped for JSON */
    struct cb_stats stats;
} report;

/* ---- Text ---- */

static void put(const char *text, size_t length) {
    size_t room = sizeof report.text - report.length;
    length = length < room ? length : room;
    memcpy(report.text + report.length, text, length);
    report.length += length;
}

static void put_string(const char *text) {
    put(text, strlen(text));
}

/* With spaces before it, up to a width. */
static void put_number(size_t number, size_t width) {
    struct cb_line line = {.length = 0};
    cb_line_number(&line, number);
    for (size_t i = line.length; i < width; i++) {
        put(" ", 1);
    }
    put(line.text, line.length);
}

/* %n: a number, %k: bytes, in KiB, %s: a string. */
static void say(const char *format, ...) {
    va_list values;
    va_start(values, format);
    put_string("cutback: ");
    for (const char *next; *format != '\0'; format = next + 2) {
        next = strchr(format, '%');
        if (next == NULL) {
            put_string(format);
            break;
        }
        put(format, (size_t)(next - format));
        if (next[1] == 's') {
            put_string(va_arg(values, const char *));
        } else {
            put_number(va_arg(values, size_t) >> (next[1] == 'k' ? 10 : 0), 0);
        }
    }
    put("\n", 1);
    va_end(values);
}

static void say_sizes(const struct cb_census *census) {
    size_t most = 1;
    for (unsigned i = 0; i < CB_CENSUS_POWERS; i++) {
        most = census->power[i].bytes > most ? census->power[i].bytes : most;
    }
    put_string("cutback: live objects by size: up to (bytes), objects, KiB\n");
    for (unsigned i = 0; i < CB_CENSUS_POWERS; i++) {
        if (census->power[i].objects == 0) {
            continue;
        }
        put_string("cutback: ");
        put_number((size_t)1 << i, 12);
        put_number(census->power[i].objects, 12);
        put_number((census->power[i].bytes + 1023) >> 10, 12);
        put_string("  ");
        for (size_t bar = (census->power[i].bytes >> 10) * BAR / ((most >> 10) + 1) + 1; bar != 0; bar--) {
            put("*", 1);
        }
        put("\n", 1);
    }
}

static const struct {
    unsigned bit;
    const char *name, *means;
} parts[] = {
    {CB_LEFT_OUT_PAGES, "pages", "what is free, and so what is in use, is not known"},
    {CB_LEFT_OUT_BLOCKS, "blocks", "the objects of some blocks are not counted"},
    {CB_LEFT_OUT_LARGE, "large", "objects above 32 KiB are not counted"},
    {CB_LEFT_OUT_RESIDENT, "resident", "the system does not say what is resident"},
};
#define PARTS (sizeof parts / sizeof *parts)

static void say_text(const struct cb_stats *s, enum reason reason) {
    static const char *const when[] = {", at exit", ", on a signal", ""};
    say("process %n (%s)%s", (size_t)cb_os_process(), report.program, when[reason]);
    say("mapped: %k KiB, in use: %k KiB, live: %k KiB in %n objects, metadata: %k KiB", s->pages.mapped,
        s->in_use, s->census.live.bytes, s->census.live.objects, s->metadata);
    say("taken by blocks and large objects: %k KiB, at most %k KiB; resident, the whole process: %k KiB, at "
        "most %k KiB",
        s->taken, s->reserve.most_in_use, s->resident, s->resident_most);
    say("resident without anything live in it: %k KiB; kept since as much was wanted again: up to %k KiB",
        s->trimmable, s->reserve.regret);
    say("returned to the system: %k KiB in %n calls; of these wanted again soon: %k KiB", s->pages.purged,
        s->pages.purges, s->reserve.again);
    say("calls, metadata included: mmap %n (%k KiB), munmap %n (%k KiB), madvise %n (%k KiB), mremap %n (%k "
        "KiB)",
        s->system.map.calls, s->system.map.bytes, s->system.unmap.calls, s->system.unmap.bytes,
        s->system.purge.calls, s->system.purge.bytes, s->system.move.calls, s->system.move.bytes);
    say("heaps: %n, that threads have: %n; blocks: %n; large objects: %n (%k KiB)", s->heaps, s->running,
        s->census.blocks, s->census.large.objects, s->census.large.bytes);
    say("freed: in bins: %n objects (%k KiB), by other threads, not taken in yet: %n objects (%k KiB), dead: "
        "%k KiB",
        s->census.parked.objects, s->census.parked.bytes, s->census.remote.objects, s->census.remote.bytes,
        s->dead);
    say("so far: objects dropped from bins: %n; sweeps: %n, over %k KiB, which found %k KiB; freed by other "
        "threads and taken in: %n, collected: %n; freed for libc: %n",
        s->overflowed, s->sweeps, s->swept, s->revived, s->taken_in, s->collected, s->foreign);
    for (size_t i = 0; i < PARTS; i++) {
        if ((s->left_out & parts[i].bit) != 0) {
            say("left out: %s: %s", parts[i].name, parts[i].means);
        }
    }
    say_sizes(&s->census);
}

/* ---- JSON ---- */

/* In the order of the document; a group's come together. Unknown figures are null. */
static const struct figure {
    const char *group, *name;
    size_t offset;
    unsigned part; /* whose being left out makes it unknown */
} figures[] = {
#define FIGURE(group, name, field, part)                                                                     \
    { group, name, offsetof(struct cb_stats, field), part }
    FIGURE("memory", "mapped_bytes", pages.mapped, 0),
    FIGURE("memory", "taken_bytes", taken, CB_LEFT_OUT_PAGES),
    FIGURE("memory", "taken_peak_bytes", reserve.most_in_use, 0),
    FIGURE("memory", "in_use_bytes", in_use, CB_LEFT_OUT_PAGES),
    FIGURE("memory", "free_bytes", free, CB_LEFT_OUT_PAGES),
    FIGURE("memory", "trimmable_bytes", trimmable, CB_LEFT_OUT_PAGES),
    FIGURE("memory", "dead_bytes", dead, 0),
    FIGURE("memory", "growth_room_bytes", rooms, CB_LEFT_OUT_PAGES),
    FIGURE("memory", "metadata_bytes", metadata, 0),
    FIGURE("memory", "regret_bytes", reserve.regret, 0),
    FIGURE("memory", "held_bytes", reserve.held, 0),
    FIGURE("resident", "bytes", resident, CB_LEFT_OUT_RESIDENT),
    FIGURE("resident", "peak_bytes", resident_most, CB_LEFT_OUT_RESIDENT),
    FIGURE("system", "returned_bytes", pages.purged, 0),
    FIGURE("system", "returned_calls", pages.purges, 0),
    FIGURE("system", "returned_too_early_bytes", reserve.again, 0),
    FIGURE("system", "mmap_bytes", system.map.bytes, 0),
    FIGURE("system", "mmap_calls", system.map.calls, 0),
    FIGURE("system", "munmap_bytes", system.unmap.bytes, 0),
    FIGURE("system", "munmap_calls", system.unmap.calls, 0),
    FIGURE("system", "madvise_bytes", system.purge.bytes, 0),
    FIGURE("system", "madvise_calls", system.purge.calls, 0),
    FIGURE("system", "mremap_bytes", system.move.bytes, 0),
    FIGURE("system", "mremap_calls", system.move.calls, 0),
    FIGURE("heaps", "count", heaps, 0),
    FIGURE("heaps", "running", running, 0),
    FIGURE("heaps", "blocks", census.blocks, 0),
    FIGURE("objects", "live", census.live.objects, 0),
    FIGURE("objects", "live_bytes", census.live.bytes, 0),
    FIGURE("objects", "large", census.large.objects, CB_LEFT_OUT_LARGE),
    FIGURE("objects", "large_bytes", census.large.bytes, CB_LEFT_OUT_LARGE),
    FIGURE("objects", "in_bins", census.parked.objects, 0),
    FIGURE("objects", "in_bins_bytes", census.parked.bytes, 0),
    FIGURE("objects", "remote", census.remote.objects, 0),
    FIGURE("objects", "remote_bytes", census.remote.bytes, 0),
    FIGURE("so_far", "dropped_from_bins", overflowed, 0),
    FIGURE("so_far", "sweeps", sweeps, 0),
    FIGURE("so_far", "swept_bytes", swept, 0),
    FIGURE("so_far", "found_bytes", revived, 0),
    FIGURE("so_far", "remote_taken_in", taken_in, 0),
    FIGURE("so_far", "remote_collected", collected, 0),
    FIGURE("so_far", "foreign_frees", foreign, 0),
#undef FIGURE
};

static void put_member(const char *separator, const char *name) {
    put_string(separator);
    put_string("\"");
    put_string(name);
    put_string("\":");
}

static void put_figures(const struct cb_stats *s) {
    const char *group = "";
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        const struct figure *figure = &figures[i];
        bool begins = strcmp(group, figure->group) != 0;
        if (begins) {
            put_member(i == 0 ? "," : "},", group = figure->group);
        }
        put_member(begins ? "{" : ",", figure->name);
        if ((s->left_out & figure->part) != 0) {
            put_string("null");
        } else {
            put_number(*(const size_t *)(const void *)((const char *)s + figure->offset), 0);
        }
    }
    put_string("}");
}

static void put_sizes(const struct cb_census *census) {
    const char *separator = "";
    put_string(",\"sizes\":[");
    for (unsigned i = 0; i < CB_CENSUS_POWERS; i++) {
        if (census->power[i].objects != 0) {
            put_string(separator);
            put_member("{", "up_to");
            put_number((size_t)1 << i, 0);
            put_member(",", "objects");
            put_number(census->power[i].objects, 0);
            put_member(",", "bytes");
            put_number(census->power[i].bytes, 0);
            put_string("}");
            separator = ",";
        }
    }
    put_string("]");
}

static void put_json(const struct cb_stats *s, enum reason reason) {
    static const char *const reasons[] = {"exit", "signal"};
    const char *separator = "";
    put_string("{\"version\":");
    put_number(VERSION, 0);
    put_string(",\"process\":");
    put_number((size_t)cb_os_process(), 0);
    put_string(",\"program\":\"");
    put_string(report.program);
    put_string("\",\"time\":");
    put_number((size_t)cb_os_time(), 0);
    put_string(",\"reason\":\"");
    put_string(reasons[reason]);
    put_string("\"");
    put_figures(s);
    put_sizes(&s->census);
    put_string(",\"left_out\":[");
    for (size_t i = 0; i < PARTS; i++) {
        if ((s->left_out & parts[i].bit) != 0) {
            put_string(separator);
            put_string("\"");
            put_string(parts[i].name);
            put_string("\"");
            separator = ",";
        }
    }
    put_string("]}\n");
}

/* ---- Where and when ---- */

/* Anything but plain ASCII is replaced; what JSON wants escaped is escaped in the text as well. */
static void read_program(void) {
    char name[16];
    size_t length = cb_os_load("/proc/self/comm", name, sizeof name), to = 0;
    for (size_t i = 0; i < length && name[i] != '\n'; i++) {
        char c = name[i] < ' ' || name[i] > '~' ? '?' : name[i];
        if (c == '"' || c == '\\') {
            report.program[to++] = '\\';
        }
        report.program[to++] = c;
    }
    report.program[to] = '\0';
}

static void tell_in_a_line(const char *what, const char *which) {
    struct cb_line line = {.length = 0};
    cb_line_string(&line, "cutback: ");
    cb_line_string(&line, what);
    cb_line_string(&line, which);
    cb_line_write(&line);
}

static void write_report(enum reason reason) {
    if (reason == ON_CALL) {
        cb_os_print(report.text, report.length);
    } else if (cb_options.stats_file[0] == '\0') {
        cb_os_message(report.text, report.length);
    } else {
        cb_options_expand(cb_options.stats_file, report.path, sizeof report.path);
        if (!cb_os_save(report.path, report.text, report.length)) {
            tell_in_a_line("stats_file: cannot write to ", report.path);
        }
    }
}

/* A holder of another process was at it when this one was forked, and is not here. */
static bool take_report(uint64_t until) {
    uint64_t process = cb_os_process(), holder = 0;
    /* acquire: partner of the release in drop_report */
    while (!atomic_compare_exchange_strong_explicit(&report.holder, &holder, process, memory_order_acquire,
                                                    memory_order_relaxed)) {
        if (holder != process) {
            continue; /* this value will do */
        }
        if (cb_os_milliseconds() >= until) {
            return false;
        }
        holder = 0;
        cb_os_yield();
    }
    return true;
}

static void drop_report(void) {
    /* release: publishes what was written to the next holder */
    atomic_store_explicit(&report.holder, 0, memory_order_release);
}

static void print(enum reason reason) {
    uint64_t until = cb_os_milliseconds() + (reason == ON_SIGNAL ? INTERRUPTING : PATIENCE);
    if (!take_report(until)) {
        tell_in_a_line("no statistics: others are being printed", "");
        return;
    }
    cb_stats_read_all(&report.stats, until, reason == ON_SIGNAL);
    read_program();
    report.length = 0;
    if (cb_options.stats_format == CB_STATS_JSON && reason != ON_CALL) {
        put_json(&report.stats, reason);
    } else {
        say_text(&report.stats, reason);
    }
    write_report(reason);
    drop_report();
}

void cb_print_at_exit(void) {
    print(AT_EXIT);
}

CB_EXPORT void CB_NAME(malloc_stats)(void) {
    print(ON_CALL);
}

static void handle(int signal) {
    (void)signal;
    print(ON_SIGNAL);
}

/* No other signal is handled meanwhile: the locks that are held are dropped soon. */
void cb_print_on_signal(int signal) {
    struct sigaction now, action = {.sa_handler = handle, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    if (sigaction(signal, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_DFL) {
        sigaction(signal, &action, NULL);
    }
}
