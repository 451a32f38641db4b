/*
 * A fork while another thread is anywhere (src/heap/thread.c, cb_fork_notice): the child has one thread,
 * which starts a second at once; no handler has run. A word of memory is zero in the child until it is
 * repaired. Whoever needs a lock looks at the word first; who finds it zero repairs, the other waits.
 * Repairing frees the lock that the lost thread held, forgets the list that it was changing, and freezes what
 * was in use.
 *
 * Claims: nobody hangs, a lock is never taken from a living thread, the list is whole whenever somebody has
 * the lock, and no heap is adopted that the lost thread had.
 */
#define THREADS 3
#include "explore.h"

enum { LOST, FORKER, SECOND, HEAPS = 4, NONE = 0xFF };
enum { FREE, PARKED, RUNNING, FROZEN }; /* states of a heap */
enum { REPAIR, REPAIRING, GOOD };       /* the word */
enum { AS_IT_IS, NO_NOTICE, NO_WAIT, LIST_KEPT, REPAIR_TWICE };

struct state {
    struct clock clock[THREADS];
    struct clock lock_clock, word_clock;
    struct datum list_data;
    uint8_t word, forked;
    uint8_t lock; /* thread + 1 */
    uint8_t list_whole, idle, next_idle[HEAPS], heaps, heap_state[HEAPS];
    uint8_t at[THREADS], heap[THREADS], torn;
};

/* In the parent: makes a heap its own, uses it, parks it; in steps as small as the stores. */
static enum outcome lost_step(struct state *s) {
    if (s->forked) {
        return ENDED;
    }
    switch (s->at[LOST]) {
    case 0:
    case 5:
        if (s->lock != 0) {
            return BLOCKED;
        }
        s->lock = LOST + 1;
        acquire(s->clock, LOST, &s->lock_clock);
        break;
    case 1:
        s->list_whole = 0;
        s->heap[LOST] = s->idle;
        break;
    case 2:
        s->idle = s->next_idle[s->heap[LOST]];
        s->list_whole = 1;
        break;
    case 3:
        s->heap_state[s->heap[LOST]] = RUNNING;
        break;
    case 4:
    case 9:
        s->lock = 0;
        release(s->clock, LOST, &s->lock_clock, false);
        break;
    case 6: /* state first, then the list */
        s->heap_state[s->heap[LOST]] = PARKED;
        s->list_whole = 0;
        break;
    case 7:
        s->next_idle[s->heap[LOST]] = s->idle;
        break;
    case 8:
        s->idle = s->heap[LOST];
        s->list_whole = 1;
        break;
    default:
        return ENDED;
    }
    s->at[LOST]++;
    return MOVED;
}

/* At 10 to 14: repairs. */
static enum outcome repair_step(struct state *s, unsigned t) {
    switch (s->at[t]) {
    case 10:
        claim(s->lock == 0 || s->lock == LOST + 1, "a lock was taken from a living thread");
        s->torn = s->lock != 0;
        s->lock = 0;
        break;
    case 11:
        note_write(s->clock, t, &s->list_data);
        if (s->torn && mistake != LIST_KEPT) {
            s->idle = NONE;
            s->list_whole = 1;
        }
        break;
    case 12:
        for (unsigned i = 0; i < HEAPS; i++) {
            if (s->heap_state[i] == RUNNING) {
                s->heap_state[i] = FROZEN;
            }
        }
        break;
    default: /* release */
        s->word = GOOD;
        release(s->clock, t, &s->word_clock, false);
        s->at[t] = 2;
        return MOVED;
    }
    s->at[t]++;
    return MOVED;
}

/* In the child: notices, then adopts a heap or makes one. */
static enum outcome child_step(struct state *s, unsigned t) {
    if (s->at[t] >= 10) {
        return repair_step(s, t);
    }
    switch (s->at[t]) {
    case 0: /* compare-and-swap, acquire */
        if (mistake == NO_NOTICE) {
            s->at[t] = 2;
            return MOVED;
        }
        if (s->word == REPAIR || mistake == REPAIR_TWICE) {
            s->word = REPAIRING;
            s->at[t] = 10;
            return MOVED;
        }
        break;
    case 1: /* acquire */
        if (s->word != GOOD && mistake != NO_WAIT) {
            return BLOCKED;
        }
        acquire(s->clock, t, &s->word_clock);
        break;
    case 2:
        if (s->lock != 0) {
            return BLOCKED;
        }
        s->lock = (uint8_t)(t + 1);
        acquire(s->clock, t, &s->lock_clock);
        break;
    case 3:
        note_write(s->clock, t, &s->list_data);
        claim(s->list_whole, "a list was used that was not whole");
        s->list_whole = 0;
        s->heap[t] = s->idle;
        break;
    case 4:
        if (s->heap[t] != NONE) {
            s->idle = s->next_idle[s->heap[t]];
        } else {
            s->heap[t] = s->heaps++;
        }
        claim(s->heap_state[s->heap[t]] == PARKED || s->heap_state[s->heap[t]] == FREE,
              "a heap was adopted that was in use");
        s->list_whole = 1;
        break;
    case 5:
        s->heap_state[s->heap[t]] = RUNNING;
        break;
    case 6:
        claim(s->lock == t + 1, "a lock was lost");
        s->lock = 0;
        release(s->clock, t, &s->lock_clock, false);
        break;
    default:
        claim(s->heap_state[s->heap[t]] == RUNNING, "the heap of a living thread was frozen");
        return ENDED;
    }
    s->at[t]++;
    return MOVED;
}

static enum outcome step(struct state *s, unsigned t) {
    if (t == LOST) {
        return lost_step(s);
    }
    if (s->forked) {
        return child_step(s, t);
    }
    if (t == FORKER) { /* the fork: from here on there is only the child */
        s->forked = 1;
        s->word = REPAIR;
        acquire(s->clock, FORKER, &s->clock[LOST]); /* memory is copied as it is */
        acquire(s->clock, SECOND, &s->clock[FORKER]);
        return MOVED;
    }
    return BLOCKED;
}

static void check_end(const struct state *s) {
    claim(s->heap[FORKER] != s->heap[SECOND], "two threads have one heap");
}

DEFINE_EXPLORE

int main(void) {
    static const char *const mistakes[] = {
        "repair after a fork",
        "with locks that are taken without a look at the word",
        "with nobody waiting for the repair",
        "with lists that are kept",
        "with a second repair",
        NULL,
    };
    struct state s;
    memset(&s, 0, sizeof s);
    start_clocks(s.clock);
    s.word = GOOD;
    s.list_whole = 1;
    s.heaps = 1;
    s.heap_state[0] = PARKED; /* idle: heap 0 */
    memset(s.next_idle, NONE, sizeof s.next_idle);
    memset(s.heap, NONE, sizeof s.heap);
    return explore_all(&s, mistakes);
}
