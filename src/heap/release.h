/*
 * release.h: what is put off while a heap's lock is held, and done after it: giving pages back.
 *
 * Layer: heap, above the blocks. Threads: any.
 *
 * No system call is made under the heap's lock, for which its owner may be waiting, and no single call does the work
 * of many: what goes back in one call is bounded, and the rest goes back in the next calls.
 */
#ifndef CB_HEAP_RELEASE_H
#define CB_HEAP_RELEASE_H

#include "heap/pages.h"
#include "heap/purge.h"
#include "heap/reserve.h"
#include "heap/types.h"
#include "os/lock.h"

/* Gives back some of what is more than may stay, in the heap's blocks and in free extents. */
void cb_release_some(struct cb_heap *heap);

/* Gives back every dead page of the heap's blocks, whatever the reserve. */
void cb_release_all(struct cb_heap *heap);

/*
 * More is held than may be, and this much time has passed: a heap that seems to be asleep gives some of it back, for its
 * owner does not come by. Of all heaps a few are looked at, in turn.
 */
void cb_release_of_sleeping(size_t milliseconds);

/* There is one more heap, which stays: cb_release_of_sleeping gets to it. */
void cb_release_note_heap(struct cb_heap *heap);

/* True when no thread has the heap, or its owner has not been on a slow path for a while. Without the lock. */
bool cb_heap_is_asleep(struct cb_heap *heap);

/*
 * Most of the memory, or of this heap, is held and not used, and time is what lets it go; but a program that does little
 * may not come by any slow path for long. So each free of this thread that is not on top does, as long as that is so:
 * without its tag the thread finds no block to be its own at once. Each of these frees calls cb_heap_watched, and one
 * of CB_SELDOM looks at the time, and whether it is still so.
 */
void cb_heap_watch(struct cb_heap *heap);
void cb_heap_look(struct cb_thread *t);

static inline void cb_heap_watched(struct cb_thread *t) {
    if (t->heap->watched++ % CB_SELDOM == 0) {
        cb_heap_look(t);
    }
}

static inline bool cb_heap_is_idle(const struct cb_heap *heap) {
    size_t held = __atomic_load_n(&heap->held, __ATOMIC_RELAXED);
    return cb_reserve_is_idle() || (held > CB_WORK && CB_TO_GRANULES(held) > cb_heap_in_use(heap));
}

static inline void cb_heap_watch_if_idle(struct cb_heap *heap) {
    if (CB_UNLIKELY(cb_heap_is_idle(heap))) {
        cb_heap_watch(heap);
    }
}

/* Drops the lock of a heap in whose blocks something may have died. */
static inline void cb_heap_unlock(struct cb_heap *heap) {
    size_t passed = cb_reserve_look();
    cb_heap_watch_if_idle(heap);
    bool due = ((heap->purge_due || cb_reserve_is_over()) && cb_purge_is_due(heap)) || cb_excess_any();
    cb_lock_drop(&heap->lock);
    if (CB_UNLIKELY(due)) {
        cb_release_some(heap);
    }
    if (CB_UNLIKELY(passed != 0)) {
        cb_release_of_sleeping(passed);
    }
}

#endif
