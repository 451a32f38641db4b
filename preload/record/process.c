/*
 * process.c: when recording begins, in a process, in a forked child, in a thread. See record.h.
 *
 * Layer: record. Threads: any. Lock: start, which guards what happens once per epoch. Under it nothing is called that
 * could be the program's own: system calls only.
 */
#include "record.h"

#include "heap/options.h"
#include "os/file.h"
#include "os/os.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

_Thread_local struct cb_recorded cb_recorded CB_TLS_MODEL;

static struct cb_record_shared
    before_start; /* until there is a page; also where there is no memory for one */
struct cb_record_shared *cb_record_shared = &before_start;

static char pattern[CB_FILE_PATH]; /* of the trace's name, absolute; written before the second thread */

/* Guarded by the lock `start`; read without it in the epoch that it is of. */
static uint32_t last_epoch, process;

static _Atomic uint32_t threads, lane_count; /* of this epoch; relaxed */
static struct cb_lane *_Atomic lanes; /* of this epoch, newest first; release when one is added, acquire */

static uint32_t epoch_now(void) {
    return atomic_load_explicit(&cb_record_shared->epoch, memory_order_acquire);
}

static void set_epoch(uint32_t epoch) {
    /* release: partner of the acquire in epoch_now and cb_record_begin */
    atomic_store_explicit(&cb_record_shared->epoch, epoch, memory_order_release);
}

/* ---- Epochs ---- */

/* Once, by the first call that finds an environment, or by the constructor: before the second thread. */
static bool prepare(void) {
    static bool done;
    cb_options_begin();
    if (done || environ == NULL || !cb_os_begin()) {
        return done;
    }
    done = true;
    struct cb_record_shared *page = cb_os_map(0, cb_os_page_size());
    if (page != NULL) {
        cb_os_wipe_on_fork(page); /* where this is not possible, in_child sees to it */
        cb_record_shared = page;
    }
    memcpy(pattern, cb_options.record, sizeof cb_options.record);
    if (pattern[0] == '\0' || page == NULL) {
        set_epoch(CB_EPOCH_OFF);
    } else {
        cb_file_absolute(pattern, sizeof pattern);
    }
    return true;
}

/* The parent's lanes stay where they are: marks in there may be in the thread's list of robust mutexes. */
static void forget_parent(void) {
    for (struct cb_lane *lane = atomic_load_explicit(&lanes, memory_order_acquire); lane != NULL;
         lane = lane->next) {
        cb_trace_leave(lane);
    }
    cb_trace_forget();
    cb_sites_forget();
    cb_first_lane += atomic_load_explicit(&lane_count, memory_order_relaxed);
    atomic_store_explicit(&lanes, NULL, memory_order_relaxed);
    atomic_store_explicit(&lane_count, 0, memory_order_relaxed);
    atomic_store_explicit(&threads, 0, memory_order_relaxed);
}

/* The epoch was 0. */
static void begin_epoch(void) {
    cb_lock_take(&cb_record_shared->start);
    if (epoch_now() == 0) {
        bool child = last_epoch != 0;
        uint32_t parent = process;
        if (child) {
            forget_parent();
        }
        process = (uint32_t)cb_os_process();
        last_epoch++;
        set_epoch(cb_trace_create(pattern, cb_options.record_sites != 0, child ? parent : 0) ? last_epoch
                                                                                             : CB_EPOCH_OFF);
    }
    cb_lock_drop(&cb_record_shared->start);
}

/* ---- Lanes ---- */

/* One whose thread has ended. NULL: there is none. */
static struct cb_lane *inherit_lane(void) {
    struct cb_lane *lane = atomic_load_explicit(&lanes, memory_order_acquire);
    while (lane != NULL && !cb_alive_inherit(&lane->alive)) {
        lane = lane->next;
    }
    return lane;
}

static struct cb_lane *make_lane(uint32_t thread) {
    size_t page = cb_os_page_size();
    struct cb_lane *lane = cb_os_map(0, (sizeof *lane + page - 1) & ~(page - 1));
    if (lane == NULL) {
        return NULL;
    }
    lane->number = atomic_fetch_add_explicit(&lane_count, 1, memory_order_relaxed);
    lane->thread = thread;
    cb_alive_init(&lane->alive);
    cb_alive_hold(&lane->alive);
    lane->next = atomic_load_explicit(&lanes, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&lanes, &lane->next, lane, memory_order_release,
                                                  memory_order_relaxed)) {
    }
    return lane;
}

static struct cb_lane *get_lane(void) {
    uint32_t thread = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed);
    struct cb_lane *lane = inherit_lane();
    if (lane != NULL) {
        cb_write_thread(lane, thread);
        return lane;
    }
    lane = cb_first_lane + atomic_load_explicit(&lane_count, memory_order_relaxed) < CB_LANES_MOST / 2
               ? make_lane(thread)
               : NULL;
    return lane != NULL && cb_trace_extend(lane) ? lane : NULL;
}

struct cb_lane *cb_record_ready(void) {
    struct cb_recorded *me = &cb_recorded;
    if (!prepare()) {
        return NULL;
    }
    if (epoch_now() == 0) {
        begin_epoch();
    }
    uint32_t epoch = epoch_now();
    if (epoch == CB_EPOCH_OFF) {
        return NULL;
    }
    if (me->lane != NULL && me->epoch != epoch) {
        cb_alive_drop(&me->lane->alive); /* the thread came over a fork */
        me->lane = NULL;
    }
    me->epoch = epoch;
    me->lane = get_lane();
    return me->lane;
}

void cb_record_lose(void) {
    uint32_t epoch = epoch_now();
    if (epoch != 0 && epoch != CB_EPOCH_OFF) {
        __atomic_fetch_add(&cb_trace_head()->lost, 1, __ATOMIC_RELAXED);
    }
}

/* ---- The process ---- */

static void before_fork(void) {
    bool entered;
    struct cb_lane *lane = cb_record_begin(&entered);
    if (lane != NULL) {
        cb_write_fork(lane);
    }
    cb_record_end(entered);
}

/* A handler that ran before may have allocated: then the child has its trace already. */
static void in_child(void) {
    if (process != (uint32_t)cb_os_process() && epoch_now() != CB_EPOCH_OFF) {
        cb_lock_reset(&cb_record_shared->start);
        cb_lock_reset(&cb_record_shared->sites);
        set_epoch(0);
    }
}

static __attribute__((constructor)) void record_start(void) {
    prepare();
    if (epoch_now() != CB_EPOCH_OFF) {
        pthread_atfork(before_fork, NULL, in_child);
    }
}

static __attribute__((destructor)) void record_end(void) {
    uint32_t epoch = epoch_now();
    if (epoch != 0 && epoch != CB_EPOCH_OFF) {
        __atomic_store_n(&cb_trace_head()->end, CB_TRACE_COMPLETE, __ATOMIC_RELAXED);
    }
}
