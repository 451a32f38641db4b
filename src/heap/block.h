/*
 * block.h: blocks of one heap: taking and giving them, and what both spaces do alike with them.
 *
 * Layer: heap, above the page allocator, below the spaces. Threads: under the lock of the heap.
 */
#ifndef CB_HEAP_BLOCK_H
#define CB_HEAP_BLOCK_H

#include "heap/map.h"
#include "heap/types.h"

/* Granules that must have died in a block of the small space for it to be swept. */
#define CB_BLOCK_PART (CB_BLOCK_GRANULES / CB_SPARSE_PART)

/* A block for the heap, its map zero; NULL when the system has no more. */
struct cb_block *cb_block_take(struct cb_heap *heap, enum cb_space_kind space);

/* The run is in the block. */
static inline bool cb_block_has_run(const struct cb_heap *heap, const struct cb_block *block) {
    return heap->space[block->space].run_block == block;
}

/* The run is in the block, or may go on in its fresh part, where a thread has the heap. */
bool cb_block_is_kept(const struct cb_heap *heap, const struct cb_block *block);

/*
 * True when nothing lives in the block and nothing keeps it: then nothing can be freed remotely in it any more, and it
 * must be dropped. One that waits in the inbox, or of which pages are being given back, is looked at again after that.
 */
bool cb_block_shut_if_empty(struct cb_heap *heap, struct cb_block *block);

/* A block that is shut and whose map is zero goes back to the page allocator. */
void cb_block_drop(struct cb_heap *heap, struct cb_block *block);

/* So many granules from this one on are in no dead run any more. */
void cb_block_revive(struct cb_heap *heap, struct cb_block *block, size_t granule, size_t granules);

/* There is no hole in the block of more than so many granules; block->holes_from and the others say so. */
static inline void cb_block_no_holes(struct cb_block *block, size_t longer) {
    block->holes_from = CB_BLOCK_GRANULES - 1;
    block->holes_to = 0;
    block->holes_rest = (uint8_t)longer;
}

/*
 * The run of a space: that of the small space is the thread's. Not inline: gcc 12 with sanitizers would take the
 * address of cb_thread for NULL.
 */
struct cb_run *cb_run_of(struct cb_thread *t, enum cb_space_kind space);

/* The run of a space is from now on the [from, from + granules) of a block. */
static inline void cb_block_set_run(struct cb_thread *t, enum cb_space_kind space, struct cb_block *block,
                                    size_t from, size_t granules, bool fresh) {
    struct cb_space *s = &t->heap->space[space];
    *cb_run_of(t, space) = (struct cb_run){from, from + granules};
    s->run_block = block;
    s->run_is_fresh = fresh;
}

#endif
