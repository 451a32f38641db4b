/*
 * fork.h: noticing, from any layer, that this process is a forked child that has not been repaired.
 *
 * Layer: heap, the lowest: whoever takes a shared lock calls this first. It knows nobody: who has state that a lost
 * thread may have left half changed repairs it in a function of its own, and thread.c hands a table of them down.
 */
#ifndef CB_HEAP_FORK_H
#define CB_HEAP_FORK_H

#include "heap/types.h"

struct cb_fork_parts {
    void (*const *repair)(void); /* in this order, up to NULL: each once in a child, by one thread */
    void (*came_over)(
        bool was_there); /* after that, by each thread; `was_there`: it has come over the fork for sure */
};

/*
 * Before the first heap is used: children that no handler knows of are noticed from now on. `parts` stays. Any
 * number of times.
 */
void cb_fork_begin(const struct cb_fork_parts *parts);

/* After cb_fork_begin, soon, and not under a lock (libc may allocate): fork() is noticed from now on. */
void cb_fork_watch(void);

/*
 * Returns at once in a process that is no child, or a repaired one; else repairs what the threads that this
 * process does not have left behind, once, whoever comes first. A thread that came over the fork while another
 * has repaired looks after its own heap here. Any thread.
 */
void cb_fork_repair_if_child(void);

/*
 * False in a child that has not been repaired, or is being: then locks may be held by threads that it does not have.
 * Waits for nothing and repairs nothing, so signal handlers may ask.
 */
bool cb_fork_is_settled(void);

/*
 * Takes the lock of the thread's own heap. False, and no lock, where this process turns out to be a child in
 * which the thread has had to leave that heap: then nothing of it may be touched any more. Once a thread has
 * its heap's lock, what it calls finds the process repaired.
 */
static inline bool cb_fork_lock(struct cb_heap *heap) {
    cb_fork_repair_if_child();
    if (CB_UNLIKELY(cb_thread.heap != heap)) {
        return false;
    }
    cb_lock_take(&heap->lock);
    return true;
}

#endif
