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
        return index < CB_MEDIUM_BIN && !is_draining(heap) ? 1 : 0;
    }
    size_t entries = CB_TO_GRANULES(CB_STEP / 2) / cb_bin_granules(index);
    return entries < 1 ? 1 : cb_lower(entries, CB_BIN_ENTRIES);
}

static void set_bound(struct cb_heap *heap, unsigned index, size_t bound) {
    const size_t *slot = heap->bins->bin[index].slot;
    heap->bins->ends[index] =
        (struct cb_bin_ends){(uint32_t)(uintptr_t)slot, (uint32_t)(uintptr_t)(slot + bound)};
}

/* The bins of one space: small ones come first. */
static unsigned first_of(enum cb_space_kind space) {
    return space == CB_SMALL ? cb_small_bin(1) : CB_MEDIUM_BIN;
}

static unsigned end_of(enum cb_space_kind space) {
    return space == CB_SMALL ? cb_small_bin(CB_SMALL_GRANULES + 1) : CB_BINS;
}

static enum cb_space_kind space_of(unsigned index) {
    return index < CB_MEDIUM_BIN ? CB_SMALL : CB_MEDIUM;
}

/*
 * A bin has its first few slots in the heap, packed, and when it needs more, room for as many as it may ever
 * have in memory that it shares with the other bins of its space. When it gets small it goes back, so that all of
 * that memory can be given back, in few calls.
 */
static size_t most_entries(enum cb_space_kind space) {
    return space == CB_SMALL ? CB_BIN_MOST : CB_BIN_MOST_MEDIUM;
}

static size_t *first_slots(struct cb_heap *heap, unsigned index) {
    enum cb_space_kind space = space_of(index);
    return heap->bins->first_slots[index - first_of(space) + (space == CB_SMALL ? 0 : CB_SMALL_GRANULES)];
}

/* NULL when there is no memory for it. */
static size_t *far_slots(struct cb_heap *heap, unsigned index) {
    enum cb_space_kind space = space_of(index);
    size_t most = most_entries(space);
    if (heap->slots[space] == NULL) {
        heap->slots[space] =
            cb_meta_take((end_of(space) - first_of(space)) * most * sizeof *heap->slots[space]);
    }
    return heap->slots[space] != NULL ? heap->slots[space] + (index - first_of(space)) * most : NULL;
}

/* The bin has its entries, so many, in these slots. */
static void set_slots(struct cb_heap *heap, unsigned index, size_t *slot, size_t room, size_t count) {
    heap->bins->bin[index] = (struct cb_bin){slot, room};
    heap->bins->top[index] = slot + count;
}

/* Puts the entries of a bin that has slots into others. */
static void relocate(struct cb_heap *heap, unsigned index, size_t *slot, size_t room) {
    size_t count = cb_bin_count(heap, index);
    memcpy(slot, heap->bins->bin[index].slot, count * sizeof *slot);
    set_slots(heap, index, slot, room, count);
}

/* A bin that was never used gets its first slots. */
static void begin(struct cb_heap *heap, unsigned index) {
    set_slots(heap, index, first_slots(heap, index), CB_BIN_FIRST, 0);
    set_bound(heap, index, least_bound(heap, index));
}

/* Granules that the bins of a space may hold. */
static size_t budget(const struct cb_heap *heap, enum cb_space_kind space) {
    struct cb_reserve_bins of = {.floor = space == CB_SMALL ? CB_BIN_BYTES : CB_BIN_BYTES / 5 * 2,
                                 .in_use = cb_heap_in_use(heap) << CB_GRANULE_SHIFT,
                                 .used = heap->used << CB_GRANULE_SHIFT,
                                 .used_most = heap->used_most << CB_GRANULE_SHIFT,
                                 .draining = is_draining(heap)};
    return CB_TO_GRANULES(cb_reserve_bins_share(&of));
}

static size_t parked(const struct cb_heap *heap, enum cb_space_kind space) {
    if (space == CB_MEDIUM) {
        return heap->parked_medium;
    }
    size_t granules = 0;
    for (unsigned i = first_of(space); i < end_of(space); i++) {
        granules += cb_bin_count(heap, i) * cb_bin_granules(i);
    }
    return granules;
}

/* The same, as it was when it was last counted, some calls ago, less what has died since. */
static size_t parked_about(struct cb_heap *heap, enum cb_space_kind space) {
    if (space == CB_SMALL && heap->parked_calls++ % CB_SELDOM != 0) {
        return heap->parked_small;
    }
    size_t now = parked(heap, space);
    heap->parked_small = space == CB_SMALL ? now : heap->parked_small;
    return now;
}

static void die(struct cb_heap *heap, size_t granule, size_t granules) {
    struct cb_block *block = cb_block_of_granule(granule);
    if (CB_LIKELY(block->space == CB_SMALL)) {
        cb_count(&heap->dead, granules);
        cb_block_die_small(heap, block, cb_map + granule, granule, granules);
        return;
    }
    cb_map_erase_medium(cb_map_at_quad(granule));
    cb_block_die(heap, block, granule << CB_GRANULE_SHIFT, granules);
}

static void flush_small(struct cb_heap *heap, const size_t *slot, size_t count, size_t granules) {
    uint8_t *map = cb_map;
    struct cb_block *blocks = cb_blocks;
    cb_count(&heap->dead, count * granules);
    heap->died_in_bins += count * granules;
    heap->parked_small -= cb_lower(heap->parked_small, count * granules);
    for (size_t i = 0; i < count; i++) {
        size_t granule = slot[i];
        struct cb_block *block = blocks + cb_block_number_of(granule);
        cb_block_die_small(heap, block, map + granule, granule, granules);
    }
    cb_thread.asked &= ~cb_asked_bit(granules); /* it overflows: malloc need not ask it */
}

static void flush_medium(struct cb_heap *heap, const size_t *slot, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t granules = cb_map_medium_granules(cb_map_at_quad(slot[i]));
        heap->died_in_bins += granules;
        heap->parked_medium -= granules;
        die(heap, slot[i], granules);
    }
}

/* Lets the oldest `count` entries of a bin die. */
static void flush(struct cb_heap *heap, unsigned index, size_t count) {
    size_t *slot = heap->bins->bin[index].slot;
    cb_count(&heap->overflowed, count);
    if (index < CB_MEDIUM_BIN) {
        flush_small(heap, slot, count, cb_bin_granules(index));
    } else {
        flush_medium(heap, slot, count);
    }
    size_t left = cb_bin_count(heap, index) - count;
    memmove(slot, slot + count, left * sizeof *slot);
    heap->bins->top[index] = slot + left;
}

/* Room for twice as many entries. */
static bool grow(struct cb_heap *heap, unsigned index) {
    size_t bound = cb_bin_bound(heap, index), most = most_entries(space_of(index));
    if (bound == heap->bins->bin[index].room) {
        size_t *slot = bound != most ? far_slots(heap, index) : NULL;
        if (slot == NULL) {
            return false;
        }
        relocate(heap, index, slot, most);
    }
    size_t more = bound == 0 ? 1 : bound * 2, room = heap->bins->bin[index].room;
    set_bound(heap, index, cb_lower(more, room));
    return true;
}

/* A bin lets its oldest entries die, and may hold no more than is left for now. */
static void shrink(struct cb_heap *heap, unsigned index, size_t count) {
    if (heap->bins->bin[index].slot == NULL) {
        return;
    }
    if (count != 0) {
        flush(heap, index, count);
    }
    size_t left = cb_bin_count(heap, index), least = least_bound(heap, index);
    size_t bound = cb_higher(left, least);
    if (bound <= CB_BIN_FIRST && heap->bins->bin[index].room != CB_BIN_FIRST) {
        relocate(heap, index, first_slots(heap, index), CB_BIN_FIRST);
        heap->slots_stale[space_of(index)] = true;
    }
    set_bound(heap, index, bound);
}

/* How many entries of a bin may die in one call: the rest follows in the next calls. */
static size_t work_most(unsigned index) {
    return CB_TO_GRANULES(CB_WORK) / cb_bin_granules(index);
}

/* The bin of the space whose turn it is. */
static unsigned next_in_turn(struct cb_heap *heap, enum cb_space_kind space) {
    unsigned index = ++heap->bin_hand[space];
    if (index < first_of(space) || index >= end_of(space)) {
        index = heap->bin_hand[space] = first_of(space);
    }
    return index;
}

/*
 * The next bin of the space in turn gives up half, and may hold no more than that until it earns it again.
 * Returns its granules.
 */
static size_t shrink_next(struct cb_heap *heap, enum cb_space_kind space) {
    for (unsigned tries = first_of(space); tries < end_of(space); tries++) {
        unsigned index = next_in_turn(heap, space);
        size_t count = cb_lower((cb_bin_count(heap, index) + 1) / 2, work_most(index));
        if (count != 0) {
            shrink(heap, index, count);
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
    for (unsigned i = first_of(space); i < end_of(space); i++) {
        if (heap->bins->bin[i].room > CB_BIN_FIRST) {
            return;
        }
    }
    uintptr_t page = cb_page_size, from = (uintptr_t)heap->slots[space];
    uintptr_t to =
        from + (end_of(space) - first_of(space)) * most_entries(space) * sizeof *heap->slots[space];
    from = cb_align_up(from, page);
    cb_os_purge((void *)from, (to & ~(page - 1)) - from);
    heap->slots_stale[space] = false;
    heap->slots_at[space] = now;
}

/* In a drain all bins of the space are emptied now and then, some in each call. */
static void empty_some(struct cb_heap *heap, enum cb_space_kind space) {
    if (heap->to_empty[space] == 0) {
        if (heap->died_in_bins - heap->died_when_emptied <= DRAIN_MOST) {
            return;
        }
        heap->to_empty[space] = end_of(space) - first_of(space);
    }
    for (size_t died = 0; heap->to_empty[space] != 0 && died < DRAIN_MOST / 2; heap->to_empty[space]--) {
        unsigned index = next_in_turn(heap, space);
        size_t count = cb_lower(cb_bin_count(heap, index), work_most(index));
        shrink(heap, index, count);
        died += count * cb_bin_granules(index);
    }
    if (heap->to_empty[space] == 0) {
        heap->died_when_emptied = heap->died_in_bins;
    }
}

/* When half of what was in use is not any more, no bin may hold more than it does: each free to one looks again. */
static void follow_shrinking(struct cb_heap *heap) {
    size_t in_use = cb_heap_in_use(heap);
    heap->used_most = cb_higher(heap->used_most, in_use);
    if (in_use > heap->used_last) {
        heap->used_last = in_use;
    } else if (in_use < heap->used_last / 2) {
        heap->used_last = in_use;
        for (unsigned i = CB_BIN_BEGIN; i < CB_BINS; i = cb_bin_next(i)) {
            shrink(heap, i, 0);
        }
    }
}

static void make_room(struct cb_heap *heap, unsigned index) {
    enum cb_space_kind space = space_of(index);
    if (heap->bins->bin[index].slot == NULL) {
        begin(heap, index);
        if (!cb_bin_is_full(heap, index)) {
            return;
        }
    }
    follow_shrinking(heap);
    bool draining = is_draining(heap);
    if (draining) {
        empty_some(heap, space);
        if (cb_heap_is_sparse(heap)) {
            if (cb_bin_bound(heap, index) != 0) {
                shrink(heap, index, cb_lower(cb_bin_count(heap, index), work_most(index)));
            }
            return; /* a bin that may hold nothing: the object dies, and nothing else is to be done */
        }
    }
    size_t count = cb_bin_count(heap, index), more = count != 0 ? count : 1;
    bool may_grow = !draining || (count + more) * cb_bin_granules(index) <= DRAIN_BIN;
    size_t limit = budget(heap, space), held = may_grow ? parked_about(heap, space) : 0;
    if (may_grow && held + more * cb_bin_granules(index) <= limit && grow(heap, index)) {
        return;
    }
    for (size_t died = 0; died < DRAIN_MOST / 2 && held > limit;) {
        size_t less = shrink_next(heap, space);
        if (less == 0) {
            break;
        }
        held = held > less ? held - less : 0;
        died += less;
    }
    if (cb_bin_is_full(heap, index)) {
        count = cb_bin_count(heap, index);
        flush(heap, index, cb_lower(draining ? count : (count + 1) / 2, work_most(index)));
    }
}

/* Under the lock: makes room for an entry, or lets it die where none is allowed. True when there is room. */
static bool room_or_death(struct cb_heap *heap, unsigned index, size_t granule) {
    make_room(heap, index);
    if (!cb_bin_is_full(heap, index)) {
        return true;
    }
    size_t granules = cb_bin_object_granules(index, granule);
    heap->died_in_bins += granules;
    cb_count(&heap->overflowed, 1);
    die(heap, granule, granules);
    return false;
}

static void mark_parked(unsigned index, size_t granule) {
    if (index < CB_MEDIUM_BIN) {
        cb_map_set(cb_map + granule, CB_PARKED | cb_bin_granules(index));
    } else {
        cb_map_set(cb_map_at_quad(granule), CB_PARKED); /* its length stays */
    }
}

static CB_NOINLINE bool bin_full(struct cb_heap *heap, unsigned index, size_t granule) {
    if (!cb_fork_lock(heap)) {
        mark_parked(index, granule);
        return false;
    }
    bool room = room_or_death(heap, index, granule);
    cb_heap_unlock(heap);
    purge_slots(heap, space_of(index));
    return room;
}

/* Parks the object in a bin that has room. `overflowed`: entries have just died for it. */
static void park(struct cb_heap *heap, unsigned index, size_t granule, bool overflowed) {
    mark_parked(index, granule);
    *heap->bins->top[index]++ = granule;
    if (index >= CB_MEDIUM_BIN) {
        heap->parked_medium += cb_bin_object_granules(index, granule);
    } else if (!overflowed && !is_draining(heap)) { /* malloc need not ask one that overflows: see flush */
        cb_thread.asked |= cb_asked_bit(cb_bin_granules(index));
    }
}

void cb_bin_park(struct cb_heap *heap, unsigned index, uintptr_t p) {
    size_t granule = p >> CB_GRANULE_SHIFT, flushed = heap->died_in_bins;
    if (CB_LIKELY(!cb_bin_is_full(heap, index)) || bin_full(heap, index, granule)) {
        park(heap, index, granule, heap->died_in_bins != flushed);
    }
}

void cb_bin_park_locked(struct cb_heap *heap, unsigned index, size_t granule) {
    size_t flushed = heap->died_in_bins;
    if (CB_LIKELY(!cb_bin_is_full(heap, index)) || room_or_death(heap, index, granule)) {
        park(heap, index, granule, heap->died_in_bins != flushed);
    }
}

uintptr_t cb_bin_take(struct cb_heap *heap, unsigned index, size_t entry) {
    size_t *slot = heap->bins->bin[index].slot, granule = slot[entry];
    slot[entry] = *--heap->bins->top[index];
    if (index >= CB_MEDIUM_BIN) {
        heap->parked_medium -= cb_bin_object_granules(index, granule);
    } else if (cb_bin_is_empty(heap, index)) {
        cb_thread.asked &= ~cb_asked_bit(cb_bin_granules(index));
    }
    return granule << CB_GRANULE_SHIFT;
}

bool cb_bin_empty_all_locked(struct cb_heap *heap) {
    bool any = false;
    for (unsigned i = CB_BIN_BEGIN; i < CB_BINS; i = cb_bin_next(i)) {
        if (!cb_bin_is_empty(heap, i)) {
            shrink(heap, i, cb_bin_count(heap, i));
            any = true;
        }
    }
    return any;
}

void cb_bin_empty_all(struct cb_heap *heap) {
    cb_lock_take(&heap->lock);
    cb_bin_empty_all_locked(heap);
    cb_heap_unlock(heap);
    for (int space = CB_SMALL; space < CB_SPACES; space++) {
        heap->slots_at[space] = 0;
        purge_slots(heap, (enum cb_space_kind)space);
    }
}

void cb_bin_give_up(struct cb_heap *heap) {
    cb_bin_empty_all(heap);
    cb_thread.asked = 0;
    /* Zero is what bins are that were never used. */
    size_t size = cb_align_up(sizeof *heap->bins, cb_page_size);
    if (!cb_os_purge(heap->bins, size)) {
        memset(heap->bins, 0, sizeof *heap->bins);
    }
}
