/*
 * types.h: the debug variant: a layer over the heap that finds overflows, underflows and writes after free.
 *
 * Layer: above the heap, which is built with prefixed names below it. Threads: any; see mutex.c for the lock.
 *
 * Glossary
 *   object     what the program was given: [address, address + size).
 *   block      what the heap gave for it: [base, base + total), and a guard page after it when it is guarded.
 *   red zone   the bytes of the block just before and all after the object, filled with a pattern.
 *   record     what is known of an object, in a table outside of the heap.
 *   quarantine the freed objects whose memory is not used again yet.
 *   shut       a guarded object in quarantine: its pages cannot be read or written.
 *   trace      the innermost frames of a call stack; the same trace is kept once and has a number.
 *
 * Invariants
 *   - Every object that the program has, and every object in quarantine, has exactly one record.
 *   - Nothing is called under the lock but the functions of table.c, depot.c, cb_os_map and cb_guard_shut; the stack is
 *     walked before, reports are written after. While somebody holds it, no object that is live or in quarantine is
 * shut,
 *     and none leaves quarantine: its memory can be looked at.
 */
#ifndef CB_DEBUG_TYPES_H
#define CB_DEBUG_TYPES_H

#include "heap/types.h"
#include "os/os.h"

#define CB_RED ((size_t)32)               /* bytes of a red zone, at least; a multiple of a granule */
#define CB_GUARD_LEAST ((size_t)64 << 10) /* objects from this size on end at a guard page */
#define CB_FILL_MOST ((size_t)1 << 20)    /* new objects above this are not filled: programs leave holes */
#define CB_FRAMES 12

#define CB_BYTE_NEW 0xcd
#define CB_BYTE_FREED 0xdd
#define CB_BYTE_RED 0xfb

/* A call of a function of libc by the program. */
struct cb_call {
    const char *where; /* the function, with parentheses */
    uintptr_t pc;      /* where it returns to */
    uintptr_t sp, fp;  /* stack and frame pointer there, after the return */
};

/* In the function that is called. Its frame pointer must be known: __builtin_frame_address sees to that. */
#define CB_CALL(name)                                                                                        \
    ((struct cb_call){(name), (uintptr_t)__builtin_extract_return_addr(__builtin_return_address(0)),         \
                      (uintptr_t)__builtin_dwarf_cfa(), *(const uintptr_t *)__builtin_frame_address(0)})

/* ---- the lock (mutex.c) ---- */

void cb_mutex_take(void);
void cb_mutex_drop(void);
/* As cb_mutex_take, but gives up after a while: for a signal handler. */
bool cb_mutex_take_soon(void);
/* Before the second thread. */
void cb_mutex_watch_forks(void);

/* ---- traces (stack.c, frame.c, loads.c, depot.c, recent.c, trace.c) ---- */

/* Addresses of the stack that this thread is on and that can be read: [low, high). */
struct cb_stack {
    uintptr_t low, high;
};
extern _Thread_local struct cb_stack cb_stack CB_TLS_MODEL;
/* The thread runs at `sp`, outside of them. */
void cb_stack_find(uintptr_t sp);
/* Makes them include `at`. False: it cannot be read, or is too far. */
bool cb_stack_extend(uintptr_t at);

#define CB_RULES ((size_t)1 << 14) /* remembered; a power of two */

/* How to get from a frame to its caller's; in words of 8 bytes. */
enum cb_rule_kind {
    CB_RULE_SLOW,   /* not so: only libgcc knows */
    CB_RULE_LAST,   /* the frame has no caller, or none that is known */
    CB_RULE_STACK,  /* CFA = stack pointer + cfa */
    CB_RULE_FRAME,  /* CFA = frame pointer + cfa */
    CB_RULE_ALIGNED /* CFA = the word at frame pointer + cfa */
};
struct cb_rule {
    uint8_t kind;
    bool saved; /* the frame pointer of the caller is in a word; else it is the same */
    int16_t cfa;
    int16_t address; /* the return address is the word at CFA + address */
    int16_t frame;   /* the frame pointer is the word at CFA + frame; ALIGNED: at frame pointer + frame */
};
_Static_assert(sizeof(struct cb_rule) == sizeof(uint64_t), "a rule is a word");

/* Of a frame in which a call returns to `pc`. */
struct cb_rule cb_frame_rule(uintptr_t pc);
/* There may be other code at the same addresses: all rules are forgotten, and a new generation of them begins. */
void cb_frame_forget(void);
extern _Atomic uint64_t cb_generation CB_HIDDEN; /* relaxed: one word; nothing of another is used */
static inline uint64_t cb_frame_generation(void) {
    return atomic_load_explicit(&cb_generation, memory_order_relaxed);
}

/* Where the loader is. */
struct cb_loader {
    uintptr_t start, size;
};
extern struct cb_loader cb_loader CB_HIDDEN;
void cb_loads_begin(void);
/* The loader has allocated or freed. */
void cb_loads_by_loader(void);

struct cb_trace {
    uint32_t count;
    uintptr_t frame[CB_FRAMES]; /* addresses of the calls, not of where they return to */
};

/* Takes a trace by libgcc, from where the program called this library on. Does not allocate. */
void cb_trace_slowly(struct cb_trace *trace);

#ifdef CB_DEBUG_BOTH
/* A test's: called with the number of each trace, and whether it was taken by rules. */
void cb_trace_compare(uint32_t number, bool by_rules);
#endif

/* The number of a trace; 0 when there is no room for it. */
uint32_t cb_depot_keep(const struct cb_trace *trace);
/* The trace of a number. False, with no frame in it: of 0. */
bool cb_depot_get(uint32_t number, struct cb_trace *trace);
/* One more than the highest number that was given. */
uint32_t cb_depot_end(void);

/* Words of the stack that a walk has read, and that it depends on. */
#define CB_PATH 16
struct cb_path {
    uint32_t count; /* more than CB_PATH: too many to be remembered */
    bool uses_fp;   /* it depends on the frame pointer at its begin as well */
    uint64_t generation;
    uint32_t offset[CB_PATH]; /* from the stack pointer at its begin */
    uintptr_t word[CB_PATH];
};

/* The number of the trace that was taken last from there, if it would be the same; 0: it has to be taken. */
uint32_t cb_recent_find(const struct cb_call *call);
void cb_recent_note(const struct cb_call *call, const struct cb_path *path, uint32_t number);

/* Walks the stack from a call on. The number of the trace; 0: there is none. Does not allocate. */
uint32_t cb_trace_number(const struct cb_call *call);

/* ---- records (table.c) ---- */

enum cb_record_state {
    CB_RECORD_LIVE = 1,
    CB_RECORD_FREEING, /* free is at work on it */
    CB_RECORD_QUARANTINED
};

/* A copy of what the table knows. */
struct cb_record {
    uintptr_t address;
    size_t size;
    uintptr_t base; /* follows from what is below, as `total` */
    size_t total;
    uint32_t allocated, freed; /* numbers of traces */
    uint8_t align_shift;       /* the object is aligned to 1 << align_shift */
    uint8_t state;
    bool guarded; /* the page at base + total is a guard */
    bool shut;
};

/* Fills in base and total; place.c shows them. */
static inline void cb_record_lay_out(struct cb_record *record) {
    size_t align = (size_t)1 << record->align_shift, page = record->guarded ? cb_os_page_size() : CB_RED;
    size_t lead = cb_higher(align, page);
    if (!record->guarded) {
        record->base = record->address - lead;
        record->total = lead + cb_align_up(record->size, CB_GRANULE) + CB_RED;
    } else {
        record->total = lead + cb_align_up(record->size, page);
        record->base = align > page ? record->address - lead
                                    : record->address + cb_align_up(record->size, align) - record->total;
    }
}

/* False: no memory. */
bool cb_table_insert(const struct cb_record *record);
/* False: no object begins there. */
bool cb_table_find(uintptr_t address, struct cb_record *record);
/* The same, and where the object was live, as the record says, it is this thread's from now on to free. */
bool cb_table_claim(uintptr_t address, struct cb_record *record);

/* Of an object that this thread has claimed, or has taken out of quarantine. */
void cb_table_set_freed(uintptr_t address, uint32_t trace);
void cb_table_set(const struct cb_record *record); /* state, guarded and shut */
void cb_table_erase(uintptr_t address);

/* Soon it will be asked for. */
void cb_table_prefetch(uintptr_t address);
/* For walks: the first record from an address on, with *at moved behind it. False: none. */
bool cb_table_next(uintptr_t *at, struct cb_record *record);
/* The record of the block, guard page included, that `p` lies in. Slow. */
bool cb_table_around(uintptr_t p, struct cb_record *record);

/* ---- memory of an object (zones.c, guard.c, place.c) ---- */

/* Where the fault is that was found, when there is one. */
struct cb_damage {
    const char *what; /* NULL: none */
    uintptr_t at;     /* the first byte that is wrong */
    uint8_t value;
};

void cb_zones_paint(const struct cb_record *record);
void cb_zones_fill_freed(const struct cb_record *record);
/* The red zones of a live object. */
struct cb_damage cb_zones_check(const struct cb_record *record);
/* The whole block of a freed object that is not shut. */
struct cb_damage cb_zones_check_freed(const struct cb_record *record);

/* Makes the page at base + total a guard; false when that is not possible, or there are enough of them. */
bool cb_guard_set(uintptr_t base, size_t total);
/* Takes back the memory of a guarded object and makes all of it inaccessible. */
bool cb_guard_shut(const struct cb_record *record);
/* Makes a guarded block plain memory again, to be freed. False: it must not be used any more. */
bool cb_guard_lift(const struct cb_record *record);
/* Names the object when an access faults at a guard, unless the program handles that signal. */
void cb_guard_explain_faults(void);

/*
 * Takes a block for an object of that size and alignment, a granule at least, and fills in the rest of the record but
 * for traces and state. False when there is no memory.
 */
bool cb_place_take(struct cb_record *record, bool zero);

/* Gives the block of an object that has no record (any more) back to the heap. */
void cb_place_give_back(const struct cb_record *record);

/* ---- objects (object.c, quarantine.c) ---- */

/* align is a power of two. NULL with errno set when there is no memory. */
void *cb_object_new(const struct cb_call *call, size_t size, size_t align, bool zero);
enum cb_object_kind {
    CB_OBJECT_OURS,
    CB_OBJECT_FOREIGN, /* not of this heap */
    CB_OBJECT_BAD      /* reported */
};

/* Frees an object, if it is live. */
enum cb_object_kind cb_object_free(const struct cb_call *call, void *ptr);

/* Copies the record of a live object. */
enum cb_object_kind cb_object_look(const char *where, const void *ptr, struct cb_record *record);

/* Puts an object that this thread has claimed in quarantine, and takes out what is too much. */
void cb_quarantine_put(const char *where, struct cb_record *record);

/* ---- reports (tell.c, leaks.c) ---- */

struct cb_finding {
    const char *where; /* the function that was called, with parentheses, or a signal */
    const char *what;
    uintptr_t address;
    size_t bytes;                   /* 0: left out */
    const struct cb_record *object; /* that the traces are of; or NULL */
    const struct cb_damage *damage; /* or NULL */
    const char *place;              /* what to call the place where the program is; NULL: left out */
};

/* Writes a finding and what is known about it, and aborts, when on_error says so. Not under the lock. */
void cb_tell(const struct cb_finding *finding);
/* The same, never aborting. */
void cb_tell_only(const struct cb_finding *finding);
/* The same as cb_tell, of damage to an object, if there is any. */
void cb_tell_damage(const char *where, const struct cb_record *object, struct cb_damage damage,
                    const char *place);
/* One trace, each frame in a line; the first one begins with `title`. */
void cb_tell_trace(const char *title, const struct cb_trace *trace);
/* The same of the trace with a number; nothing of 0. */
void cb_tell_kept(const char *title, uint32_t number);
void cb_leaks_list(void);

/* ---- for cutback-run --debug (tally.c) ---- */

void cb_tally_begin(void);
void cb_tally_fault(const char *what);
void cb_tally_end(void);

#endif
