/*
 * thread.h: which heap a thread has: first use, exit, fork.
 *
 * Layer: heap, above everything but the public functions. Threads: any.
 */
#ifndef CB_HEAP_THREAD_H
#define CB_HEAP_THREAD_H

#include "heap/fork.h"
#include "heap/types.h"

/* The calling thread's heap, which it gets now if it has none. NULL: no memory. */
struct cb_heap *cb_thread_heap(void);

/* Before main: the key of the threads' destructor is among the first, and forks are noticed from then on. */
void cb_thread_before_main(void);

/*
 * Heaps that no thread runs give up what they can, those that threads have left without parking them too; of others
 * dead pages go back. Any thread.
 */
void cb_heaps_trim(void);

/* Where the first heap's address is, which has that of the next; for debuggers. */
extern struct cb_heap *_Atomic *const cb_heaps_list CB_HIDDEN;

/* Before the page allocator is used: the process has been started, and repaired after a fork. False: no
 * memory. */
bool cb_thread_ready(void);

/*
 * Calls `visit` for every heap of the process that is not frozen by a fork; for statistics. Without a lock: heaps are
 * only ever added, and threads may take and leave them meanwhile.
 */
void cb_heaps_each(void (*visit)(struct cb_heap *heap, void *context), void *context);

#endif
