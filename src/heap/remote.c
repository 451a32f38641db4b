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

#define COLLECT_FROM ((size_t)512 << 10)  /* bytes pending from which on others let them die */
#define COLLECT_SPARSE ((size_t)4 << 10)  /* the same where little lives in the owner's blocks */
#define SPARSE_BATCH 16                   /* objects; so many are handed over at a time then */
#define HAND_OVER_FROM ((size_t)64 << 10) /* bytes in an outbox from which on it is full */

static void hand_over(struct cb_heap *owner, struct cb_batch *batch) {
    atomic_fetch_add_explicit(&owner->pending, batch->bytes, memory_order_relaxed);
    batch->next = atomic_load_explicit(&owner->inbox, memory_order_relaxed);
    /* release: publishes the batch and the map bytes of its objects to the acquire in cb_remote_take_in */
    while (!atomic_compare_exchange_weak_explicit(&owner->inbox, &batch->next, batch, memory_order_release,
                                                  memory_order_relaxed)) {
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
        batch->count = batch->bytes = 0;
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

/* All that is in the inbox. */
static struct cb_batch *take_inbox(struct cb_heap *heap) {
    atomic_store_explicit(&heap->pending, 0, memory_order_relaxed);
    /* acquire: partner of the release in hand_over */
    return atomic_exchange_explicit(&heap->inbox, NULL, memory_order_acquire);
}

/* The object was freed by two threads at the same moment when it is not on its way to the owner. */
static bool on_its_way(uintptr_t p) {
    if ((cb_map_get(cb_map_at(p)) & CB_STATE) == CB_NONE) {
        return true;
    }
    cb_report_misuse("free", "double free of", p, 0);
    return false;
}

/* Under the owner's lock: lets the objects of a batch die, but for those of a block with a run, which stay in
 * it. */
static void let_die(struct cb_heap *owner, struct cb_batch *batch) {
    size_t kept = 0;
    for (size_t i = 0; i < batch->count; i++) {
        uintptr_t p = batch->object[i];
        struct cb_block *block = cb_block_of(p);
        if (block == owner->space[block->space].run_block) {
            batch->object[kept++] = p;
        } else if (on_its_way(p)) {
            size_t granules = cb_map_length(cb_map_at(p));
            cb_map_erase(cb_map_at(p), granules);
            cb_block_die(owner, block, p, granules);
        }
    }
    batch->count = kept;
    batch->bytes = 0;
}

/* When the owner has not looked into its inbox for long: see remote.h. */
static void collect_for(struct cb_heap *owner, size_t from) {
    if (atomic_load_explicit(&owner->pending, memory_order_relaxed) < from ||
        atomic_load_explicit(&owner->state, memory_order_relaxed) == CB_HEAP_FROZEN ||
        !cb_lock_try(&owner->lock)) {
        return;
    }
    struct cb_batch *batch = take_inbox(owner), *rest = NULL;
    while (batch != NULL) {
        struct cb_batch *next = batch->next;
        let_die(owner, batch);
        if (rest != NULL && rest->count + batch->count <= CB_BATCH) {
            memcpy(rest->object + rest->count, batch->object, batch->count * sizeof *batch->object);
            rest->count += batch->count;
            batch->count = 0;
        }
        if (batch->count == 0 && rest != NULL) {
            batch->next = rest->next; /* behind the one that is being filled */
            rest->next = batch;
        } else {
            batch->next = rest;
            rest = batch;
        }
        batch = next;
    }
    cb_lock_drop(&owner->lock);
    while (rest != NULL) {
        struct cb_batch *next = rest->next;
        if (rest->count != 0) {
            hand_over(owner, rest);
        } else {
            give_batch(cb_thread.heap, rest);
        }
        rest = next;
    }
}

static void empty(struct cb_outbox *box) {
    if (box->batch != NULL && box->batch->count != 0) {
        bool sparse = cb_heap_is_sparse(box->to);
        hand_over(box->to, box->batch);
        box->batch = NULL;
        box->most = sparse ? SPARSE_BATCH : CB_BATCH;
        collect_for(box->to, sparse ? COLLECT_SPARSE : COLLECT_FROM);
    }
}

/* A thread that has no heap any more: the object goes on its way alone. */
static void free_without_heap(struct cb_heap *owner, uintptr_t p, size_t bytes) {
    struct cb_batch *batch = cb_meta_take_batches();
    if (batch != NULL) {
        if (batch->next != NULL) {
            cb_meta_give_batches(batch->next);
        }
        batch->count = 1;
        batch->bytes = bytes;
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
    size_t bytes = cb_map_length(cb_map_at(p)) << CB_GRANULE_SHIFT;
    if (heap == NULL) {
        free_without_heap(owner, p, bytes);
        return;
    }
    struct cb_outbox *box = &heap->outbox[outbox_of(owner)];
    if (box->to != owner) {
        empty(box);
        box->to = owner;
        box->most = CB_BATCH;
    }
    if (box->batch == NULL) {
        box->batch = take_batch(heap);
        if (box->batch == NULL) {
            return; /* not even metadata can be had: the object is lost, the map says so */
        }
    }
    box->batch->object[box->batch->count++] = p;
    box->batch->bytes += bytes;
    if (box->batch->count >= box->most || box->batch->bytes >= HAND_OVER_FROM) {
        empty(box);
    }
}

void cb_remote_flush(struct cb_heap *heap) {
    for (unsigned i = 0; i < CB_OUTBOXES; i++) {
        empty(&heap->outbox[i]);
    }
}

void cb_remote_take_in(struct cb_heap *heap) {
    if (atomic_load_explicit(&heap->inbox, memory_order_relaxed) == NULL) {
        return;
    }
    struct cb_batch *batch = take_inbox(heap);
    while (batch != NULL) {
        for (size_t i = 0; i < batch->count; i++) {
            uintptr_t p = batch->object[i];
            if (i + 4 < batch->count) {
                __builtin_prefetch(cb_map_at(batch->object[i + 4]), 1);
            }
            if (on_its_way(p)) {
                cb_ring_park(heap, cb_ring_of(cb_map_length(cb_map_at(p))), p);
            }
        }
        struct cb_batch *next = batch->next;
        give_batch(heap, batch);
        batch = next;
    }
}
