/*
 * Fuzz target: the chain against its model. The input is a script as chain_pair.h describes.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include <stdio.h>
#include <stdlib.h>

#include "chain_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct chain_pair pair;
    size_t where = 0;
    const char *fault = chain_pair_run(&pair, data, size, &where);
    if (fault != NULL) {
        (void)fprintf(stderr, "fuzz_chain: step %zu: %s\n", where, fault);
        abort();
    }
    return 0;
}
