/*
 * bin.c: see bin.h.
 *
 * Layer: heap. Threads: the owner of the heap only.
 */
#include "heap/bin.h"

#include "heap/fork.h"
#include "heap/meta.h"
#include "heap/pages.h"
#include "heap/purge.h"
#include "heap/release.h"
#include "heap/reserve.h"

#include <string.h>

/* In granules: so much has died in bins for it to be a drain, and so much may be parked in one, and in one bin. */
#define DRAIN_FROM CB_TO_GRANULES(CB_BIN_BYTES / 2)
#define DRAIN_MOST CB_TO_GRANULES(CB_BIN_BYTES / 4)
#define DRAIN_BIN CB_TO_GRANULES(CB_STEP)

/*
 * So much died in full bins, without anything allocated but from bins, that what is parked only keeps pages and
 * blocks from dying too. Then bins are emptied when they are full, and all of them now and then: what is freed side
 * by side dies together, and goes back whole.
 */
static bool is_draining(const struct cb_heap *heap) {
    return heap->died_in_bins > DRAIN_FROM;
}

/*
 * Entries that a bin may always hold: a few, fewer of large ones, and one or none where little lives in the
 * blocks: then an entry may well keep a whole block, or at least a page and a part of the map.
 */
static size_t least_bound(const struct cb_heap *heap, unsigned index) {
    if (cb_heap_is_sparse(heap)) {
        return is_draining(heap) ? 0 : cb_space_facts[cb_bin_space(index)].bin_sparse;
    }
    return cb_higher(1, cb_lower(CB_TO_GRANULES(CB_STEP / 2) / cb_bin_granules(index), CB_BIN_ENTRIES));
}

static void set_bound(struct cb_heap *heap, unsigned index, size_t bound) {
    const size_t *slot = heap->bins->bin[index].slot;
    heap->bins->ends[index] =
        (struct cb_bin_ends){(uint32_t)(uintptr_t)slot, (uint32_t)(uintptr_t)(slot + bound)};
}

/*
 * A bin has its first few slots in the heap, packed, and when it needs more, room for as many as it may ever
 * have in memory that it shares with the other bins of its space. When it gets small it goes back, so that all of
 * that memory can be given back, in few calls.
 */
static size_t *first_slots(struct cb_heap *heap, unsigned index) {
    const struct cb_space_facts *facts = &cb_space_facts[cb_bin_space(index)];
    return heap->bins->first_slots[facts->slots_before + index - facts->bin_begin];
}

/* Bytes of the memory that the bins of a space share. */
static size_t far_bytes(enum cb_space_kind space) {
    return cb_space_facts[space].bins * cb_space_facts[space].bin_most * sizeof(size_t);
}

/* NULL when there is no memory for it. */
static size_t *far_slots(struct cb_heap *heap, unsigned index) {
    enum cb_space_kind space = cb_bin_space(index);
    const struct cb_space_facts *facts = &cb_space_facts[space];
    if (heap->slots[space] == NULL && (heap->slots[space] = cb_meta_take(far_bytes(space))) == NULL) {
        return NULL;
    }
    return heap->slots[space] + (index - facts->bin_begin) * facts->bin_most;
}

/* The bin has its entries in these slots from now on. */
static void relocate(struct cb_heap *heap, unsigned index, size_t *slot, size_t room) {
    const size_t *entries = heap->bins->bin[index].slot;
    size_t count = cb_bin_count(heap, index);
    if (entries != NULL) {
        memcpy(slot, entries, count * sizeof *slot);
    }
    heap->bins->bin[index] = (struct cb_bin){slot, room};
    heap->bins->top[index] = slot + count;
}

/* Granules that the bins of a space may hold. */
static size_t limit_of(const struct cb_heap *heap, enum cb_space_kind space) {
    struct cb_reserve_bins of = {.floor = cb_space_facts[space].parked,
                                 .in_use = cb_heap_in_use(heap) << CB_GRANULE_SHIFT,
                                 .used = heap->used << CB_GRANULE_SHIFT,
                                 .used_most = heap->used_most << CB_GRANULE_SHIFT,
                                 .draining = is_draining(heap)};
    return CB_TO_GRANULES(cb_reserve_bins_share(&of));
}

/*
 * Granules in the bins of a space. Malloc and free do not count those of the small space: they are as they were when
 * they were last counted, some calls ago, less what has died since.
 */
static size_t parked(struct cb_heap *heap, enum cb_space_kind space) {
    if (space == CB_SMALL && heap->parked_calls++ % CB_SELDOM == 0) {
        heap->parked[CB_SMALL] = 0;
        for (unsigned i = CB_BIN_BEGIN; i < CB_BIN_BEGIN + CB_SMALL_GRANULES; i++) {
            heap->parked[CB_SMALL] += cb_bin_count(heap, i) * cb_bin_granules(i);
        }
    }
    return heap->parked[space];
}

static void flush_small(struct cb_heap *heap, const size_t *slot, size_t count, size_t granules) {
    uint8_t *map = cb_map;
    struct cb_block *blocks = cb_blocks;
    cb_count(&heap->dead, count * granules);
    for (size_t i = 0; i < count; i++) {
        size_t granule = slot[i];
        struct cb_block *block = blocks + cb_block_number_of(granule);
        cb_small_die_counted(heap, block, map + granule, granule, granules);
    }
}

static size_t flush_medium(struct cb_heap *heap, const size_t *slot, size_t count) {
    size_t died = 0;
    for (size_t i = 0; i < count; i++) {
        died += cb_map_medium_granules(cb_map_at_quad(slot[i]));
        cb_space_die_object(heap, cb_block_of_granule(slot[i]), slot[i]);
    }
    return died;
}

/* Lets the oldest `count` entries of a bin die. */
static void flush(struct cb_thread *t, unsigned index, size_t count) {
    struct cb_heap *heap = t->heap;
    enum cb_space_kind space = cb_bin_space(index);
    size_t *slot = heap->bins->bin[index].slot, granules = cb_bin_granules(index), died;
    cb_count(&heap->overflowed, count);
    if (space == CB_SMALL) {
        died = count * granules;
        flush_small(heap, slot, count, granules);
        t->asked &= ~cb_asked_bit(granules); /* it overflows: malloc need not ask it */
    } else {
        died = flush_medium(heap, slot, count);
    }
    heap->died_in_bins += died;
    heap->parked[space] -= cb_lower(heap->parked[space], died);
    size_t left = cb_bin_count(heap, index) - count;
    memmove(slot, slot + count, left * sizeof *slot);
    heap->bins->top[index] = slot + left;
}

/* Room for twice as many entries. */
static bool grow(struct cb_heap *heap, unsigned index) {
    size_t bound = cb_bin_bound(heap, index), most = cb_space_facts[cb_bin_space(index)].bin_most;
    if (bound == heap->bins->bin[index].room) {
        size_t *slot = bound != most ? far_slots(heap, index) : NULL;
        if (slot == NULL) {
            return false;
        }
        relocate(heap, index, slot, most);
    }
    set_bound(heap, index, cb_lower(cb_higher(1, bound * 2), heap->bins->bin[index].room));
    return true;
}

/* A bin lets its oldest entries die, and may hold no more than is left for now. */
static void shrink(struct cb_thread *t, unsigned index, size_t count) {
    struct cb_heap *heap = t->heap;
    if (heap->bins->bin[index].slot == NULL) {
        return;
    }
    if (count != 0) {
        flush(t, index, count);
    }
    size_t bound = cb_higher(cb_bin_count(heap, index), least_bound(heap, index));
    if (bound <= CB_BIN_FIRST && heap->bins->bin[index].room != CB_BIN_FIRST) {
        relocate(heap, index, first_slots(heap, index), CB_BIN_FIRST);
        heap->slots_stale[cb_bin_space(index)] = true;
    }
    set_bound(heap, index, bound);
}

/* How many entries of a bin may die in one call: the rest follows in the next calls. */
static size_t work_most(unsigned index) {
    return CB_TO_GRANULES(CB_WORK) / cb_bin_granules(index);
}

/* The bin of the space whose turn it is. */
static unsigned next_in_turn(struct cb_heap *heap, enum cb_space_kind space) {
    unsigned at = heap->bin_hand[space];
    heap->bin_hand[space] = at + 1 < cb_space_facts[space].bins ? at + 1 : 0;
    return cb_space_facts[space].bin_begin + at;
}

/*
 * The next bin of the space in turn gives up half, and may hold no more than that until it earns it again.
 * Returns its granules.
 */
static size_t shrink_next(struct cb_thread *t, enum cb_space_kind space) {
    for (unsigned tries = cb_space_facts[space].bins; tries != 0; tries--) {
        unsigned index = next_in_turn(t->heap, space);
        size_t count = cb_lower((cb_bin_count(t->heap, index) + 1) / 2, work_most(index));
        if (count != 0) {
            shrink(t, index, count);
            return count * cb_bin_granules(index);
        }
    }
    return 0;
}

/*
 * Gives back the memory that the space's bins have left, once none is in it; not again and again. It is the owner's
 * alone, so the lock is not held.
 */
static void purge_slots(struct cb_heap *heap, enum cb_space_kind space) {
    if (!heap->slots_stale[space]) {
        return;
    }
    uint64_t now = cb_os_milliseconds();
    if (now - heap->slots_at[space] < CB_PERIOD) {
        return;
    }
    const struct cb_bin *bin = &heap->bins->bin[cb_space_facts[space].bin_begin];
    for (unsigned i = 0; i < cb_space_facts[space].bins; i++) {
        if (bin[i].room > CB_BIN_FIRST) {
            return;
        }
    }
    uintptr_t page = cb_page_size, from = (uintptr_t)heap->slots[space], to = from + far_bytes(space);
    from = cb_align_up(from, page);
    cb_os_purge((void *)from, (to & ~(page - 1)) - from);
    heap->slots_stale[space] = false;
    heap->slots_at[space] = now;
}

/* In a drain all bins of the space are emptied now and then, some in each call. */
static void empty_some(struct cb_thread *t, enum cb_space_kind space) {
    struct cb_heap *heap = t->heap;
    if (heap->to_empty[space] == 0) {
        if (heap->died_in_bins - heap->died_when_emptied <= DRAIN_MOST) {
            return;
        }
        heap->to_empty[space] = cb_space_facts[space].bins;
    }
    for (size_t died = 0; heap->to_empty[space] != 0 && died < DRAIN_MOST / 2; heap->to_empty[space]--) {
        unsigned index = next_in_turn(heap, space);
        size_t count = cb_lower(cb_bin_count(heap, index), work_most(index));
        shrink(t, index, count);
        died += count * cb_bin_granules(index);
    }
    if (heap->to_empty[space] == 0) {
        heap->died_when_emptied = heap->died_in_bins;
    }
}

/* When half of what was in use is not any more, no bin may hold more than it does: each free to one looks again. */
static void follow_shrinking(struct cb_thread *t) {
    struct cb_heap *heap = t->heap;
    size_t in_use = cb_heap_in_use(heap);
    heap->used_most = cb_higher(heap->used_most, in_use);
    if (in_use > heap->used_last) {
        heap->used_last = in_use;
    } else if (in_use < heap->used_last / 2) {
        heap->used_last = in_use;
        for (unsigned i = CB_BIN_BEGIN; i < CB_BINS; i = cb_bin_next(i)) {
            shrink(t, i, 0);
        }
    }
}

static void make_room(struct cb_thread *t, unsigned index) {
    struct cb_heap *heap = t->heap;
    enum cb_space_kind space = cb_bin_space(index);
    if (heap->bins->bin[index].slot == NULL) {
        relocate(heap, index, first_slots(heap, index), CB_BIN_FIRST);
        set_bound(heap, index, least_bound(heap, index));
        if (!cb_bin_is_full(heap, index)) {
            return;
        }
    }
    follow_shrinking(t);
    bool draining = is_draining(heap);
    if (draining) {
        empty_some(t, space);
        if (cb_heap_is_sparse(heap)) {
            if (cb_bin_bound(heap, index) != 0) {
                shrink(t, index, cb_lower(cb_bin_count(heap, index), work_most(index)));
            }
            return; /* a bin that may hold nothing: the object dies, and nothing else is to be done */
        }
    }
    size_t count = cb_bin_count(heap, index), more = cb_higher(count, 1);
    bool may_grow = !draining || (count + more) * cb_bin_granules(index) <= DRAIN_BIN;
    size_t limit = limit_of(heap, space), held = may_grow ? parked(heap, space) : 0;
    if (may_grow && held + more * cb_bin_granules(index) <= limit && grow(heap, index)) {
        return;
    }
    for (size_t died = 0, less = 1; died < DRAIN_MOST / 2 && held > limit && less != 0; died += less) {
        less = shrink_next(t, space);
        held -= cb_lower(held, less);
    }
    if (cb_bin_is_full(heap, index)) {
        count = cb_bin_count(heap, index);
        flush(t, index, cb_lower(draining ? count : (count + 1) / 2, work_most(index)));
    }
}

/* Under the lock: makes room for an entry, or lets it die where none is allowed. True when there is room. */
static bool room_or_death(struct cb_thread *t, unsigned index, size_t granule) {
    struct cb_heap *heap = t->heap;
    make_room(t, index);
    if (!cb_bin_is_full(heap, index)) {
        return true;
    }
    heap->died_in_bins += cb_bin_object_granules(index, granule);
    cb_count(&heap->overflowed, 1);
    cb_space_die_object(heap, cb_block_of_granule(granule), granule);
    return false;
}

static CB_NOINLINE bool bin_full(struct cb_thread *t, unsigned index, size_t granule) {
    struct cb_heap *heap = t->heap;
    if (!cb_fork_lock(heap)) {
        cb_map_park(cb_bin_map(index, granule));
        return false;
    }
    bool room = room_or_death(t, index, granule);
    cb_heap_unlock(heap);
    purge_slots(heap, cb_bin_space(index));
    return room;
}

/* Parks the object in a bin that has room. `overflowed`: entries have just died for it. */
static void park(struct cb_thread *t, unsigned index, size_t granule, bool overflowed) {
    struct cb_heap *heap = t->heap;
    cb_map_park(cb_bin_map(index, granule));
    *heap->bins->top[index]++ = granule;
    if (cb_bin_space(index) == CB_MEDIUM) {
        heap->parked[CB_MEDIUM] += cb_bin_object_granules(index, granule);
    } else if (!overflowed && !is_draining(heap)) { /* malloc need not ask one that overflows: see flush */
        t->asked |= cb_asked_bit(cb_bin_granules(index));
    }
}

/* A full bin makes room by letting others die, or the object dies itself. `locked`: the caller has the heap's lock. */
static CB_NOINLINE void park_in_full(struct cb_thread *t, unsigned index, size_t granule, bool locked) {
    size_t flushed = t->heap->died_in_bins;
    if (locked ? room_or_death(t, index, granule) : bin_full(t, index, granule)) {
        park(t, index, granule, t->heap->died_in_bins != flushed);
    }
}

static inline void park_in_any(struct cb_thread *t, unsigned index, size_t granule, bool locked) {
    if (CB_LIKELY(!cb_bin_is_full(t->heap, index))) {
        park(t, index, granule, false);
    } else {
        park_in_full(t, index, granule, locked);
    }
}

void cb_bin_park(struct cb_thread *t, unsigned index, size_t granule) {
    park_in_any(t, index, granule, false);
}

void cb_bin_park_locked(struct cb_thread *t, unsigned index, size_t granule) {
    park_in_any(t, index, granule, true);
}

size_t cb_bin_take(struct cb_thread *t, unsigned index, size_t entry) {
    struct cb_heap *heap = t->heap;
    size_t *slot = heap->bins->bin[index].slot, granule = slot[entry];
    slot[entry] = *--heap->bins->top[index];
    if (cb_bin_space(index) == CB_MEDIUM) {
        heap->parked[CB_MEDIUM] -= cb_bin_object_granules(index, granule);
    } else if (cb_bin_is_empty(heap, index)) {
        t->asked &= ~cb_asked_bit(cb_bin_granules(index));
    }
    return granule;
}

bool cb_bin_empty_all_locked(struct cb_thread *t) {
    bool any = false;
    for (unsigned i = CB_BIN_BEGIN; i < CB_BINS; i = cb_bin_next(i)) {
        if (!cb_bin_is_empty(t->heap, i)) {
            shrink(t, i, cb_bin_count(t->heap, i));
            any = true;
        }
    }
    return any;
}

void cb_bin_empty_all(struct cb_thread *t) {
    struct cb_heap *heap = t->heap;
    cb_lock_take(&heap->lock);
    cb_bin_empty_all_locked(t);
    cb_heap_unlock(heap);
    for (int space = CB_SMALL; space < CB_SPACES; space++) {
        heap->slots_at[space] = 0;
        purge_slots(heap, (enum cb_space_kind)space);
    }
}

void cb_bin_give_up(struct cb_thread *t) {
    struct cb_bins *bins = t->heap->bins;
    cb_bin_empty_all(t);
    t->asked = 0;
    /* Zero is what bins are that were never used. */
    if (!cb_os_purge(bins, cb_align_up(sizeof *bins, cb_page_size))) {
        memset(bins, 0, sizeof *bins);
    }
}
