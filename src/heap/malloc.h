/*
 * malloc.h: the slow paths behind the public functions, which names.h declares.
 *
 * Layer: the public functions of the heap. Threads: any.
 */
#ifndef CB_HEAP_MALLOC_H
#define CB_HEAP_MALLOC_H

#include "heap/names.h"
#include "heap/types.h"

#include <errno.h>

/* The answer of a public function that has no memory to give. */
static inline void *cb_no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

/* The cold and the lukewarm halves of malloc and free; malloc.c prints the call tree. */
void *cb_malloc_slow(size_t size);
void *cb_malloc_medium(struct cb_heap *heap, size_t size);
void *cb_malloc_large(size_t size, size_t align, bool zero); /* errno is the caller's */
void cb_free_slow(void *ptr);
void cb_free_not_own(uintptr_t p);

#endif
