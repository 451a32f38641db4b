/*
 * lock.h: a small mutual exclusion lock that never allocates.
 *
 * Layer: os. Threads: any. Not recursive. Locks have ranks (see heap/types.h); a thread takes them in rising
 * order, which is asserted in the build for tests (os/rank.h). A child of fork finds every lock as it was in the
 * parent: cb_lock_reset makes it usable again (heap/fork.c says when).
 */
#ifndef CB_LOCK_H
#define CB_LOCK_H

#include "os/os.h"
#include "os/rank.h"

#include <stdatomic.h>

typedef struct cb_lock {
    /* 0 free, 1 held, 2 held and somebody sleeps; acquire by who takes it, release by who drops it */
    _Atomic uint32_t state;
#ifdef CB_TESTING
    struct cb_rank rank; /* constant */
#endif
} cb_lock;

/* The initial value of a lock: `name` is its symbol's. Without ranks it is all zero. */
#ifdef CB_TESTING
#define CB_LOCK_INIT(name, rank)                                                                             \
    {                                                                                                        \
        0, {                                                                                                 \
            name, rank                                                                                       \
        }                                                                                                    \
    }

static inline void cb_lock_note_wait(const cb_lock *lock) {
    cb_rank_wait(&lock->rank);
}

static inline void cb_lock_note_hold(const cb_lock *lock) {
    cb_rank_hold(&lock->rank);
}

static inline void cb_lock_note_drop(const cb_lock *lock) {
    cb_rank_drop(&lock->rank);
}

static inline void cb_lock_note_reset(const cb_lock *lock) {
    cb_rank_reset(&lock->rank);
}
#else
#define CB_LOCK_INIT(name, rank)                                                                             \
    { 0 }

static inline void cb_lock_note_wait(const cb_lock *lock) {
    (void)lock;
}

static inline void cb_lock_note_hold(const cb_lock *lock) {
    (void)lock;
}

static inline void cb_lock_note_drop(const cb_lock *lock) {
    (void)lock;
}

static inline void cb_lock_note_reset(const cb_lock *lock) {
    (void)lock;
}
#endif

/* Waits until it has the lock: cb_lock_take, where that is not free. */
void cb_lock_slow(cb_lock *lock);

/* True when the lock was free and is now the caller's. */
static inline bool cb_lock_try(cb_lock *lock) {
    uint32_t expected = 0;
    /* acquire: partner of the release in cb_lock_drop */
    bool got = atomic_compare_exchange_strong_explicit(&lock->state, &expected, 1, memory_order_acquire,
                                                       memory_order_relaxed);
    if (got) {
        cb_lock_note_hold(lock);
    }
    return got;
}

static inline void cb_lock_take(cb_lock *lock) {
    cb_lock_note_wait(lock);
    if (!cb_lock_try(lock)) {
        cb_lock_slow(lock);
    }
}

/* Takes the lock, or gives up at this time of cb_os_milliseconds: false. CB_LOCK_WAIT: never. */
#define CB_LOCK_WAIT UINT64_MAX
bool cb_lock_until(cb_lock *lock, uint64_t milliseconds);

static inline void cb_lock_drop(cb_lock *lock) {
    cb_lock_note_drop(lock);
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
    cb_lock_note_reset(lock);
    atomic_store_explicit(&lock->state, 0, memory_order_release);
}

#endif
