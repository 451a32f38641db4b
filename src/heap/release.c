/*
 * release.c: see release.h.
 *
 * Layer: heap. Threads: any.
 */
#include "heap/release.h"

#include "heap/block.h"

#define UNITS_MOST 128 /* of blocks, that one call gives back */
#define ORDERS_MOST 4  /* each of one block */
#define ORDER_MOST 32  /* units of an order: as many system calls at worst, fewer where stretches are long */

/* One order, if there is any. Returns the units that went back; 0: no more. */
static size_t release_one(struct cb_heap *heap, size_t most, bool all) {
    struct cb_purge_order order;
    cb_lock_take(&heap->lock);
    bool any = cb_purge_order(heap, most, all, &order);
    cb_lock_drop(&heap->lock);
    if (!any) {
        return 0;
    }
    uint64_t done = cb_purge_run(&order);
    cb_lock_take(&heap->lock);
    cb_purge_end(heap, &order, done);
    cb_block_drop_if_empty(heap, order.block);
    cb_lock_drop(&heap->lock);
    return (size_t)__builtin_popcountll(done);
}

void cb_release_some(struct cb_heap *heap) {
    size_t units = 0, got = 1;
    for (int orders = 0; orders < ORDERS_MOST && units < UNITS_MOST && got != 0; orders++) {
        cb_lock_take(&heap->lock);
        bool due = heap->purge_due && cb_purge_is_due(heap);
        cb_lock_drop(&heap->lock);
        got = due ? release_one(heap, ORDER_MOST, false) : 0;
        units += got;
    }
    cb_pages_release_excess();
}

void cb_release_all(struct cb_heap *heap) {
    while (release_one(heap, CB_BLOCK_SIZE >> CB_UNIT_SHIFT, true) != 0) {
    }
}
