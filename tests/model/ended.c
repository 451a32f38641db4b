/*
 * Heaps of threads that end without parking them (src/heap/thread.c, src/os/alive.c). A thread that gets a heap
 * holds the heap's mark, then says that the heap is running. One such thread ends while it has the heap, and the
 * kernel says so in the mark; another drops its mark and parks, and then takes its heap again. Two threads look at the
 * marks of both. A thread that finds its mark taken by one of these goes on without it: it has a lock of the program's
 * all the while, and the other one comes to that lock before it lets the mark go, in a function put before pthread's.
 *
 * Claims: a heap never has two threads, what its threads do to it is ordered, and nobody waits for a mark.
 */
#define THREADS 4
#include "explore.h"

enum { ENDER, PARKER, FIRST_LOOKER, SECOND_LOOKER, HEAPS = 2 };
enum { PARKED, RUNNING };      /* states of a heap */
enum { FREE, DIED, HELD = 2 }; /* a mark; from HELD on: by that thread */
enum { AS_IT_IS, FREE_IS_DEAD, INHERIT_RELAXED, NOT_COMPARED, END_RELAXED, WAIT };
enum { LIFE = 7 }; /* steps from getting a heap to having parked it */

struct state {
    struct clock clock[THREADS];
    struct clock mark_clock[HEAPS], state_clock[HEAPS];
    struct datum data[HEAPS];
    uint8_t mark[HEAPS], state[HEAPS];
    uint8_t user[HEAPS]; /* thread + 1; of one that has ended, still */
    uint8_t held[HEAPS]; /* its thread has got the mark */
    uint8_t locked;      /* the program's lock */
    uint8_t seen[THREADS];
    uint8_t at[THREADS];
};

static void use(struct state *s, unsigned t, unsigned heap) {
    claim(s->user[heap] == t + 1, "a heap has two threads");
    note_write(s->clock, t, &s->data[heap]);
}

static void set_mark(struct state *s, unsigned t, unsigned heap, uint8_t mark) {
    s->mark[heap] = mark;
    release(s->clock, t, &s->mark_clock[heap], false);
}

/* The last steps of whoever parks a heap, from 0 on. */
static void park_step(struct state *s, unsigned t, unsigned heap, unsigned which) {
    if (which == 0) {
        use(s, t, heap);
        s->user[heap] = 0;
    } else if (which == 1) {
        if (s->held[heap] || t > PARKER) {
            set_mark(s, t, heap, FREE);
        }
    } else {
        s->state[heap] = PARKED;
    }
}

/* Heap 0 is the ender's, heap 1 the parker's. */
static enum outcome own_step(struct state *s, unsigned t) {
    unsigned heap = t;
    if (s->at[t] == (t == ENDER ? LIFE : 2 * LIFE)) {
        return ENDED;
    }
    switch (s->at[t] % LIFE) {
    case 0:
        if (s->locked) {
            return BLOCKED;
        }
        s->locked = 1;
        break;
    case 1:
        if (mistake == WAIT && s->mark[heap] != FREE) {
            return BLOCKED;
        }
        s->user[heap] = (uint8_t)(t + 1);
        s->held[heap] = s->mark[heap] == FREE;
        if (s->held[heap]) {
            acquire(s->clock, t, &s->mark_clock[heap]);
            s->mark[heap] = (uint8_t)(HELD + t);
        }
        break;
    case 2:
        s->state[heap] = RUNNING;
        release(s->clock, t, &s->state_clock[heap], false);
        break;
    case 3:
        use(s, t, heap);
        s->locked = 0;
        break;
    case 4:
        if (t == ENDER) { /* the kernel */
            if (s->held[heap] && mistake != END_RELAXED) {
                set_mark(s, t, heap, DIED);
            }
            s->mark[heap] = s->held[heap] ? DIED : s->mark[heap];
            s->at[t] = LIFE;
            return MOVED;
        }
        park_step(s, t, heap, 0);
        break;
    default:
        park_step(s, t, heap, s->at[t] % LIFE - 4u);
    }
    s->at[t]++;
    return MOVED;
}

/* Steps 0 to 6 for each heap. */
static enum outcome look_step(struct state *s, unsigned t) {
    unsigned heap = s->at[t] / 7;
    if (heap == HEAPS) {
        return ENDED;
    }
    uint8_t next = (uint8_t)((heap + 1) * 7);
    switch (s->at[t] % 7) {
    case 0: /* acquire */
        if (s->state[heap] != RUNNING) {
            s->at[t] = next;
            return MOVED;
        }
        acquire(s->clock, t, &s->state_clock[heap]);
        break;
    case 1: /* compare-and-swap */
        s->seen[t] = s->mark[heap];
        if (s->seen[t] >= HELD) {
            s->at[t] = next;
            return MOVED;
        }
        if (mistake != NOT_COMPARED) {
            s->mark[heap] = (uint8_t)(HELD + t);
        }
        break;
    case 2:
        if (mistake == NOT_COMPARED) {
            s->mark[heap] = (uint8_t)(HELD + t);
        }
        if (mistake != INHERIT_RELAXED) {
            acquire(s->clock, t, &s->mark_clock[heap]);
        }
        if (s->seen[t] == FREE && mistake != FREE_IS_DEAD) {
            s->at[t] = (uint8_t)(heap * 7 + 5); /* drops it again */
            s->seen[t] = HELD;
            return MOVED;
        }
        break;
    case 3: /* inherits */
        claim(heap == ENDER && s->user[heap] == ENDER + 1, "a heap was inherited from a thread that exists");
        s->user[heap] = (uint8_t)(t + 1);
        use(s, t, heap);
        break;
    case 4:
        park_step(s, t, heap, 0);
        break;
    case 5:
        if (s->locked) {
            return BLOCKED;
        }
        park_step(s, t, heap, 1);
        if (s->seen[t] == HELD) {
            s->at[t] = next;
            return MOVED;
        }
        break;
    default:
        park_step(s, t, heap, 2);
    }
    s->at[t]++;
    return MOVED;
}

static enum outcome step(struct state *s, unsigned t) {
    return t <= PARKER ? own_step(s, t) : look_step(s, t);
}

static void check_end(const struct state *s) {
    claim(s->state[PARKER] == PARKED && s->mark[PARKER] == FREE, "a heap was not parked");
    claim(!s->held[ENDER] || s->mark[ENDER] == DIED || s->state[ENDER] == PARKED, "a heap was lost");
}

DEFINE_EXPLORE

int main(void) {
    static const char *const mistakes[] = {
        "heaps of threads that ended",
        "with a free mark taken for that of a dead thread",
        "with a heap inherited without acquire",
        "with a mark that is taken in two steps",
        "with an end that is not ordered behind what the thread did",
        "with a mark that is waited for",
        NULL,
    };
    struct state s;
    memset(&s, 0, sizeof s);
    start_clocks(s.clock);
    for (unsigned heap = 0; heap < HEAPS; heap++) {
        s.user[heap] = (uint8_t)(heap + 1);
    }
    return explore_all(&s, mistakes);
}
