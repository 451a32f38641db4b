/*
 * record.h: the recorder: a layer over the heap that writes every call to a trace. See doc/trace.md.
 *
 * Layer: above the heap, which is built with prefixed names below it. Threads: any.
 *
 * Glossary
 *   trace    the file. It is made at the first call of a process, forked children included.
 *   lane     one of its streams: a thread writes to it until it ends, then another one does.
 *   chunk    a piece of the trace, mapped and shared with it, that a lane writes to.
 *   object   what a call returned: its lane and its number there, kept in a table by address (objects.c).
 *   epoch    of the process: a forked child has another one. 0 where nobody has looked yet.
 *
 * While a thread records a call it is busy: what it calls in a signal handler meanwhile is done, and not recorded.
 *
 * Locks: start (process.c), then sites (sites.c), both in a page that a forked child finds zeroed: there nobody
 * holds them.
 */
#ifndef CB_RECORD_H
#define CB_RECORD_H

#include "heap/types.h"
#include "trace/format.h"

#define CB_CHUNK ((size_t)32 << 10)

struct cb_lane {
    uint8_t *at,
        *end;         /* where the next record goes; end is before the chunk's by the length of the longest */
    uint64_t objects; /* the number that the next one has */
    uint64_t named;   /* the object of this lane that was named last, */
    uint64_t named_other; /* and the one of any lane that a record named with that lane */
    uint64_t ticks;
    uint32_t number, part, thread, site;
    uint64_t slot[CB_TRACE_SLOTS];
    uint8_t *chunk;
    struct cb_lane *next;  /* written once */
    struct cb_alive alive; /* held by the thread that writes */
};

/* A thread's knowledge of itself. */
struct cb_recorded {
    struct cb_lane *lane; /* NULL, or of this epoch */
    uint32_t epoch;
    bool busy;
};

extern _Thread_local struct cb_recorded cb_recorded CB_TLS_MODEL CB_HIDDEN;

/* In a page of its own, which reads as zero in a forked child. */
struct cb_record_shared {
    _Atomic uint32_t epoch; /* 0: not begun here. Release in process.c, acquire in cb_record_begin */
    cb_lock start, sites;
};
extern struct cb_record_shared *cb_record_shared CB_HIDDEN;

#define CB_EPOCH_OFF UINT32_MAX /* nothing is recorded (any more) */

/* ---- process.c ---- */

/* The lane for a thread that has none in this epoch. NULL: its calls are not recorded. */
CB_COLD struct cb_lane *cb_record_ready(void);

/* One call was not recorded. */
CB_COLD void cb_record_lose(void);

/*
 * Around each call: the lane of this thread, which is its own until cb_record_end; or NULL, and then nothing
 * is to be recorded, and cb_record_end is called all the same unless the thread was busy.
 */
static inline struct cb_lane *cb_record_begin(bool *entered) {
    struct cb_recorded *me = &cb_recorded;
    *entered = !me->busy;
    if (CB_UNLIKELY(me->busy)) {
        cb_record_lose();
        return NULL;
    }
    me->busy = true;
    atomic_signal_fence(
        memory_order_seq_cst); /* a handler of a signal sees it before it sees half a record */
    uint32_t epoch = atomic_load_explicit(&cb_record_shared->epoch, memory_order_acquire);
    return CB_LIKELY(me->lane != NULL && me->epoch == epoch) ? me->lane : cb_record_ready();
}

static inline void cb_record_end(bool entered) {
    atomic_signal_fence(memory_order_seq_cst);
    if (entered) {
        cb_recorded.busy = false;
    }
}

/* ---- chunks.c ---- */

/* Creates the trace, with a header. False, and said so: it cannot be. Under the lock `start`. */
bool cb_trace_create(const char *pattern, bool sites, uint32_t parent);
/* In a forked child: forgets the parent's, which goes on. */
void cb_trace_forget(void);
/* Gives the lane its next chunk. False, and said so once: the trace cannot grow. */
bool cb_trace_extend(struct cb_lane *lane);
/* In a forked child: the parent's chunk is the parent's alone. */
void cb_trace_leave(struct cb_lane *lane);
struct cb_trace_header *cb_trace_head(void);

/* ---- write.c: records ---- */

/*
 * Room for so many bytes in the lane's chunk, or in its next one. False: the trace cannot grow, and recording
 * has ended.
 */
bool cb_write_room(struct cb_lane *lane, size_t bytes);

/* An allocation of `size` bytes aligned to 2^align (0: as usual) that returned p, which is not NULL. */
void cb_write_new(struct cb_lane *lane, enum cb_trace_function function, size_t size, unsigned align, void *p,
                  uintptr_t site);
void cb_write_failed(struct cb_lane *lane, enum cb_trace_function function, size_t size, unsigned align);
/* Free, or realloc to size 0, of an object. 0: of an unknown one of so many bytes. */
void cb_write_free(struct cb_lane *lane, enum cb_trace_function function, uint64_t object, size_t bytes);
/* A realloc that returned p. */
void cb_write_resized(struct cb_lane *lane, enum cb_trace_function function, uint64_t object, size_t bytes,
                      size_t size, void *p, uintptr_t site);
void cb_write_not_resized(struct cb_lane *lane, enum cb_trace_function function, uint64_t object,
                          size_t size);
void cb_write_usable(struct cb_lane *lane, uint64_t object);
void cb_write_free_null(struct cb_lane *lane, enum cb_trace_function function);
void cb_write_other(struct cb_lane *lane, enum cb_trace_function function);
void cb_write_thread(struct cb_lane *lane, uint32_t thread);
void cb_write_fork(struct cb_lane *lane);
void cb_write_site(struct cb_lane *lane, uint32_t site, uint32_t module, uint64_t offset);
void cb_write_module(struct cb_lane *lane, uint32_t module, const char *path);

/* ---- objects.c ---- */

/* Objects are known as (lane + 1) << CB_OBJECT_BITS | number; 0 is none. Lanes are counted on in forked children. */
#define CB_OBJECT_BITS 40
#define CB_LANES_MOST ((uint32_t)1 << (64 - CB_OBJECT_BITS))
extern uint32_t cb_first_lane
    CB_HIDDEN; /* of this process: objects of those below are its parent's. Written at start and in
                                            a forked child, before the first record */

static inline uint64_t cb_object_make(uint32_t lane, uint64_t number) {
    return (uint64_t)(cb_first_lane + lane + 1) << CB_OBJECT_BITS | number;
}

/* Whether an object that is not 0 is of this process, and then of which lane. */
static inline bool cb_object_is_ours(uint64_t object, uint32_t *lane) {
    uint32_t absolute = (uint32_t)(object >> CB_OBJECT_BITS);
    *lane = absolute - 1 - cb_first_lane;
    return absolute > cb_first_lane;
}

static inline uint64_t cb_object_number(uint64_t object) {
    return object & (((uint64_t)1 << CB_OBJECT_BITS) - 1);
}

/* The number kept for an object; for whoever has it to itself. */
uint64_t cb_object_get(uintptr_t address);
void cb_object_set(uintptr_t address, uint64_t object);

/* ---- sites.c ---- */

/* The number of the place at this address; new ones are written to the lane first. 0: none. */
uint32_t cb_site_number(struct cb_lane *lane, uintptr_t address);
/* In a forked child: its trace knows none. */
void cb_sites_forget(void);

#endif
