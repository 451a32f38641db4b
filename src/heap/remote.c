/*
 * remote.c: see remote.h.
 *
 * Layer: heap. Lock-free: the inbox is a stack of batches that many push onto and one takes as a whole, so
 * there is no ABA problem.
 */
#include "heap/remote.h"

#include "heap/meta.h"
#include "heap/report.h"
#include "heap/ring.h"
#include "heap/thread.h"

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

/* An empty batch, or NULL. */
static struct cb_batch *take_batch(struct cb_heap *heap) {
    struct cb_batch *batch = heap->spare;
    if (batch == NULL) {
        batch = cb_meta_take_batches();
        heap->spares = 0;
        for (const struct cb_batch *each = batch; each != NULL; each = each->next) {
            heap->spares++;
        }
    }
    if (batch != NULL) {
        heap->spare = batch->next;
        heap->spares--;
        batch->count = 0;
    }
    return batch;
}

/* Batches wander from the threads that free to those that own: what is too many goes back for all to use. */
static void give_batch(struct cb_heap *heap, struct cb_batch *batch) {
    batch->next = heap->spare;
    heap->spare = batch;
    if (++heap->spares < CB_SPARE_BATCHES) {
        return;
    }
    struct cb_batch *last = batch;
    for (unsigned n = 1; n < CB_SPARE_BATCHES / 2; n++) {
        last = last->next;
    }
    heap->spare = last->next;
    heap->spares -= CB_SPARE_BATCHES / 2;
    last->next = NULL;
    cb_meta_give_batches(batch);
}

/* A thread that has no heap any more: the object goes on its way alone. */
static void free_without_heap(struct cb_heap *owner, uintptr_t p) {
    struct cb_batch *batch = cb_meta_take_batches();
    if (batch != NULL) {
        if (batch->next != NULL) {
            cb_meta_give_batches(batch->next);
        }
        batch->count = 1;
        batch->object[0] = p;
        hand_over(owner, batch);
    }
}

/* Which outbox is for this owner. Nothing of the owner is read: its cache lines are busy. */
static unsigned outbox_of(const struct cb_heap *owner) {
    return (unsigned)((uintptr_t)owner >> 6) * 0x9E3779B1U >> 28;
}
_Static_assert(CB_OUTBOXES == 1 << (32 - 28), "the hash has as many values as there are outboxes");

void cb_remote_free(struct cb_heap *owner, uintptr_t p) {
    /* A thread that only frees gets a heap for its outboxes; one that is exiting has had its own. */
    struct cb_heap *heap = cb_thread.exits == 0 ? cb_thread_heap() : cb_thread.heap;
    if (heap == NULL) {
        free_without_heap(owner, p);
        return;
    }
    struct cb_outbox *box = &heap->outbox[outbox_of(owner)];
    if (box->to != owner) {
        empty(box);
        box->to = owner;
    }
    if (box->batch == NULL) {
        box->batch = take_batch(heap);
        if (box->batch == NULL) {
            return; /* not even metadata can be had: the object is lost, the map says so */
        }
    }
    box->batch->object[box->batch->count++] = p;
    if (box->batch->count == CB_BATCH) {
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
        give_batch(heap, batch);
        batch = next;
    }
}
