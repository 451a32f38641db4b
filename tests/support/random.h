/*
 * random.h: the random numbers of the tests. The same in every run, so that a failure is one that can be had again.
 *
 * Layer:     tests. Includes nothing of the project.
 * Threading: none of its own; the state is the caller's.
 */
#ifndef CB_TESTS_RANDOM_H
#define CB_TESTS_RANDOM_H

#include <stdint.h>
#include <stdlib.h>

/* splitmix64: any value of the state will do to begin with. */
static inline uint64_t fixture_random(uint64_t *state) {
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* The state that a test begins with: `fixed`, or what CUTBACK_TEST_SEED says. */
static inline uint64_t fixture_seed(uint64_t fixed) {
    const char *text = getenv("CUTBACK_TEST_SEED");
    return text != NULL ? strtoull(text, NULL, 0) : fixed;
}

#endif
