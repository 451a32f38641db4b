/*
 * types.h: the words, the constants and the structures of the heap.
 *
 * Layer: heap. Includes only os/ and the C library's freestanding headers.
 *
 * Glossary
 *   granule      16 bytes, the unit of size and alignment. Sizes named `granules` or `g` are in it.
 *   granule map  one byte per granule of memory, out of band, at cb_map + (address >> 4); see map.h.
 *   quad         four granules, 64 bytes: the unit of places and sizes in the medium space, whose blocks have one map
 *                byte per quad, all in the first quarter of the block's part of the map.
 *   object       what malloc hands out. Small: up to 63 granules. Medium: up to 32 KiB, whole quads.
 *                Large: whole pages.
 *   block        256 KiB, aligned, owned by one heap, holding objects of one space.
 *   space        small or medium: each has its own blocks and its own cursor.
 *   run          the stretch [cursor, limit) of a block through which a heap allocates: the front of its
 *                fresh part, or dead memory that a sweep (small space) or a list (medium space) yielded.
 *   fresh        the part of a block that was never handed to a run; its map bytes are zero.
 *   dead run     a stretch of freed granules; its first and its last map byte carry its length.
 *   bin          per size, the most recent frees, newest on top. An object in a bin is parked. Medium objects have
 *                16 bins per doubling, by the least length of a class; each keeps the length that it has.
 *   to die       an object dies when its granules become a dead run: out of a bin, or when another thread collects it.
 *   to flush, empty, shrink a bin: its oldest entries die; all of them do; it may hold less from now on.
 *   drain        the program frees and does not allocate: bins are flushed whole, and emptied now and then.
 *   sweep        the walk over a block's map that turns dead runs into runs.
 *   hole         a dead run, or several side by side, that a sweep left since it was too short.
 *   tight        a heap that the system has refused a block to, until much has been freed or had since. The
 *                lengths that its blocks wait with are then upper bounds of all holes: see small.h.
 *   extent       a stretch of whole pages: free, a large object, or one block.
 *   purge        giving pages without live objects back to the system, the addresses kept.
 *   reserve      pages without live objects that stay resident: shares, and what it was a mistake to purge; reserve.h.
 *   remote free  a free by a thread that does not own the block. The object's map byte says so, and its block
 *                waits in the owner's inbox; see remote.h.
 *
 * Invariants (check.c verifies them)
 *   - The map bytes of a block, from its first granule to the end of its fresh part, are a sequence of
 *     objects (live, parked or freed remotely) and dead runs, with nothing between but the current run,
 *     whose bytes are zero.
 *   - Small space: a dead run is no longer than 63 granules; neighbours stay apart until a sweep joins them.
 *     Medium space: two dead runs never touch, and those of CB_RUN_LEAST quads and more are in a list.
 *   - block->dead is the sum of its dead runs' lengths; heap->dead the sum over its blocks.
 *   - The last granule of a block (in the medium space, the last quad) belongs to no object and its map byte is zero,
 *     and so is the last map byte
 *     of every page that belongs to no block: looking at the byte before an object never finds a foreign
 *     dead run.
 *   - An entry of a bin is parked, and every parked object is in exactly one bin.
 *
 * Lock ranks, in the order of taking: report.holder (0), heaps.lock (1), a heap's lock (2) or lost.lock (2),
 * grow_lock (3), rooms.lock or cb_extents.lock (4, one of the two at a time), meta.lock (5). No other locks exist.
 * The build for tests asserts this order (os/rank.h), but for report.holder, which is no cb_lock.
 */
#ifndef CB_HEAP_TYPES_H
#define CB_HEAP_TYPES_H

/* Nothing that the heap's headers declare is exported; knowing that, the compiler needs no detour to reach
 * it. */
#define CB_HIDDEN __attribute__((visibility("hidden")))

#include "heap/tune.h"
#include "os/alive.h"
#include "os/lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CB_GRANULE_SHIFT 4
#define CB_GRANULE ((size_t)1 << CB_GRANULE_SHIFT)
#define CB_BLOCK_SHIFT 18
#define CB_BLOCK_SIZE ((size_t)1 << CB_BLOCK_SHIFT)
#define CB_BLOCK_GRANULES (CB_BLOCK_SIZE >> CB_GRANULE_SHIFT)
#define CB_UNIT_SHIFT 12 /* a unit of a block, which has a bit in each of its words about pages */
#define CB_UNIT_GRANULES ((size_t)1 << (CB_UNIT_SHIFT - CB_GRANULE_SHIFT))
#define CB_BLOCK_UNITS (CB_BLOCK_SIZE >> CB_UNIT_SHIFT)
#define CB_SMALL_GRANULES 63
#define CB_SMALL_MAX (CB_SMALL_GRANULES * CB_GRANULE) /* bytes */
#define CB_MEDIUM_MAX ((size_t)32 << 10)              /* bytes */
#define CB_MEDIUM_CLASSES                                                                                    \
    82 /* the last is of longer ones, and has none: malloc looks into the bin behind its own */
#define CB_QUAD_SHIFT 2 /* granules of a quad, as a power of two */
#define CB_QUAD_GRANULES ((size_t)1 << CB_QUAD_SHIFT)
#define CB_MEDIUM_LEAST ((size_t)64) /* granules of the shortest object of the medium space */
#define CB_SMALL_BIN 64   /* bin of small objects of g granules: 64 + g, their map byte while they live */
#define CB_MEDIUM_BIN 256 /* bin of the first medium class; what is before it and not small is no bin */
#define CB_BINS (CB_MEDIUM_BIN + CB_MEDIUM_CLASSES)
#define CB_BIN_BEGIN (CB_SMALL_BIN + 1)
#define CB_BIN_FIRST 64                /* entries a bin has room for at first */
#define CB_BIN_MOST 4096               /* and at most */
#define CB_BIN_MOST_MEDIUM 1024        /* and those of the medium space */
#define CB_SWEEP_QUEUES CB_SPARSE_PART /* waiting for a sweep, by how much of them is dead */
#define CB_BLOCK_QUEUES (CB_SWEEP_QUEUES + CB_SMALL_GRANULES)
#define CB_HOLES_UNIT 64                                /* granules */
#define CB_RUN_LEAST (CB_MEDIUM_LEAST >> CB_QUAD_SHIFT) /* quads of a dead run that is in a list */
#define CB_RUN_LISTS 128
#define CB_PURGE_CLASSES 2
#define CB_OWNER_CACHE ((size_t)1 << 16) /* entries of cb_owner_cache */
#define CB_TAG_SHIFT 50 /* a block's number is below 1 << CB_TAG_SHIFT, whatever the address */
#define CB_TAGS ((uint64_t)1 << (64 - CB_TAG_SHIFT))

/* Bytes as granules. */
#define CB_TO_GRANULES(bytes) ((bytes) >> CB_GRANULE_SHIFT)

#define CB_LIKELY(x) __builtin_expect(!!(x), 1)
#define CB_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define CB_COLD __attribute__((noinline, cold))
#define CB_NOINLINE __attribute__((noinline))

/* The ranks of CB_LOCK_INIT: see above. */
enum cb_lock_rank {
    CB_RANK_HEAPS = 1,
    CB_RANK_HEAP,  /* heap->lock, lost.lock */
    CB_RANK_GROW,  /* grow_lock */
    CB_RANK_PAGES, /* rooms.lock, cb_extents.lock */
    CB_RANK_META
};

enum cb_space_kind { CB_SMALL, CB_MEDIUM, CB_SPACES };

/* The lists that a block may be in, one of each kind: see list.h. */
enum cb_list_kind {
    CB_LIST_ALL,   /* heap->all */
    CB_LIST_QUEUE, /* heap->queue[block->queue], where that is not 0 */
    CB_LIST_PURGE, /* heap->purge_list[block->purge_class], where that is a class */
    CB_LISTS
};

struct cb_links {
    uint32_t next, prev; /* numbers of blocks, 0: none */
};

/*
 * The entry of one block; the table of all of them is indexed by address >> CB_BLOCK_SHIFT. The first cache
 * line is for threads that free objects of it without owning it; the others are written under the lock of the
 * heap that owns it.
 *
 * Units are of 4 KiB. The last of a block is never full: its last granule belongs to nothing.
 */
struct cb_block {
    _Alignas(64) struct cb_heap
        *_Atomic owner;      /* NULL: no block; the pages belong to the page allocator. Relaxed: a thread
                                       that frees an object learnt its address after the owner was set. */
    _Atomic uint64_t remote; /* bit per unit in which objects were freed remotely, and CB_REMOTE_OPEN; see
                                       remote.c for orders and partners */
    _Atomic uint32_t remote_next; /* number of the next block in the inbox of the owner, 0: none; relaxed,
                                       published by the push */
    uint64_t purging;   /* bit per unit: being given back at this moment, without the lock: what is dead
                                       there must not be used; under the lock, as all that follows */
    uint64_t untouched; /* bit per unit: no run has had it since the system gave it */
    uint8_t space; /* constant while there is an owner: who has learnt the address of an object may read it */
    _Alignas(64) union {
        struct cb_links list[CB_LISTS];
        struct {
            uint32_t live, seen;
        } lost; /* granules; of a block that a fork has left behind: see lost.c */
    };
    uint16_t dead;         /* granules in dead runs */
    uint16_t fresh;        /* granules from the start of the block that were handed to runs */
    uint16_t recheck_at;   /* when dead reaches this, the block is looked at again; 0 in a tight heap */
    uint16_t holes_from;   /* granules from the start of the block: holes before are filled; in a tight heap
                              what is longer than holes_rest begins in [holes_from, CB_HOLES_UNIT * (1 +
                              holes_to)) */
    uint64_t full;         /* bit per unit: all of it is in dead runs; small space only, as unit_dead */
    uint64_t dead_pages;   /* bit per unit: nothing live in it, still resident; counted in heap->dead_pages */
    uint64_t purged_pages; /* bit per unit: nothing live in it, given back, or untouched */
    uint8_t holes_to, holes_rest;
    uint8_t queue;       /* 0: in none; 1 + eighths dead: waiting for a sweep; CB_SWEEP_QUEUES + a length:
                              waiting with holes of up to that length; small space only */
    uint8_t purge_class; /* of purge.c, by its dead pages; CB_PURGE_CLASSES: it has none */
    uint8_t unit_dead[CB_BLOCK_UNITS]; /* granules of each unit that are in dead runs; 0 when it is full */
};
_Static_assert(sizeof(struct cb_block) == 192, "three cache lines");
_Static_assert(CB_BLOCK_UNITS == 64, "a bit for each unit in a word");

/*
 * The most recent frees of one size, as numbers of granules. Where the newest is, and how far a bin may be
 * filled, is in arrays of their own (top and ends in struct cb_bins), so that an index scales as it is.
 */
struct cb_bin {
    size_t *slot; /* the oldest; NULL: never used */
    size_t room;  /* entries that there is memory for */
};

/* The lower halves of two addresses, which is enough to know a bin's top when it gets there. */
struct cb_bin_ends {
    uint32_t empty; /* of slot */
    uint32_t full;  /* behind the last entry that there may be */
};

/* A run: where the next object goes. Both are numbers of granules (address / 16), which index the map as they
 * are. */
struct cb_run {
    size_t cursor, limit;
};

/* No run: no object fits, and no address, NULL included, is just below the cursor. */
#define CB_NO_RUN_VALUES                                                                                     \
    { (size_t)1 << 62, (size_t)1 << 62 }
#define CB_NO_RUN ((struct cb_run)CB_NO_RUN_VALUES)

/* One of the two spaces of a heap. The small space's run lives in cb_thread while a thread has the heap. */
struct cb_space {
    struct cb_run run;
    struct cb_block *run_block;   /* holds the run; NULL: no run */
    bool run_is_fresh;            /* the run is the front of the fresh part of fresh_block */
    unsigned fresh_steps;         /* taken since the last sweep; small space only */
    struct cb_block *fresh_block; /* the block with a fresh part to hand out; NULL: none */
};

enum cb_heap_state {
    CB_HEAP_PARKED,  /* no thread has it; the next new thread adopts it */
    CB_HEAP_RUNNING, /* a thread has it, or had when it ended */
    CB_HEAP_FROZEN /* a thread of the parent of this process had it: nobody touches it, unless that thread came
                        over the fork, which it then finds out */
};

/*
 * The bins of a heap, in pages of their own. A bin that was never used has no slots: it is empty, and full. So all
 * of this is zero in a new heap, and costs no memory in one that frees nothing but what is on top.
 */
struct cb_bins {
    _Atomic size_t
        freeing; /* granule of the object that its owner freed last, off the top: written before its map byte is
                               read, so that others who collect leave that one alone; relaxed */
    size_t *top[CB_BINS];             /* behind the newest entry */
    struct cb_bin_ends ends[CB_BINS]; /* of what is no bin all are zero */
    struct cb_bin bin[CB_BINS];
    size_t first_slots[CB_SMALL_GRANULES + CB_MEDIUM_CLASSES][CB_BIN_FIRST];
};

/* The owner is about to read the map byte of an object that it frees or resizes. */
static inline void cb_bins_note_free(struct cb_bins *bins, size_t granule) {
    atomic_store_explicit(&bins->freeing, granule, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst); /* for the compiler; remote.c says what the processor may do */
}

struct cb_heap {
    struct cb_space space[CB_SPACES];
    struct cb_bins *bins;      /* constant once linked */
    uint64_t asked;            /* cb_thread.asked while no thread has the heap */
    _Atomic uint32_t activity; /* rises on slow paths of the owner; relaxed */
    size_t dead;               /* granules in dead runs */
    size_t used;               /* granules handed to runs, over all blocks */
    size_t used_most;          /* the most that was ever used and not dead, when a bin was full */
    size_t used_last;          /* the same, lately: see follow_shrinking in bin.c */
    size_t dead_pages;         /* in 4 KiB units, as the next: see cb_block */
    size_t purged_pages;
    size_t parked[CB_SPACES]; /* granules in bins; of the small space when they were last counted ... */
    unsigned parked_calls;    /* ... and how often that was asked */
    size_t died_in_bins;      /* granules that died in bins since the last refill ... */
    size_t died_when_emptied; /* ... and how many when the bins were last emptied for that: see bin.c */
    struct cb_block *purge_list[CB_PURGE_CLASSES]; /* blocks with dead pages */
    size_t purge_goal;   /* dead pages down to which they are being given back; 0: none are */
    bool purge_long;     /* those in long stretches are being given back */
    size_t purge_died;   /* pages that have died since some were last given back */
    bool purge_due;      /* pages have died since there was last nothing to give back */
    size_t purge_from;   /* after a failure: dead pages from which on purging is tried again */
    size_t purge_orders; /* pages of so many blocks are being given back: see cb_purge_order */
    unsigned watched;    /* frees that came by the slow path for it: see cb_heap_watch */
    size_t held; /* bytes of dead pages beyond the heap's share, as they were last reported; others read it */
    size_t unused;                /* the same, and bytes of its blocks that have been given back */
    unsigned bin_hand[CB_SPACES]; /* the bin that is next to shrink, of its space */
    unsigned to_empty[CB_SPACES]; /* bins that are still to be emptied in a drain */
    struct cb_block *all;         /* every block of the heap ... */
    size_t blocks;                /* ... and how many there are */
    struct cb_block *queue[CB_BLOCK_QUEUES + 1]; /* blocks of the small space: see cb_block.queue */
    uint64_t holes;                              /* bit per length of holes that a block waits with */
    uint16_t passed[CB_SMALL_GRANULES + 1]; /* granules in holes that the sweep has left, by their length */
    unsigned sweep_most;                    /* what is swept has no longer holes, so far as is known */
    bool tight;                             /* the system has refused a block ... */
    size_t tight_in_use;                    /* ... when so many granules were in use */
    size_t swept;                           /* granules whose map bytes sweeps have gone over, ever */
    size_t sweeps;                          /* parts of blocks that were swept, ever, as the next ... */
    size_t revived;                         /* ... and granules that became runs by it */
    size_t overflowed;                      /* objects that died in bins */
    size_t taken_in;                        /* objects that others freed, parked by the owner ... */
    size_t collected;                       /* ... and let die at once by another thread */
    uint64_t tag;         /* its number << CB_TAG_SHIFT, or CB_NO_TAG; constant once linked */
    struct cb_heap *next; /* in heaps.all; constant once linked */
    bool warm;            /* idle, and as its thread left it; guarded by heaps.lock, as is the next */
    struct cb_heap *next_idle;
    uint64_t runs_filled[CB_RUN_LISTS / 64]; /* bit per list of runs that has one */
    uint8_t *runs[CB_RUN_LISTS]; /* map bytes of dead runs of the medium space, a list for each class */

    /* Written by other threads: on a line of its own, away from what the owner reads all the time. */
    _Alignas(64) _Atomic uint32_t inbox; /* number of a block with remote frees, the first of a list; 0: none.
                                            Release by push, acquire by take_inbox in remote.c */
    _Atomic uint32_t pending;       /* units of the blocks in the inbox that have remote frees; relaxed */
    _Atomic uint32_t activity_seen; /* what `activity` was when another thread last looked ... */
    _Atomic uint64_t seen_at;       /* ... and when it had changed, in milliseconds; relaxed, as the others */
    _Atomic uint32_t state;         /* enum cb_heap_state; thread.c says who changes it and how */
    cb_lock lock; /* rank 2: guards what is dead: runs, lists, blocks, their counts; remote.h says why */

    size_t *slots[CB_SPACES];     /* room for all bins of a space at their largest; NULL: never needed */
    bool slots_stale[CB_SPACES];  /* bins have left it since it was purged ... */
    uint64_t slots_at[CB_SPACES]; /* ... which was then, in milliseconds */
    struct cb_alive alive;        /* held by the thread that has the heap */
    bool torn;         /* its lock was held at a fork by a thread that this process does not have */
    _Atomic bool lost; /* frozen for good: its thread is known not to be in this process; relaxed */
};

/* Changes a figure that is written under the heap's lock, or by the owner alone, and that other threads may
 * read without it. */
static inline void cb_count(size_t *figure, size_t change) {
    __atomic_store_n(figure, *figure + change, __ATOMIC_RELAXED);
}

/* The owner is on a slow path. */
static inline void cb_heap_is_active(struct cb_heap *heap) {
    uint32_t activity = atomic_load_explicit(&heap->activity, memory_order_relaxed);
    atomic_store_explicit(&heap->activity, activity + 1, memory_order_relaxed);
}

/*
 * All that the fast paths of one thread need, on one cache line. A thread that has no heap yet (or no longer) has
 * no run and no bins: then every bounds test fails and the slow path finds out.
 */
struct cb_thread {
    struct cb_run run; /* the small space's */
    uint64_t asked;    /* bit g - 1: bin g has an entry, and malloc takes it rather than advance the cursor */
    uint8_t *map;      /* cb_map, or NULL without a heap */
    struct cb_bins *bins; /* the heap's */
    struct cb_heap *heap;
    uint64_t tag;        /* the heap's; CB_NO_TAG without one */
    uint32_t exits;      /* how often the thread's destructor has run */
    uint32_t generation; /* of the process, when the thread has last looked: see fork.c */
};

/* Granules that live, or are parked; about, where it is asked without the lock. */
static inline size_t cb_heap_in_use(const struct cb_heap *heap) {
    return __atomic_load_n(&heap->used, __ATOMIC_RELAXED) - __atomic_load_n(&heap->dead, __ATOMIC_RELAXED);
}

/* Little of what the blocks hold lives: an object that is kept may keep a page, or a block. */
static inline bool cb_heap_is_sparse(const struct cb_heap *heap) {
    return cb_heap_in_use(heap) < __atomic_load_n(&heap->used, __ATOMIC_RELAXED) / CB_SPARSE_PART;
}

static inline size_t cb_lower(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline size_t cb_higher(size_t a, size_t b) {
    return a > b ? a : b;
}

/* The bit of cb_thread.asked for the bin of so many granules. */
static inline uint64_t cb_asked_bit(size_t granules) {
    return (uint64_t)1 << (granules - 1);
}

/* The number of the first bit, from this one on, that is set in so many words; 64 * words: none is. */
static inline unsigned cb_bit_from(const uint64_t *bits, unsigned words, unsigned from) {
    uint64_t above = ~(uint64_t)0 << (from & 63);
    for (unsigned word = from / 64; word < words; word++, above = ~(uint64_t)0) {
        if ((bits[word] & above) != 0) {
            return word * 64 + (unsigned)__builtin_ctzll(bits[word] & above);
        }
    }
    return words * 64;
}

static inline bool cb_is_power_of_two(size_t n) {
    return n != 0 && (n & (n - 1)) == 0;
}

/* The least power of two that is no less; 0: there is none. */
static inline size_t cb_power_of_two_from(size_t n) {
    return n < 2 ? 1 : n > SIZE_MAX / 2 + 1 ? 0 : (size_t)1 << (64 - __builtin_clzl(n - 1));
}

/* `align` is a power of two. */
static inline uintptr_t cb_align_up(uintptr_t n, size_t align) {
    return (n + align - 1) & ~(uintptr_t)(align - 1);
}

#define CB_TLS_MODEL __attribute__((tls_model("initial-exec")))
#define CB_NO_TAG ((uint64_t)1) /* of no entry of cb_owner_cache */

/* In cb_block.remote: a block that is to be queued when something is freed in it remotely. */
#define CB_REMOTE_OPEN ((uint64_t)1 << 63)

extern _Thread_local struct cb_thread cb_thread CB_TLS_MODEL CB_HIDDEN;

#endif
