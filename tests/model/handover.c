/*
 * The hand-over of objects that another thread frees (src/heap/remote.c), step by step. Two threads free objects
 * of one block; the owner takes them in, uses them again and hands them out to be freed again. Once, when all are
 * parked, the block goes back, and another heap takes it.
 *
 * Claims: no object is lost, none is taken in twice, the block is in one inbox at most and in that of its owner,
 * and nothing that is not atomic is touched by two threads without a release and an acquire between.
 */
#define THREADS 4
#include "explore.h"

enum {
    OWNER,
    DROPPER = 3,
    OBJECTS = 3,
    UNITS = 2,
    HEAPS = 2,
    FREES = 2 /* of each thread that frees */,
    NONE = 0xFF
};
enum place { LIVE, REMOTE, PARKED };
enum { SHUT = 0x80 };
enum {
    AS_IT_IS,
    BIT_BEFORE_CLAIM,
    CLAIM_RELAXED,
    TAKE_RELAXED,
    SCAN_BEFORE_OPEN,
    CLOSE_BY_STORE,
    PUSH_ALWAYS,
    DROP_WHEN_QUEUED,
    LATE_BITS_COUNT
};

struct state {
    struct clock clock[THREADS];
    struct clock byte_clock[OBJECTS], mail_clock[THREADS];
    struct datum object_data[OBJECTS];
    uint8_t place[OBJECTS];
    uint8_t remote;        /* the block's bits */
    uint8_t owner;         /* heap, or NONE: no block */
    uint8_t queued[HEAPS]; /* how often the block is in the inbox */
    uint8_t dropped;       /* the block has gone back once */
    uint8_t mail[THREADS]; /* an object for the thread to free, or NONE */
    uint8_t at[THREADS];   /* where the thread is in its program */
    uint8_t sent[THREADS]; /* objects */
    uint8_t done[THREADS]; /* frees */
    uint8_t object[THREADS];
    uint8_t units, next; /* the owner's: what it looks through, and where it is */
};

static uint8_t bit_of(unsigned object) {
    return (uint8_t)(1u << (object == OBJECTS - 1 ? 1 : 0)); /* the first two share a unit */
}

static void push(struct state *s, uint8_t heap) {
    claim(heap != NONE, "a block that is none was queued");
    if (heap != NONE) {
        s->queued[heap]++;
        claim(s->queued[0] + s->queued[1] == 1, "a block was queued twice");
    }
}

static void free_done(struct state *s, unsigned t) {
    s->object[t] = NONE;
    s->done[t]++;
    s->at[t] = 0;
}

static enum outcome free_step(struct state *s, unsigned t) {
    uint8_t o = s->object[t], before;
    switch (s->at[t]) {
    case 0: /* an object comes, by whatever way the program has */
        if (s->done[t] == FREES) {
            return ENDED;
        }
        if (s->mail[t] == NONE) {
            return BLOCKED;
        }
        acquire(s->clock, t, &s->mail_clock[t]);
        s->object[t] = s->mail[t];
        s->mail[t] = NONE;
        s->at[t] = mistake == BIT_BEFORE_CLAIM ? 3 : 1;
        return MOVED;
    case 1: /* its last use, and the claim of its byte: compare-and-swap */
        note_write(s->clock, t, &s->object_data[o]);
        s->place[o] = REMOTE;
        if (mistake != CLAIM_RELAXED) {
            release(s->clock, t, &s->byte_clock[o], false);
        }
        if (mistake == BIT_BEFORE_CLAIM) {
            free_done(s, t);
            return MOVED;
        }
        s->at[t]++;
        return MOVED;
    case 2: /* is the bit set? */
        if ((s->remote & bit_of(o)) != 0) {
            free_done(s, t);
            return MOVED;
        }
        s->at[t]++;
        return MOVED;
    case 3: /* fetch-and-or */
        before = s->remote;
        s->remote |= bit_of(o);
        if (before == 0 || mistake == PUSH_ALWAYS || (mistake == LATE_BITS_COUNT && before == SHUT)) {
            s->at[t]++;
            return MOVED;
        }
        break;
    default: /* the owner, and the push: the owner cannot change meanwhile, so this is one step */
        push(s, s->owner);
        break;
    }
    if (mistake == BIT_BEFORE_CLAIM) {
        s->at[t] = 1;
        return MOVED;
    }
    free_done(s, t);
    return MOVED;
}

/* Takes one object out of the bin and gives it to the thread that has more to free. */
static bool hand_out(struct state *s) {
    for (unsigned t = OWNER + 1; t < DROPPER; t++) {
        for (unsigned o = 0; o < OBJECTS && s->mail[t] == NONE && s->sent[t] < FREES; o++) {
            if (s->place[o] == PARKED) {
                note_write(s->clock, OWNER, &s->object_data[o]);
                s->place[o] = LIVE;
                s->mail[t] = (uint8_t)o;
                s->sent[t]++;
                release(s->clock, OWNER, &s->mail_clock[t], false);
                return true;
            }
        }
    }
    return false;
}

static bool all_parked(const struct state *s) {
    for (unsigned o = 0; o < OBJECTS; o++) {
        if (s->place[o] != PARKED) {
            return false;
        }
    }
    return true;
}

/*
 * The block goes back when all in it is dead, here: parked. Compare-and-swap of its bits from 0. At any time when the
 * owner is not looking through it; then the lock is taken, or its bits are not 0.
 */
static enum outcome drop_step(struct state *s) {
    if (s->dropped || s->owner == NONE || s->at[OWNER] != 0 || !all_parked(s) ||
        (s->sent[1] == FREES && s->sent[2] == FREES) || (s->remote != 0 && mistake != DROP_WHEN_QUEUED)) {
        return ENDED;
    }
    s->remote = SHUT;
    s->owner = NONE;
    s->dropped = 1;
    return MOVED;
}

static void look_at(struct state *s, unsigned o) {
    if (s->place[o] == REMOTE) {
        if (mistake != TAKE_RELAXED) {
            acquire(s->clock, OWNER, &s->byte_clock[o]);
        }
        note_write(s->clock, OWNER, &s->object_data[o]);
        s->place[o] = PARKED;
    }
}

/* The owner runs whichever heap has the block. */
static enum outcome own_step(struct state *s) {
    switch (s->at[OWNER]) {
    case 0:
        if (s->owner == NONE) { /* the other heap takes it */
            s->owner = 1;
            s->at[OWNER] = 5;
            return MOVED;
        }
        if (s->queued[s->owner] == 0) {
            return hand_out(s) ? MOVED : s->done[1] == FREES && s->done[2] == FREES ? ENDED : BLOCKED;
        }
        s->queued[s->owner]--; /* exchange: the inbox is taken as a whole */
        s->next = 0;
        s->at[OWNER] = mistake == SCAN_BEFORE_OPEN ? 2 : 1;
        return MOVED;
    case 1: /* open: exchange */
        s->units = s->remote & (uint8_t)~SHUT;
        s->remote = SHUT;
        s->at[OWNER] = mistake == SCAN_BEFORE_OPEN ? 3 : 2;
        return MOVED;
    case 2: /* byte by byte */
        if (s->next < OBJECTS) {
            if ((s->units & bit_of(s->next)) != 0 || mistake == SCAN_BEFORE_OPEN) {
                look_at(s, s->next);
            }
            s->next++;
            return MOVED;
        }
        s->at[OWNER] = mistake == SCAN_BEFORE_OPEN ? 1 : 3;
        return MOVED;
    case 3: /* close: compare-and-swap; what has come meanwhile queues it again */
        if (s->remote == SHUT || mistake == CLOSE_BY_STORE) {
            s->remote = 0;
            s->at[OWNER] = 0;
            return MOVED;
        }
        s->remote &= (uint8_t)~SHUT;
        s->at[OWNER] = 4;
        return MOVED;
    case 4:
        push(s, s->owner);
        s->at[OWNER] = 0;
        return MOVED;
    default: /* the heap that has taken the block opens it: a store */
        s->remote = 0;
        s->at[OWNER] = 0;
        return MOVED;
    }
}

static enum outcome step(struct state *s, unsigned thread) {
    return thread == OWNER ? own_step(s) : thread == DROPPER ? drop_step(s) : free_step(s, thread);
}

static void check_end(const struct state *s) {
    for (unsigned o = 0; o < OBJECTS; o++) {
        claim(s->place[o] == PARKED, "an object was lost");
    }
    claim(s->remote == 0, "bits were left");
}

DEFINE_EXPLORE

int main(void) {
    static const char *const mistakes[] = {
        "the hand-over",
        "with the bit set before the byte is claimed",
        "with a claim that does not release",
        "with a look that does not acquire",
        "with a look before the bits are taken",
        "with bits thrown away at the end of the look",
        "with a push for every bit",
        "with a block that goes back while it is queued",
        "with bits that count when there is no block",
        NULL,
    };
    struct state s;
    memset(&s, 0, sizeof s);
    start_clocks(s.clock);
    memset(s.mail, NONE, sizeof s.mail);
    memset(s.object, NONE, sizeof s.object);
    memset(s.place, PARKED, sizeof s.place);
    return explore_all(&s, mistakes);
}
