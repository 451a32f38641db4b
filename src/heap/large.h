/*
 * large.h: objects above 32 KiB, and those aligned to more than a page: whole pages, owned by no heap.
 *
 * Layer: heap, above the page allocator. Threads: any.
 */
#ifndef CB_HEAP_LARGE_H
#define CB_HEAP_LARGE_H

#include "heap/types.h"

/* An object of at least `size` bytes at a multiple of `align` (a power of two); zeroed if `zero`. NULL: no
 * memory. */
void *cb_large_alloc(size_t size, size_t align, bool zero);

/* The same from what is there, for any size up to CB_BLOCK_SIZE: the system is not asked for more. */
void *cb_large_alloc_free(size_t size, size_t align);

/* The usable bytes of the object that starts at p; 0 when none does. */
size_t cb_large_size(uintptr_t p);

/* Frees it. False when no live large object starts at p; nothing has changed then. */
bool cb_large_free(uintptr_t p);

/*
 * True when a large object of `old` usable bytes is to stay one for a request of `size`: for all that is
 * large or nearly so, and for less where no page, or no more than a quarter of them, would be gained.
 */
bool cb_large_keeps(size_t old, size_t size);

/*
 * Resizes a live large object to at least `size`: in place if possible, else by moving its pages, else by
 * copying. NULL: no memory, the object is as it was.
 */
void *cb_large_resize(uintptr_t p, size_t size);

#endif
