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

#include <cmocka.h>

#include "chain_pair.h"
#include "../support/random.h"

enum { ROUNDS = 300, STEPS = 200 };

static uint64_t seed;

static void random_scripts_agree_with_the_model(void **state) {
    (void)state;
    static struct chain_pair pair;
    unsigned long long start = seed;
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t script[CHAIN_HEAD + STEPS * CHAIN_STEP];
        size_t where = 0;
        for (size_t i = 0; i < sizeof script; i++)
            script[i] = (uint8_t)(fixture_random(&seed) >> 56);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_scripts_agree_with_the_model),
    };
    seed = fixture_seed(20261128);
    return cmocka_run_group_tests_name("arena: chain, random", tests, NULL, NULL);
}
