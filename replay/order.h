/*
 * order.h: how many live blocks of a stack were allocated after one of them.
 *
 * A stack is the blocks that one thread, or one call site, has allocated and that are live, the newest on top. Each has a
 * place, a number that grows towards the top. A place is a bit in an array of words, and a Fenwick tree counts the bits of
 * the words. Places of dead blocks are taken out when the array is full, so its length follows the number of live blocks.
 *
 * Layer: replay, above trace/memory. Threads: one.
 */
#ifndef CB_REPLAY_ORDER_H
#define CB_REPLAY_ORDER_H

#include "trace/memory.h"

#include <stdint.h>

/* All zero: empty. */
struct cb_order {
    struct cb_vector bits;    /* uint64_t: one bit for each place, set while its block is live */
    struct cb_vector tree;    /* uint32_t: Fenwick tree over the words of `bits` */
    struct cb_vector objects; /* uint32_t: by place, the block's number */
    uint32_t places;          /* all live blocks are below this place */
    uint32_t capacity;        /* places that there is room for; a multiple of 64 */
    uint32_t live;
};

/*
 * Puts a block on top. Its place goes to *(uint32_t *)(place_of_first + object * stride); so do those of other blocks
 * when places change. False: no memory.
 */
struct cb_order_places {
    uint8_t *first; /* where the place of block 0 is kept */
    size_t stride;  /* bytes from one block's to the next's */
};
bool cb_order_push(struct cb_order *order, uint32_t object, struct cb_order_places places);

/* How many live blocks are above this place. O(log n). */
uint32_t cb_order_above(const struct cb_order *order, uint32_t place);

/* The block at this place, which is live, dies. O(log n), amortised. */
void cb_order_remove(struct cb_order *order, uint32_t place);

void cb_order_free(struct cb_order *order);

#endif
