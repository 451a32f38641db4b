/*
 * tune.h: the knobs of the heap: every figure that somebody chose, and that could be another.
 *
 * Layer: heap, the lowest; includes nothing of it. The options that users set are in options.h; the layout of memory
 * (granules, classes, blocks) is in types.h, for it is a format and not a choice of each day; the fractions of the
 * rule by which regret rises and falls are in reserve.c, for the bound in doc/memory.md is proved for them.
 *
 * Each says its unit, what it means, and why it is what it is; "experiments" is doc/experiments.md, with the figures.
 * Sizes are bytes, times are milliseconds. A PART divides: a 32nd is a part of 32.
 */
#ifndef CB_HEAP_TUNE_H
#define CB_HEAP_TUNE_H

#include <stddef.h>

#define CB_KIB(n) ((size_t)(n) << 10)
#define CB_MIB(n) ((size_t)(n) << 20)

/* ---- Bins: objects that are free, and parked for the next request of their size (bin.c) ----------------------- */

/*
 * Bytes. The bins of the small space may hold so much, those of the medium space two fifths of it, for what is dead
 * there is found at once; and a CB_PART of what is in use. Programs of 10 to 30 MB get most of their speed from it.
 * Once half of it has died in bins since the last refill, the program frees and does not allocate, a drain: then bins
 * hold a quarter of it, and one of them CB_STEP (experiments, "drains", "knobs").
 */
#define CB_BIN_BYTES CB_KIB(1280)

/*
 * Objects. A bin may always hold so many, if they are no more than half of CB_STEP: who allocates and frees a few in
 * turn must not meet the lock (experiments, "knobs").
 */
#define CB_BIN_ENTRIES 8

/*
 * Calls. One of so many does what the others do not: it counts what is in the bins of the small space, which takes 63
 * loads (experiments, "counting what is parked"), or looks at the time (experiments, "waves").
 */
#define CB_SELDOM 16

/* ---- Parts: how much of what there is ------------------------------------------------------------------------- */

/*
 * A part of what is in use: bins may hold so much beside CB_BIN_BYTES, and pages without live objects may stay beside
 * the option `reserve`; the heap grows by so much beside CB_GROWTH. A heap of which this part was once more than
 * what its bins may hold in any case may hold only this part of that from then on (experiments, "less of nothing",
 * "knobs").
 */
#define CB_PART 32

/*
 * A larger part. Dead pages in short stretches may be so much of a heap, for they cost a call each and may well get
 * longer. Where less than this part of a heap lives, one object may keep a page, or a block: bins hold one entry or
 * none, and remote frees are taken in one by one (experiments, "sparse"). A block is swept anew when as much of it has
 * died.
 */
#define CB_SPARSE_PART 8

/*
 * A still larger part: what an object may keep of its size when it shrinks; what may stay with purge=lazy. The block
 * table goes back when no more than this part of the blocks is left (experiments, "knobs").
 */
#define CB_KEPT_PART 4

/* Objects up to CB_MEDIUM_MAX that move to grow by no more than a part get as much more (experiments, "growing"). */
#define CB_GROWN_PART 8

/* ---- Giving back (reserve.c, purge.c, excess.c, release.c, remote.c) ------------------------------------------ */

/*
 * Bytes. One call may let so much die, or give so much of blocks back, besides what has died since the last: about
 * 50 us. Of free extents, whose pages lie side by side, it may give back four times as much. A quiet program makes few
 * calls, so half of it is added for each millisecond that has passed. As much more than must go is given back, so that
 * it is seldom. With few heaps, twice as much may be pending of frees by other threads before these do the owner's
 * work (experiments, "knobs").
 */
#define CB_WORK CB_KIB(256)

/*
 * Milliseconds after which it is asked what of the reserve was of use, and half of what was not goes. Waves that come
 * less than two of them apart are seen as such; three seconds after the last one, a sixteenth of it is left at most
 * (experiments, "knobs").
 */
#define CB_PERIOD 600

/*
 * Milliseconds without a slow path from which on a thread seems to be asleep. Others let objects of a sleeping thread
 * die for it; it need not be long, only longer than a store takes to be seen (experiments, "sleeping heaps", "knobs").
 */
#define CB_QUIET 8

/*
 * Heaps. More of them share what so many have, for figures for each thread must not add up; and so many are looked at
 * when others may give back what a sleeping one holds (experiments, "sleeping heaps", "knobs").
 */
#define CB_HEAPS 8

/* ---- Runs: what a refill hands to the cursor (refill.c, small.c, medium.c) ------------------------------------ */

/*
 * Bytes that become a run at a time in the medium space. In the small space it is a page: what bins hold was in use
 * lately, what is behind the end of a run was not, so bins are asked again soon (experiments, "knobs").
 */
#define CB_STEP CB_KIB(32)

/*
 * Granules of a hole that blocks wait with, at least: shorter ones wait until their neighbours have died (experiments,
 * "holes", "the medium space in quads").
 */
#define CB_HOLE_LEAST 8

/*
 * Candidates that a search looks at, of a list in which not all fit: most of what is to be found is among the first
 * (experiments, "knobs").
 */
#define CB_SEARCH 16

/* ---- Memory from the system, and large objects (pages.c, excess.c, large.c) ----------------------------------- */

/*
 * Bytes. The heap grows by so much and a CB_PART of what it has: few mappings, and no more than 3 % that nobody asked
 * for (experiments, "knobs").
 */
#define CB_GROWTH CB_MIB(2)

/* Bytes of free memory side by side from which on its part of the block table goes back (experiments, "knobs"). */
#define CB_TABLE CB_MIB(32)

/*
 * Bytes. Objects of this size and more are moved by their pages: a move of 4 MiB is faster than a copy, even with its
 * faults. One that grows in small steps gets room, which is addresses, for as much again; a smaller one, which is
 * copied each time, up to this size, but no more than CB_ROOM_TIMES its own (experiments, "room", "knobs").
 */
#define CB_MOVE CB_MIB(4)
#define CB_ROOM_TIMES 16

/*
 * Pieces that were moved, each a mapping of its own: so many at most, or those of objects that are a CB_PART of all
 * memory. The kernel allows 65,530 (experiments, "knobs").
 */
#define CB_MOVED_MOST 48

/*
 * Bytes. From this size on the system is asked whether it has as much (doc/memory.md): a system call for each new
 * largest size.
 */
#define CB_ASKED CB_MIB(64)

#endif
