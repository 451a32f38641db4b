/*
 * An object that is freed by two threads which do not own it, and perhaps by its owner, in the same moment
 * (src/heap/malloc.c, remote.c): every interleaving of the loads and stores of its map byte.
 *
 * The owner's free moves its cursor back, and a longer object is allocated over the place.
 *
 * Claims: it is freed once, whatever the order, and nothing is parked that lies in the longer object; of two threads
 * that do not own it, one is told; and the owner is told if it comes later. (In the moment between the owner's load
 * and its store the two frees become one.)
 */
#define THREADS 3
#include "explore.h"

enum { OWNER };
enum byte { INSIDE, LIVE, REMOTE, PARKED };
enum { AS_IT_IS, CLAIM_BY_STORE, TAKE_WITHOUT_LOOK, REMOTE_IS_INSIDE };

struct state {
    struct clock clock[THREADS]; /* nothing here is ordered by them */
    uint8_t byte, seen[THREADS], at[THREADS];
    uint8_t announced, freed, told, freed_remotely, covered;
};

static enum outcome own_step(struct state *s) {
    switch (s->at[OWNER]) {
    case 0:
        s->seen[OWNER] = s->byte;
        break;
    case 1:
        if (s->seen[OWNER] == LIVE) {
            s->byte = INSIDE;
            s->freed++;
        } else {
            s->told++;
        }
        break;
    case 2:
        if (s->seen[OWNER] == LIVE) {
            s->byte = INSIDE;
            s->covered = 1;
        }
        break;
    default: /* takes in what is announced, once the others are done */
        if (s->at[1] < 2 || s->at[2] < 2) {
            return BLOCKED;
        }
        if (s->announced == 0) {
            return ENDED;
        }
        s->announced--;
        if (s->byte == REMOTE || mistake == TAKE_WITHOUT_LOOK ||
            (mistake == REMOTE_IS_INSIDE && s->byte == INSIDE)) {
            claim(!s->covered, "a part of another object is parked");
            s->byte = PARKED;
            s->freed++;
        }
        return MOVED;
    }
    s->at[OWNER]++;
    return MOVED;
}

static enum outcome free_step(struct state *s, unsigned t) {
    switch (s->at[t]) {
    case 0:
        s->seen[t] = s->byte;
        break;
    case 1: /* compare-and-swap */
        if (s->seen[t] == LIVE && (s->byte == LIVE || mistake == CLAIM_BY_STORE)) {
            s->byte = mistake == REMOTE_IS_INSIDE ? INSIDE : REMOTE;
            s->announced++;
            s->freed_remotely++;
        } else {
            s->told++;
        }
        break;
    default:
        return ENDED;
    }
    s->at[t]++;
    return MOVED;
}

static enum outcome step(struct state *s, unsigned thread) {
    return thread == OWNER ? own_step(s) : free_step(s, thread);
}

static void check_end(const struct state *s) {
    claim(s->freed == 1, "an object is freed twice, or lost");
    claim(s->freed_remotely <= 1, "neither of two threads was told");
    claim(s->told >= 1, "nobody was told");
}

DEFINE_EXPLORE

int main(void) {
    static const char *const mistakes[] = {
        "a double free",
        "with a claim by load and store",
        "with a take-in that does not look",
        "with no state of its own for what was freed remotely",
        NULL,
    };
    struct state s;
    memset(&s, 0, sizeof s);
    start_clocks(s.clock);
    s.byte = LIVE;
    return explore_all(&s, mistakes);
}
