/*
 * malloc.c: malloc and free, the paths that are taken all the time.
 *
 * Layer: the public functions of the heap. Threads: any. The fast paths touch one cache line of the thread
 * and one byte of the map; they take no lock, write nothing that another thread writes, and call nothing.
 *
 *   malloc -> (bin, or run: done) -> cb_malloc_slow -> (medium: bin, or run: done) -> malloc_medium_slow
 *                                                    -> malloc_rest: large, refill, first use of a thread
 *   free   -> (top of the run: done) -> free_to_bin -> (small, own block: parked)
 *          -> cb_free_slow -> (own block: done) -> cb_free_not_own -> remote, large, foreign
 */
#include "heap/malloc.h"

#include "heap/fast.h"
#include "heap/foreign.h"
#include "heap/fork.h"
#include "heap/large.h"
#include "heap/lost.h"
#include "heap/map.h"
#include "heap/misuse.h"
#include "heap/process.h"
#include "heap/range.h"
#include "heap/refill.h"
#include "heap/release.h"
#include "heap/remote.h"
#include "heap/bin.h"
#include "heap/thread.h"

#include <errno.h>

#ifndef CB_PREFIXED
/* Whoever gets our malloc out of an archive must get all of the family: api.c and stats.c come along. */
__attribute__((used)) static void *(*const cb_with_calloc)(size_t, size_t) = calloc;
__attribute__((used)) static int (*const cb_with_trim)(size_t) = malloc_trim;
#endif
/* The start and the end of a process: nothing else refers to them. */
__attribute__((used)) static void (*const cb_with_process)(void) = cb_process_start;

CB_EXPORT void *CB_NAME(malloc)(size_t size) {
    struct cb_thread *t = &cb_thread;
    size_t less_one = cb_fast_size(size);
    if (CB_LIKELY(less_one < CB_SMALL_GRANULES)) {
        void *p = cb_fast_alloc(t, less_one);
        if (CB_LIKELY(p != NULL)) {
            return p;
        }
    }
    return cb_malloc_slow(size);
}

/* At this granule is no small object of an own block: a medium one is taken back by the cursor or parked. */
static CB_NOINLINE void free_medium(struct cb_heap *heap, size_t granule) {
    const uint8_t *m = cb_map_of_object(granule << CB_GRANULE_SHIFT);
    if (CB_UNLIKELY(m == NULL || cb_map_get(m) != CB_LIVE)) {
        cb_misuse_pointer("free", granule << CB_GRANULE_SHIFT);
        return;
    }
    size_t granules = cb_map_medium_granules(m);
    if (CB_UNLIKELY(granule + granules == heap->space[CB_MEDIUM].run.cursor)) {
        cb_map_erase_medium(cb_map_at_quad(granule));
        heap->space[CB_MEDIUM].run.cursor = granule;
        return;
    }
    unsigned index = cb_medium_bin(granules);
    if (CB_LIKELY(cb_bin_push(heap->bins, index, granule))) {
        heap->parked[CB_MEDIUM] += granules;
        cb_map_set(cb_map_at_quad(granule), CB_PARKED);
        return;
    }
    cb_bin_park(&cb_thread, index, granule);
    cb_remote_take_in_much(heap);
}

/*
 * An object that is not on top: of an own block it is parked in its bin. Small objects with room in their
 * bin are done here, without a call. `granule` is the address rotated, as in free: what is not a multiple of
 * a granule gives no block's number. Anything but a live small object has a map byte whose bin is full.
 */
static inline __attribute__((always_inline)) void free_to_bin(struct cb_thread *t, void *ptr,
                                                              size_t granule) {
    if (t->asked != 0) {
        /* Malloc asks the bins: the next request of this size will write to the object. */
        __builtin_prefetch(ptr, 1);
    }
    if (CB_LIKELY(cb_owner_cache_is(t->tag, cb_block_number_of(granule)))) {
        struct cb_bins *bins = t->bins;
        cb_bins_note_free(bins, granule);
        uint8_t *m = t->map + granule;
        size_t byte = cb_map_get(m);
        if (CB_LIKELY(cb_bin_push(bins, byte, granule))) {
            cb_map_park(m);
            return;
        }
        if (byte - CB_BIN_BEGIN >= CB_SMALL_GRANULES) {
            free_medium(t->heap, granule);
            return;
        }
    }
    cb_free_slow(
        cb_granule_pointer(granule)); /* rather than keep ptr, for which a register would be copied */
}

/*
 * An object is on top of the run when it is live and ends at the cursor. The first comparison rejects what is
 * unaligned or too far from the top, and the second checks state and length: the map byte of the object on top
 * is live with just the length that leads to the cursor.
 */
CB_EXPORT void CB_NAME(free)(void *ptr) {
    struct cb_thread *t = &cb_thread;
    size_t granule = cb_granule_of((uintptr_t)ptr);
    size_t granules = t->run.cursor - granule;
    if (CB_LIKELY(granules <= CB_SMALL_GRANULES)) {
        uint8_t *m = t->map + granule;
        if (CB_LIKELY(cb_map_is(m, (uint8_t)(granules | CB_LIVE)))) {
            cb_map_set(m, CB_NONE);
            t->run.cursor = granule;
            return;
        }
    }
    free_to_bin(t, ptr, granule);
}

/* Of an own block: its bin is full, or the block is not in cb_owner_cache. */
static CB_NOINLINE void free_own_slow(struct cb_heap *heap, uintptr_t p) {
    if (CB_UNLIKELY(cb_thread.tag != heap->tag)) {
        cb_heap_watched(&cb_thread);
    }
    cb_bins_note_free(heap->bins, p >> CB_GRANULE_SHIFT);
    const uint8_t *m = cb_map_of_object(p);
    size_t byte = m != NULL ? cb_map_get(m) : CB_NONE;
    if (CB_UNLIKELY((byte & CB_STATE) != CB_LIVE)) {
        cb_misuse_pointer("free", p);
    } else if (byte == CB_LIVE) {
        free_medium(heap, p >> CB_GRANULE_SHIFT);
    } else {
        cb_bin_park(&cb_thread, (unsigned)byte, p >> CB_GRANULE_SHIFT);
        cb_remote_take_in_much(heap);
    }
}

/* Full bins, blocks that are not in cb_owner_cache, and what is not ours to free. */
CB_NOINLINE void cb_free_slow(void *ptr) {
    uintptr_t p = (uintptr_t)ptr;
    struct cb_heap *heap = cb_thread.heap;
    if (p == 0) {
        return;
    }
    if (!cb_range_owns(p)) {
        cb_foreign_free(ptr);
    } else if (heap != NULL && atomic_load_explicit(&cb_block_of(p)->owner, memory_order_relaxed) == heap) {
        free_own_slow(heap, p);
    } else {
        cb_free_not_own(p);
    }
}

/* Neither on top nor in an own block. */
CB_NOINLINE void cb_free_not_own(uintptr_t p) {
    cb_fork_repair_if_child();
    struct cb_heap *owner = atomic_load_explicit(&cb_block_of(p)->owner, memory_order_relaxed);
    if (owner == NULL) {
        if (!cb_large_free(p)) {
            cb_misuse_pointer("free", p);
        }
        return;
    }
    /* A byte of a live small object is in no map of the medium space (map.h): mostly the block need not be asked. */
    uint8_t *m = cb_map_at(p);
    size_t byte = cb_map_get(m);
    if (byte - CB_BIN_BEGIN >= CB_SMALL_GRANULES || p % CB_GRANULE != 0) {
        m = cb_map_of_object(p);
        byte = m != NULL ? cb_map_get(m) : CB_NONE;
    }
    if ((byte & CB_STATE) != CB_LIVE) {
        cb_misuse_pointer("free", p);
        return;
    }
    if (CB_UNLIKELY(cb_lost_any()) && cb_lost_is(owner)) {
        if (!cb_lost_free(p)) {
            cb_misuse_pointer("free", p);
        }
        return;
    }
    if (!cb_remote_free(owner, p, m, (uint8_t)byte)) {
        cb_misuse_pointer("free", p); /* another thread frees it at the same moment */
    }
}

/* The system has no block to give, but there may be pages that are not enough for one. */
static void *last_pages(size_t size) {
    void *p = cb_large_alloc_free(size, 0);
    return p != NULL ? p : cb_no_memory();
}

/* The granule of the newest object in a bin, if it is long enough; 0: it is not, or there is none. */
static size_t top_of_medium_bin(const struct cb_heap *heap, unsigned index, size_t granules) {
    if (cb_bin_is_empty(heap, index)) {
        return 0;
    }
    size_t granule = heap->bins->top[index][-1];
    return cb_map_medium_granules(cb_map_at_quad(granule)) >= granules ? granule : 0;
}

/* Neither its bin nor the run has an object of this size. */
static CB_NOINLINE void *malloc_medium_slow(struct cb_heap *heap, size_t size, size_t granules,
                                            unsigned index) {
    cb_fork_repair_if_child();
    if (CB_UNLIKELY(cb_thread.heap != heap)) {
        return cb_malloc_slow(size);
    }
    cb_remote_take_in(heap);
    if (top_of_medium_bin(heap, index, granules) == 0 && !cb_refill(&cb_thread, CB_MEDIUM, granules, 1)) {
        return last_pages(size);
    }
    return cb_malloc_medium(heap, size);
}

CB_NOINLINE void *cb_malloc_medium(struct cb_heap *heap, size_t size) {
    size_t granules = cb_medium_granules(size), granule;
    unsigned index = cb_medium_bin(granules);
    struct cb_run *run = &heap->space[CB_MEDIUM].run;
    if (CB_LIKELY((granule = top_of_medium_bin(heap, index, granules)) != 0) ||
        (granule = top_of_medium_bin(heap, ++index, granules)) != 0) {
        uint8_t *m = cb_map_at_quad(granule);
        heap->bins->top[index]--;
        heap->parked[CB_MEDIUM] -= cb_map_medium_granules(m);
        cb_map_set(m, CB_LIVE); /* its length is still there */
        return (void *)(granule << CB_GRANULE_SHIFT);
    }
    index--;
    size_t at = run->cursor;
    if (CB_LIKELY(at + granules <= run->limit)) {
        run->cursor = at + granules;
        cb_map_begin_medium(cb_map_at_quad(at), CB_LIVE, granules >> CB_QUAD_SHIFT);
        return (void *)(at << CB_GRANULE_SHIFT);
    }
    return malloc_medium_slow(heap, size, granules, index);
}

/* Pages of their own; when there are none, the thread's heap may have some to give. */
CB_NOINLINE void *cb_malloc_large(size_t size, size_t align, bool zero) {
    if (!cb_thread_ready()) {
        return NULL;
    }
    void *p = cb_large_alloc(size, align, zero);
    return p != NULL || !cb_refill_give_pages(&cb_thread, size) ? p : cb_large_alloc(size, align, zero);
}

/* Large objects, the first of a thread, and small ones when the run is used up. */
static CB_NOINLINE void *malloc_rest(size_t size) {
    size = size == 0 ? 1 : size;
    if (size > CB_MEDIUM_MAX) {
        void *p = cb_malloc_large(size, 0, false);
        return p != NULL ? p : cb_no_memory();
    }
    cb_fork_repair_if_child();
    struct cb_heap *heap = cb_thread_heap();
    if (heap == NULL) {
        return cb_no_memory();
    }
    if (size > CB_SMALL_MAX) {
        return cb_malloc_medium(heap, size);
    }
    size_t granules = cb_granules(size);
    uint64_t bit = cb_asked_bit(granules);
    cb_remote_take_in(heap);
    if (!cb_bin_is_empty(heap, cb_small_bin(granules))) {
        cb_thread.asked |= bit;
    } else if (cb_thread.run.limit - cb_thread.run.cursor < granules &&
               !cb_refill(&cb_thread, CB_SMALL, granules, 1)) {
        return cb_malloc_medium(heap, CB_SMALL_MAX + 1); /* there may be room among larger ones */
    }
    return CB_NAME(malloc)(size);
}

CB_NOINLINE void *cb_malloc_slow(size_t size) {
    struct cb_heap *heap = cb_thread.heap;
    if (CB_LIKELY(size - CB_SMALL_MAX - 1 < CB_MEDIUM_MAX - CB_SMALL_MAX && heap != NULL)) {
        return cb_malloc_medium(heap, size);
    }
    return malloc_rest(size);
}
