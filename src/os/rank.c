/*
 * rank.c: see rank.h.
 *
 * Layer: os. Threads: any; `held` is the thread's own. A signal handler that prints takes and drops locks in the midst
 * of this: it leaves each slot as it was, so a slot that is found free is still free afterwards.
 */
#include "os/rank.h"

#include "os/os.h"

#include <stdio.h>

#define HELD_MOST 8 /* more than there are ranks */

static _Thread_local const struct cb_rank *held[HELD_MOST]; /* NULL: a free slot */

static const char *name_of(const struct cb_rank *rank) {
    return rank->name != NULL ? rank->name : "a lock without a rank";
}

/* `other` may be NULL. */
static _Noreturn void complain(const struct cb_rank *rank, const char *what, const struct cb_rank *other) {
    char line[200];
    int length = snprintf(line, sizeof line, "cutback: %s (rank %u) %s", name_of(rank), rank->rank, what);
    if (other != NULL) {
        length += snprintf(line + length, sizeof line - (size_t)length, " %s (rank %u)", name_of(other),
                           other->rank);
    }
    line[length] = '\n';
    cb_os_message(line, (size_t)length + 1);
    cb_os_abort();
}

/* The slot that has it; for NULL a free one. NULL: there is none. */
static const struct cb_rank **find(const struct cb_rank *rank) {
    for (unsigned i = 0; i < HELD_MOST; i++) {
        if (held[i] == rank) {
            return &held[i];
        }
    }
    return NULL;
}

void cb_rank_wait(const struct cb_rank *rank) {
    if (rank->name == NULL) {
        complain(rank, "is waited for", NULL);
    }
    for (unsigned i = 0; i < HELD_MOST; i++) {
        if (held[i] != NULL && held[i]->rank >= rank->rank) {
            complain(rank, "is waited for by a thread that holds", held[i]);
        }
    }
}

void cb_rank_hold(const struct cb_rank *rank) {
    const struct cb_rank **slot = find(NULL);
    if (slot == NULL) {
        complain(rank, "is one lock too many for a thread", NULL);
    }
    *slot = rank;
}

void cb_rank_drop(const struct cb_rank *rank) {
    const struct cb_rank **slot = find(rank);
    if (slot == NULL) {
        complain(rank, "is dropped by a thread that does not hold it", NULL);
    }
    *slot = NULL;
}

void cb_rank_reset(const struct cb_rank *rank) {
    const struct cb_rank **slot = find(rank);
    if (slot != NULL) {
        *slot = NULL;
    }
}
