/*
 * rank.h: the order in which locks are taken, asserted. In the build for tests only.
 *
 * Layer: os. Threads: any; what a thread holds is its own.
 *
 * A thread takes locks in the rising order of their ranks. One that is about to wait for a lock whose rank is not
 * above those of all locks that it holds ends the process, with a line that names both locks. Who tries, or waits until
 * a time, may do so in any order, since nobody waits for him for ever; what he gets counts as held.
 */
#ifndef CB_RANK_H
#define CB_RANK_H

struct cb_rank {
    const char *name; /* of the lock; NULL: it has no rank, and must not be used */
    unsigned rank;
};

/* Before the thread waits for the lock of this rank. */
void cb_rank_wait(const struct cb_rank *rank);

/* The thread has got it. */
void cb_rank_hold(const struct cb_rank *rank);

/* The thread gives it up. */
void cb_rank_drop(const struct cb_rank *rank);

/* Nobody holds it from now on; the thread need not have held it. */
void cb_rank_reset(const struct cb_rank *rank);

#endif
