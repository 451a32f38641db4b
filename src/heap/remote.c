/*
 * remote.c: see remote.h.
 *
 * Layer: heap. Lock-free: the inbox is a stack of batches that many push onto and one takes as a whole, so there is no
 * ABA problem.
 */
#include "heap/remote.h"

#include "heap/meta.h"
#include "heap/report.h"
#include "heap/ring.h"

static void hand_over(struct cb_heap *owner, struct cb_batch *batch) {
    batch->next = atomic_load_explicit(&owner->inbox, memory_order_relaxed);
    /* release: publishes the batch and the map bytes of its objects to the acquire in cb_remote_take_in */
    while (!atomic_compare_exchange_weak_explicit(&owner->inbox, &batch->next, batch, memory_order_release,
                                                  memory_order_relaxed)) {
    }
}

static void empty(struct cb_outbox *box) {
    if (box->batch != NULL && box->batch->count != 0) {
        hand_over(box->to, box->batch);
        box->batch = NULL;
    }
}

void cb_remote_free(struct cb_heap *owner, uintptr_t p) {
    struct cb_heap *heap = cb_thread.heap;
    struct cb_outbox none = {.to = owner, .batch = NULL};
    struct cb_outbox *box = heap != NULL ? &heap->outbox[owner->id % CB_OUTBOXES] : &none;
    if (box->to != owner) {
        empty(box);
        box->to = owner;
    }
    if (box->batch == NULL) {
        box->batch = cb_meta_take_batch();
        if (box->batch == NULL) {
            return; /* not even metadata can be had: the object is lost, the map says so */
        }
        box->batch->count = 0;
    }
    box->batch->object[box->batch->count++] = p;
    if (box->batch->count == CB_BATCH || heap == NULL) {
        empty(box);
    }
}

void cb_remote_flush(struct cb_heap *heap) {
    for (unsigned i = 0; i < CB_OUTBOXES; i++) {
        empty(&heap->outbox[i]);
    }
}

/* The ring that an object whose map byte is at m belongs to. */
static unsigned ring_at(const uint8_t *m) {
    size_t granules = cb_map_length(m);
    return granules <= CB_SMALL_GRANULES ? (unsigned)granules : cb_medium_ring(granules << CB_GRANULE_SHIFT);
}

void cb_remote_take_in(struct cb_heap *heap) {
    if (atomic_load_explicit(&heap->inbox, memory_order_relaxed) == NULL) {
        return;
    }
    /* acquire: partner of the release in hand_over */
    struct cb_batch *batch = atomic_exchange_explicit(&heap->inbox, NULL, memory_order_acquire);
    while (batch != NULL) {
        for (size_t i = 0; i < batch->count; i++) {
            uintptr_t p = batch->object[i];
            if (i + 4 < batch->count) {
                __builtin_prefetch(cb_map_at(batch->object[i + 4]), 1);
            }
            if ((cb_map_get(cb_map_at(p)) & CB_STATE) != CB_NONE) {
                /* two threads freed it at the same moment */
                cb_report_misuse("free", "double free of", p, 0);
                continue;
            }
            cb_ring_park(heap, ring_at(cb_map_at(p)), p);
        }
        struct cb_batch *next = batch->next;
        cb_meta_give_batch(batch);
        batch = next;
    }
}
