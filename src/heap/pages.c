/*
 * pages.c: the page allocator. See pages.h.
 *
 * Layer: heap. Threads: any. Locks: grow_lock (rank 3) guards the ranges; pages.lock (rank 4) guards everything else
 * here. No system call is made under pages.lock.
 */
#include "heap/pages.h"

#include "heap/fork.h"
#include "heap/map.h"
#include "heap/options.h"
#include "heap/range.h"
#include "heap/reserve.h"

#include <string.h>

#define BINS 128       /* four per doubling of the number of pages */
#define BINS_SEEN 6    /* bins looked into */
#define TAIL_OFFSET 16 /* the tail of a free extent begins this many map bytes before its end */

/* A free extent; lies in the map bytes of its first page. */
struct extent {
    uint8_t tag;       /* CB_DEAD */
    bool table_purged; /* its part of the block table has gone back */
    uint8_t unused[2];
    uint16_t bin;
    uint16_t generation; /* of the lists that it is in */
    uintptr_t start;
    size_t size;
    struct cb_dirty dirty;
    struct extent *next, *prev;   /* in its bin */
    struct extent *newer, *older; /* in the order of freeing; only while something is dirty */
};

/*
 * The map bytes of the last page of a free extent. The very last byte stays zero. Where an extent ends with the
 * newest range, its tail is in `pages`: the end of a large map is a huge page that nothing else might need.
 */
struct tail {
    struct extent *head;
    uint8_t tag; /* CB_DEAD */
    uint8_t unused;
    uint16_t generation;
    uint8_t zero[4];
};
_Static_assert(offsetof(struct extent, start) == CB_EXTENT_START, "debuggers know where it is");
_Static_assert(offsetof(struct extent, size) == CB_EXTENT_SIZE, "debuggers know where it is");
_Static_assert(sizeof(struct tail) == TAIL_OFFSET, "a tail is the last map bytes of a page");
_Static_assert(sizeof(struct extent) + sizeof(struct tail) <= 256, "an extent of one page has room for both");

static struct {
    cb_lock lock;                   /* rank 4 */
    struct extent *bin[BINS];       /* guarded by lock, as is all that follows */
    uint64_t filled[BINS / 64];     /* bit per bin */
    struct extent *oldest, *newest; /* of those with something dirty */
    size_t free, dirty;             /* bytes */
    size_t given;                   /* bytes given back to us since some of them were last purged */
    bool purging;                   /* more was dirty than may stay, and has not come down far enough yet */
    uint64_t purged_at;             /* milliseconds: when it was last looked at what may stay */
    size_t held;                    /* dirty bytes beyond the share, as they were last reported */
    size_t purge_from;              /* after a failure: dirty bytes from which on purging is tried again */
    size_t blocks;                  /* in use ... */
    size_t blocks_most;             /* ... and the most of them since the block table was last purged */
    bool refused;                   /* the system has when it was last asked; guarded by grow_lock */
    uint16_t generation;            /* of the lists; rises when a forked child abandons them */
    uintptr_t end;                  /* of the newest range ... */
    struct tail end_tail;           /* ... and the tail of a free extent that ends there */
} pages;

static cb_lock
    grow_lock; /* rank 3: one thread at a time asks the system for more; the others need not wait for it */

/* relaxed: a hint; cb_pages_release_excess looks again under the lock */
static _Atomic bool over_reserve;

static unsigned page_shift; /* log2 of cb_page_size */

/* In the child of a fork without handlers, the lock may be held by a thread that exists no more: that comes
 * first. */
static void lock_pages(void) {
    cb_fork_repair_if_child();
    cb_lock_take(&pages.lock);
}

/* relaxed: figures for people */
static _Atomic size_t purged_bytes, purge_calls;

size_t cb_page_size;

bool cb_pages_init(void) {
    cb_page_size = cb_os_page_size();
    page_shift = (unsigned)__builtin_ctzl(cb_page_size);
    return cb_range_init();
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
    return end == pages.end ? &pages.end_tail : (struct tail *)(void *)(cb_map_at(end) - TAIL_OFFSET);
}

/* The newest range ends here from now on. */
static void move_end(uintptr_t end) {
    uintptr_t old = pages.end;
    struct tail tail = pages.end_tail;
    pages.end = end;
    pages.end_tail = (struct tail){0};
    if (tail.tag == CB_DEAD) {
        *tail_of(old) = tail;
    }
}

static const struct cb_dirty nothing = {0, 0, 0};

/* What of it lies in [from, to); how much of that is dirty is an estimate where purged pages lie between
 * dirty ones. */
static struct cb_dirty dirty_part(struct cb_dirty dirty, uintptr_t from, uintptr_t to) {
    uintptr_t low = cb_higher(dirty.from, from), high = cb_lower(dirty.to, to);
    if (low >= high) {
        return nothing;
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

/* Makes [start, start+size) a free extent, and returns it. The map bytes are zero. */
static struct extent *insert(uintptr_t start, size_t size, struct cb_dirty dirty) {
    struct extent *e = (struct extent *)(void *)cb_map_at(start);
    uint16_t bin = (uint16_t)bin_of(size);
    *e = (struct extent){.tag = CB_DEAD,
                         .bin = bin,
                         .generation = pages.generation,
                         .start = start,
                         .size = size,
                         .dirty = dirty,
                         .next = pages.bin[bin]};
    struct tail *tail = tail_of(start + size);
    tail->head = e;
    tail->tag = CB_DEAD;
    tail->generation = pages.generation;
    if (e->next != NULL) {
        e->next->prev = e;
    }
    pages.bin[bin] = e;
    pages.filled[bin / 64] |= (uint64_t)1 << (bin & 63);
    pages.free += size;
    if (dirty.bytes != 0) {
        pages.dirty += dirty.bytes;
        e->older = pages.newest;
        *(pages.newest != NULL ? &pages.newest->newer : &pages.oldest) = e;
        pages.newest = e;
    }
    return e;
}

/* Takes a free extent out of everything; its map bytes are zero afterwards. Returns what it was. */
static struct extent take_out(struct extent *e) {
    struct extent was = *e;
    if (was.next != NULL) {
        was.next->prev = was.prev;
    }
    if (was.prev != NULL) {
        was.prev->next = was.next;
    } else {
        pages.bin[was.bin] = was.next;
        if (was.next == NULL) {
            pages.filled[was.bin / 64] &= ~((uint64_t)1 << (was.bin & 63));
        }
    }
    if (was.dirty.bytes != 0) {
        pages.dirty -= was.dirty.bytes;
        *(was.older != NULL ? &was.older->newer : &pages.oldest) = was.newer;
        *(was.newer != NULL ? &was.newer->older : &pages.newest) = was.older;
    }
    pages.free -= was.size;
    memset(e, 0, sizeof *e);
    /* Not the very last byte: it is zero, and the owner of a block behind may be looking at it. */
    memset(tail_of(was.start + was.size), 0, offsetof(struct tail, zero));
    return was;
}

/* True when the address is ours and in no block. */
static bool outside_blocks(uintptr_t p) {
    /* acquire: partner of the release in drop in block.c, after which the block's map bytes are zero */
    return cb_range_owns(p) && atomic_load_explicit(&cb_block_of(p)->owner, memory_order_acquire) == NULL;
}

/* The free extent that ends at `start`, or NULL. */
static struct extent *free_before(uintptr_t start) {
    if (!outside_blocks(start - 1)) {
        return NULL;
    }
    struct tail *tail = tail_of(start);
    return tail->tag == CB_DEAD && tail->generation == pages.generation ? tail->head : NULL;
}

/* The free extent that begins at `end`, or NULL. */
static struct extent *free_behind(uintptr_t end) {
    if (!outside_blocks(end)) {
        return NULL;
    }
    struct extent *e = (struct extent *)(void *)cb_map_at(end);
    return cb_map_get(&e->tag) == CB_DEAD && e->generation == pages.generation ? e : NULL;
}

/* insert, merged with what is free on both sides. */
static struct extent *insert_merged(uintptr_t start, size_t size, struct cb_dirty dirty) {
    struct extent *beside[2] = {free_before(start), free_behind(start + size)};
    for (int i = 0; i < 2; i++) {
        if (beside[i] == NULL) {
            continue;
        }
        struct extent was = take_out(beside[i]);
        start = was.start < start ? was.start : start;
        size += was.size;
        dirty = dirty_both(dirty, was.dirty);
    }
    return insert(start, size, dirty);
}

static uintptr_t align_up(uintptr_t p, size_t align) {
    return (p + align - 1) & ~(uintptr_t)(align - 1);
}

static bool fits(const struct extent *e, size_t size, size_t align) {
    size_t lead = align_up(e->start, align) - e->start;
    return e->size >= size && e->size - size >= lead;
}

/* The next bin from `bin` on that has an extent; BINS when there is none. */
static unsigned filled_from(unsigned bin) {
    for (unsigned word = bin / 64; word < BINS / 64; word++) {
        uint64_t bits = pages.filled[word];
        if (word == bin / 64) {
            bits &= ~(uint64_t)0 << (bin & 63);
        }
        if (bits != 0) {
            return word * 64 + (unsigned)__builtin_ctzll(bits);
        }
    }
    return BINS;
}

/* Where in a free extent a request goes: at the start of what is dirty if it fits behind that, else as near
 * as it can. */
static uintptr_t place(const struct extent *e, size_t size, size_t align) {
    uintptr_t first = align_up(e->start, align), last = (e->start + e->size - size) & ~(uintptr_t)(align - 1);
    uintptr_t wanted = e->dirty.bytes != 0 ? align_up(e->dirty.from, align) : first;
    return wanted < last ? wanted : last;
}

/* A free extent with room and how much of what would be taken of it is dirty. */
struct candidate {
    struct extent *extent;
    uintptr_t at;
    size_t dirty;
};

static bool better(struct candidate a, struct candidate b) {
    return b.extent == NULL || a.dirty > b.dirty ||
           (a.dirty == b.dirty && (a.extent->size < b.extent->size ||
                                   (a.extent->size == b.extent->size && a.extent->start < b.extent->start)));
}

/*
 * A free extent with room, of those looked at in the first BINS_SEEN bins that have one: where most is dirty,
 * and so needs no page from the system; else the smallest, at equal size the lowest. No extent: there is
 * none.
 */
static struct candidate find(size_t size, size_t align) {
    struct candidate best = {NULL, 0, 0};
    int bins = 0;
    for (unsigned bin = filled_from(bin_of(size)); bin < BINS && bins < BINS_SEEN;
         bin = filled_from(bin + 1)) {
        int seen = 0;
        for (struct extent *e = pages.bin[bin]; e != NULL && seen < CB_SEARCH; e = e->next, seen++) {
            if (fits(e, size, align)) {
                uintptr_t at = place(e, size, align);
                struct candidate found = {e, at, dirty_part(e->dirty, at, at + size).bytes};
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

/* Reports the dirty bytes beyond the share; none while the system takes nothing back. */
static void report(void) {
    size_t in_use = cb_range_total() - pages.free, share = cb_reserve_pages_share(in_use);
    bool counts =
        cb_options.purge != CB_PURGE_NEVER && pages.dirty >= pages.purge_from && pages.dirty > share;
    cb_reserve_in_use(in_use);
    cb_reserve_report(&pages.held, counts ? pages.dirty - share : 0);
}

/* The dirty bytes that may stay: the share, and what is left of the reserve. */
static size_t may_stay(void) {
    return pages.held != 0 ? pages.dirty - pages.held + cb_reserve_room(pages.held) : SIZE_MAX;
}

/* Cuts [at, at+size) out of a free extent and puts the rest back. Returns what of it is dirty. */
static struct cb_dirty cut(struct extent *e, uintptr_t at, size_t size) {
    struct extent was = take_out(e);
    uintptr_t end = at + size, was_end = was.start + was.size;
    if (at > was.start) {
        insert(was.start, at - was.start, dirty_part(was.dirty, was.start, at));
    }
    if (end < was_end) {
        insert(end, was_end - end, dirty_part(was.dirty, end, was_end));
    }
    struct cb_dirty dirty = dirty_part(was.dirty, at, end);
    report();
    cb_reserve_fetched(size - dirty.bytes);
    return dirty;
}

/* Whole blocks that are enough for a request at the end of the newest range; else `need`. The map has whole pages. */
static size_t least_growth(size_t size, size_t align, size_t need) {
    bool whole = (CB_BLOCK_SIZE >> CB_GRANULE_SHIFT) % cb_page_size == 0;
    return whole && align <= CB_BLOCK_SIZE ? align_up(size, CB_BLOCK_SIZE) : need;
}

/*
 * More memory from the system: what is needed, or a sixteenth of what there is; if it has not as much, or had nothing
 * when it was last asked, just what will do. Under grow_lock; takes pages.lock for what it adds.
 */
static bool grow(size_t size, size_t align) {
    size_t total = cb_range_total();
    size_t need = align_up(size + align, CB_RANGE_STEP);
    size_t wanted = align_up(total / CB_GROWTH_PART + CB_GROWTH, CB_RANGE_STEP);
    if (need < size) {
        return false;
    }
    size_t got, least = least_growth(size, align, need);
    wanted = pages.refused ? least : cb_higher(wanted, need);
    uintptr_t start = cb_range_grow(least, need, wanted, &got);
    pages.refused = start == 0;
    if (start == 0) {
        return false;
    }
    if (cb_options.thp != CB_THP_DEFAULT) {
        cb_os_huge((void *)start, got, cb_options.thp == CB_THP_ALWAYS);
    }
    cb_lock_take(&pages.lock);
    move_end(start + got);
    if (cb_range_begins(start)) {
        start += cb_page_size; /* never used, so that there is a map byte before that of any object */
        got -= cb_page_size;
    }
    insert_merged(start, got, nothing);
    cb_lock_drop(&pages.lock);
    return true;
}

/* A place that is free, taken. 0: there is none. */
static uintptr_t take_free(size_t size, size_t align, struct cb_dirty *dirty) {
    struct candidate found = find(size, align);
    if (found.extent != NULL) {
        *dirty = cut(found.extent, found.at, size);
    }
    return found.at;
}

/*
 * Takes pages with pages.lock held, on entry and on return; not while memory is asked for. 0: the system has no more.
 * Others may take what this thread has asked for; then it asks again.
 */
static uintptr_t take(size_t size, size_t align, struct cb_dirty *dirty) {
    uintptr_t at = take_free(size, align, dirty);
    while (at == 0) {
        cb_lock_drop(&pages.lock);
        cb_lock_take(&grow_lock);
        cb_lock_take(&pages.lock);
        at = take_free(size, align, dirty); /* another thread may have asked before */
        bool more = at != 0;
        if (!more) {
            cb_lock_drop(&pages.lock);
            more = grow(size, align);
            cb_lock_take(&pages.lock);
            at = more ? take_free(size, align, dirty) : 0;
        }
        cb_lock_drop(&grow_lock);
        if (!more) {
            break;
        }
    }
    return at;
}

uintptr_t cb_pages_take(size_t size, size_t align, struct cb_dirty *dirty) {
    lock_pages();
    uintptr_t at = take(size, align, dirty);
    cb_lock_drop(&pages.lock);
    return at;
}

uintptr_t cb_pages_take_free(size_t size, size_t align, struct cb_dirty *dirty) {
    lock_pages();
    uintptr_t at = take_free(size, align, dirty);
    cb_lock_drop(&pages.lock);
    return at;
}

uintptr_t cb_pages_take_block(struct cb_heap *owner, struct cb_dirty *dirty) {
    lock_pages();
    uintptr_t at = take(CB_BLOCK_SIZE, CB_BLOCK_SIZE, dirty);
    if (at != 0) {
        /* relaxed: readers that care are under the lock, see outside_blocks */
        atomic_store_explicit(&cb_block_of(at)->owner, owner, memory_order_relaxed);
        pages.blocks++;
        pages.blocks_most = cb_higher(pages.blocks_most, pages.blocks);
    }
    cb_lock_drop(&pages.lock);
    return at;
}

bool cb_pages_are_free(uintptr_t p) {
    bool found = false;
    lock_pages();
    for (unsigned bin = 0; bin < BINS && !found; bin++) {
        for (struct extent *e = pages.bin[bin]; e != NULL && !found; e = e->next) {
            found = p - e->start < e->size;
        }
    }
    cb_lock_drop(&pages.lock);
    return found;
}

bool cb_pages_extend(uintptr_t end, size_t more) {
    bool done = false;
    lock_pages();
    struct extent *e = free_behind(end);
    if (e != NULL && e->size >= more) {
        cut(e, end, more);
        done = true;
    }
    cb_lock_drop(&pages.lock);
    return done;
}

static bool purge_system(uintptr_t start, size_t size, size_t counted) {
    if (!cb_os_purge((void *)start, size)) {
        return false;
    }
    atomic_fetch_add_explicit(&purged_bytes, counted, memory_order_relaxed);
    atomic_fetch_add_explicit(&purge_calls, 1, memory_order_relaxed);
    return true;
}

/*
 * The map bytes of a purged extent are zero; whole pages of them go back as well, with a page more on either
 * side, where the nodes of extents that have since been merged were. Nothing else uses them meanwhile.
 */
static void purge_map(const struct extent *was, uintptr_t from, uintptr_t to) {
    uintptr_t slack = cb_page_size << CB_GRANULE_SHIFT, end = was->start + was->size;
    uintptr_t low = from - was->start > slack ? from - slack : was->start,
              high = end - to > slack ? to + slack : end;
    low = align_up((uintptr_t)cb_map_at(low), cb_page_size);
    high = (uintptr_t)cb_map_at(high) & ~(uintptr_t)(cb_page_size - 1);
    if (low < high) {
        cb_os_purge((void *)low, high - low);
    }
}

/*
 * Purges about `excess` bytes of the extent that has been free the longest, from its end, since requests are
 * served from its start. The lock is held on entry and on return, but not during the system call, for which
 * the extent looks as if it were in use. Returns the bytes given back; 0 when there is nothing to do.
 */
static size_t purge_oldest(size_t excess) {
    if (pages.oldest == NULL) {
        return 0;
    }
    struct extent was = take_out(pages.oldest);
    size_t size = was.dirty.to - was.dirty.from;
    size_t part = align_up(cb_higher(excess, CB_PURGE_STEP), cb_page_size);
    /* Nobody knows where in it the dirty pages are. Where few are, all of it goes. */
    bool dense = was.dirty.bytes >= size - size / 4;
    uintptr_t from = dense && size - size / 8 > part ? was.dirty.to - part : was.dirty.from;
    struct cb_dirty rest = dirty_part(was.dirty, was.dirty.from, from);
    size_t got = was.dirty.bytes - rest.bytes;
    cb_lock_drop(&pages.lock);
    bool done = purge_system(from, was.dirty.to - from, got);
    purge_map(&was, from, was.dirty.to);
    cb_lock_take(&pages.lock);
    insert_merged(was.start, was.size, done ? rest : was.dirty);
    return done ? got : 0;
}

static size_t purge_to(size_t keep) {
    size_t total = 0;
    while (pages.dirty > keep) {
        size_t got = purge_oldest(pages.dirty - keep);
        if (got == 0) {
            break;
        }
        total += got;
    }
    return total;
}

/*
 * Gives back what the block table has for large free extents, whenever so many blocks have gone that a part is left:
 * all of that is zero but for what is left of blocks that nobody owns. An extent a call; it looks as if it were in use
 * meanwhile. True when there was one.
 */
#define TABLE_PART 4
#define TABLE_BLOCKS 32                 /* that there were at least */
#define TABLE_EXTENT ((size_t)32 << 20) /* bytes that an extent has at least */

static bool table_is_due(void) {
    return pages.blocks < pages.blocks_most / TABLE_PART && pages.blocks_most >= TABLE_BLOCKS;
}

static struct extent *with_table(void) {
    for (unsigned bin = filled_from(bin_of(TABLE_EXTENT)); bin < BINS; bin = filled_from(bin + 1)) {
        for (struct extent *e = pages.bin[bin]; e != NULL; e = e->next) {
            if (!e->table_purged) {
                return e;
            }
        }
    }
    return NULL;
}

static bool purge_table(void) {
    struct extent *e = table_is_due() ? with_table() : NULL;
    if (e == NULL) {
        pages.blocks_most = table_is_due() ? pages.blocks : pages.blocks_most;
        return false;
    }
    struct extent was = take_out(e);
    cb_lock_drop(&pages.lock);
    uintptr_t low = align_up((uintptr_t)cb_block_of(align_up(was.start, CB_BLOCK_SIZE)), cb_page_size);
    uintptr_t high = (uintptr_t)cb_block_of(was.start + was.size) & ~(uintptr_t)(cb_page_size - 1);
    if (low < high) {
        cb_os_purge((void *)low, high - low);
    }
    cb_lock_take(&pages.lock);
    e = insert_merged(was.start, was.size, was.dirty);
    e->table_purged = e->size == was.size; /* else what it was merged with has a part, too */
    return true;
}

void cb_pages_give(uintptr_t start, size_t size) {
    cb_pages_give_partly(start, size, size);
}

/* Under the lock: adds what is given back to what is free. */
static void give(uintptr_t start, size_t size, size_t dirty) {
    insert_merged(start, size, dirty != 0 ? (struct cb_dirty){start, start + size, dirty} : nothing);
    pages.given += dirty;
    report();
    cb_reserve_look();
    if (pages.purging || may_stay() < pages.dirty || table_is_due()) {
        atomic_store_explicit(&over_reserve, true, memory_order_relaxed);
    }
}

/*
 * Bytes that one call may give back: as many as were given since the last, and some more, so that it comes down although
 * no call does the work of many; the more the longer ago that was, for a quiet program makes few calls.
 */
static size_t take_share(void) {
    uint64_t now = cb_os_milliseconds(), passed = now - pages.purged_at;
    size_t most = pages.given + CB_PURGE_STEP + CB_PURGE_PER_MS * cb_lower(passed, CB_PERIOD / 3);
    pages.purged_at = now;
    pages.given = 0;
    return most;
}

/* Under the lock: purges some of what is dirty and may not stay. */
static void purge_excess(void) {
    size_t keep = may_stay();
    if (pages.held == 0 || (!pages.purging && pages.dirty <= keep)) {
        pages.purging = false;
        return;
    }
    size_t goal = keep - cb_lower(keep / 8, CB_PURGE_STEP); /* some more, so that it is seldom */
    size_t most = take_share(), down_to = pages.dirty > most ? pages.dirty - most : 0;
    bool over = pages.dirty > goal;
    size_t got = purge_to(cb_higher(goal, down_to));
    cb_reserve_purged(got);
    bool refused = got == 0 && over;
    pages.purge_from = refused ? pages.dirty * 2 : 0; /* locked memory, say: not at each free again */
    pages.purging = !refused && pages.dirty > goal;
    report();
}

void cb_pages_release_excess(void) {
    if (!cb_pages_excess()) {
        return;
    }
    lock_pages();
    atomic_store_explicit(&over_reserve, false, memory_order_relaxed);
    purge_excess();
    if (purge_table() || pages.purging) {
        atomic_store_explicit(&over_reserve, true, memory_order_relaxed);
    }
    cb_lock_drop(&pages.lock);
}

bool cb_pages_excess(void) {
    return atomic_load_explicit(&over_reserve, memory_order_relaxed) ||
           (__atomic_load_n(&pages.held, __ATOMIC_RELAXED) != 0 && cb_reserve_is_over());
}

void cb_pages_give_partly(uintptr_t start, size_t size, size_t dirty) {
    lock_pages();
    give(start, size, dirty);
    cb_lock_drop(&pages.lock);
    cb_pages_release_excess();
}

void cb_pages_give_block(uintptr_t start, size_t dirty) {
    lock_pages();
    pages.blocks--;
    give(start, CB_BLOCK_SIZE, dirty);
    cb_lock_drop(&pages.lock);
}

size_t cb_pages_purge(size_t keep) {
    lock_pages();
    size_t got = purge_to(keep);
    report();
    cb_lock_drop(&pages.lock);
    return got;
}

bool cb_pages_purge_part(uintptr_t start, size_t size) {
    return purge_system(start, size, size);
}

bool cb_pages_totals_until(struct cb_pages_totals *totals, uint64_t milliseconds) {
    *totals = (struct cb_pages_totals){.mapped = cb_range_total(),
                                       .purged = atomic_load_explicit(&purged_bytes, memory_order_relaxed),
                                       .purges = atomic_load_explicit(&purge_calls, memory_order_relaxed)};
    if (!cb_lock_until(&pages.lock, milliseconds)) {
        return false;
    }
    totals->mapped = cb_range_total();
    totals->free = pages.free;
    totals->dirty = pages.dirty;
    cb_lock_drop(&pages.lock);
    return true;
}

void cb_pages_totals(struct cb_pages_totals *totals) {
    cb_fork_repair_if_child();
    cb_pages_totals_until(totals, CB_LOCK_WAIT);
}

/* Under the lock: the bytes from p to the next place where a large object may start. */
static size_t step_over(uintptr_t p, size_t (*visit)(uintptr_t p, void *context), void *context) {
    if (!outside_blocks(p)) {
        return CB_BLOCK_SIZE - (p & (CB_BLOCK_SIZE - 1));
    }
    const struct extent *e = free_behind(p);
    size_t size = e != NULL ? e->size : cb_map_get(cb_map_at(p)) == CB_LIVE ? visit(p, context) : 0;
    return size != 0 ? size : cb_page_size;
}

bool cb_pages_each_large(size_t (*visit)(uintptr_t p, void *context), void *context, uint64_t milliseconds) {
    if (!cb_lock_until(&pages.lock, milliseconds)) {
        return false;
    }
    uint32_t count = atomic_load_explicit(&cb_range_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        uintptr_t start = atomic_load_explicit(&cb_ranges[i].start, memory_order_relaxed);
        uintptr_t end = start + atomic_load_explicit(&cb_ranges[i].size, memory_order_acquire);
        for (uintptr_t p = start; p < end;) {
            p += step_over(p, visit, context);
        }
    }
    cb_lock_drop(&pages.lock);
    return true;
}

void cb_pages_after_fork(void) {
    cb_lock_reset(&grow_lock); /* what another thread had mapped and not added yet is not used */
    if (cb_lock_is_held(&pages.lock)) {
        /*
         * Another thread was between two states of the lists. Its free extents are lost to this process; what
         * is allocated stays valid, and new memory comes from new growth.
         */
        memset(pages.bin, 0, sizeof pages.bin);
        memset(pages.filled, 0, sizeof pages.filled);
        pages.oldest = pages.newest = NULL;
        pages.free = pages.dirty = 0;
        pages.generation++;
        cb_lock_reset(&pages.lock);
    }
    pages.held = 0;
    report();
}

bool cb_pages_check(void) {
    bool good = true;
    size_t free = 0, dirty = 0;
    lock_pages();
    for (unsigned bin = 0; bin < BINS; bin++) {
        good = good && ((pages.filled[bin / 64] >> (bin & 63) & 1) != 0) == (pages.bin[bin] != NULL);
        for (struct extent *e = pages.bin[bin]; e != NULL && good; e = e->next) {
            free += e->size;
            dirty += e->dirty.bytes;
            good = e->tag == CB_DEAD && e->bin == bin && bin_of(e->size) == bin &&
                   cb_map_at(e->start) == (uint8_t *)e && tail_of(e->start + e->size)->head == e &&
                   (e->next == NULL || e->next->prev == e) && free_before(e->start) == NULL &&
                   free_behind(e->start + e->size) == NULL &&
                   (e->dirty.bytes == 0 || (e->dirty.from >= e->start && e->dirty.to <= e->start + e->size));
        }
    }
    good = good && free == pages.free && dirty == pages.dirty;
    cb_lock_drop(&pages.lock);
    return good;
}
