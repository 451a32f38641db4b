/*
 * remote.c: see remote.h.
 *
 * Layer: heap. Threads: any. The inbox is a stack of blocks that many push onto and one takes as a whole, so there
 * is no ABA problem. A block is in it at most once, by the word block->remote:
 *
 *   OPEN         nothing is pending
 *   OPEN | bits  units in which objects were freed; whoever set the first of them pushes the block
 *   bits         the block is being looked through: these queue it again at the end. Or it is no block: late bits
 *                (of an object that was collected on behalf of another) mean nothing
 *
 * A block goes back to the page allocator only from OPEN, by compare-and-swap, so whoever has set the first bit finds
 * the owner that it had. No block is 0, as is a part of the block table that has been given back.
 */
#include "heap/remote.h"

#include "heap/release.h"
#include "heap/reserve.h"
#include "heap/bin.h"
#include "heap/scan.h"

/*
 * Units pending from which on others let them die; less where there are many heaps, or where little lives in the
 * owner's blocks and each object may keep a page, or a block.
 */
#define COLLECT_FROM (2 * CB_WORK >> CB_UNIT_SHIFT)
#define AWAKE_FROM (COLLECT_FROM / 4) /* units pending from which on it does not matter */
#define LAST_BIT 62                   /* the last two units of a block share it */

_Static_assert((CB_UNIT_GRANULES >> CB_QUAD_SHIFT) % CB_SCAN_BYTES == 0,
               "a unit is whole scans, in either space");

static void push(struct cb_heap *owner, struct cb_block *block) {
    uint32_t head = atomic_load_explicit(&owner->inbox, memory_order_relaxed);
    do {
        atomic_store_explicit(&block->remote_next, head, memory_order_relaxed);
        /* release: publishes the link to the acquire in take_inbox */
    } while (!atomic_compare_exchange_weak_explicit(&owner->inbox, &head, (uint32_t)cb_block_number(block),
                                                    memory_order_release, memory_order_relaxed));
}

/* All that is in the inbox. */
static struct cb_block *take_inbox(struct cb_heap *heap) {
    atomic_store_explicit(&heap->pending, 0, memory_order_relaxed);
    /* acquire: partner of the release in push */
    return cb_block_numbered(atomic_exchange_explicit(&heap->inbox, 0, memory_order_acquire));
}

/* The units in which objects were freed; bits that are set from now on queue the block again. */
static uint64_t open_block(struct cb_block *block) {
    /* acquire: partner of the release in announce */
    uint64_t units = atomic_exchange_explicit(&block->remote, 0, memory_order_acquire);
    /* Whoever found the bit of a unit set before the exchange had claimed its byte before that: the bytes are seen. */
    atomic_thread_fence(memory_order_seq_cst); /* partner: cb_map_claim and the load in announce */
    return units & ~CB_REMOTE_OPEN;
}

static void close_block(struct cb_heap *heap, struct cb_block *block) {
    uint64_t none = 0;
    /* release: partner of the acquire in announce */
    if (atomic_compare_exchange_strong_explicit(&block->remote, &none, CB_REMOTE_OPEN, memory_order_release,
                                                memory_order_relaxed)) {
        cb_space_drop_if_empty(heap, block);
        return;
    }
    atomic_fetch_or_explicit(&block->remote, CB_REMOTE_OPEN, memory_order_relaxed);
    push(heap, block);
}

/* The object at m is parked if its owner is the caller; else it dies. False where it must wait. */
static bool take_object(struct cb_heap *heap, struct cb_block *block, uint8_t *m, bool own) {
    size_t granule = cb_map_granule_in(block, m);
    if (!own && granule == atomic_load_explicit(&heap->bins->freeing, memory_order_relaxed)) {
        return false; /* the owner may have read its byte before it was claimed, and be about to store to it */
    }
    /* acquire: partner of cb_map_claim; the last use of the object came before */
    if ((__atomic_load_n(m, __ATOMIC_ACQUIRE) & CB_STATE) != CB_REMOTE) {
        return true;
    }
    if (own) {
        cb_count(&heap->taken_in, 1);
        cb_bin_park_locked(&cb_thread, cb_bin_of(cb_map_granules_in(block, m)), granule);
    } else {
        cb_count(&heap->collected, 1);
        cb_space_die_object(heap, block, granule);
    }
    return true;
}

/* Under the heap's lock: takes in what the block, which is off the inbox, holds of remote frees. */
static void take_block(struct cb_heap *heap, struct cb_block *block, bool own) {
    uint8_t *map = cb_map_at(cb_block_start(block));
    size_t bytes = CB_UNIT_GRANULES >> cb_map_shift(block); /* of map, for a unit */
    for (uint64_t units = open_block(block); units != 0; units &= units - 1) {
        unsigned unit = (unsigned)__builtin_ctzll(units);
        uint8_t *m = map + unit * bytes, *end = unit == LAST_BIT ? map + 64 * bytes : m + bytes;
        for (; m < end; m += CB_SCAN_BYTES) {
            for (uint64_t freed = cb_scan_remote(m); freed != 0; freed &= freed - 1) {
                if (!take_object(heap, block, m + __builtin_ctzll(freed), own)) {
                    atomic_fetch_or_explicit(&block->remote, (uint64_t)1 << unit,
                                             memory_order_relaxed); /* once more */
                }
            }
        }
    }
    close_block(heap, block);
}

void cb_remote_take_in(struct cb_heap *heap) {
    cb_heap_is_active(heap);
    if (atomic_load_explicit(&heap->inbox, memory_order_relaxed) == 0) {
        return;
    }
    cb_lock_take(&heap->lock);
    for (struct cb_block *block = take_inbox(heap), *next; block != NULL; block = next) {
        next = cb_block_numbered(atomic_load_explicit(&block->remote_next, memory_order_relaxed));
        take_block(heap, block, true);
    }
    cb_heap_unlock(heap);
}

/* Under the lock: all that others have freed dies, but in the blocks that the owner's runs are in, and in one more. */
static void collect(struct cb_heap *owner, const struct cb_block *but) {
    for (struct cb_block *block = take_inbox(owner), *next; block != NULL; block = next) {
        next = cb_block_numbered(atomic_load_explicit(&block->remote_next, memory_order_relaxed));
        if (cb_block_has_run(owner, block) || block == but) {
            push(owner, block);
        } else {
            take_block(owner, block, false);
        }
    }
}

void cb_remote_take_in_much(struct cb_heap *heap) {
    if (CB_UNLIKELY(cb_thread.heap != heap)) {
        return; /* a forked child has had to leave it */
    }
    cb_heap_is_active(heap);
    if (atomic_load_explicit(&heap->pending, memory_order_relaxed) >= COLLECT_FROM) {
        cb_remote_take_in(heap);
    }
}

/*
 * Only while the owner is asleep do others let objects of its heap die at once: the owner may have read the byte of an
 * object as live just before another thread claimed it, in a free of the same object by both, and store to it just
 * after. That store makes the look find nothing, and the two frees are one; it would do harm only after the object has
 * died. So the owner says which object it frees before it reads its byte (bins->freeing), and that one is left alone. It
 * says so without a fence, by which each free would take longer; the word is seen once the processor has emptied its
 * store buffer, within nanoseconds, or when the thread is interrupted. Hence objects are not collected in the moment in
 * which they are freed: an owner that works takes in what others freed by itself, and when very much is pending all the
 * same, all goes but the block in which an object has just been freed.
 */
void cb_remote_collect(struct cb_heap *owner) {
    if (cb_heap_is_asleep(owner)) {
        cb_lock_take(&owner->lock);
        collect(owner, NULL);
        cb_heap_unlock(owner);
    }
}

/* When the owner has not looked into its inbox for long: an object of the block has just been freed. */
static void collect_for(struct cb_heap *owner, const struct cb_block *block, uint32_t pending) {
    if ((cb_heap_is_asleep(owner) || pending >= AWAKE_FROM) && cb_lock_try(&owner->lock)) {
        collect(owner, block);
        cb_heap_unlock(owner);
    }
}

/* Units that may be pending. */
static uint32_t collect_from(const struct cb_heap *owner) {
    size_t heaps = cb_reserve_heaps();
    size_t share = heaps <= CB_HEAPS ? COLLECT_FROM : COLLECT_FROM * CB_HEAPS / heaps;
    return cb_heap_is_sparse(owner) ? 1 : (uint32_t)cb_higher(share, CB_STEP >> CB_UNIT_SHIFT);
}

/* The bit of the unit that an object begins in. */
static uint64_t unit_bit(uintptr_t p) {
    size_t unit = (p & (CB_BLOCK_SIZE - 1)) >> CB_UNIT_SHIFT;
    return (uint64_t)1 << (unit < LAST_BIT ? unit : LAST_BIT);
}

/*
 * Sets the bit, which was not set, so that the owner finds an object of so many granules, which may be gone already.
 * True: the answer of cb_remote_free, which ends with this call.
 */
static CB_NOINLINE bool announce(struct cb_heap *owner, struct cb_block *block, uint64_t bit,
                                 size_t granules) {
    /* release: partner of the acquire in open_block; acquire: of the releases in close_block and cb_block_take */
    uint64_t before = atomic_fetch_or_explicit(&block->remote, bit, memory_order_acq_rel);
    if (before == CB_REMOTE_OPEN) {
        owner = atomic_load_explicit(&block->owner,
                                     memory_order_relaxed); /* it stays until the block is opened */
        push(owner, block);
    }
    if ((before & (bit | CB_REMOTE_OPEN)) == CB_REMOTE_OPEN) {
        uint32_t units = (uint32_t)(granules / CB_UNIT_GRANULES) + 1;
        uint32_t pending = atomic_fetch_add_explicit(&owner->pending, units, memory_order_relaxed) + units;
        if (pending >= collect_from(owner)) {
            collect_for(owner, block, pending);
        }
    }
    return true;
}

/*
 * Claims the object whose map byte is at m, and sees to it that the owner, who is in this state, finds it. False when
 * it is not live any more.
 */
static inline bool hand_over(struct cb_heap *owner, uint32_t state, uintptr_t p, uint8_t *m, uint8_t byte) {
    struct cb_block *block = cb_block_of(p);
    size_t granules = byte != CB_LIVE ? byte & CB_LENGTH : cb_map_medium_granules(m);
    uint64_t bit = unit_bit(p);
    if (!cb_map_claim(m, byte)) {
        return false;
    }
    /* seq_cst: partner of the fence in open_block; mostly it spares the cache line a write */
    if ((atomic_load_explicit(&block->remote, memory_order_seq_cst) & bit) != 0 || state == CB_HEAP_FROZEN) {
        return true;
    }
    return announce(owner, block, bit, granules);
}

/*
 * Nobody runs the heap: the object dies now. When that is not so, or somebody else has the lock, it is handed over. A
 * heap is adopted under its lock, so its next thread frees nothing meanwhile.
 */
static CB_NOINLINE bool free_of_parked(struct cb_heap *owner, uintptr_t p, uint8_t *m, uint8_t byte) {
    if (!cb_lock_try(&owner->lock)) {
        return hand_over(owner, CB_HEAP_PARKED, p, m, byte);
    }
    struct cb_block *block = cb_block_of(p);
    bool was_live = false;
    bool done = !cb_block_has_run(owner, block) &&
                atomic_load_explicit(&owner->state, memory_order_relaxed) == CB_HEAP_PARKED;
    if (done) {
        was_live = cb_map_claim(m, byte);
        if (was_live) {
            cb_count(&owner->collected, 1);
            cb_space_die_object(owner, block, p >> CB_GRANULE_SHIFT);
        }
    }
    cb_heap_unlock(owner);
    return done ? was_live : hand_over(owner, CB_HEAP_PARKED, p, m, byte);
}

bool cb_remote_free(struct cb_heap *owner, uintptr_t p, uint8_t *m, uint8_t byte) {
    /* relaxed: a guess; the lock tells */
    uint32_t state = atomic_load_explicit(&owner->state, memory_order_relaxed);
    if (CB_UNLIKELY(state == CB_HEAP_PARKED)) {
        return free_of_parked(owner, p, m, byte);
    }
    return hand_over(owner, state, p, m, byte);
}
