/*
 * meta.h: memory for the heap's own structures, away from what it hands out.
 *
 * Layer: heap. Threads: any. Lock: meta.lock (rank 5), inside.
 */
#ifndef CB_HEAP_META_H
#define CB_HEAP_META_H

#include "heap/types.h"

/* Zeroed memory at a multiple of 64, for good; NULL when the system has no more. */
void *cb_meta_take(size_t size);

/* The same in whole pages. */
void *cb_meta_take_pages(size_t size);

/* Bytes mapped for metadata by this module. */
size_t cb_meta_total(void);

void cb_meta_after_fork(void);

#endif
