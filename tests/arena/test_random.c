/*
 * 200,000 random operations on arenas of many sizes and ring lengths, each compared with the reference model:
 * no overlap, in bounds, aligned, contents intact, cursor and statistics and marks exactly as specified.
 *
 * The seed is fixed, so that a failure is one that can be had again; CUTBACK_TEST_SEED chooses another.
 *
 * Layer: tests. Threading: none.
 */
#include "fixture.h"
#include "pair.h"
#include "../support/random.h"

#ifndef ROUNDS
#define ROUNDS 1000
#endif

enum { STEPS = 200 };

static uint64_t seed;

static void random_bytes(uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(fixture_random(&seed) >> 56);
}

static void random_scripts_agree_with_the_model(void **state) {
    (void)state;
    static struct pair pair;
    uint64_t start = seed;
    for (int round = 0; round < ROUNDS; round++) {
        static const uint8_t lengths = 6; /* the first six of the ring lengths: 0, 1, 2, 7, 16, 64 */
        uint8_t bytes[PAIR_HEAD];
        random_bytes(bytes, sizeof bytes);
        bytes[1] = (uint8_t)(round % lengths);
        const char *fault = pair_start(&pair, bytes);
        for (int step = 0; fault == NULL && step < STEPS; step++) {
            random_bytes(bytes, sizeof bytes);
            if (step / 50 % 2 == 0 && bytes[0] >= 128)
                bytes[0] %= 16; /* more allocations for a while, so that arenas and rings fill up */
            fault = pair_step(&pair, bytes);
            if (fault != NULL)
                print_error("seed %llu, round %d, step %d: %s\n", (unsigned long long)start, round, step,
                            fault);
        }
        pair_end(&pair);
        assert_null(fault);
    }
}

static void few_slots_many_scopes_agree_with_the_model(void **state) {
    (void)state;
    static struct pair pair;
    for (int round = 0; round < ROUNDS / 10; round++) {
        uint8_t bytes[PAIR_HEAD];
        random_bytes(bytes, sizeof bytes);
        bytes[1] = (uint8_t)(round % 3);
        const char *fault = pair_start(&pair, bytes);
        for (int step = 0; fault == NULL && step < STEPS; step++) {
            random_bytes(bytes, sizeof bytes);
            if (step % 4 == 0)
                bytes[0] = 25; /* a mark */
            fault = pair_step(&pair, bytes);
        }
        pair_end(&pair);
        assert_null(fault);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_scripts_agree_with_the_model),
        cmocka_unit_test(few_slots_many_scopes_agree_with_the_model),
    };
    seed = fixture_seed(20240229);
    return cmocka_run_group_tests_name("arena: random", tests, NULL, NULL);
}
