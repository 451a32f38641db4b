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

/* The bins of the small and of the medium space may hold this much, and a part of what is in use. Programs of 10 to
 * 30 MB get most of their speed from it; medium objects need less, since what is dead of them is found at once. */
#define CB_PARKED_SMALL CB_KIB(1280)
#define CB_PARKED_MEDIUM CB_KIB(512)
#define CB_PARKED_PART 32

/* A heap in which more than this was in use at once may hold only a CB_PARKED_PART of these two: what stays of 200
 * MB is 0.9 MB, and 3.7 without it (experiments, "less of nothing"). */
#define CB_PARKED_BIG CB_MIB(16)

/* One bin may always hold so many objects, if they are no more than CB_STEP, and all of a space a quarter of that: who
 * allocates and frees a few in turn must not meet the lock. */
#define CB_BIN_ENTRIES 8

/* The objects in the bins of the small space are counted at one of so many times when a bin is full: it takes 63 loads
 * (experiments, "counting what is parked"). */
#define CB_COUNT_PARKED 16

/* The program is freeing and not allocating, a drain, once so much has died in bins since the last refill. Then what is
 * parked only keeps pages from dying, and bins hold half of that, one of them CB_STEP (experiments, "drains"). */
#define CB_DRAIN (CB_PARKED_SMALL / 2)

/* ---- The work of one call ---------------------------------------------------------------------------------------- */

/* One call may let so much die, or give so much of blocks back, besides what has died since the last: about 50 us. */
#define CB_WORK CB_KIB(256)

/* One call may give so much of free extents back besides what was given since the last, and so much for each
 * millisecond that has passed, for a quiet program makes few calls. A CB_PURGE_STEP less than may stay is left, so
 * that it is seldom. */
#define CB_PURGE_STEP CB_MIB(1)
#define CB_PURGE_PER_MS CB_KIB(128)

/*
 * ---- The reserve: pages without live objects that stay (reserve.c, purge.c, excess.c) -----------------------------
 */

/* Milliseconds after which it is asked what of the reserve was of use, and half of what was not goes. Waves that
 * come less than two of them apart are seen as such; three seconds after the last one, a sixteenth of it is left at
 * most. */
#define CB_PERIOD 600

/* Milliseconds without a slow path from which on a thread seems to be asleep. Others let objects of a sleeping thread
 * die for it; it need not be long, only longer than a store takes to be seen (remote.c). */
#define CB_QUIET 8

/* Heaps that are looked at when others may give back what a sleeping one holds (experiments, "sleeping heaps"). */
#define CB_LOOKS 8

/* Besides the option `reserve`, a part of what is in use may stay; more of it where it lies in short stretches,
 * which cost as many calls and may well get longer; more with purge=lazy. */
#define CB_SHARE_PART 64
#define CB_SHARE_PART_SCATTERED 8
#define CB_SHARE_PART_LAZY 4

/* More heaps than this share what so many have: figures for each thread must not add up. */
#define CB_SHARE_HEAPS 8

/* Frees by other threads that may be pending before these do the owner's work, with few heaps; CB_STEP at least. */
#define CB_COLLECT CB_KIB(512)

/*
 * ---- Runs: what a refill hands to the cursor (refill.c, block.c) ---------------------------------------------------
 */

/* Bytes that become a run at a time, in the small space only the shorter ones: what bins hold was in use lately,
 * what is behind the end of a run was not, so bins are asked again soon. */
#define CB_STEP CB_KIB(32)
#define CB_STEP_SMALL CB_KIB(2)

/* Granules of a dead run that a sweep makes a run of, at least: shorter ones wait until their neighbours have died
 * (experiments, "holes"). */
#define CB_HOLE_LEAST 8

/* Where less than a part of what is there lives, one object may keep a page, or a block: bins hold one entry or
 * none, and remote frees are taken in one by one (experiments, "sparse"). A block is swept anew when as large a part
 * has died. */
#define CB_SPARSE_PART 8

/* Candidates that a search looks at, of a list in which not all fit: most of what is to be found is among the first. */
#define CB_SEARCH 16

/*
 * ---- Memory from the system, and large objects (pages.c, large.c) -------------------------------------------------
 */

/* The heap grows by a part of what it has, and CB_GROWTH: few mappings, and no more than 6 % that nobody asked for. */
#define CB_GROWTH CB_MIB(2)
#define CB_GROWTH_PART 16

/*
 * Objects of this size and more are moved by their pages: a move of 4 MiB is faster than a copy, even with its faults.
 */
#define CB_MOVE CB_MIB(4)

/*
 * The size with room, which is addresses, of an object that grows in small steps, by its old size: from CB_MOVE on; and
 * below, where each move copies, at most and at least (experiments, "room").
 */
#define CB_ROOM_TIMES_MOVED 2
#define CB_ROOM_TIMES 16
#define CB_ROOM_TIMES_LEAST 4

/* Pieces that were moved are mappings of their own: so many at most, or those of objects that are a CB_GROWTH_PART
 * of all memory. The kernel allows 65,530. */
#define CB_MOVED_MOST 48

/* Objects that shrink by no more than a part stay where they are. */
#define CB_KEPT_PART 4

/* Objects up to CB_MEDIUM_MAX that move to grow by no more than a part get as much more (experiments, "growing"). */
#define CB_GROWN_PART 8

/*
 * From this size on the system is asked whether it has as much (doc/memory.md): a system call for each new largest
 * size.
 */
#define CB_ASKED CB_MIB(64)

#endif
