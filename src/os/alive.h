/*
 * alive.h: a mark that tells whether the thread that holds it still exists.
 *
 * Layer: os. Threads: as each function says. No function here makes a system call unless two threads meet at
 * one mark, none allocates, and none may be called while a lock of ours is held: programs interpose the
 * functions of pthread.
 *
 * It is a robust mutex: when a thread ends, in whatever way, the kernel writes "its owner has died" into every
 * such mutex that the thread has locked. That comes after all that the thread did, and before pthread_join
 * returns.
 */
#ifndef CB_ALIVE_H
#define CB_ALIVE_H

#include <pthread.h>
#include <stdbool.h>

struct cb_alive {
    pthread_mutex_t mutex;
    bool held; /* by the thread whose mark it is; written by that thread alone */
};

/*
 * Once, before main: marks can be held from now on. Before that the C library may not have set up the first
 * thread, and cb_alive_hold does nothing.
 */
void cb_alive_begin(void);

/* Before anybody else sees it, and in a forked child for a mark that nobody uses. */
void cb_alive_init(struct cb_alive *alive);

/*
 * The calling thread holds the mark until it drops it or ends; or does without, when another thread does not get out
 * of cb_alive_inherit for long. It is never waited for, whatever lock the caller holds.
 */
void cb_alive_hold(struct cb_alive *alive);
void cb_alive_drop(struct cb_alive *alive);

/*
 * True when the thread that held the mark has ended: then the calling thread holds it, and sees all that the
 * other did. False when that thread exists, or has dropped the mark.
 */
bool cb_alive_inherit(struct cb_alive *alive);

/* In a forked child: the thread that held the mark at the fork, and is the only one, holds it anew. */
void cb_alive_renew(struct cb_alive *alive);

#endif
