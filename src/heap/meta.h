/*
 * meta.h: memory for the heap's own structures, away from what it hands out.
 *
 * Layer: heap. Threads: any. Lock: cb_meta.lock (rank 3), inside.
 */
#ifndef CB_HEAP_META_H
#define CB_HEAP_META_H

#include "heap/types.h"

/* Zeroed memory at a multiple of 64; NULL when the system has no more. */
void *cb_meta_take(size_t size);

/* Gives back what cb_meta_take returned for this size. It is kept for the next request of about that size. */
void cb_meta_give(void *memory, size_t size);

/* A page of its own, for good. */
void *cb_meta_take_page(void);

/*
 * Empty batches, linked: up to `most` of them, at least one; NULL when the system has no more memory. Their count is not
 * set. They are given back as a list as well.
 */
struct cb_batch *cb_meta_take_batches(unsigned most);
void cb_meta_give_batches(struct cb_batch *first, struct cb_batch *last);

/* Bytes mapped for metadata by this module. */
size_t cb_meta_total(void);

void cb_meta_after_fork(void);

#endif
