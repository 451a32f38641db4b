/*
 * A fork while another thread is anywhere (src/heap/fork.c, thread.c): the child has one thread, which starts a
 * second at once. A word of memory is zero in the child until it is repaired. Whoever needs a lock looks at the
 * word first; who finds it zero repairs, the other waits. The thread that forked enters twice: once since it
 * needs a lock, as in a handler of somebody else's, and once from our own handler, while the second thread goes
 * on. Repairing abandons the list that the lost thread was changing, freezes what was in use, and then frees the
 * lock. At any moment before it has looked at the word, the second thread may fork: in that child there is
 * nobody but it, and the repair was broken off somewhere.
 *
 * Claims: nobody hangs, a lock is never taken from a living thread, the list is whole whenever somebody has
 * the lock, and no heap is adopted that a lost thread had.
 */
#define THREADS 4
#include "explore.h"

enum { LOST, FORKER, SECOND, AGAIN /* the second fork */, HEAPS = 5, NONE = 0xFF };
enum { FREE, PARKED, RUNNING, FROZEN }; /* states of a heap */
enum { REPAIR, REPAIRING, GOOD };       /* the word */
enum { AS_IT_IS, NO_NOTICE, NO_WAIT, LIST_KEPT, REPAIR_TWICE, HANDLER_REPAIRS, LOCK_FREED_FIRST };

struct state {
    struct clock clock[THREADS];
    struct clock lock_clock, word_clock;
    struct datum list_data;
    uint8_t word, forked; /* how often */
    uint8_t handled;      /* our own handler has run */
    uint8_t lock;         /* thread + 1 */
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

static bool is_gone(const struct state *s, unsigned t) {
    return t == LOST || (t == FORKER && s->forked == 2);
}

static void free_lock(struct state *s) {
    claim(s->lock == 0 || is_gone(s, s->lock - 1u), "a lock was taken from a living thread");
    s->lock = 0;
}

/* At 10 to 14: repairs. */
static enum outcome repair_step(struct state *s, unsigned t) {
    switch (s->at[t]) {
    case 10:
        s->torn = s->lock != 0;
        if (mistake == LOCK_FREED_FIRST) {
            free_lock(s);
        }
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
            if (s->heap_state[i] == RUNNING && s->heap[t] != i) {
                s->heap_state[i] = FROZEN;
            }
        }
        break;
    case 13:
        free_lock(s);
        break;
    default: /* release */
        s->word = GOOD;
        release(s->clock, t, &s->word_clock, false);
        s->at[t] = s->handled && t == FORKER ? 8 : 2;
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
    case 7: /* our handler: the same look at the word */
        claim(s->heap_state[s->heap[t]] == RUNNING, "the heap of a living thread was frozen");
        if (t == FORKER) {
            s->handled = 1;
            if (s->word == REPAIR || mistake == HANDLER_REPAIRS) {
                s->at[t] = 10;
                return MOVED;
            }
        }
        break;
    default:
        claim(s->heap_state[s->heap[t]] == RUNNING, "the heap of a living thread was frozen");
        return ENDED;
    }
    s->at[t]++;
    return MOVED;
}

/* The second thread forks; what it does from then on, it does in its child. */
static enum outcome fork_again(struct state *s) {
    if (s->forked != 1 || s->at[SECOND] != 0) {
        return s->forked == 0 ? BLOCKED : ENDED;
    }
    s->forked = 2;
    s->word = REPAIR;
    acquire(s->clock, SECOND, &s->clock[LOST]);
    acquire(s->clock, SECOND, &s->clock[FORKER]);
    return MOVED;
}

static enum outcome step(struct state *s, unsigned t) {
    if (t == LOST) {
        return lost_step(s);
    }
    if (t == AGAIN) {
        return fork_again(s);
    }
    if (s->forked) {
        return is_gone(s, t) ? ENDED : child_step(s, t);
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
        "with a handler that repairs whatever came before",
        "with locks that are freed before what they guard is whole",
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
