/*
 * process.c: what happens once per process: options before main, the statistics at exit. Nothing is torn down.
 *
 * Layer: heap, above the options and what prints the statistics. Threads: at start and at exit.
 */
#include "heap/process.h"

#include "heap/layout.h"
#include "heap/options.h"
#include "heap/print.h"
#include "heap/thread.h"

/* Sees to it that a program linked with the archive gets it. */
static __attribute__((used)) const struct cb_layout *const with_layout = &cutback_layout;

__attribute__((constructor)) void cb_process_start(void) {
    cb_options_begin();
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
