/*
 * process.c: what happens once per process: options before main, the statistics at exit. Nothing is torn down.
 *
 * Layer: heap, above the options and what prints the statistics. Threads: at start and at exit.
 */
#include "heap/process.h"

#include "heap/layout.h"
#include "heap/options.h"
#include "heap/print.h"
#include "heap/report.h"
#include "heap/thread.h"
#include "os/os.h"

#include <unistd.h>

/* Sees to it that a program linked with the archive gets it. */
static __attribute__((used)) const struct cb_layout *const with_layout = &cutback_layout;

/* The recorder is built with another one. */
#ifndef CB_RECORDS
static void check_record(void) {
    if (cb_options.record[0] != '\0') {
        struct cb_line line = {.length = 0};
        cb_line_string(
            &line, "cutback: CUTBACK_OPTIONS: record is for libcutback_preload_record.so: use cutback-run "
                   "--record FILE");
        cb_line_write(&line);
    }
}
#else
static void check_record(void) {}
#endif

void cb_process_begin(void) {
    static bool begun;
    if (!begun && environ != NULL && cb_os_begin()) {
        begun = true;
        cb_options_init();
        check_record();
        if (cb_options.stats != CB_STATS_OFF) {
            cb_os_keep_stderr();
        }
    }
}

static __attribute__((constructor)) void process_start(void) {
    cb_process_begin();
    cb_thread_before_main();
    if (cb_options.stats >= CB_STATS_SIGNAL) {
        cb_print_on_signal((int)(cb_options.stats - CB_STATS_SIGNAL));
    }
}

static __attribute__((destructor)) void process_end(void) {
    if (cb_options.stats == CB_STATS_EXIT) {
        cb_print_at_exit();
    }
}
