/*
 * alive.c: see alive.h.
 *
 * Layer: os. Threads: any.
 */
#include "os/alive.h"

#include "os/os.h"

#include <errno.h>
#include <stdatomic.h>

#define TRIES 64 /* of a thread to hold its mark */

static _Atomic bool begun; /* relaxed: a thread that does not see it yet holds no mark, which is safe */

void cb_alive_begin(void) {
    atomic_store_explicit(&begun, true, memory_order_relaxed);
}

void cb_alive_init(struct cb_alive *alive) {
    pthread_mutexattr_t attributes;
    alive->held = false;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&alive->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

/*
 * Another thread has the mutex at most for a moment, in cb_alive_inherit. It is not waited for all the same: that
 * thread may be in a function that the program has put before pthread's, at a lock of the program's, which the
 * calling thread holds while it allocates.
 */
void cb_alive_hold(struct cb_alive *alive) {
    if (alive->held || !atomic_load_explicit(&begun, memory_order_relaxed)) {
        return;
    }
    int answer = pthread_mutex_trylock(&alive->mutex);
    for (int tries = 1; answer == EBUSY && tries < TRIES; tries++) {
        cb_os_yield();
        answer = pthread_mutex_trylock(&alive->mutex);
    }
    alive->held = answer == 0;
}

void cb_alive_drop(struct cb_alive *alive) {
    if (alive->held) {
        alive->held = false;
        pthread_mutex_unlock(&alive->mutex);
    }
}

bool cb_alive_inherit(struct cb_alive *alive) {
    int answer = pthread_mutex_trylock(&alive->mutex);
    if (answer == EOWNERDEAD) {
        pthread_mutex_consistent(&alive->mutex);
        alive->held = true;
        return true;
    }
    if (answer == 0) {
        pthread_mutex_unlock(&alive->mutex);
    }
    return false;
}

void cb_alive_renew(struct cb_alive *alive) {
    /*
     * After fork and _Fork the C library has emptied the thread's list of robust mutexes, and this unlock is
     * refused: the mutex is another thread's. After a bare system call the mutex is still in the list.
     */
    cb_alive_drop(alive);
    cb_alive_init(alive);
    cb_alive_hold(alive);
}
