/*
 * Fuzz target: the arena against its model. The input is a script as pair.h describes.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct pair pair;
    size_t where = 0;
    const char *fault = pair_run(&pair, data, size, &where);
    if (fault != NULL) {
        (void)fprintf(stderr, "fuzz_arena: step %zu: %s\n", where, fault);
        abort();
    }
    return 0;
}
