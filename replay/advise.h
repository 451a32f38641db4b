/*
 * advise.h: would a program, or one of its call sites, do with arenas? What a trace says about it.
 *
 * Glossary
 *   stack     the live blocks of one lane of the trace (doc/trace.md), the newest on top.
 *   distance  of a free: live blocks above the freed one on the stack of the lane that allocated it.
 *   ring      what an arena remembers of its blocks: see rings.h. Sizes are as asked for, without padding.
 *   slots     of the ring that is advised.
 *
 * A realloc counts as a free and an allocation.
 *
 * Layer: replay, above order and rings. Threads: one.
 */
#ifndef CB_REPLAY_ADVISE_H
#define CB_REPLAY_ADVISE_H

#include "rings.h"

#include "trace/trace.h"

#define CB_DISTANCES 34     /* class 0: distance 0; class k: from 1 << (k - 1) to (1 << k) - 1 */
#define CB_LOGS 65          /* classes of sizes and lifetimes: by the number of binary digits */
#define CB_ADVICE_SITES 20  /* at most, that are looked at: those with most allocations */
#define CB_ADVICE_RARE 1000 /* a site with fewer than one allocation in so many is not looked at */
#define CB_ADVICE_WASTE 1.5 /* an arena suits if it holds at most so many times what is in use at most */
#define CB_SKYLINE_POINTS 1000
#define CB_SKYLINE_CLOSE 240 /* calls */

/* Rings of each size, and how they would do with some of the blocks. */
struct cb_advice_part {
    uint64_t allocations, frees;
    uint64_t bytes;                /* allocated in all; also what a bump that gives nothing back holds */
    uint64_t live, peak;           /* bytes: now (in the end, at the end), at most */
    uint64_t held[CB_RINGS];       /* bytes: now, all arenas of this ring together */
    uint64_t most[CB_RINGS];       /* bytes: at most */
    uint64_t remembered[CB_RINGS]; /* frees of blocks that this ring still knew */
};

struct cb_advice_site {
    struct cb_advice_part part; /* as if its blocks had arenas of their own */
    uint32_t site;
};

/* The cursor of one lane's arena. All in bytes. */
struct cb_skyline_point {
    uint64_t calls; /* of the lane, up to here */
    uint64_t least, most, live, bytes;
};

struct cb_skyline {
    uint32_t lane;
    uint64_t calls; /* allocations and frees of the lane */
    struct cb_skyline_point points[CB_SKYLINE_POINTS];
    uint32_t count;
    uint64_t stride; /* calls of a point */
    struct {
        uint64_t held, live;
    } close
        [CB_SKYLINE_CLOSE]; /* after each of some calls in a row: those in which the cursor falls most often */
    uint64_t close_first;   /* the number of the first of these calls, from 0 */
    uint32_t close_count;
};

struct cb_advice {
    struct cb_advice_part all; /* an arena for each lane */
    uint32_t lanes;            /* that have allocated */
    uint64_t unknown;          /* frees of blocks that the trace does not know; they are in no figure */
    uint64_t distances[CB_DISTANCES];
    uint64_t lifetimes[CB_LOGS][CB_LOGS]; /* blocks that were freed, by size and by age, in allocations */
    uint64_t never_freed[CB_LOGS];        /* the others, by size */
    struct cb_advice_site sites[CB_ADVICE_SITES];
    uint32_t site_count;
    bool suits;
    unsigned
        slots; /* that are advised; where it does not suit, those that remember nearly as many frees as the most do */
    struct cb_skyline skyline;
};

/* Reads the trace twice. False, with the reader's error. The reader is at the end then, and knows all sites. */
bool cb_advise(struct cb_advice *advice, struct cb_trace_reader *reader);

/* The least ring that holds no more than CB_ADVICE_WASTE times the peak: its index; CB_RINGS: none. */
unsigned cb_advice_ring(const struct cb_advice_part *part);

/* Whether a bump that gives nothing back holds no more than that. */
bool cb_advice_plain(const struct cb_advice_part *part);

#endif
