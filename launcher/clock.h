/*
 * clock.h: the time, for how long something took.
 *
 * Layer: launcher; the replayer's as well. Threads: any.
 */
#ifndef CB_CLOCK_H
#define CB_CLOCK_H

#include <time.h>

/* Seconds since some moment in the past. */
static inline double cb_clock_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

#endif
