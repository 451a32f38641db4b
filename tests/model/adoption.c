/*
 * The heap of a thread that ends (src/heap/thread.c): the thread takes in what others freed,
 * parks the heap and frees one more object afterwards; two new threads each adopt an idle heap or make one,
 * use it and end; another thread frees into the first heap all the while.
 *
 * Claims: a heap never has two threads, what its threads do to it is ordered, none is made without a
 * look for an idle one, and every object arrives.
 */
#define THREADS 4
#include "explore.h"

enum { LEAVER, FIRST_NEW, SECOND_NEW, STRANGER, HEAPS = 3, OBJECTS = 3, NONE = 0xFF };
enum { AS_IT_IS, UNLOCKED_POP, UNLOCK_RELAXED, PARK_BEFORE_LAST_USE, PUSH_RELAXED, INBOX_DROPPED_AT_EXIT };

struct state {
    struct clock clock[THREADS];
    struct clock lock_clock, inbox_clock[HEAPS];
    struct datum heap_data[HEAPS], block_data[OBJECTS];
    uint8_t lock; /* thread + 1 */
    uint8_t heaps;
    uint8_t idle, next_idle[HEAPS];
    uint8_t user[HEAPS];                 /* thread + 1 */
    uint8_t inbox[HEAPS], next[OBJECTS]; /* a block per object */
    uint8_t taken_in[OBJECTS];
    uint8_t at[THREADS], heap[THREADS], head[THREADS], popped[THREADS];
};

static enum outcome take_lock(struct state *s, unsigned t) {
    if (s->lock != 0) {
        return BLOCKED;
    }
    s->lock = (uint8_t)(t + 1);
    acquire(s->clock, t, &s->lock_clock);
    return MOVED;
}

static void drop_lock(struct state *s, unsigned t) {
    claim(s->lock == t + 1, "the lock was dropped by another");
    s->lock = 0;
    if (mistake != UNLOCK_RELAXED) {
        release(s->clock, t, &s->lock_clock, false);
    }
}

/* The inbox, as one step: handover.c looks at it more closely. */
static void push(struct state *s, unsigned t, unsigned heap, uint8_t object) {
    note_write(s->clock, t, &s->block_data[object]);
    s->next[object] = s->inbox[heap];
    s->inbox[heap] = object;
    if (mistake != PUSH_RELAXED) {
        release(s->clock, t, &s->inbox_clock[heap], true);
    }
}

static void take_in(struct state *s, unsigned t, unsigned heap) {
    acquire(s->clock, t, &s->inbox_clock[heap]);
    note_write(s->clock, t, &s->heap_data[heap]);
    while (s->inbox[heap] != NONE) {
        uint8_t object = s->inbox[heap];
        note_read(s->clock, t, &s->block_data[object]);
        claim(!s->taken_in[object], "an object was taken in twice");
        s->taken_in[object] = 1;
        s->inbox[heap] = s->next[object];
    }
}

static void use(struct state *s, unsigned t) {
    claim(s->user[s->heap[t]] == t + 1, "a heap has two threads");
    note_write(s->clock, t, &s->heap_data[s->heap[t]]);
}

/* The last steps of a thread that has a heap; from `first` on. */
static enum outcome leave_step(struct state *s, unsigned t, unsigned first) {
    uint8_t heap = s->heap[t];
    switch (s->at[t] - first) {
    case 0:
        if (mistake == INBOX_DROPPED_AT_EXIT) {
            s->inbox[heap] = NONE;
        }
        take_in(s, t, heap);
        break;
    case 1: /* detach */
        use(s, t);
        if (mistake != PARK_BEFORE_LAST_USE) {
            s->user[heap] = 0;
        }
        break;
    case 2:
        if (take_lock(s, t) == BLOCKED) {
            return BLOCKED;
        }
        break;
    case 3:
        s->next_idle[heap] = s->idle;
        s->idle = heap;
        break;
    case 4:
        drop_lock(s, t);
        break;
    default:
        if (mistake == PARK_BEFORE_LAST_USE) {
            use(s, t);
            s->user[heap] = 0;
        }
        s->heap[t] = NONE;
    }
    s->at[t]++;
    return MOVED;
}

static enum outcome new_step(struct state *s, unsigned t) {
    switch (s->at[t]) {
    case 0:
        if (mistake == UNLOCKED_POP) {
            break;
        }
        if (take_lock(s, t) == BLOCKED) {
            return BLOCKED;
        }
        break;
    case 1:
        s->heap[t] = s->idle;
        s->popped[t] = s->idle != NONE ? s->next_idle[s->idle] : NONE;
        break;
    case 2:
        if (s->heap[t] != NONE) {
            s->idle = s->popped[t];
        } else {
            s->heap[t] = s->heaps++;
        }
        claim(s->user[s->heap[t]] == 0 || mistake == PARK_BEFORE_LAST_USE,
              "a heap was adopted that has a thread");
        s->user[s->heap[t]] = (uint8_t)(t + 1);
        break;
    case 3:
        if (mistake != UNLOCKED_POP) {
            drop_lock(s, t);
        }
        break;
    case 4:
        use(s, t);
        break;
    case 5:
        take_in(s, t, s->heap[t]);
        break;
    case 12:
        return ENDED;
    default:
        return leave_step(s, t, 6);
    }
    s->at[t]++;
    return MOVED;
}

static enum outcome step(struct state *s, unsigned t) {
    if (t == FIRST_NEW || t == SECOND_NEW) {
        return new_step(s, t);
    }
    if (t == LEAVER && s->at[t] < 6) {
        return leave_step(s, t, 0);
    }
    /* Frees into heap 0: the leaver its last object, the stranger two. */
    unsigned before = t == LEAVER ? 6 : 0, count = t == LEAVER ? 1 : 2;
    if (s->at[t] - before == count) {
        return ENDED;
    }
    push(s, t, 0, (uint8_t)(t == LEAVER ? 0 : s->at[t] + 1));
    s->at[t]++;
    return MOVED;
}

static void check_end(const struct state *s) {
    unsigned idle = 0, found = 0;
    for (uint8_t heap = s->idle; heap != NONE; heap = s->next_idle[heap]) {
        claim(++idle <= HEAPS, "the list of idle heaps has a loop");
    }
    claim(idle == s->heaps, "a heap was lost");
    for (unsigned o = 0; o < OBJECTS; o++) {
        found += s->taken_in[o];
    }
    for (uint8_t o = s->inbox[0]; o != NONE; o = s->next[o]) {
        claim(!s->taken_in[o], "an object is in two places");
        found++;
    }
    claim(found == OBJECTS, "an object was lost");
}

DEFINE_EXPLORE

int main(void) {
    static const char *const mistakes[] = {
        "adoption",
        "with idle heaps taken without the lock",
        "with a lock that does not release",
        "with a heap parked before its last use",
        "with a push that does not release",
        "with an inbox thrown away at exit",
        NULL,
    };
    struct state s;
    memset(&s, 0, sizeof s);
    start_clocks(s.clock);
    s.heaps = 1;
    s.user[0] = LEAVER + 1;
    s.idle = NONE;
    memset(s.next_idle, NONE, sizeof s.next_idle);
    memset(s.inbox, NONE, sizeof s.inbox);
    memset(s.heap, NONE, sizeof s.heap);
    memset(s.head, NONE, sizeof s.head);
    memset(s.popped, NONE, sizeof s.popped);
    memset(s.next, NONE, sizeof s.next);
    s.heap[LEAVER] = 0;
    return explore_all(&s, mistakes);
}
