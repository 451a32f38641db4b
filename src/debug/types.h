/*
 * types.h: the debug variant: a layer over the heap that finds overflows, underflows and writes after free.
 *
 * Layer: above the heap, which is built with prefixed names below it. Threads: any; see table.c for the lock.
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
 *   - Nothing is called under the lock but the functions of table.c, depot.c and cb_os_map; the stack is
 *     walked before, reports are written after.
 */
#ifndef CB_DEBUG_TYPES_H
#define CB_DEBUG_TYPES_H

#include "heap/types.h"

#define CB_RED ((size_t)32)               /* bytes of a red zone, at least; a multiple of a granule */
#define CB_GUARD_LEAST ((size_t)64 << 10) /* objects from this size on end at a guard page */
#define CB_FILL_MOST ((size_t)1 << 20)    /* new objects above this are not filled: programs leave holes */
#define CB_FRAMES 12

#define CB_BYTE_NEW 0xcd
#define CB_BYTE_FREED 0xdd
#define CB_BYTE_RED 0xfb

/* ---- traces (trace.c, depot.c) ---- */

struct cb_trace {
    uint32_t count;
    uint32_t hash;
    uintptr_t frame[CB_FRAMES]; /* addresses of the calls, not of where they return to */
};

/* Walks the stack of the caller, without the frames of this library. Does not allocate. */
void cb_trace_take(struct cb_trace *trace);

/* The number of a trace; 0 when there is no room for it. Under the lock. */
uint32_t cb_depot_keep(const struct cb_trace *trace);

/* The trace of a number; NULL for 0. A trace once kept never changes: no lock is needed. */
const struct cb_trace *cb_depot_get(uint32_t number);

/* One more than the highest number that was given. Under the lock. */
uint32_t cb_depot_end(void);

/* ---- records (table.c) ---- */

enum cb_record_state {
    CB_RECORD_LIVE,
    CB_RECORD_FREEING, /* free is at work on it */
    CB_RECORD_QUARANTINED
};

struct cb_record {
    uintptr_t address; /* 0: the slot was never used; 1: not any more */
    size_t size;
    uintptr_t base;
    size_t total;
    uint32_t allocated, freed; /* numbers of traces */
    uint8_t state;
    bool guarded; /* the page at base + total is a guard */
    bool shut;
};

void cb_table_lock(void);
void cb_table_unlock(void);
/* As cb_table_lock, but gives up after a while: for a signal handler. */
bool cb_table_lock_soon(void);
/* Before the second thread. */
void cb_table_watch_forks(void);

/* All under the lock. A record stays where it is until the next insertion. */
struct cb_record *cb_table_find(uintptr_t address);
bool cb_table_insert(const struct cb_record *record);
void cb_table_erase(struct cb_record *record);
/* For walks: the first record in slot *slot or after it, with *slot moved past it; NULL at the end. */
struct cb_record *cb_table_next(size_t *slot);
/* The record of the block, guard page included, that `p` lies in. Slow. */
struct cb_record *cb_table_around(uintptr_t p);

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
 * Takes a block for an object of record->size and fills in the rest of the record but for traces and state. align is a
 * power of two, a granule at least. False when there is no memory.
 */
bool cb_place_take(struct cb_record *record, size_t align, bool zero);

/* Gives the block of an object that has no record (any more) back to the heap. */
void cb_place_give_back(const struct cb_record *record);

/* ---- objects (object.c, quarantine.c) ---- */

/* align is a power of two. NULL with errno set when there is no memory. */
void *cb_object_new(size_t size, size_t align, bool zero);
enum cb_object_kind {
    CB_OBJECT_OURS,
    CB_OBJECT_FOREIGN, /* not of this heap */
    CB_OBJECT_BAD      /* reported */
};

/* Frees an object, if it is live. `where` is the function that the program called, with parentheses. */
enum cb_object_kind cb_object_free(const char *where, void *ptr);

/* Copies the record of a live object. */
enum cb_object_kind cb_object_look(const char *where, const void *ptr, struct cb_record *record);

/* Puts a freed object in quarantine, and takes out what is too much. */
void cb_quarantine_put(const char *where, uintptr_t address);

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
void cb_leaks_list(void);

/* ---- for cutback-run --debug (tally.c) ---- */

void cb_tally_begin(void);
void cb_tally_fault(const char *what);
void cb_tally_end(void);

#endif
