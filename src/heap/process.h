/*
 * process.h: what happens once per process.
 *
 * Layer: heap. Threads: one, at start.
 */
#ifndef CB_HEAP_PROCESS_H
#define CB_HEAP_PROCESS_H

/*
 * Reads the options, as soon as libc has an environment: at the first allocation, or in a constructor. Being
 * called by the first allocation also sees to it that a program linked with the archive gets this file.
 */
void cb_process_begin(void);

#endif
