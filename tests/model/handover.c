/*
 * The hand-over of objects that another thread frees (src/heap/remote.c), step by step: two threads free, the
 * owner takes in, uses the objects again and hands them out to be freed again; emptied batches go back to
 * where all threads take them, so that they come by under the same address again while a compare-and-swap is
 * under way.
 *
 * Claims: no object is lost, none is taken in twice, no batch is lost, and nothing that is not atomic is
 * touched by two threads without a release and an acquire between.
 */
#define THREADS 3
#include "explore.h"

enum { OWNER, OBJECTS = 3, BATCHES = 3, FREES = 2 /* of each thread that frees */, NONE = 0xFF };
enum place { LIVE, FLYING, PARKED };
enum { AS_IT_IS, PUSH_RELAXED, TAKE_RELAXED, TAKE_IN_TWO_STEPS, PUSH_BY_STORE, GIVE_BATCH_EARLY };

struct state {
    struct clock clock[THREADS];
    struct clock inbox_clock, pool_clock, mail_clock[THREADS];
    struct datum object_data[OBJECTS], batch_data[BATCHES];
    uint8_t place[OBJECTS];
    uint8_t batch_object[BATCHES], batch_next[BATCHES], in_pool[BATCHES];
    uint8_t inbox;         /* batch or NONE */
    uint8_t mail[THREADS]; /* an object for the thread to free, or NONE */
    uint8_t at[THREADS];   /* where the thread is in its program */
    uint8_t sent[THREADS]; /* objects */
    uint8_t done[THREADS]; /* frees */
    uint8_t object[THREADS], batch[THREADS], head[THREADS];
};

/* Under the lock of the pool, which is one step here. */
static bool pool_take(struct state *s, unsigned t) {
    for (unsigned i = 0; i < BATCHES; i++) {
        if (s->in_pool[i]) {
            acquire(s->clock, t, &s->pool_clock);
            s->in_pool[i] = 0;
            s->batch[t] = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static void pool_give(struct state *s, unsigned t, uint8_t batch) {
    claim(!s->in_pool[batch], "a batch was given back twice");
    s->in_pool[batch] = 1;
    release(s->clock, t, &s->pool_clock, true);
}

static enum outcome free_step(struct state *s, unsigned t) {
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
        break;
    case 1: /* its last use, and its map byte */
        note_write(s->clock, t, &s->object_data[s->object[t]]);
        s->place[s->object[t]] = FLYING;
        break;
    case 2:
        if (!pool_take(s, t)) {
            return BLOCKED;
        }
        break;
    case 3:
        note_write(s->clock, t, &s->batch_data[s->batch[t]]);
        s->batch_object[s->batch[t]] = s->object[t];
        break;
    case 4: /* relaxed */
        s->head[t] = s->inbox;
        break;
    case 5:
        note_write(s->clock, t, &s->batch_data[s->batch[t]]);
        s->batch_next[s->batch[t]] = s->head[t];
        break;
    default: /* compare-and-swap, release */
        if (s->inbox != s->head[t] && mistake != PUSH_BY_STORE) {
            s->head[t] = s->inbox;
            s->at[t] = 5;
            return MOVED;
        }
        s->inbox = s->batch[t];
        if (mistake != PUSH_RELAXED) {
            release(s->clock, t, &s->inbox_clock, true);
        }
        s->object[t] = s->batch[t] = s->head[t] = NONE;
        s->done[t]++;
        s->at[t] = 0;
        return MOVED;
    }
    s->at[t]++;
    return MOVED;
}

/* Takes one object out of the ring and gives it to the thread that has more to free. */
static bool hand_out(struct state *s) {
    for (unsigned t = OWNER + 1; t < THREADS; t++) {
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

static enum outcome own_step(struct state *s) {
    uint8_t batch = s->batch[OWNER];
    switch (s->at[OWNER]) {
    case 0: /* relaxed: is there anything? */
        if (s->inbox == NONE) {
            return hand_out(s) ? MOVED : s->done[1] == FREES && s->done[2] == FREES ? ENDED : BLOCKED;
        }
        break;
    case 1: /* exchange, acquire */
        s->batch[OWNER] = s->inbox;
        if (mistake != TAKE_RELAXED) {
            acquire(s->clock, OWNER, &s->inbox_clock);
        }
        if (mistake != TAKE_IN_TWO_STEPS) {
            s->inbox = NONE;
            s->at[OWNER]++;
        }
        break;
    case 2:
        s->inbox = NONE;
        break;
    case 3:
        note_read(s->clock, OWNER, &s->batch_data[batch]);
        note_write(s->clock, OWNER, &s->object_data[s->batch_object[batch]]);
        claim(s->place[s->batch_object[batch]] == FLYING, "an object was taken in that nobody had freed");
        s->place[s->batch_object[batch]] = PARKED;
        if (mistake == GIVE_BATCH_EARLY) {
            pool_give(s, OWNER, batch);
        }
        break;
    default:
        note_read(s->clock, OWNER, &s->batch_data[batch]);
        s->batch[OWNER] = s->batch_next[batch];
        if (mistake != GIVE_BATCH_EARLY) {
            pool_give(s, OWNER, batch);
        }
        s->at[OWNER] = s->batch[OWNER] == NONE ? 0 : 3;
        return MOVED;
    }
    s->at[OWNER]++;
    return MOVED;
}

static enum outcome step(struct state *s, unsigned thread) {
    return thread == OWNER ? own_step(s) : free_step(s, thread);
}

static void check_end(const struct state *s) {
    for (unsigned o = 0; o < OBJECTS; o++) {
        claim(s->place[o] == PARKED, "an object was lost");
    }
    for (unsigned b = 0; b < BATCHES; b++) {
        claim(s->in_pool[b], "a batch was lost");
    }
}

DEFINE_EXPLORE

int main(void) {
    static const char *const mistakes[] = {
        "the hand-over",
        "with a push that does not release",
        "with a take that does not acquire",
        "with a take in two steps",
        "with a push that does not compare",
        "with batches given back too early",
        NULL,
    };
    struct state s;
    memset(&s, 0, sizeof s);
    start_clocks(s.clock);
    s.inbox = NONE;
    memset(s.mail, NONE, sizeof s.mail);
    memset(s.object, NONE, sizeof s.object);
    memset(s.batch, NONE, sizeof s.batch);
    memset(s.head, NONE, sizeof s.head);
    memset(s.place, PARKED, sizeof s.place);
    memset(s.in_pool, 1, sizeof s.in_pool);
    return explore_all(&s, mistakes);
}
