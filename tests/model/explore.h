/*
 * Bounded model checking: every interleaving of a few threads of a few steps each is tried. Whoever includes
 * this defines THREADS, `struct state` (plain data, zeroed before use, without padding that matters) and
 * step(); a step is what the hardware does at once. States that were met before are not entered again; they
 * are told by a hash of 128 bits.
 *
 * The promises of memory orderings are checked with vector clocks: data that is not atomic must be ordered by
 * releases and acquires, or it is a race, whether or not the interleaving at hand went well. So the steps may
 * be interleaved as if memory were sequentially consistent.
 *
 * Each model is also run with mistakes in it (`mistake`), every one of which must be noticed.
 *
 * Layer:     tests. Needs nothing of this project.
 * Threading: none; threads are simulated.
 */
#ifndef CB_TESTS_MODEL_EXPLORE_H
#define CB_TESTS_MODEL_EXPLORE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct clock {
    uint8_t at[THREADS];
};

/* One piece of data that is not atomic: who wrote it last, who has read it since, and when. */
struct datum {
    uint8_t writer, written;
    uint8_t read[THREADS];
};

enum outcome { BLOCKED, MOVED, ENDED };

struct state;
static enum outcome step(struct state *s, unsigned thread);
static void check_end(const struct state *s);

static const char *broken; /* what went wrong in the run at hand; NULL: nothing so far */
static int mistake;

static void claim(bool condition, const char *what) {
    if (!condition && broken == NULL) {
        broken = what;
    }
}

static inline void join(struct clock *into, const struct clock *from) {
    for (unsigned i = 0; i < THREADS; i++) {
        into->at[i] = from->at[i] > into->at[i] ? from->at[i] : into->at[i];
    }
}

/* To begin with: a thread knows what it did itself. */
static inline void start_clocks(struct clock *clock) {
    for (unsigned i = 0; i < THREADS; i++) {
        clock[i].at[i] = 1;
    }
}

/* A release by `thread`: what it did so far is published at `where`. A write that is part of a
 * read-modify-write keeps what others published there. */
static inline void release(struct clock *clock, unsigned thread, struct clock *where, bool keep) {
    if (!keep) {
        memset(where, 0, sizeof *where);
    }
    join(where, &clock[thread]);
    clock[thread].at[thread]++;
}

static inline void acquire(struct clock *clock, unsigned thread, const struct clock *where) {
    join(&clock[thread], where);
}

static inline void note_read(struct clock *clock, unsigned thread, struct datum *d) {
    claim(d->written <= clock[thread].at[d->writer], "a race: read of what was written elsewhere");
    d->read[thread] = clock[thread].at[thread];
}

static inline void note_write(struct clock *clock, unsigned thread, struct datum *d) {
    claim(d->written <= clock[thread].at[d->writer], "a race: two writes");
    for (unsigned i = 0; i < THREADS; i++) {
        claim(i == thread || d->read[i] <= clock[thread].at[i], "a race: written while it is read elsewhere");
    }
    memset(d, 0, sizeof *d);
    d->writer = (uint8_t)thread;
    d->written = clock[thread].at[thread];
}

/* ---- The states that were met
 * ------------------------------------------------------------------------------------ */

static struct {
    uint64_t (*slot)[2];
    size_t room, count;
} met;

static void hash(const void *memory, size_t size, uint64_t h[2]) {
    const unsigned char *p = memory;
    h[0] = 0x243F6A8885A308D3u, h[1] = 0x13198A2E03707344u;
    for (size_t i = 0; i < size; i++) {
        h[0] = (h[0] ^ p[i]) * 0x100000001B3u;
        h[1] = (h[1] + p[i] + 1) * 0x9E3779B97F4A7C15u;
        h[1] ^= h[1] >> 29;
    }
    h[0] |= 1; /* 0 is an empty slot */
}

static bool enter(const uint64_t h[2]) {
    size_t i = (size_t)(h[1] ^ h[0] >> 7) & (met.room - 1);
    while (met.slot[i][0] != 0) {
        if (met.slot[i][0] == h[0] && met.slot[i][1] == h[1]) {
            return false;
        }
        i = (i + 1) & (met.room - 1);
    }
    met.slot[i][0] = h[0];
    met.slot[i][1] = h[1];
    met.count++;
    return true;
}

static void make_room(void) {
    uint64_t(*old)[2] = met.slot;
    size_t old_room = met.room;
    met.room = old_room != 0 ? old_room * 2 : 1 << 16;
    met.slot = calloc(met.room, sizeof *met.slot);
    met.count = 0;
    if (met.slot == NULL) {
        abort();
    }
    for (size_t i = 0; i < old_room; i++) {
        if (old[i][0] != 0) {
            enter(old[i]);
        }
    }
    free(old);
}

/* True when the state is new. */
static bool is_new(const void *state, size_t size) {
    uint64_t h[2];
    hash(state, size, h);
    if (met.count * 2 >= met.room) {
        make_room();
    }
    return enter(h);
}

/* Depth first. Stops at the first thing that is broken. */
#define DEFINE_EXPLORE                                                                                       \
    static void explore(const struct state *s) {                                                             \
        unsigned ended = 0, moved = 0;                                                                       \
        for (unsigned t = 0; t < THREADS && broken == NULL; t++) {                                           \
            struct state next;                                                                               \
            memcpy(&next, s, sizeof next);                                                                   \
            enum outcome outcome = step(&next, t);                                                           \
            ended += outcome == ENDED;                                                                       \
            if (outcome == MOVED) {                                                                          \
                moved++;                                                                                     \
                if (broken == NULL && is_new(&next, sizeof next)) {                                          \
                    explore(&next);                                                                          \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
        if (broken == NULL && moved == 0) {                                                                  \
            claim(ended == THREADS, "a deadlock");                                                           \
            check_end(s);                                                                                    \
        }                                                                                                    \
    }                                                                                                        \
                                                                                                             \
    /* Runs the model as it is, which must hold, and with each mistake, none of which may. */                \
    static int explore_all(const struct state *start, const char *const *mistakes) {                         \
        int failures = 0;                                                                                    \
        for (mistake = 0; mistake == 0 || mistakes[mistake] != NULL; mistake++) {                            \
            broken = NULL;                                                                                   \
            met.count = 0;                                                                                   \
            if (met.slot != NULL) {                                                                          \
                memset(met.slot, 0, met.room * sizeof *met.slot);                                            \
            }                                                                                                \
            explore(start);                                                                                  \
            printf("%s: %s (%zu states)\n", mistakes[mistake], broken != NULL ? broken : "holds",            \
                   met.count);                                                                               \
            failures += (mistake == 0) != (broken == NULL);                                                  \
        }                                                                                                    \
        free(met.slot);                                                                                      \
        return failures;                                                                                     \
    }

#endif
