/*
 * reallocarray.c: reallocarray by way of the realloc that the program has (found.h).
 *
 * Layer: the preload library; takes the place of the one in heap/api.c, which is weak. Threads: any.
 */
#include "heap/found.h"
#include "heap/names.h"

#include <errno.h>

CB_EXPORT void *reallocarray(void *ptr, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return cb_found_realloc(ptr, bytes);
}
