/*
 * fork.h: noticing, from any layer, that this process is a forked child that has not been repaired.
 *
 * Layer: heap, the lowest: whoever takes a shared lock calls this first. The repair itself is in thread.c,
 * which knows whose heaps are whose.
 */
#ifndef CB_HEAP_FORK_H
#define CB_HEAP_FORK_H

/*
 * Returns at once in a process that is no child, or a repaired one; else repairs what the threads that this
 * process does not have left behind. Any thread.
 */
void cb_fork_notice(void);

#endif
