/*
 * An arena and its model, driven side by side by a script of bytes and compared after every step.
 *
 * Layer:     tests: shared by the fuzz target, which gets its script from a fuzzer or a file, and by the
 * random test, which gets it from a seeded generator. Includes the arena's inside only to check its
 * invariants. Threading: none.
 *
 * A script is a head of PAIR_HEAD bytes (capacity, ring length, alignment of the memory, flags) and then steps of
 * PAIR_STEP bytes each: an operation and three arguments. Every string of bytes is a valid script.
 */
#ifndef CB_FUZZ_PAIR_H
#define CB_FUZZ_PAIR_H

#include "model.h"

enum {
    PAIR_HEAD = 4,
    PAIR_STEP = 4,
    PAIR_MEMORY = 4096,
    PAIR_RING = 64,
    PAIR_GUARD = 64,
    PAIR_MARKS = 64,
};

struct pair {
    cutback_arena arena;
    cutback_slot ring[2 * PAIR_RING];
    cutback_arena other; /* to have marks of another arena */
    struct model model;
    unsigned char *memory; /* inside `bytes`, at the alignment that the head asks for, between the guards */
    _Alignas(256) unsigned char bytes[PAIR_GUARD + 64 + PAIR_MEMORY + PAIR_GUARD];
    cutback_mark marks[PAIR_MARKS]; /* the last ones set, open or not */
    uint64_t ids[PAIR_MARKS];       /* and what the model calls them */
    size_t mark_count;              /* ever set */
    unsigned serial;                /* the last one given to a block */
    size_t distances[MODEL_BUCKETS];
    bool lax; /* after most frees nothing is asked for, so that the arena can put them off */
};

/* Sets both up. NULL if that went as specified, else what was wrong. Once before the first step. */
const char *pair_start(struct pair *pair, const uint8_t head[PAIR_HEAD]);

/* Does one operation on both and compares them. NULL if they agree, else what was wrong. */
const char *pair_step(struct pair *pair, const uint8_t step[PAIR_STEP]);

/* Lifts the poison off the memory: it was the arena's, and the pair's owner is done with it. */
void pair_end(struct pair *pair);

/* Both at once, for a whole script: NULL, or what was wrong, with the number of the step in *where. */
const char *pair_run(struct pair *pair, const uint8_t *script, size_t size, size_t *where);

#endif
