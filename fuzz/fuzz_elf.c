/*
 * Fuzz target: the launcher's reader of ELF files. Whatever the file, nothing beyond its end is read.
 *
 * Layer:     tests. Threading: none.
 */
#include "elf_exercise.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory of just this size, so that a sanitizer sees a byte too far. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    unsigned char *file = malloc(size > 0 ? size : 1);
    if (file != NULL) {
        memcpy(file, data, size);
        elf_exercise(file, size);
        free(file);
    }
    return 0;
}
