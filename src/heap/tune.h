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

/* ---- Bins: objects that are free, and parked for the next request of their size (bin.c) ------------------------- */

/*
 * The bins of the small space may hold this much, those of the medium space half of it, for what is dead there is found
 * at once; and a CB_PART of what is in use. Programs of 10 to 30 MB get most of their speed from it. Once half of it has
 * died in bins since the last refill, the program frees and does not allocate, a drain: then bins hold a quarter of it,
 * and one of them CB_STEP (experiments, "drains", "knobs").
 */
#define CB_BIN_BYTES CB_KIB(1280)

/* One bin may always hold so many objects, if they are no more than half of CB_STEP: who allocates and frees a few in
 * turn must not meet the lock (experiments, "knobs"). */
#define CB_BIN_ENTRIES 8

/* One of so many calls does more than the others: counts what is in the bins of the small space, which takes 63 loads
 * (experiments, "counting what is parked"), or asks what time it is (experiments, "waves"). */
#define CB_SELDOM 16

/* ---- What stays, and what goes in one call (reserve.c, purge.c, excess.c, release.c) ------------------------------ */

/*
 * A part of what there is. Bins may hold as much beside CB_BIN_BYTES, and pages without live objects may stay beside the
 * option `reserve`; the heap grows by as much beside CB_GROWTH. And a heap of which it was more than what its bins may
 * hold may keep only such a part of that (experiments, "less of nothing", "knobs").
 */
#define CB_PART 32

/* The part where dead pages lie in short stretches, which cost as many calls and may well get longer; and that where
 * less than a part of what is there lives, so that one object may keep a page, or a block: bins hold one entry or none,
 * and remote frees are taken in one by one (experiments, "sparse"). A block is swept anew when as large a part has died. */
#define CB_SPARSE_PART 8

/* The part of its size that an object may keep when it shrinks; that may stay by purge=lazy; and below which what the
 * block table has for blocks goes back when these do (experiments, "knobs"). */
#define CB_KEPT_PART 4

/*
 * One call may let so much die, or give so much of blocks back, besides what has died since the last: about 50 us. Of free
 * extents, whose pages lie side by side, four times that; and once for each two milliseconds that have passed since, for a
 * quiet program makes few calls. Where more is held than may be, as much is given back beyond it, so that it is seldom.
 * Twice that may be pending of frees by other threads before these do the owner's work, with few heaps (experiments,
 * "knobs").
 */
#define CB_WORK CB_KIB(256)

/* Milliseconds after which it is asked what of the reserve was of use, and half of what was not goes. Waves that
 * come less than two of them apart are seen as such; three seconds after the last one, a sixteenth of it is left at
 * most. */
#define CB_PERIOD 600

/* Milliseconds without a slow path from which on a thread seems to be asleep. Others let objects of a sleeping thread
 * die for it; it need not be long, only longer than a store takes to be seen (experiments, "sleeping heaps"). */
#define CB_QUIET 8

/* Heaps, few: more of them share what so many have, for figures for each thread must not add up; and so many are looked
 * at when others may give back what a sleeping one holds (experiments, "sleeping heaps"). */
#define CB_HEAPS 8

/* ---- Runs: what a refill hands to the cursor (refill.c, block.c) -------------------------------------------------- */

/* Bytes that become a run at a time in the medium space. In the small space it is a page: what bins hold was in use
 * lately, what is behind the end of a run was not, so bins are asked again soon (experiments, "knobs"). */
#define CB_STEP CB_KIB(32)

/* Granules of a dead run that a sweep makes a run of, at least: shorter ones wait until their neighbours have died
 * (experiments, "holes", "the medium space in quads"). */
#define CB_HOLE_LEAST 8

/* Candidates that a search looks at, of a list in which not all fit: most of what is to be found is among the first
 * (experiments, "knobs"). */
#define CB_SEARCH 16

/* ---- Memory from the system, and large objects (pages.c, excess.c, large.c) --------------------------------------- */

/* The heap grows by this, and a CB_PART of what it has: few mappings, and no more than 3 % that nobody asked for
 * (experiments, "knobs"). */
#define CB_GROWTH CB_MIB(2)

/* Free memory side by side for which the block table goes back (experiments, "knobs"). */
#define CB_TABLE CB_MIB(32)

/*
 * Objects of this size and more are moved by their pages: a move of 4 MiB is faster than a copy, even with its faults.
 * One that grows in small steps gets room, which is addresses, for as much again; below this size, where each move
 * copies, up to it, but no more than CB_ROOM_TIMES its size (experiments, "room").
 */
#define CB_MOVE CB_MIB(4)
#define CB_ROOM_TIMES 16

/* Pieces that were moved are mappings of their own: so many at most, or those of objects that are a CB_PART of all
 * memory. The kernel allows 65,530 (tests/memory/mappings.c). */
#define CB_MOVED_MOST 48

/*
 * From this size on the system is asked whether it has as much (doc/memory.md): a system call for each new largest
 * size.
 */
#define CB_ASKED CB_MIB(64)

#endif
