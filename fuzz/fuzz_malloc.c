/*
 * Fuzz target: the heap. The input is a script of the model in heap_model.h, eight bytes per step:
 * allocations of every kind, frees, reallocs, by up to nine threads that own what they allocate, the end of
 * some of them, trims, system calls that fail, once or at random for a while. What disagrees with the model,
 * or breaks an invariant of the heap, aborts.
 *
 * The heap lives as long as the process, as it does in a program: a script finds what earlier ones left
 * behind.
 *
 * Layer:     tests.
 * Threading: the model's helpers.
 */
#define MODEL_BYTES ((size_t)4 << 20) /* small scripts do not need more, and run faster */
#include "heap_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHECK_EACH = 16 };

static void demand(const char *fault, size_t step) {
    if (fault != NULL) {
        fprintf(stderr, "step %zu: %s\n", step, fault);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct model model;
    size_t steps = size / MODEL_STEP;
    steps = steps < MODEL_STEPS ? steps : MODEL_STEPS;
    model_start(&model);
    model.inject = true;
    model.stand_in = true;
    for (size_t step = 0; step < steps; step++) {
        model.check_each_step = step % CHECK_EACH == 0 || steps <= 32;
        demand(model_step(&model, data + step * MODEL_STEP), step);
    }
    demand(model_end(&model), steps);
    return 0;
}
