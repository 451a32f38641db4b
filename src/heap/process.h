/*
 * process.h: what happens once per process.
 *
 * Layer: heap, above the statistics. Threads: one, at start.
 */
#ifndef CB_HEAP_PROCESS_H
#define CB_HEAP_PROCESS_H

/*
 * A constructor: the options are read, if the first allocation has not done so; what must happen before main happens.
 * malloc.c names it, so that a program linked with the archive gets this file.
 */
void cb_process_start(void);

#endif
