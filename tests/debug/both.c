/*
 * A part of the debug variant, in a build of it for tests only: traces that are taken by rules are taken by libgcc's
 * unwinder as well, and the process ends if they differ. That is slow: it is done with the first 5000 traces of a
 * process and every 64th from then on. At exit it adds a line to the file that CUTBACK_TRACES names: how many were
 * the same, and of how many a rule was not simple.
 *
 * Layer: tests, beside src/debug/trace.c. Threads: any.
 */
#include "debug/types.h"

#include "heap/line.h"
#include "os/os.h"

#include <string.h>
#include <unistd.h>

#define ALL 5000
#define EVERY 64

static _Atomic size_t traces, same, slow; /* relaxed: they count */

static void tell(const char *what, const struct cb_trace *trace) {
    struct cb_line line = {.length = 0};
    cb_line_string(&line, "traces differ: ");
    cb_line_string(&line, what);
    cb_line_write(&line);
    cb_tell_trace("at", trace);
}

void cb_trace_compare(uint32_t number, bool by_rules) {
    struct cb_trace trace, other;
    if (!by_rules) {
        atomic_fetch_add_explicit(&slow, 1, memory_order_relaxed);
        return;
    }
    size_t count = atomic_fetch_add_explicit(&traces, 1, memory_order_relaxed);
    if (count >= ALL && count % EVERY != 0) {
        return;
    }
    cb_depot_get(number, &trace);
    cb_trace_slowly(&other);
    if (other.count == 0) {
        return; /* a signal has interrupted the unwinder */
    } else if (trace.count != other.count ||
               memcmp(trace.frame, other.frame, trace.count * sizeof *trace.frame) != 0) {
        tell("by rules", &trace);
        tell("by libgcc", &other);
        cb_os_abort();
    } else {
        atomic_fetch_add_explicit(&same, 1, memory_order_relaxed);
    }
}

static char file[256];

/* Programs may have thrown their environment away when they end. */
static __attribute__((constructor)) void note_file(void) {
    static const char name[] = "CUTBACK_TRACES=";
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        if (strncmp(*entry, name, sizeof name - 1) == 0 && strlen(*entry) < sizeof file) {
            memcpy(file, *entry + sizeof name - 1, strlen(*entry) + 2 - sizeof name);
        }
    }
}

static __attribute__((destructor)) void tell_counts(void) {
    struct cb_line line = {.length = 0};
    cb_line_number(&line, atomic_load_explicit(&same, memory_order_relaxed));
    cb_line_string(&line, " ");
    cb_line_number(&line, atomic_load_explicit(&slow, memory_order_relaxed));
    cb_line_string(&line, "\n");
    cb_os_append(file, line.text, line.length);
}
