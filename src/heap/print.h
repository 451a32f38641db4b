/*
 * print.h: writes the statistics: at exit, when a signal comes, and for malloc_stats; as text or as JSON.
 *
 * Layer: heap, above the statistics. Threads: any. Lock: report.holder (rank 0), inside.
 *
 * Nothing here allocates, uses stdio, is a cancellation point, or waits for a lock without end: in a signal handler the
 * interrupted thread may hold any of them, and so it may where a handler of the program's calls exit. Figures that
 * cannot be had in time are left out, and the report says so.
 */
#ifndef CB_HEAP_PRINT_H
#define CB_HEAP_PRINT_H

/* In the format, and to the file, that the options say; to what standard error was at start when they name none. */
void cb_print_at_exit(void);

/* From now on the same happens whenever the signal comes, unless something else is to happen then already. */
void cb_print_on_signal(int signal);

#endif
