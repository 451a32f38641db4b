/*
 * api.c: the rest of the allocation functions: calloc, realloc, alignment, sizes.
 *
 * Layer: the public functions of the heap. Threads: any.
 */
#include "heap/fast.h"
#include "heap/foreign.h"
#include "heap/fork.h"
#include "heap/large.h"
#include "heap/malloc.h"
#include "heap/map.h"
#include "heap/misuse.h"
#include "heap/pages.h"
#include "heap/range.h"
#include "heap/refill.h"
#include "heap/release.h"
#include "heap/remote.h"
#include "heap/bin.h"
#include "heap/thread.h"

#include <errno.h>
#include <string.h>

/* Large memory that the system hands out is zero already; all other objects are short enough to clear. */
static CB_NOINLINE void *calloc_slow(size_t size) {
    if (size > CB_MEDIUM_MAX) {
        void *p = cb_malloc_large(size, 0, true);
        return p != NULL ? p : cb_no_memory();
    }
    void *p = cb_malloc_slow(size);
    return p != NULL ? memset(p, 0, CB_NAME(malloc_usable_size)(p)) : NULL;
}

CB_EXPORT void *CB_NAME(calloc)(size_t count, size_t size) {
    size_t bytes;
    if (CB_UNLIKELY(__builtin_mul_overflow(count, size, &bytes))) {
        return cb_no_memory();
    }
    size_t less_one = cb_fast_size(bytes);
    if (CB_LIKELY(less_one < CB_SMALL_GRANULES)) {
        void *p = cb_fast_alloc(&cb_thread, less_one);
        if (CB_LIKELY(p != NULL)) {
            return memset(p, 0, (less_one + 1) << CB_GRANULE_SHIFT); /* all that malloc_usable_size counts */
        }
    }
    return calloc_slow(bytes);
}

/* The usable bytes of a live object of ours; 0 when there is none at p. */
static size_t live_size(uintptr_t p) {
    if (atomic_load_explicit(&cb_block_of(p)->owner, memory_order_relaxed) == NULL) {
        return cb_large_size(p);
    }
    const uint8_t *m = cb_map_of_object(p);
    if (m == NULL || (cb_map_get(m) & CB_STATE) != CB_LIVE) {
        return 0;
    }
    return cb_map_granules_in(cb_block_of(p), m) << CB_GRANULE_SHIFT;
}

/* The size that malloc would give a request of this many bytes, in granules; up to CB_MEDIUM_MAX. */
static size_t granules_for(size_t size) {
    return size <= CB_SMALL_MAX ? cb_granules(size) : cb_medium_granules(size);
}

/* The run on top of which an object of an own block ends; NULL when it is not on top. */
static struct cb_run *run_above(struct cb_heap *heap, size_t end) {
    struct cb_run *small = cb_run_of(&cb_thread, CB_SMALL), *medium = &heap->space[CB_MEDIUM].run;
    return end == small->cursor ? small : end == medium->cursor ? medium : NULL;
}

/*
 * Resizes an object of an own block where it is: on top both ways, elsewhere only down. Objects keep to the lengths that
 * their space has: what becomes a small one leaves the medium space.
 */
static bool resize_in_place(struct cb_heap *heap, uintptr_t p, size_t old, size_t new) {
    size_t at = p >> CB_GRANULE_SHIFT;
    struct cb_block *block = cb_block_of(p);
    struct cb_run *run = run_above(heap, at + old);
    if (cb_space_for(new) != block->space || (new > old && (run == NULL || at + new > run->limit))) {
        return false;
    }
    cb_map_begin(at, new);
    if (run != NULL) {
        run->cursor = at + new;
    } else if (new < old && cb_fork_lock(heap)) {
        cb_space_die(heap, block, at + new, old - new);
        cb_heap_unlock(heap);
    }
    return true;
}

/* Whether an object of `old` granules should stay where it is for a request of `new`: same, or only somewhat less. */
static bool good_enough(size_t old, size_t new) {
    return old - new <= old / CB_KEPT_PART; /* where `new` is more, the difference is more than anything */
}

/*
 * The size, in any unit, that an object gets which grows to another place. In small steps it will grow again: with room
 * for the next ones it moves less often, and leaves fewer holes that are too short for itself.
 */
static size_t with_room(size_t old, size_t size) {
    return size - old <= old / CB_GROWN_PART ? size + size / CB_GROWN_PART : size;
}

static void *realloc_by_copy(void *ptr, size_t old, size_t size) {
    void *to = CB_NAME(malloc)(with_room(old, size));
    if (to != NULL) {
        memcpy(to, ptr, old < size ? old : size);
        CB_NAME(free)(ptr);
    }
    return to;
}

static void *realloc_large(void *ptr, size_t old, size_t size) {
    cb_fork_repair_if_child();
    if (cb_large_keeps(old, size)) {
        void *to = cb_large_resize((uintptr_t)ptr, size);
        if (to == NULL && cb_refill_give_pages(&cb_thread, size)) {
            to = cb_large_resize((uintptr_t)ptr, size);
        }
        return to != NULL ? to : cb_no_memory();
    }
    return realloc_by_copy(ptr, old, size);
}

/* The part of realloc that is not common. */
static CB_NOINLINE void *realloc_slow(void *ptr, size_t size) {
    uintptr_t p = (uintptr_t)ptr;
    if (!cb_range_owns(p)) {
        return cb_foreign_realloc(ptr, size);
    }
    if (cb_thread.heap != NULL) {
        cb_bins_note_free(cb_thread.bins, p >> CB_GRANULE_SHIFT); /* it may be resized where it is */
    }
    size_t old = live_size(p);
    if (CB_UNLIKELY(old == 0)) {
        cb_misuse_pointer("realloc", p);
        return cb_no_memory();
    }
    if (size == 0) {
        CB_NAME(free)(ptr);
        return NULL;
    }
    struct cb_heap *owner = atomic_load_explicit(&cb_block_of(p)->owner, memory_order_relaxed);
    if (owner == NULL) {
        return realloc_large(ptr, old, size);
    }
    if (size <= CB_MEDIUM_MAX) {
        size_t have = old >> CB_GRANULE_SHIFT, want = granules_for(size);
        size_t least = cb_space_facts[cb_block_of(p)->space].least;
        if (good_enough(have, cb_higher(want, least)) ||
            (owner == cb_thread.heap && resize_in_place(owner, p, have, want))) {
            return ptr;
        }
        void *to = realloc_by_copy(ptr, old, size);
        return to != NULL || size > old ? to : ptr;
    }
    return realloc_by_copy(ptr, old, size);
}

/* A small object of an own block grows, to another place, of so many granules at least. */
static CB_NOINLINE void *move_small(void *ptr, size_t old, size_t new) {
    new = cb_lower(with_room(old, new), CB_SMALL_GRANULES);
    void *to = cb_fast_alloc(&cb_thread, new - 1);
    if (CB_UNLIKELY(to == NULL)) {
        to = cb_malloc_slow(new << CB_GRANULE_SHIFT);
        if (to == NULL) {
            return NULL;
        }
    }
    memcpy(to, ptr, old << CB_GRANULE_SHIFT);
    CB_NAME(free)(ptr);
    return to;
}

/*
 * Done here, without a call: the first allocation of what grows later, and a small object of an own block that
 * can stay where it is, because its length is right, or nearly, or because it is on top of the run.
 */
CB_EXPORT void *CB_NAME(realloc)(void *ptr, size_t size) {
    struct cb_thread *t = &cb_thread;
    if (ptr == NULL) {
        size_t less_one = cb_fast_size(size);
        void *fresh = less_one < CB_SMALL_GRANULES ? cb_fast_alloc(t, less_one) : NULL;
        return CB_LIKELY(fresh != NULL) ? fresh : cb_malloc_slow(size);
    }
    size_t granule = cb_granule_of((uintptr_t)ptr);
    if (CB_LIKELY(cb_owner_cache_is(t->tag, cb_block_number_of(granule)))) {
        uint8_t *m = t->map + granule;
        size_t have = (size_t)cb_map_get(m) - CB_LIVE, want = cb_granules(size);
        if (CB_LIKELY(have - 1 < CB_SMALL_GRANULES)) {
            if (good_enough(have, want)) {
                return ptr;
            }
            if (CB_LIKELY(want - 1 < CB_SMALL_GRANULES)) {
                if (granule + have == t->run.cursor && granule + want <= t->run.limit) {
                    cb_map_set(m, CB_LIVE | want);
                    t->run.cursor = granule + want;
                    return ptr;
                }
                if (CB_LIKELY(want > have)) {
                    return move_small(ptr, have, want);
                }
            }
        }
    }
    return realloc_slow(ptr, size);
}

/* Weak: the preload library has one of its own. */
__attribute__((weak)) CB_EXPORT void *CB_NAME(reallocarray)(void *ptr, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return cb_no_memory();
    }
    return CB_NAME(realloc)(ptr, bytes);
}

/*
 * An object from a bin among whose newest entries one happens to be aligned: the newest, of those that are aligned no
 * better than need be.
 */
static void *aligned_from_bin(struct cb_heap *heap, size_t granules, size_t align) {
    unsigned index = cb_bin_of(granules);
    const size_t *slot = heap->bins->bin[index].slot;
    size_t count = cb_bin_count(heap, index), seen = cb_lower(count, 2 * CB_SEARCH);
    size_t best = count, least = SIZE_MAX, mask = (align >> CB_GRANULE_SHIFT) - 1;
    for (size_t i = count; i > count - seen && least != mask + 1; i--) {
        size_t alignment = slot[i - 1] & -slot[i - 1];
        if (alignment > mask && alignment < least && cb_bin_object_granules(index, slot[i - 1]) >= granules) {
            best = i - 1;
            least = alignment;
        }
    }
    if (best == count) {
        return NULL;
    }
    size_t granule = cb_bin_take(&cb_thread, index, best);
    uint8_t *m = cb_bin_map(index, granule);
    cb_map_set(m, CB_LIVE | cb_map_get(m)); /* its length is still there */
    return cb_granule_pointer(granule);
}

/* From the run; the padding before the object is a dead run like any other. */
static void *aligned_from_run(struct cb_heap *heap, enum cb_space_kind space, size_t granules, size_t align) {
    struct cb_run *run = cb_run_of(&cb_thread, space);
    size_t from = run->cursor, at = cb_align_up(from, align >> CB_GRANULE_SHIFT);
    if (at + granules > run->limit) {
        return NULL;
    }
    run->cursor = at + granules;
    cb_map_begin(at, granules);
    if (at != from) {
        cb_lock_take(&heap->lock);
        cb_space_die(heap, cb_block_of_granule(from), from, at - from);
        cb_heap_unlock(heap);
    }
    return (void *)(at << CB_GRANULE_SHIFT);
}

/* align is a power of two above 16. */
static void *aligned(size_t align, size_t size) {
    if (size > CB_MEDIUM_MAX || align > CB_BLOCK_SIZE / 2) {
        return cb_malloc_large(size != 0 ? size : 1, align, false);
    }
    cb_fork_repair_if_child();
    struct cb_heap *heap = cb_thread_heap();
    if (heap == NULL) {
        return NULL;
    }
    size_t granules = granules_for(size != 0 ? size : 1);
    enum cb_space_kind space = cb_space_for(granules + (align >> CB_GRANULE_SHIFT) - 1);
    granules = cb_higher(granules, cb_space_facts[space].least);
    for (;;) {
        void *p = aligned_from_bin(heap, granules, align);
        if (p == NULL) {
            p = aligned_from_run(heap, space, granules, align);
        }
        if (p != NULL) {
            return p;
        }
        cb_remote_take_in(heap);
        if (!cb_refill(&cb_thread, space, granules, align >> CB_GRANULE_SHIFT)) {
            return cb_large_alloc_free(size != 0 ? size : 1, align);
        }
    }
}

/* NULL: no memory. */
static void *align_any(size_t align, size_t size) {
    return align <= CB_GRANULE ? CB_NAME(malloc)(size) : size <= PTRDIFF_MAX ? aligned(align, size) : NULL;
}

CB_EXPORT int CB_NAME(posix_memalign)(void **out, size_t align, size_t size) {
    if (!cb_is_power_of_two(align) || align % sizeof(void *) != 0) {
        return EINVAL;
    }
    int saved = errno;
    void *p = align_any(align, size);
    errno = saved;
    if (p == NULL) {
        return ENOMEM;
    }
    *out = p;
    return 0;
}

/* As glibc's: an alignment that is not a power of two is rounded up to one. */
CB_EXPORT void *CB_NAME(memalign)(size_t align, size_t size) {
    size_t power = cb_power_of_two_from(align);
    if (power == 0) {
        errno = EINVAL;
        return NULL;
    }
    void *p = align_any(power, size);
    return p != NULL ? p : cb_no_memory();
}

/* C17: an alignment that is not a power of two is an error. The size need not be a multiple of it. */
CB_EXPORT void *CB_NAME(aligned_alloc)(size_t align, size_t size) {
    if (!cb_is_power_of_two(align)) {
        errno = EINVAL;
        return NULL;
    }
    return CB_NAME(memalign)(align, size);
}

CB_EXPORT void *CB_NAME(valloc)(size_t size) {
    return CB_NAME(memalign)(cb_os_page_size(), size);
}

CB_EXPORT void *CB_NAME(pvalloc)(size_t size) {
    size_t page = cb_os_page_size();
    if (size > SIZE_MAX - page) {
        return cb_no_memory();
    }
    return CB_NAME(memalign)(page, cb_align_up(size, page));
}

static CB_NOINLINE size_t usable_size_slow(uintptr_t p) {
    if (p == 0) {
        return 0;
    }
    if (!cb_range_owns(p)) {
        return cb_foreign_usable_size((void *)p);
    }
    size_t size = live_size(p);
    if (size == 0) {
        cb_misuse_pointer("malloc_usable_size", p);
    }
    return size;
}

/* Programs that keep accounts ask after each malloc and before each free: small objects of own blocks first. */
CB_EXPORT size_t CB_NAME(malloc_usable_size)(void *ptr) {
    const struct cb_thread *t = &cb_thread;
    size_t granule = cb_granule_of((uintptr_t)ptr);
    if (CB_LIKELY(cb_owner_cache_is(t->tag, cb_block_number_of(granule)))) {
        size_t granules = (size_t)cb_map_get(t->map + granule) - CB_LIVE;
        if (CB_LIKELY(granules - 1 < CB_SMALL_GRANULES)) {
            return granules << CB_GRANULE_SHIFT;
        }
    }
    return usable_size_slow((uintptr_t)ptr);
}

CB_EXPORT void CB_NAME(cfree)(void *ptr) {
    CB_NAME(free)(ptr);
}

CB_EXPORT void CB_NAME(free_sized)(void *ptr, size_t size) {
    (void)size;
    CB_NAME(free)(ptr);
}

CB_EXPORT void CB_NAME(free_aligned_sized)(void *ptr, size_t align, size_t size) {
    (void)align;
    (void)size;
    CB_NAME(free)(ptr);
}
