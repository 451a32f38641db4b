/*
 * thread.c: see thread.h.
 *
 * Layer: heap. Lock: cb_heaps.lock (rank 1) guards the list of idle heaps, the list of all, and the first
 * start.
 *
 * A heap outlives its thread: it is parked as it is, rings and all, and the next new thread adopts it. Frees
 * that come after the thread's destructor are remote frees; mallocs after it get pages of their own, since
 * nothing would park a heap that was adopted then.
 */
#include "heap/thread.h"

#include "heap/map.h"
#include "heap/meta.h"
#include "heap/pages.h"
#include "heap/process.h"
#include "heap/refill.h"
#include "heap/remote.h"
#include "heap/ring.h"
#include "heap/room.h"

#include <pthread.h>
#include <string.h>

/* The destructor lets those of other keys run first: they may allocate. */
#define EXIT_ROUNDS 2
#define LATE_MOST                                                                                            \
    1000 /* requests that get pages of their own; it is the thread that runs exit() that has more */

_Thread_local struct cb_thread cb_thread CB_TLS_MODEL = {.run = {(size_t)1 << 62, (size_t)1 << 62},
                                                         .tag = CB_NO_TAG};

static struct {
    cb_lock lock;        /* rank 1 */
    struct cb_heap *all; /* guarded by lock, as is all that follows */
    struct cb_heap *idle;
    uint64_t made; /* heaps, since the start */
    bool started;
    pthread_key_t key;          /* valid while key_state is KEY_TAKEN */
    _Atomic uint32_t key_state; /* release and acquire in take_key */
} heaps;

enum { KEY_NONE = 0, KEY_IN_HAND = 1, KEY_TAKEN = 2 };

/* A page that is zero in a child that has not been repaired; NULL where the system cannot do that. */
static _Atomic uint32_t *_Atomic fork_word; /* release in start, acquire in cb_fork_notice */

enum { FORK_REPAIR = 0, FORK_REPAIRING = 1, FORK_GOOD = 2 };

/* The thread has no heap from now on. */
static void leave(void) {
    uint32_t exits = cb_thread.exits;
    cb_thread = (struct cb_thread){.run = CB_NO_RUN, .tag = CB_NO_TAG, .exits = exits};
}

static void repair_child(void) {
    bool torn = cb_lock_reset(&heaps.lock);
    cb_room_after_fork();
    cb_pages_after_fork();
    cb_meta_after_fork();
    if (torn) {
        heaps.idle = NULL; /* another thread was changing it: the idle heaps are lost to this process */
        heaps.made++;      /* and it may have been using the next tag */
    }
    for (struct cb_heap *heap = heaps.all; heap != NULL; heap = heap->next) {
        bool changing = cb_lock_reset(&heap->lock); /* another thread was letting objects of it die */
        bool mine = heap == cb_thread.heap;
        bool parked = atomic_load_explicit(&heap->state, memory_order_relaxed) == CB_HEAP_PARKED;
        if (changing || (!mine && !parked)) {
            atomic_store_explicit(&heap->state, CB_HEAP_FROZEN, memory_order_relaxed);
            if (mine) {
                leave();
            }
        }
    }
}

static void in_child(void) {
    _Atomic uint32_t *word = atomic_load_explicit(&fork_word, memory_order_acquire);
    repair_child();
    if (word != NULL) {
        atomic_store_explicit(word, FORK_GOOD, memory_order_release);
    }
}

CB_NOINLINE void cb_fork_notice(void) {
    /* acquire: partner of the release in start */
    _Atomic uint32_t *word = atomic_load_explicit(&fork_word, memory_order_acquire);
    if (word == NULL || CB_LIKELY(atomic_load_explicit(word, memory_order_acquire) == FORK_GOOD)) {
        return;
    }
    uint32_t expected = FORK_REPAIR;
    if (atomic_compare_exchange_strong_explicit(word, &expected, FORK_REPAIRING, memory_order_acquire,
                                                memory_order_acquire)) {
        repair_child();
        /* release: whoever waits below sees the repaired state */
        atomic_store_explicit(word, FORK_GOOD, memory_order_release);
        return;
    }
    while (atomic_load_explicit(word, memory_order_acquire) != FORK_GOOD) {
        cb_os_yield();
    }
}

/* Takes what the thread has in cb_thread into the heap and leaves the thread without one. */
static void detach(struct cb_heap *heap) {
    heap->space[CB_SMALL].run = cb_thread.run;
    heap->asked = cb_thread.asked;
    leave();
}

static void attach(struct cb_heap *heap) {
    cb_thread.run = heap->space[CB_SMALL].run;
    cb_thread.asked = heap->asked;
    cb_thread.rings = heap->rings;
    cb_thread.map = cb_map;
    cb_thread.heap = heap;
    cb_thread.tag = heap->tag;
}

static void thread_exit(void *argument) {
    struct cb_heap *heap = argument;
    if (heap != cb_thread.heap) {
        return;
    }
    if (++cb_thread.exits <= EXIT_ROUNDS && pthread_setspecific(heaps.key, heap) == 0) {
        return;
    }
    cb_thread.exits = EXIT_ROUNDS + 1;
    cb_fork_notice();
    cb_remote_take_in(heap);
    detach(heap);
    cb_lock_take(&heaps.lock);
    atomic_store_explicit(&heap->state, CB_HEAP_PARKED, memory_order_relaxed);
    heap->next_idle = heaps.idle;
    heaps.idle = heap;
    cb_lock_drop(&heaps.lock);
}

/* Once, outside of the lock: libc may allocate. Before main, so that no fork can meet the first allocation's
 * locks. */
static void watch_forks(void) {
    static _Atomic bool
        watching; /* relaxed: there is one thread, or a second registration, which does no harm */
    if (!atomic_exchange_explicit(&watching, true, memory_order_relaxed)) {
        pthread_atfork(NULL, NULL, in_child);
    }
}

static bool have_key(void) {
    /* acquire: partner of the release in take_key */
    return atomic_load_explicit(&heaps.key_state, memory_order_acquire) == KEY_TAKEN;
}

/*
 * Without the lock: pthread_key_create may be another library's, which allocates. Whoever comes while the key
 * is in hand goes on without it: that is such an allocation, or a second thread before any constructor.
 */
static void take_key(void) {
    uint32_t expected = KEY_NONE;
    if (have_key() || !atomic_compare_exchange_strong_explicit(&heaps.key_state, &expected, KEY_IN_HAND,
                                                               memory_order_relaxed, memory_order_relaxed)) {
        return;
    }
    bool taken = pthread_key_create(&heaps.key, thread_exit) == 0;
    /* release: partner of the acquire in have_key, publishes the key */
    atomic_store_explicit(&heaps.key_state, taken ? KEY_TAKEN : KEY_NONE, memory_order_release);
    if (taken && cb_thread.heap != NULL) {
        pthread_setspecific(heaps.key, cb_thread.heap);
    }
}

/*
 * Libc allocates a thread's values for the keys from the 33rd on, all at once, when the first of them is set.
 * Were ours among them, it would be set in the midst of that allocation, and be lost.
 */
void cb_thread_before_main(void) {
    take_key();
    watch_forks();
}

static bool start(void) {
    cb_process_begin();
    if (!cb_pages_init()) {
        return false;
    }
    _Atomic uint32_t *word = cb_meta_take_page();
    if (word != NULL && cb_os_wipe_on_fork(word)) {
        atomic_store_explicit(word, FORK_GOOD, memory_order_relaxed);
        /* release: partner of the acquire in cb_fork_notice */
        atomic_store_explicit(&fork_word, word, memory_order_release);
    }
    heaps.started = true;
    return true;
}

static struct cb_heap *new_heap(void) {
    struct cb_heap *heap = cb_meta_take(sizeof *heap);
    struct cb_rings *rings = heap != NULL ? cb_meta_take_pages(sizeof *rings) : NULL;
    if (rings == NULL) {
        return NULL;
    }
    heap->rings = rings;
    heaps.made++;
    heap->tag = heaps.made < CB_TAGS ? heaps.made << CB_TAG_SHIFT : CB_NO_TAG;
    heap->space[CB_SMALL].run = heap->space[CB_MEDIUM].run = CB_NO_RUN;
    heap->next = heaps.all;
    heaps.all = heap;
    return heap;
}

static CB_NOINLINE struct cb_heap *start_thread(void) {
    bool first = false;
    cb_os_begin();
    take_key();
    struct cb_heap *heap = cb_thread.heap;
    if (heap != NULL) {
        return heap; /* what these called has allocated */
    }
    cb_lock_take(&heaps.lock);
    if (heaps.started || (first = start())) {
        while ((heap = heaps.idle) != NULL) {
            heaps.idle = heap->next_idle;
            if (atomic_load_explicit(&heap->state, memory_order_relaxed) == CB_HEAP_PARKED) {
                break; /* a frozen one is left out */
            }
        }
        if (heap == NULL) {
            heap = new_heap();
        }
        if (heap != NULL) {
            atomic_store_explicit(&heap->state, CB_HEAP_RUNNING, memory_order_relaxed);
        }
    }
    cb_lock_drop(&heaps.lock);
    if (heap == NULL) {
        return NULL;
    }
    attach(heap);
    if (first) {
        watch_forks();
    }
    if (have_key()) {
        pthread_setspecific(heaps.key, heap);
    }
    return heap;
}

struct cb_heap *cb_thread_heap(void) {
    struct cb_heap *heap = cb_thread.heap;
    if (CB_LIKELY(heap != NULL)) {
        return heap;
    }
    cb_fork_notice();
    return start_thread();
}

bool cb_thread_is_late(void) {
    if (cb_thread.exits <= EXIT_ROUNDS || cb_thread.heap != NULL ||
        cb_thread.exits > EXIT_ROUNDS + LATE_MOST) {
        return false;
    }
    cb_thread.exits++;
    return true;
}

bool cb_thread_ready(void) {
    if (cb_thread.exits == 0 &&
        cb_thread_heap() == NULL) { /* a thread that had a heap has started the process */
        return false;
    }
    cb_fork_notice();
    return true;
}

void cb_heaps_each(void (*visit)(struct cb_heap *heap, void *context), void *context) {
    cb_fork_notice();
    cb_lock_take(&heaps.lock);
    for (struct cb_heap *heap = heaps.all; heap != NULL; heap = heap->next) {
        if (atomic_load_explicit(&heap->state, memory_order_relaxed) != CB_HEAP_FROZEN) {
            visit(heap, context);
        }
    }
    cb_lock_drop(&heaps.lock);
}
