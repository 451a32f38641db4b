/*
 * mutex.c: the lock of the debug variant. See types.h.
 *
 * Layer: debug. Lock: one, over what is added to the depot, the quarantine, and large objects on their way there. The
 * heap's locks are not taken while it is held, nor it while they are. A child of fork that was made while another
 * thread held it goes on with everything as it is: each change becomes visible by one word that is written last.
 */
#include "debug/types.h"

#include "os/lock.h"
#include "os/os.h"

#include <pthread.h>

#define TRIES_FOR_SIGNAL 2000 /* whoever the signal has interrupted may hold the lock, and cannot drop it */

static cb_lock lock;

/* A word that is zero in a child that has not reset the lock; NULL where the system cannot do that. */
static _Atomic uint32_t *_Atomic fork_word; /* release in cb_mutex_watch_forks, acquire in notice_fork */

static void in_child(void) {
    cb_lock_reset(&lock);
    _Atomic uint32_t *word = atomic_load_explicit(&fork_word, memory_order_acquire);
    if (word != NULL) {
        atomic_store_explicit(word, 1, memory_order_relaxed);
    }
}

/* Handlers of other libraries may allocate in the child before ours has run. */
static inline void notice_fork(void) {
    /* acquire: partner of the release in cb_mutex_watch_forks */
    _Atomic uint32_t *word = atomic_load_explicit(&fork_word, memory_order_acquire);
    if (word != NULL && CB_UNLIKELY(atomic_load_explicit(word, memory_order_relaxed) == 0)) {
        in_child();
    }
}

void cb_mutex_watch_forks(void) {
    _Atomic uint32_t *word = cb_os_map(0, cb_os_page_size());
    if (word != NULL && cb_os_wipe_on_fork(word)) {
        atomic_store_explicit(word, 1, memory_order_relaxed);
        atomic_store_explicit(&fork_word, word, memory_order_release);
    }
    pthread_atfork(NULL, NULL, in_child);
}

void cb_mutex_take(void) {
    notice_fork();
    cb_lock_take(&lock);
}

bool cb_mutex_take_soon(void) {
    notice_fork();
    for (int i = 0; i < TRIES_FOR_SIGNAL; i++) {
        if (cb_lock_try(&lock)) {
            return true;
        }
        cb_os_yield();
    }
    return false;
}

void cb_mutex_drop(void) {
    cb_lock_drop(&lock);
}
