/*
 * lock.h: a small mutual exclusion lock that never allocates.
 *
 * Layer: os. Threads: any. Not recursive. Locks have ranks (see heap/types.h); a thread takes them in rising
 * order. A child of fork finds every lock as it was in the parent: cb_lock_reset makes it usable again
 * (heap/fork.c says when).
 */
#ifndef CB_LOCK_H
#define CB_LOCK_H

#include "os/os.h"

#include <stdatomic.h>

typedef struct cb_lock {
    _Atomic uint32_t state; /* 0 free, 1 held, 2 held and somebody sleeps */
} cb_lock;

void cb_lock_slow(cb_lock *lock);

/* True when the lock was free and is now the caller's. */
static inline bool cb_lock_try(cb_lock *lock) {
    uint32_t expected = 0;
    /* acquire: partner of the release in cb_lock_drop */
    return atomic_compare_exchange_strong_explicit(&lock->state, &expected, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline void cb_lock_take(cb_lock *lock) {
    if (!cb_lock_try(lock)) {
        cb_lock_slow(lock);
    }
}

/* Takes the lock, or gives up at this time of cb_os_milliseconds: false. CB_LOCK_WAIT: never. */
#define CB_LOCK_WAIT UINT64_MAX
bool cb_lock_until(cb_lock *lock, uint64_t milliseconds);

static inline void cb_lock_drop(cb_lock *lock) {
    /* release: publishes what was done under the lock to the next cb_lock_take */
    if (atomic_exchange_explicit(&lock->state, 0, memory_order_release) == 2) {
        cb_os_wake(&lock->state);
    }
}

/* In a forked child only: whoever holds the lock does not exist there. */
static inline bool cb_lock_is_held(const cb_lock *lock) {
    return atomic_load_explicit(&lock->state, memory_order_relaxed) != 0;
}

/*
 * In a forked child only, after what the lock guards has been repaired: should this process fork meanwhile, the
 * child finds the lock held and does it again. Hence release.
 */
static inline void cb_lock_reset(cb_lock *lock) {
    atomic_store_explicit(&lock->state, 0, memory_order_release);
}

#endif
