/*
 * lock.c: the contended half of the lock: spin for a moment, then sleep on a futex.
 *
 * Layer: os. Threads: any. The three-state futex protocol is U. Drepper's ("Futexes Are Tricky", mutex 2).
 */
#include "os/lock.h"

void cb_lock_slow(cb_lock *lock) {
    for (int spin = 0; spin < 64; spin++) {
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == 0 && cb_lock_try(lock)) {
            return;
        }
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }
    /* acquire: partner of the release in cb_lock_drop */
    while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire) != 0) {
        cb_os_wait(&lock->state, 2);
    }
    cb_lock_note_hold(lock);
}

bool cb_lock_until(cb_lock *lock, uint64_t milliseconds) {
    if (milliseconds == CB_LOCK_WAIT) {
        cb_lock_take(lock);
        return true;
    }
    while (!cb_lock_try(lock)) {
        if (cb_os_milliseconds() >= milliseconds) {
            return false;
        }
        cb_os_yield();
    }
    return true;
}
