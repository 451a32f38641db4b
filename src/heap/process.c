/*
 * process.c: what happens once per process: options before main, the report at exit. Nothing is torn down.
 *
 * Layer: the top of the heap. Threads: at start and at exit.
 */
#include "heap/options.h"
#include "heap/stats.h"

static __attribute__((constructor)) void process_start(void) {
    cb_options_init();
}

static __attribute__((destructor)) void process_end(void) {
    if (cb_options.stats) {
        cb_stats_report();
    }
}
