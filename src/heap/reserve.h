/*
 * reserve.h: how much of what is free may stay: objects in bins, pages without anything live in blocks, free extents.
 *
 * Layer: heap, below the page allocator. Threads: any; without locks.
 *
 * Two kinds of holders keep such pages: the page allocator (free extents) and each heap (dead pages of its blocks).
 * Each may always keep its share. It reports here how much it holds beyond that, and all of that together may be as
 * much as the regret: twice what was given back to the system and fetched again soon after. See reserve.c.
 */
#ifndef CB_HEAP_RESERVE_H
#define CB_HEAP_RESERVE_H

#include "heap/types.h"

/* There are so many heaps. */
void cb_reserve_set_heaps(size_t heaps);
size_t cb_reserve_heaps(void);

/* Shares, in bytes: of the page allocator, when extents of so many bytes are in use ... */
size_t cb_reserve_pages_share(size_t in_use);

/* ... of each heap, whatever it has ... */
size_t cb_reserve_floor(void);

/* ... and of one that has `resident` bytes in blocks: in all, or, smaller, as far as it is in long stretches. */
size_t cb_reserve_heap_share(size_t resident, bool in_long);

/* ... and of the bins of a space of a heap. */
struct cb_reserve_bins {
    size_t floor; /* CB_BIN_BYTES, or two fifths of it */
    size_t in_use, used,
        used_most; /* bytes of the heap: live or parked; in runs and objects; the most ever in use */
    bool draining; /* the program frees, and does not allocate */
};
size_t cb_reserve_bins_share(const struct cb_reserve_bins *of);

/* A holder, which has reported *part, has `held` bytes beyond its share now. Under the lock that guards *part. */
void cb_reserve_report(size_t *part, size_t held);

/*
 * Of the blocks of a heap, which has reported *part, so many bytes are held beyond its share, or have been given back.
 * Under the same lock.
 */
void cb_reserve_report_unused(size_t *part, size_t unused);

/* Bytes that a holder which has reported `part` may keep beyond its share. */
size_t cb_reserve_room(size_t part);

/* True when more is held, by anybody, than may be. */
bool cb_reserve_is_over(void);

/* True when most of what is resident is held, and not used: the program has done what it needed it for. */
bool cb_reserve_is_idle(void);

/* Extents of so many bytes are in use now. */
void cb_reserve_in_use(size_t bytes);

/* So many bytes went back to the system because they were too many. */
void cb_reserve_purged(size_t bytes);

/* So many bytes that are not resident are going to be used. */
void cb_reserve_fetched(size_t bytes);

/*
 * Lets the regret fade with time. To be called on slow paths: time without such calls hardly counts. Returns the
 * milliseconds that count as passed since the last call, by whatever thread: of all that look at once, one sees them.
 */
size_t cb_reserve_look(void);

/* Forgets all regret: the program has asked for everything to go back. */
void cb_reserve_forget(void);

/* For statistics, in bytes. */
struct cb_reserve_figures {
    size_t regret, held;
    size_t again;       /* given back and fetched again soon after, ever: twice that has raised the regret */
    size_t most_in_use; /* of extents, ever */
};

void cb_reserve_read(struct cb_reserve_figures *figures);

/* In a forked child: nobody has reported anything. */
void cb_reserve_after_fork(void);

#endif
