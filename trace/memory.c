/*
 * memory.c: see memory.h.
 *
 * Layer: trace. Threads: any.
 */
#include "trace/memory.h"

#include <sys/mman.h>

#define LEAST ((size_t)64 << 10)

void *cb_memory_map(size_t bytes, bool touched) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | (touched ? MAP_POPULATE : MAP_NORESERVE);
    void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    return start != MAP_FAILED ? start : NULL;
}

void cb_memory_unmap(void *start, size_t bytes) {
    if (start != NULL) {
        munmap(start, bytes);
    }
}

bool cb_vector_reserve(struct cb_vector *vector, size_t count, size_t item_bytes) {
    size_t bytes;
    if (__builtin_mul_overflow(count, item_bytes, &bytes)) {
        return false;
    }
    if (bytes <= vector->bytes) {
        return true;
    }
    size_t most = vector->bytes > 0 ? vector->bytes : LEAST;
    while (most < bytes) {
        if (__builtin_mul_overflow(most, (size_t)2, &most)) {
            return false;
        }
    }
    void *start = vector->start == NULL ? cb_memory_map(most, false)
                                        : mremap(vector->start, vector->bytes, most, MREMAP_MAYMOVE);
    if (start == NULL || start == MAP_FAILED) {
        return false;
    }
    *vector = (struct cb_vector){start, most};
    return true;
}

void cb_vector_free(struct cb_vector *vector) {
    cb_memory_unmap(vector->start, vector->bytes);
    *vector = (struct cb_vector){NULL, 0};
}
