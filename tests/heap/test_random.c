/*
 * Random operations on the heap, each compared with the model: no overlap, aligned, contents intact, memory
 * that calloc returns zero, invariants after every few operations. Several threads take part, in turn; some
 * system calls fail.
 *
 * Layer:     tests.
 * Threading: the model's helpers.
 */
#include "fixture.h"

#include "heap_model.h"

enum { SEEDS = BED_SANITIZED ? 2 : 5, STEPS = 8000, CHECK_EACH = 64 };

static void run(uint64_t seed, bool inject) {
    static struct model model;
    uint64_t random = seed;
    model_start(&model);
    model.inject = inject;
    const char *fault = NULL;
    for (int step = 0; step < STEPS && fault == NULL; step++) {
        uint64_t bits = fixture_random(&random);
        uint8_t bytes[MODEL_STEP];
        memcpy(bytes, &bits, sizeof bytes);
        if (step / 1000 % 3 == 0 && bytes[0] % 24 >= 18) {
            bytes[0] %= 16; /* for a while fewer frees of many at once, so that much is live */
        }
        model.check_each_step = step % CHECK_EACH == 0;
        fault = model_step(&model, bytes);
        if (fault != NULL) {
            print_error("seed %llu, step %d: %s\n", (unsigned long long)seed, step, fault);
        }
    }
    model.check_each_step = false;
    if (fault != NULL) {
        model_end_helpers(&model);
    } else if ((fault = model_end(&model)) != NULL) {
        print_error("seed %llu, at the end: %s\n", (unsigned long long)seed, fault);
    }
    assert_null(fault);
    assert_heap();
}

static void random_operations_agree_with_the_model(void **state) {
    (void)state;
    uint64_t seed = fixture_seed(1);
    for (uint64_t i = 0; i < SEEDS; i++) {
        run(seed + i, false);
    }
}

static void random_operations_with_failing_system_calls_agree_with_the_model(void **state) {
    (void)state;
    uint64_t seed = fixture_seed(1001);
    for (uint64_t i = 0; i < SEEDS; i++) {
        run(seed + i, true);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_agree_with_the_model),
        cmocka_unit_test(random_operations_with_failing_system_calls_agree_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
