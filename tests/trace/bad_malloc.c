/*
 * A malloc with a fault, for cutback-replay to find: all objects of one size get the same memory.
 *
 * Layer:     tests; preloaded.
 * Threading: none.
 */
#include <stddef.h>

void *__libc_malloc(size_t size);
void __libc_free(void *ptr);

__attribute__((aligned(16))) static char shared[8192];

__attribute__((visibility("default"))) void *malloc(size_t size) {
    return size == 7919 ? shared : __libc_malloc(size);
}

__attribute__((visibility("default"))) void free(void *ptr) {
    if (ptr != shared) {
        __libc_free(ptr);
    }
}
