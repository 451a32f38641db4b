/*
 * A chain and its model, driven side by side by a script of bytes and compared after every step; as pair.h does with
 * an arena.
 *
 * Layer:     tests: shared by the fuzz target and the random test. Includes the arena's inside only to check its
 *            invariants.
 * Threading: none.
 *
 * A script is a head of CHAIN_HEAD bytes (chunk size, ring length, whether one is kept) and then steps of CHAIN_STEP
 * bytes each: an operation and three arguments. Every string of bytes is a valid script.
 */
#ifndef CB_FUZZ_CHAIN_PAIR_H
#define CB_FUZZ_CHAIN_PAIR_H

#include "chain_model.h"

enum {
    CHAIN_HEAD = 4,
    CHAIN_STEP = 4,
    CHAIN_MARKS = 32,
    CHAIN_STEPS = 4000, /* of a script that are done: a model holds no more blocks than that */
};

struct chain_pair {
    cutback_chain chain;
    cutback_chain other; /* to have marks of another chain */
    struct chain_model model;
    struct places places; /* of the chain under test */
    const char *fault;    /* of the source: how it was misused */
    cutback_chain_mark marks[CHAIN_MARKS];
    uint64_t ids[CHAIN_MARKS];
    size_t mark_count;
    unsigned serial;
    _Alignas(64) unsigned char bytes[PLACES * PLACE_STRIDE];
    unsigned char spare[4 * 1024]; /* the chunk of `other` */
};

/* Sets both up. NULL if that went as specified, else what was wrong. Once before the first step. */
const char *chain_pair_start(struct chain_pair *pair, const uint8_t head[CHAIN_HEAD]);

/* Does one operation on both and compares them. NULL if they agree, else what was wrong. */
const char *chain_pair_step(struct chain_pair *pair, const uint8_t step[CHAIN_STEP]);

/* Gives everything back, and demands that the source has it. */
const char *chain_pair_end(struct chain_pair *pair);

/* All of it, for a whole script: NULL, or what was wrong, with the number of the step in *where. */
const char *chain_pair_run(struct chain_pair *pair, const uint8_t *script, size_t size, size_t *where);

#endif
