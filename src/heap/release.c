/*
 * release.c: see release.h.
 *
 * Layer: heap. Threads: any.
 */
#include "heap/release.h"

#include "heap/fork.h"
#include "heap/space.h"

/* Units: at worst as many system calls, fewer where stretches are long. */
#define WORK (CB_WORK >> CB_UNIT_SHIFT)

/* One order, if one is due; if `all`, of whatever there is. Returns the units that went back; 0: no more. */
static size_t release_one(struct cb_heap *heap, size_t most, bool all) {
    struct cb_purge_order order;
    cb_lock_take(&heap->lock);
    bool any = (all || cb_purge_is_due(heap)) && cb_purge_order(heap, most, all, &order);
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
    cb_space_purged(heap, order.block);
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

/* As many units as are more than may stay, but about so many at most. Returns how many went back. */
static size_t release_due(struct cb_heap *heap, size_t most) {
    size_t units = 0, got = 1;
    for (; units < most && got != 0; units += got) {
        got = release_one(heap, WORK / 2, false);
    }
    return units;
}

void cb_release_some(struct cb_heap *heap) {
    release_due(heap, take_share(heap));
    cb_excess_release();
}

/* The heap that was made last, and the one that was looked at last. Both publish it, to the acquire in next_heap. */
static struct cb_heap *_Atomic newest, *_Atomic hand;

void cb_release_note_heap(struct cb_heap *heap) {
    atomic_store_explicit(&newest, heap, memory_order_release);
}

static struct cb_heap *next_heap(void) {
    struct cb_heap *heap = atomic_load_explicit(&hand, memory_order_acquire);
    heap = heap != NULL ? heap->next : NULL;
    heap = heap != NULL ? heap : atomic_load_explicit(&newest, memory_order_acquire);
    atomic_store_explicit(&hand, heap, memory_order_release);
    return heap;
}

bool cb_heap_is_asleep(struct cb_heap *heap) {
    if (atomic_load_explicit(&heap->state, memory_order_relaxed) == CB_HEAP_PARKED) {
        return true; /* it has no owner */
    }
    /* relaxed: of two that look at once either may set the time */
    uint32_t activity = atomic_load_explicit(&heap->activity, memory_order_relaxed);
    uint64_t now = cb_os_milliseconds();
    if (activity != atomic_load_explicit(&heap->activity_seen, memory_order_relaxed)) {
        atomic_store_explicit(&heap->seen_at, now, memory_order_relaxed);
        atomic_store_explicit(&heap->activity_seen, activity, memory_order_relaxed);
        return false;
    }
    return now - atomic_load_explicit(&heap->seen_at, memory_order_relaxed) >= CB_QUIET;
}

/* The caller's own heap, one that nobody has, or one whose owner does not come by; but none that a fork left behind. */
static bool may_give(struct cb_heap *heap) {
    return __atomic_load_n(&heap->held, __ATOMIC_RELAXED) != 0 &&
           atomic_load_explicit(&heap->state, memory_order_relaxed) != CB_HEAP_FROZEN &&
           (heap == cb_thread.heap || cb_heap_is_asleep(heap));
}

void cb_release_of_sleeping(size_t milliseconds) {
    size_t share = (CB_WORK + CB_WORK / 2 * milliseconds) >> CB_UNIT_SHIFT;
    for (unsigned looks = CB_HEAPS; looks != 0 && share != 0 && cb_reserve_is_over(); looks--) {
        struct cb_heap *heap = next_heap();
        if (may_give(heap)) {
            share -= cb_lower(share, release_due(heap, share));
        }
    }
}

void cb_heap_watch(struct cb_heap *heap) {
    if (heap == cb_thread.heap) {
        cb_thread.tag = CB_NO_TAG;
    }
}

void cb_heap_look(struct cb_thread *t) {
    struct cb_heap *heap = t->heap;
    size_t passed = cb_reserve_look();
    if (passed != 0 && cb_fork_lock(heap)) {
        cb_heap_unlock(heap);
        cb_release_of_sleeping(passed);
    }
    if (!cb_heap_is_idle(heap)) {
        t->tag = heap->tag;
    }
}

void cb_release_all(struct cb_heap *heap) {
    while (release_one(heap, CB_BLOCK_SIZE >> CB_UNIT_SHIFT, true) != 0) {
    }
}
