/*
 * release.c: see release.h.
 *
 * Layer: heap. Threads: any.
 */
#include "heap/release.h"

#include "heap/block.h"
#include "heap/fork.h"

/* Units: at worst as many system calls, fewer where stretches are long. */
#define WORK (CB_WORK >> CB_UNIT_SHIFT)

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
    if (!all) {
        cb_reserve_purged((size_t)__builtin_popcountll(done) << CB_UNIT_SHIFT);
    }
    cb_lock_take(&heap->lock);
    cb_purge_end(heap, &order, done);
    cb_block_purged(heap, order.block);
    cb_lock_drop(&heap->lock);
    return (size_t)__builtin_popcountll(done);
}

/*
 * How many units this call may give back: those that have died lately, and some more, so that there are fewer each
 * time.
 */
static size_t take_share(struct cb_heap *heap) {
    cb_lock_take(&heap->lock);
    size_t died = heap == cb_thread.heap ? cb_lower(heap->purge_died, WORK) : heap->purge_died;
    heap->purge_died -= died;
    cb_lock_drop(&heap->lock);
    return died + WORK;
}

static bool is_due(struct cb_heap *heap) {
    cb_lock_take(&heap->lock);
    bool due = cb_purge_is_due(heap);
    cb_lock_drop(&heap->lock);
    return due;
}

void cb_release_some(struct cb_heap *heap) {
    size_t share = take_share(heap), got = 1;
    for (size_t units = 0; units < share && got != 0; units += got) {
        got = is_due(heap) ? release_one(heap, WORK / 2, false) : 0;
    }
    cb_excess_release();
}

#define WATCH_EACH 8 /* of so many frees that come by here, one asks what time it is */

void cb_heap_watch(struct cb_heap *heap) {
    if (heap == cb_thread.heap) {
        cb_thread.tag = CB_NO_TAG;
    }
}

void cb_heap_watched(struct cb_heap *heap) {
    if (heap->watched++ % WATCH_EACH == 0 && cb_reserve_look() && cb_fork_lock(heap)) {
        cb_heap_unlock(heap);
    }
    if (!cb_reserve_is_idle()) {
        cb_thread.tag = heap->tag;
    }
}

void cb_release_all(struct cb_heap *heap) {
    while (release_one(heap, CB_BLOCK_SIZE >> CB_UNIT_SHIFT, true) != 0) {
    }
}
