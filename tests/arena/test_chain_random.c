/*
 * A chain held to its model by random scripts, as test_random.c does with an arena.
 *
 * The seed is fixed, so that a failure is one that can be had again; CUTBACK_TEST_SEED chooses another.
 *
 * Layer: tests. Threading: none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "chain_pair.h"

enum { ROUNDS = 300, STEPS = 200 };

static uint64_t seed;

/* splitmix64 */
static uint64_t random_next(void) {
    uint64_t z = (seed += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static void random_scripts_agree_with_the_model(void **state) {
    (void)state;
    static struct chain_pair pair;
    unsigned long long start = seed;
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t script[CHAIN_HEAD + STEPS * CHAIN_STEP];
        size_t where = 0;
        for (size_t i = 0; i < sizeof script; i++)
            script[i] = (uint8_t)(random_next() >> 56);
        for (size_t i = CHAIN_HEAD; i < sizeof script; i += CHAIN_STEP)
            if (i / CHAIN_STEP / 50 % 2 == 0 && script[i] >= 128)
                script[i] %= 16; /* more allocations for a while, so that there are many chunks */
        const char *fault = chain_pair_run(&pair, script, sizeof script, &where);
        if (fault != NULL)
            print_error("seed %llu, round %d, step %zu: %s\n", start, round, where, fault);
        assert_null(fault);
    }
}

int main(void) {
    const char *chosen = getenv("CUTBACK_TEST_SEED");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_scripts_agree_with_the_model),
    };
    seed = chosen != NULL ? strtoull(chosen, NULL, 0) : 20261128;
    return cmocka_run_group_tests_name("arena: chain, random", tests, NULL, NULL);
}
