/*
 * purge.h: pages of a heap's blocks in which nothing lives: which they are, and when they go back.
 *
 * Layer: heap, above the page allocator, below the blocks. Threads: under the lock of the heap.
 *
 * A block knows of each of its pages, in units of 4 KiB, whether it is dead (nothing in it lives, it is still
 * resident) or purged. The fresh part and the run count as living.
 */
#ifndef CB_HEAP_PURGE_H
#define CB_HEAP_PURGE_H

#include "heap/types.h"

#define CB_UNIT_SHIFT 12 /* what a bit of dead_pages and purged_pages stands for */
#define CB_UNIT_GRANULES ((size_t)1 << (CB_UNIT_SHIFT - CB_GRANULE_SHIFT))

/* The [p, p + granules) of a block is dead: pages wholly inside may go back, now or later. */
void cb_purge_died(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules);

/*
 * Looks at a block of the small space for pages that have died since the last time. Unless `thoroughly`, only
 * when so much is dead in the heap that some could go back.
 */
void cb_purge_look(struct cb_heap *heap, struct cb_block *block, bool thoroughly);

/* The [p, p + granules) of a block is used again. */
void cb_purge_revive(struct cb_heap *heap, struct cb_block *block, uintptr_t p, size_t granules);

/* Gives all dead pages of the heap back, whatever the reserve. */
void cb_purge_everything(struct cb_heap *heap);

#endif
