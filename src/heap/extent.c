/*
 * extent.c: see extent.h.
 *
 * Layer: heap. Threads: any. Lock: cb_extents.lock (rank 4) guards everything here.
 */
#include "heap/extent.h"

#include "heap/fork.h"
#include "heap/map.h"
#include "heap/range.h"

#include <string.h>

#define BINS 128       /* four per doubling of the number of pages */
#define BINS_SEEN 6    /* bins looked into */
#define TAIL_OFFSET 16 /* the tail of a free extent begins this many map bytes before its end */

/*
 * The map bytes of the last page of a free extent. The very last byte stays zero. Where an extent ends with the
 * newest range, its tail is in `lists`: the end of a large map is a huge page that nothing else might need.
 */
struct tail {
    struct cb_extent *head;
    uint8_t tag; /* CB_DEAD */
    uint8_t unused;
    uint16_t generation;
    uint8_t zero[4];
};
_Static_assert(offsetof(struct cb_extent, start) == CB_EXTENT_START, "debuggers know where it is");
_Static_assert(offsetof(struct cb_extent, size) == CB_EXTENT_SIZE, "debuggers know where it is");
_Static_assert(sizeof(struct tail) == TAIL_OFFSET, "a tail is the last map bytes of a page");
_Static_assert(sizeof(struct cb_extent) + sizeof(struct tail) <= CB_UNIT_GRANULES,
               "an extent of one page has room for both");

struct cb_extents cb_extents = {.lock = CB_LOCK_INIT("cb_extents.lock", CB_RANK_PAGES)};

static struct {
    struct cb_extent *bin[BINS]; /* guarded by the lock, as is all that follows */
    uint64_t filled[BINS / 64];  /* bit per bin */
    struct cb_extent *newest;    /* of those with something dirty */
    uint16_t generation;         /* of the lists; rises when a forked child abandons them */
    uintptr_t end;               /* of the newest range ... */
    struct tail end_tail;        /* ... and the tail of a free extent that ends there */
} lists;

static unsigned page_shift; /* log2 of cb_page_size */

size_t cb_page_size;

void cb_extent_init(void) {
    cb_page_size = cb_os_page_size();
    page_shift = (unsigned)__builtin_ctzl(cb_page_size);
}

/* In the child of a fork without handlers, the lock may be held by a thread that exists no more: that comes first. */
void cb_extent_lock(void) {
    cb_fork_repair_if_child();
    cb_lock_take(&cb_extents.lock);
}

void cb_extent_unlock(void) {
    cb_lock_drop(&cb_extents.lock);
}

static unsigned bin_of(size_t size) {
    size_t n = size >> page_shift;
    if (n < 8) {
        return (unsigned)n;
    }
    unsigned log = 63 - (unsigned)__builtin_clzl(n);
    return (log - 1) * 4 + (unsigned)(n >> (log - 2) & 3);
}

static struct tail *tail_of(uintptr_t end) {
    return end == lists.end ? &lists.end_tail : (struct tail *)(void *)(cb_map_at(end) - TAIL_OFFSET);
}

void cb_extent_move_end(uintptr_t end) {
    uintptr_t old = lists.end;
    struct tail tail = lists.end_tail;
    lists.end = end;
    lists.end_tail = (struct tail){0};
    if (tail.tag == CB_DEAD) {
        *tail_of(old) = tail;
    }
}

struct cb_dirty cb_dirty_part(struct cb_dirty dirty, uintptr_t from, uintptr_t to) {
    uintptr_t low = cb_higher(dirty.from, from), high = cb_lower(dirty.to, to);
    if (low >= high) {
        return CB_NOT_DIRTY;
    }
    size_t pages_all = (dirty.to - dirty.from) >> page_shift, pages_part = (high - low) >> page_shift;
    size_t share = (dirty.bytes >> page_shift) * pages_part / pages_all;
    return (struct cb_dirty){low, high, (share != 0 ? share : 1) << page_shift};
}

static struct cb_dirty dirty_both(struct cb_dirty a, struct cb_dirty b) {
    if (a.bytes == 0 || b.bytes == 0) {
        return a.bytes != 0 ? a : b;
    }
    return (struct cb_dirty){cb_lower(a.from, b.from), cb_higher(a.to, b.to), a.bytes + b.bytes};
}

struct cb_extent *cb_extent_insert(uintptr_t start, size_t size, struct cb_dirty dirty) {
    struct cb_extent *e = (struct cb_extent *)(void *)cb_map_at(start);
    uint16_t bin = (uint16_t)bin_of(size);
    *e = (struct cb_extent){.tag = CB_DEAD,
                            .bin = bin,
                            .generation = lists.generation,
                            .start = start,
                            .size = size,
                            .dirty = dirty,
                            .next = lists.bin[bin]};
    struct tail *tail = tail_of(start + size);
    tail->head = e;
    tail->tag = CB_DEAD;
    tail->generation = lists.generation;
    if (e->next != NULL) {
        e->next->prev = e;
    }
    lists.bin[bin] = e;
    lists.filled[bin / 64] |= (uint64_t)1 << (bin & 63);
    cb_extents.free += size;
    if (dirty.bytes != 0) {
        cb_extents.dirty += dirty.bytes;
        e->older = lists.newest;
        *(lists.newest != NULL ? &lists.newest->newer : &cb_extents.oldest) = e;
        lists.newest = e;
    }
    return e;
}

struct cb_extent cb_extent_take_out(struct cb_extent *e) {
    struct cb_extent was = *e;
    if (was.next != NULL) {
        was.next->prev = was.prev;
    }
    if (was.prev != NULL) {
        was.prev->next = was.next;
    } else {
        lists.bin[was.bin] = was.next;
        if (was.next == NULL) {
            lists.filled[was.bin / 64] &= ~((uint64_t)1 << (was.bin & 63));
        }
    }
    if (was.dirty.bytes != 0) {
        cb_extents.dirty -= was.dirty.bytes;
        *(was.older != NULL ? &was.older->newer : &cb_extents.oldest) = was.newer;
        *(was.newer != NULL ? &was.newer->older : &lists.newest) = was.older;
    }
    cb_extents.free -= was.size;
    memset(e, 0, sizeof *e);
    /* Not the very last byte: it is zero, and the owner of a block behind may be looking at it. */
    memset(tail_of(was.start + was.size), 0, offsetof(struct tail, zero));
    return was;
}

bool cb_extent_outside_blocks(uintptr_t p) {
    /* acquire: partner of the release in cb_block_drop, after which the block's map bytes are zero */
    return cb_range_owns(p) && atomic_load_explicit(&cb_block_of(p)->owner, memory_order_acquire) == NULL;
}

/* The free extent that ends at `start`, or NULL. */
static struct cb_extent *free_before(uintptr_t start) {
    if (!cb_extent_outside_blocks(start - 1)) {
        return NULL;
    }
    struct tail *tail = tail_of(start);
    return tail->tag == CB_DEAD && tail->generation == lists.generation ? tail->head : NULL;
}

struct cb_extent *cb_extent_at(uintptr_t end) {
    if (!cb_extent_outside_blocks(end)) {
        return NULL;
    }
    struct cb_extent *e = (struct cb_extent *)(void *)cb_map_at(end);
    return cb_map_get(&e->tag) == CB_DEAD && e->generation == lists.generation ? e : NULL;
}

struct cb_extent *cb_extent_insert_merged(uintptr_t start, size_t size, struct cb_dirty dirty) {
    struct cb_extent *beside[2] = {free_before(start), cb_extent_at(start + size)};
    for (int i = 0; i < 2; i++) {
        if (beside[i] == NULL) {
            continue;
        }
        struct cb_extent was = cb_extent_take_out(beside[i]);
        start = was.start < start ? was.start : start;
        size += was.size;
        dirty = dirty_both(dirty, was.dirty);
    }
    return cb_extent_insert(start, size, dirty);
}

static bool fits(const struct cb_extent *e, size_t size, size_t align) {
    size_t lead = cb_align_up(e->start, align) - e->start;
    return e->size >= size && e->size - size >= lead;
}

/* The next bin from `bin` on that has an extent; BINS when there is none. */
static unsigned next_filled(unsigned bin) {
    return cb_bit_from(lists.filled, BINS / 64, bin);
}

/* Where in a free extent a request goes: at the start of what is dirty if it fits behind that, else as near
 * as it can. */
static uintptr_t place(const struct cb_extent *e, size_t size, size_t align) {
    uintptr_t first = cb_align_up(e->start, align),
              last = (e->start + e->size - size) & ~(uintptr_t)(align - 1);
    uintptr_t wanted = e->dirty.bytes != 0 ? cb_align_up(e->dirty.from, align) : first;
    return wanted < last ? wanted : last;
}

static bool better(struct cb_extent_place a, struct cb_extent_place b) {
    return b.extent == NULL || a.dirty > b.dirty ||
           (a.dirty == b.dirty && (a.extent->size < b.extent->size ||
                                   (a.extent->size == b.extent->size && a.extent->start < b.extent->start)));
}

/*
 * A free extent with room, of those looked at in the first BINS_SEEN bins that have one: where most is dirty,
 * and so needs no page from the system; else the smallest, at equal size the lowest. No extent: there is
 * none.
 */
struct cb_extent_place cb_extent_find(size_t size, size_t align) {
    struct cb_extent_place best = {NULL, 0, 0};
    int bins = 0;
    for (unsigned bin = next_filled(bin_of(size)); bin < BINS && bins < BINS_SEEN;
         bin = next_filled(bin + 1)) {
        int seen = 0;
        for (struct cb_extent *e = lists.bin[bin]; e != NULL && seen < CB_SEARCH; e = e->next, seen++) {
            if (fits(e, size, align)) {
                uintptr_t at = place(e, size, align);
                struct cb_extent_place found = {e, at, cb_dirty_part(e->dirty, at, at + size).bytes};
                best = better(found, best) ? found : best;
            }
        }
        bins += best.extent != NULL;
        if (best.dirty == size) {
            break;
        }
    }
    return best;
}

struct cb_dirty cb_extent_cut(struct cb_extent *e, uintptr_t at, size_t size) {
    struct cb_extent was = cb_extent_take_out(e);
    uintptr_t end = at + size, was_end = was.start + was.size;
    if (at > was.start) {
        cb_extent_insert(was.start, at - was.start, cb_dirty_part(was.dirty, was.start, at));
    }
    if (end < was_end) {
        cb_extent_insert(end, was_end - end, cb_dirty_part(was.dirty, end, was_end));
    }
    return cb_dirty_part(was.dirty, at, end);
}

struct cb_extent *cb_extent_search(size_t size,
                                   bool (*is_wanted)(const struct cb_extent *e, uintptr_t argument),
                                   uintptr_t argument) {
    for (unsigned bin = next_filled(bin_of(size)); bin < BINS; bin = next_filled(bin + 1)) {
        for (struct cb_extent *e = lists.bin[bin]; e != NULL; e = e->next) {
            if (is_wanted(e, argument)) {
                return e;
            }
        }
    }
    return NULL;
}

/*
 * Another thread was between two states of the lists. Its free extents are lost to this process; what is allocated
 * stays valid, and new memory comes from new growth.
 */
void cb_extent_after_fork(void) {
    if (cb_lock_is_held(&cb_extents.lock)) {
        memset(lists.bin, 0, sizeof lists.bin);
        memset(lists.filled, 0, sizeof lists.filled);
        cb_extents.oldest = lists.newest = NULL;
        cb_extents.free = cb_extents.dirty = 0;
        lists.generation++;
        cb_lock_reset(&cb_extents.lock);
    }
}

#ifdef CB_TESTING
bool cb_extent_check(void) {
    bool good = true;
    size_t free = 0, dirty = 0;
    cb_extent_lock();
    for (unsigned bin = 0; bin < BINS; bin++) {
        good = good && ((lists.filled[bin / 64] >> (bin & 63) & 1) != 0) == (lists.bin[bin] != NULL);
        for (struct cb_extent *e = lists.bin[bin]; e != NULL && good; e = e->next) {
            free += e->size;
            dirty += e->dirty.bytes;
            good = e->tag == CB_DEAD && e->bin == bin && bin_of(e->size) == bin &&
                   cb_map_at(e->start) == (uint8_t *)e && tail_of(e->start + e->size)->head == e &&
                   (e->next == NULL || e->next->prev == e) && free_before(e->start) == NULL &&
                   cb_extent_at(e->start + e->size) == NULL &&
                   (e->dirty.bytes == 0 || (e->dirty.from >= e->start && e->dirty.to <= e->start + e->size));
        }
    }
    good = good && free == cb_extents.free && dirty == cb_extents.dirty;
    cb_extent_unlock();
    return good;
}
#endif
