/*
 * stats.h: figures about the whole process.
 *
 * Layer: heap. Threads: any; figures of running threads are read without stopping them. doc/statistics.md says what
 * each figure means.
 */
#ifndef CB_HEAP_STATS_H
#define CB_HEAP_STATS_H

#include "heap/census.h"
#include "heap/pages.h"
#include "heap/reserve.h"

/* Which parts could not be had, bits of cb_stats.left_out: */
enum {
    CB_LEFT_OUT_PAGES =
        1, /* the page allocator was at work all the time: what is free, and so what is in use */
    CB_LEFT_OUT_BLOCKS = 2,   /* some heaps were: their objects are not counted */
    CB_LEFT_OUT_LARGE = 4,    /* no large object is counted */
    CB_LEFT_OUT_RESIDENT = 8, /* the system does not say what is resident */
};

struct cb_stats {
    struct cb_pages_totals pages;
    size_t metadata;   /* bytes mapped for maps, tables, heaps and bins */
    size_t rooms;      /* bytes of address space behind large objects that grow */
    size_t blocks;     /* bytes of blocks handed to runs */
    size_t dead;       /* of these, bytes in dead runs */
    size_t dead_pages; /* of these, bytes in whole pages that are still resident */
    size_t taken;      /* bytes in blocks and large objects */
    size_t in_use;     /* of these, bytes in objects: live, parked, or next to be handed out */
    size_t free;       /* all that is mapped and not in use */
    size_t trimmable;  /* an estimate of what malloc_trim would give back */
    size_t heaps;
    size_t running; /* of these, those that threads have */
    size_t swept, revived;
    size_t sweeps, overflowed, taken_in, collected; /* see struct cb_heap; swept and revived in bytes */
    size_t foreign;                                 /* objects of libc's that were freed */

    /* From here on only cb_stats_read_all: */
    struct cb_reserve_figures reserve;
    struct cb_os_tally system;
    struct cb_census census;
    size_t resident, resident_most; /* bytes, of the whole process */
    unsigned left_out;
};

/* Waits for the locks that it needs. */
void cb_stats_read(struct cb_stats *stats);

/*
 * The same, with everything. From a signal handler (`interrupting`) nothing is repaired that a fork has left, and
 * without limits on time (CB_LOCK_WAIT) it must not be called: the interrupted thread may hold any lock.
 */
void cb_stats_read_all(struct cb_stats *stats, uint64_t milliseconds, bool interrupting);

#endif
