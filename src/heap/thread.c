/*
 * thread.c: see thread.h.
 *
 * Layer: heap. Lock: heaps.lock (rank 1) guards the list of idle heaps, what is put into the list of all, and
 * the first start.
 *
 * A heap outlives its thread: it is parked, and the next new thread adopts it. One waits as it is, bins and all;
 * others give up what they can. The destructor of a key does that. It cannot do it for a thread whose first
 * allocation comes after its last round, or that allocates after that again, or that ends by a bare system call:
 * such heaps are left running. That their threads have ended is seen in a mark which each thread holds (os/alive.h),
 * and whoever needs a heap or parks one looks at a few marks.
 *
 * Who changes the state of a heap:
 *   parked -> running   the thread that took it out of the idle list, or made it, once it holds the mark
 *   running -> parked   its thread, or one that has inherited the mark, under heaps.lock
 *   any -> frozen       the repair of a forked child
 *   frozen -> running   the thread that came over the fork, for its own heap
 */
#include "heap/thread.h"

#include "heap/line.h"
#include "heap/lost.h"
#include "heap/map.h"
#include "heap/meta.h"
#include "heap/options.h"
#include "heap/pages.h"
#include "heap/refill.h"
#include "heap/release.h"
#include "heap/remote.h"
#include "heap/reserve.h"
#include "heap/bin.h"
#include "heap/room.h"

#include <limits.h>
#include <pthread.h>

#define EXIT_ROUNDS 2   /* in which the destructor lets those of other keys run first: they may allocate */
#define LOOKS_TO_TAKE 8 /* marks looked at before a heap is made ... */
#define LOOKS_TO_PARK 2 /* ... and when one is parked */
#define LOOKS_ALL UINT_MAX

static struct {
    cb_lock lock;                 /* rank 1 */
    struct cb_heap *_Atomic all;  /* changed under lock; release in new_heap, acquire in all_heaps */
    struct cb_heap *_Atomic hand; /* whose mark was last looked at; relaxed: a hint */
    struct cb_heap *warm; /* idle heaps as their threads left them; guarded by lock, as is all that follows */
    struct cb_heap *cold; /* those that have given up what they could */
    uint64_t made;        /* heaps, since the start */
    bool started;
    pthread_key_t key;          /* valid while key_state is KEY_TAKEN */
    _Atomic uint32_t key_state; /* release and acquire in take_key */
} heaps = {.lock = CB_LOCK_INIT("heaps.lock", CB_RANK_HEAPS)};

struct cb_heap *_Atomic *const cb_heaps_list = &heaps.all;

enum { KEY_NONE = 0, KEY_IN_HAND = 1, KEY_TAKEN = 2 };

static struct cb_heap *all_heaps(void) {
    /* acquire: partner of the release in new_heap */
    return atomic_load_explicit(&heaps.all, memory_order_acquire);
}

static uint32_t state_of(const struct cb_heap *heap) {
    /* acquire: partner of the release in set_state: the mark of a running heap is held */
    return atomic_load_explicit(&heap->state, memory_order_acquire);
}

/*
 * release: a forked child that finds a heap parked finds it whole. The fence: one that finds what the next
 * thread did to it does not find it parked.
 */
static void set_state(struct cb_heap *heap, enum cb_heap_state state) {
    atomic_store_explicit(&heap->state, state, memory_order_release);
    atomic_thread_fence(memory_order_release);
}

/* The thread has no heap from now on. */
static void leave(struct cb_thread *t) {
    *t = (struct cb_thread){
        .run = CB_NO_RUN, .tag = CB_NO_TAG, .exits = t->exits, .generation = t->generation};
}

static void make_idle(struct cb_heap *heap) {
    struct cb_heap **list = heap->warm ? &heaps.warm : &heaps.cold;
    heap->next_idle = *list;
    *list = heap;
}

static struct cb_heap *take_idle(void) {
    struct cb_heap **list = heaps.warm != NULL ? &heaps.warm : &heaps.cold, *heap = *list;
    if (heap != NULL) {
        *list = heap->next_idle;
    }
    return heap;
}

/*
 * A running heap was somebody's who is gone, or the calling thread's, or that of a thread that will
 * come over: it is frozen until then. A parked heap is idle, whatever the list of those looked like; unless
 * another thread was letting objects of it die.
 */
static void after_fork(void) {
    heaps.made += cb_lock_is_held(&heaps.lock); /* a lost thread may have been using the next tag */
    heaps.warm = heaps.cold = NULL;
    for (struct cb_heap *heap = all_heaps(); heap != NULL; heap = heap->next) {
        bool changing = cb_lock_is_held(&heap->lock);
        heap->held = heap->unused = 0;
        heap->torn = heap->torn || changing;
        if (changing || state_of(heap) == CB_HEAP_RUNNING) {
            set_state(heap, CB_HEAP_FROZEN);
        }
        if (changing) {
            cb_lock_reset(&heap->lock);
        } else {
            cb_purge_after_fork(heap);
        }
        if (state_of(heap) == CB_HEAP_PARKED) {
            cb_alive_init(&heap->alive);
            make_idle(heap);
        }
    }
    cb_lock_reset(&heaps.lock);
}

/*
 * The calling thread of a child that has been repaired has its heap back, if it came over the fork, or has to leave it.
 * `was_there`: it is known to have come over the fork.
 */
static void came_over(bool was_there) {
    struct cb_heap *mine = cb_thread.heap;
    bool frozen = mine != NULL && state_of(mine) == CB_HEAP_FROZEN;
    if (frozen && mine->torn) {
        leave(&cb_thread);
    } else if (frozen) {
        cb_alive_renew(&mine->alive);
        set_state(mine, CB_HEAP_RUNNING);
    }
    /* There is one such thread in a child: whatever heap is frozen now has none. */
    for (struct cb_heap *heap = was_there || frozen ? all_heaps() : NULL; heap != NULL; heap = heap->next) {
        if (state_of(heap) == CB_HEAP_FROZEN) {
            atomic_store_explicit(&heap->lost, true, memory_order_relaxed);
            cb_lost_begin();
        }
    }
}

/* From the reserve up: what is repaired later may use what was repaired before. */
static void (*const repair[])(void) = {cb_reserve_after_fork,
                                       cb_room_after_fork,
                                       cb_pages_after_fork,
                                       cb_meta_after_fork,
                                       cb_lost_after_fork,
                                       after_fork,
                                       NULL};
static const struct cb_fork_parts fork_parts = {repair, came_over};

/* Takes what the thread has of its heap into the heap and leaves the thread without one. */
static void detach(struct cb_thread *t) {
    t->heap->space[CB_SMALL].run = t->run;
    t->heap->asked = t->asked;
    leave(t);
}

/* Apart: inlined, the address of the thread is NULL for the null check of gcc 12 beside AddressSanitizer. */
static CB_NOINLINE void attach(struct cb_thread *t, struct cb_heap *heap) {
    t->run = heap->space[CB_SMALL].run;
    t->asked = heap->asked;
    t->bins = heap->bins;
    t->map = cb_map;
    t->heap = heap;
    t->tag = heap->tag;
    cb_heap_watch_if_idle(heap); /* its bins may be so full that no slow path is met for long */
}

/* The calling thread has the heap. Under its lock: whoever frees into a parked heap lets objects of it die. */
static void run_heap(struct cb_heap *heap) {
    cb_alive_hold(&heap->alive);
    cb_lock_take(&heap->lock);
    set_state(heap, CB_HEAP_RUNNING);
    cb_lock_drop(&heap->lock);
}

/* Whatever the heap holds for its thread goes, for nobody may ever have it again. */
static void cool(struct cb_thread *t) {
    struct cb_heap *heap = t->heap;
    cb_refill_end_page(heap, CB_MEDIUM); /* now, so that it goes back together with what dies in bins */
    cb_bin_give_up(t);
    cb_refill_retire(t); /* once more: blocks may be empty now */
    cb_refill_end_page(heap, CB_SMALL);
    cb_release_all(heap);
    heap->warm = false;
}

/*
 * The thread gives up its heap. One idle heap at a time stays as it is, for the next new thread; others keep
 * what lives in them, and no more.
 */
static void park(struct cb_thread *t, bool cold) {
    struct cb_heap *heap = t->heap;
    cb_remote_take_in(heap);
    cb_refill_retire(t);
    cb_lock_take(&heaps.lock);
    heap->warm = !cold && heaps.warm == NULL;
    cb_lock_drop(&heaps.lock);
    if (!heap->warm) {
        cool(t);
    }
    detach(t);
    cb_alive_drop(&heap->alive);
    cb_lock_take(&heaps.lock);
    set_state(heap, CB_HEAP_PARKED);
    make_idle(heap);
    cb_lock_drop(&heaps.lock);
}

/* Does something in the place of the thread that a heap does not have, and parks it. */
static void park_in_place(struct cb_heap *heap, bool cold) {
    struct cb_thread mine = cb_thread;
    attach(&cb_thread, heap);
    park(&cb_thread, cold);
    cb_thread = mine;
}

/*
 * A heap whose thread has ended without parking it, which is the calling thread's now but for attach; NULL when
 * there is none among those looked at. The thread has taken its cursor with it: the map tells where that was.
 */
static struct cb_heap *inherit(unsigned *looks) {
    while (*looks != 0) {
        --*looks;
        struct cb_heap *heap = atomic_load_explicit(&heaps.hand, memory_order_relaxed);
        heap = heap != NULL ? heap->next : NULL;
        if (heap == NULL && (heap = all_heaps()) == NULL) {
            return NULL;
        }
        atomic_store_explicit(&heaps.hand, heap, memory_order_relaxed);
        if (state_of(heap) == CB_HEAP_RUNNING && heap != cb_thread.heap && cb_alive_inherit(&heap->alive)) {
            cb_lock_take(&heap->lock);
            cb_small_recover(heap);
            cb_lock_drop(&heap->lock);
            heap->asked = 0;
            return heap;
        }
    }
    return NULL;
}

/* Parks what others have left running, of so many heaps. */
static void park_left(unsigned looks, bool cold) {
    struct cb_heap *heap;
    while ((heap = inherit(&looks)) != NULL) {
        park_in_place(heap, cold);
    }
}

static bool is_mine(const struct cb_heap *heap) {
    return heap == cb_thread.heap;
}

/* Whoever has the heap: under its lock others may let die what was freed remotely, and give dead pages back. */
static void trim_one(struct cb_heap *heap) {
    if (!is_mine(heap) && state_of(heap) != CB_HEAP_FROZEN) {
        cb_remote_collect(heap);
        cb_release_all(heap);
    }
}

void cb_heaps_trim(void) {
    cb_fork_repair_if_child();
    cb_lock_take(&heaps.lock);
    uint64_t made = heaps.made;
    struct cb_heap *warm = heaps.warm;
    heaps.warm = NULL;
    cb_lock_drop(&heaps.lock);
    park_left(made < LOOKS_ALL ? (unsigned)made : LOOKS_ALL, true);
    for (struct cb_heap *next; warm != NULL; warm = next) {
        next = warm->next_idle;
        run_heap(warm);
        park_in_place(warm, true);
    }
    for (struct cb_heap *heap = all_heaps(); heap != NULL; heap = heap->next) {
        trim_one(heap);
    }
}

static void thread_exit(void *unused) {
    (void)unused;
    cb_fork_repair_if_child();
    struct cb_heap *heap = cb_thread.heap;
    if (heap == NULL) {
        return;
    }
    if (++cb_thread.exits <= EXIT_ROUNDS && pthread_setspecific(heaps.key, heap) == 0) {
        return;
    }
    cb_thread.exits = EXIT_ROUNDS + 1;
    park(&cb_thread, false);
    park_left(LOOKS_TO_PARK, false);
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
    cb_fork_begin(&fork_parts);
    cb_fork_repair_if_child();
    take_key();
    cb_fork_watch();
    cb_alive_begin();
    if (cb_thread.heap != NULL) {
        cb_alive_hold(&cb_thread.heap->alive);
    }
}

#ifndef CB_THREAD_SANITIZER
/* Of the runtime of the thread sanitizer, where there is one. */
__attribute__((weak)) void cb_tsan_init(void) __asm__("__tsan_init");

/*
 * clang's runtime is in the program, and its malloc comes before every other. gcc's is a library: ours comes first, is
 * called before that library can be, and would crash in it.
 */
static void stop_under_tsan(void) {
    if (cb_tsan_init != NULL) {
        struct cb_line line = {.length = 0};
        cb_line_string(&line,
                       "cutback: the program has gcc's thread sanitizer, which needs a malloc of its own: "
                       "run it without cutback");
        cb_line_write(&line);
        cb_os_exit(1);
    }
}
#else
static void stop_under_tsan(void) {}
#endif

static bool start(void) {
    stop_under_tsan();
    cb_options_begin();
    if (!cb_pages_init()) {
        return false;
    }
    cb_fork_begin(&fork_parts);
    heaps.started = true;
    return true;
}

static struct cb_heap *new_heap(void) {
    struct cb_heap *heap = cb_meta_take(sizeof *heap);
    struct cb_bins *bins = heap != NULL ? cb_meta_take_pages(sizeof *bins) : NULL;
    if (bins == NULL) {
        return NULL;
    }
    heap->bins = bins;
    heap->lock = (cb_lock)CB_LOCK_INIT("heap->lock", CB_RANK_HEAP);
    heap->space[CB_SMALL].run = heap->space[CB_MEDIUM].run = CB_NO_RUN;
    cb_alive_init(&heap->alive);
    cb_lock_take(&heaps.lock);
    heaps.made++;
    cb_reserve_set_heaps(heaps.made);
    heap->tag = heaps.made < CB_TAGS ? heaps.made << CB_TAG_SHIFT : CB_NO_TAG;
    heap->next = atomic_load_explicit(&heaps.all, memory_order_relaxed);
    /* release: partner of the acquire in all_heaps */
    atomic_store_explicit(&heaps.all, heap, memory_order_release);
    cb_release_note_heap(heap);
    cb_lock_drop(&heaps.lock);
    return heap;
}

static CB_NOINLINE struct cb_heap *start_thread(void) {
    bool first = false;
    unsigned looks = LOOKS_TO_TAKE;
    cb_os_begin();
    take_key();
    struct cb_heap *heap = cb_thread.heap;
    if (heap != NULL) {
        return heap; /* what these called has allocated */
    }
    cb_lock_take(&heaps.lock);
    bool started = heaps.started || (first = start());
    heap = started ? take_idle() : NULL;
    cb_lock_drop(&heaps.lock);
    if (started && heap == NULL && (heap = inherit(&looks)) == NULL) {
        heap = new_heap();
    }
    if (heap == NULL) {
        return NULL;
    }
    run_heap(heap);
    attach(&cb_thread, heap);
    if (first) {
        cb_fork_watch();
    }
    cb_fork_repair_if_child(); /* the first time, it is only now known which generation this is */
    if (have_key() && cb_thread.exits <= EXIT_ROUNDS) { /* else it may be the last round: see the mark */
        pthread_setspecific(heaps.key, heap);
    }
    return heap;
}

struct cb_heap *cb_thread_heap(void) {
    struct cb_heap *heap = cb_thread.heap;
    if (CB_LIKELY(heap != NULL)) {
        return heap;
    }
    cb_fork_repair_if_child();
    return start_thread();
}

bool cb_thread_ready(void) {
    if (cb_thread.exits == 0 &&
        cb_thread_heap() == NULL) { /* a thread that had a heap has started the process */
        return false;
    }
    cb_fork_repair_if_child();
    return true;
}

void cb_heaps_each(void (*visit)(struct cb_heap *heap, void *context), void *context) {
    for (struct cb_heap *heap = all_heaps(); heap != NULL; heap = heap->next) {
        if (state_of(heap) != CB_HEAP_FROZEN) {
            visit(heap, context);
        }
    }
}
