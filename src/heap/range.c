/*
 * range.c: growing the ranges and their metadata. See range.h.
 *
 * Layer: heap. Threads: under grow_lock of pages.c, but for cb_range_owns_other.
 */
#include "heap/range.h"

#include "heap/map.h"

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#define THREAD_SANITIZER __has_feature(thread_sanitizer) /* clang */
#else
#define THREAD_SANITIZER 0
#endif

/* Links in maps and between blocks have room for no more. Without a hint kernels do not go beyond 2^47. */
#define ADDRESS_END_MOST ((uintptr_t)1 << 48)

#define HUGE_MAP_FROM ((size_t)512 << 20)

uint8_t *cb_map;
struct cb_block *cb_blocks;
_Atomic uint64_t cb_owner_cache[CB_OWNER_CACHE];
struct cb_range cb_ranges[CB_RANGES_MAX];
_Atomic uint32_t cb_range_count;

static uintptr_t first_place; /* where the first range is to be; constant after cb_range_init */
static uintptr_t stride;      /* from there to where a further one may be; so is this */
static unsigned next_place;   /* in strides: not tried yet; guarded by grow_lock */

/*
 * Should something lie behind a range, a further one is opened at the next place, with as much again as half
 * of what there is. So the 48 of them are enough, even if something is put behind each as soon as it is
 * there.
 */
#define PLACES 48
#define FURTHER_PART 2

/*
 * The address space below `end` (a power of two) is used as follows, in eighths: the first range somewhere in
 * the first quarter of the third, further ones in the rest of it, the map of all addresses in the first half
 * of the fourth, the block table behind it. These are far from where kernels put programs, libraries and
 * stacks, and from the shadow memory of the address sanitizer. The thread sanitizer allows little but the top
 * of the address space.
 */
bool cb_range_init(void) {
    uintptr_t system_end = cb_os_address_end();
    uintptr_t end = system_end < ADDRESS_END_MOST ? system_end : ADDRESS_END_MOST;
    uint64_t random = cb_os_random();
#if THREAD_SANITIZER
    const uintptr_t top = (uintptr_t)0x7e8000000000;
    (void)end;
    first_place = top + ((random & 0xff) << 28);
    stride = (uintptr_t)1 << 32;
    cb_map = (uint8_t *)(top + ((uintptr_t)1 << 38) - (top >> CB_GRANULE_SHIFT));
    cb_blocks =
        (struct cb_block *)(top + ((uintptr_t)5 << 37) - (top >> CB_BLOCK_SHIFT) * sizeof(struct cb_block));
#else
    uintptr_t eighth = end / 8;
    first_place = 2 * eighth + ((random & 0xff) * (eighth / 1024) & ~(uintptr_t)(((size_t)16 << 20) - 1));
    stride = eighth / 64;
    cb_map = (uint8_t *)(3 * eighth);
    cb_blocks = (struct cb_block *)(3 * eighth + eighth / 2);
#endif
    return true;
}

/*
 * How far the block table is mapped from `at` on for some range; else `at`, and *to is lowered to where it is
 * mapped again.
 */
static uintptr_t table_mapped(uintptr_t at, uintptr_t *to) {
    size_t page = cb_os_page_size();
    uint32_t count = atomic_load_explicit(&cb_range_count, memory_order_relaxed);
    uintptr_t end = at;
    for (uint32_t i = 0; i < count; i++) {
        uintptr_t start = atomic_load_explicit(&cb_ranges[i].start, memory_order_relaxed);
        uintptr_t low = (uintptr_t)cb_block_of(start) & ~(page - 1), high = cb_ranges[i].table_end;
        if (at >= low && at < high && high > end) {
            end = high;
        } else if (low > at && low < *to) {
            *to = low;
        }
    }
    return end;
}

/* Maps the part of the block table for memory up to `end`, but for what another range has already. */
static bool table_grow(struct cb_range *range, uintptr_t start, uintptr_t end) {
    size_t page = cb_os_page_size();
    uintptr_t at = (uintptr_t)cb_block_of(start) & ~(page - 1);
    uintptr_t to = cb_align_up((uintptr_t)cb_block_of(end), page);
    if (range->table_end > at) {
        at = range->table_end;
    }
    while (at < to) {
        uintptr_t until = to, mapped = table_mapped(at, &until);
        if (mapped == at) {
            if (cb_os_map(at, until - at) == NULL) {
                return false;
            }
            mapped = until;
        }
        range->table_end = at = mapped;
    }
    return true;
}

/*
 * Maps [start, start+size) unless it is there already, and its metadata. When a part fails, what was mapped
 * by this call is unmapped again, but for the table, whose pages wait for the next attempt.
 */
static bool metadata_grow(struct cb_range *range, uintptr_t start, size_t size) {
    uintptr_t map_at = (uintptr_t)cb_map_at(start);
    size_t map_size = size >> CB_GRANULE_SHIFT;
    if (cb_os_map(map_at, map_size) == NULL) {
        return false;
    }
    if (!table_grow(range, start, start + size)) {
        cb_os_unmap((void *)map_at, map_size);
        return false;
    }
    if (cb_range_total() >= HUGE_MAP_FROM) {
        cb_os_huge((void *)map_at, map_size, true);
    }
    return true;
}

static bool extend(struct cb_range *range, uintptr_t start, size_t size) {
    if (cb_os_map(start, size) == NULL) {
        return false;
    }
    if (!metadata_grow(range, start, size)) {
        cb_os_unmap((void *)start, size);
        return false;
    }
    return true;
}

/* A range where the system wants it. */
static uintptr_t anywhere(struct cb_range *range, size_t size) {
    uintptr_t got = (uintptr_t)cb_os_map(0, size + CB_RANGE_STEP);
    if (got == 0) {
        return 0;
    }
    uintptr_t start = cb_align_up(got, CB_RANGE_STEP);
    if (start != got) {
        cb_os_unmap((void *)got, start - got);
    }
    cb_os_unmap((void *)(start + size), got + CB_RANGE_STEP - start);
    range->table_end = 0;
    if (!metadata_grow(range, start, size)) {
        cb_os_unmap((void *)start, size);
        return 0;
    }
    return start;
}

static void set_size(struct cb_range *range, size_t size) {
    /* release: partner of the acquire in cb_range_owns_other */
    atomic_store_explicit(&range->size, size, memory_order_release);
}

/*
 * A range at the next place of our own; where that is not to be had, but memory is, at one of the system's
 * choice. The place is not tried again then.
 */
static uintptr_t open_range(uint32_t index, size_t size) {
    struct cb_range *range = &cb_ranges[index];
    uintptr_t start = first_place + next_place * stride;
    if (next_place == PLACES || !extend(range, start, size)) {
        start = anywhere(range, size);
    }
    if (start != 0) {
        next_place += next_place < PLACES;
        atomic_store_explicit(&range->start, start, memory_order_relaxed);
        set_size(range, size);
        /* release: partner of the acquire in cb_range_owns_other */
        atomic_store_explicit(&cb_range_count, index + 1, memory_order_release);
    }
    return start;
}

/* Makes the newest range larger. */
static uintptr_t grow_newest(size_t size) {
    uint32_t count = atomic_load_explicit(&cb_range_count, memory_order_relaxed);
    if (count == 0) {
        return 0;
    }
    struct cb_range *newest = &cb_ranges[count - 1];
    size_t have = atomic_load_explicit(&newest->size, memory_order_relaxed);
    uintptr_t end = atomic_load_explicit(&newest->start, memory_order_relaxed) + have;
    if (!extend(newest, end, size)) {
        return 0;
    }
    set_size(newest, have + size);
    return end;
}

/* True when the system has so many bytes at all, wherever they are. */
static bool any_left(size_t size) {
    void *got = cb_os_map(0, size);
    if (got != NULL) {
        cb_os_unmap(got, size);
    }
    return got != NULL;
}

/*
 * Opens a further one: of `wanted` bytes, or less where the system does not give as much, but no less than
 * `size`.
 */
static uintptr_t open_further(size_t size, size_t wanted, size_t *got) {
    uint32_t count = atomic_load_explicit(&cb_range_count, memory_order_relaxed);
    if (count == CB_RANGES_MAX || (count != 0 && !any_left(size))) {
        return 0;
    }
    for (;; wanted = wanted / 8 > size ? wanted / 8 & ~(CB_RANGE_STEP - 1) : size) {
        uintptr_t start = open_range(count, wanted);
        if (start != 0 || wanted == size) {
            *got = wanted;
            return start;
        }
    }
}

uintptr_t cb_range_grow(size_t behind, size_t apart, size_t wanted, size_t *got) {
    wanted = wanted > behind ? wanted : behind;
    *got = wanted;
    uintptr_t start = grow_newest(wanted);
    if (start == 0 && wanted != behind) {
        *got = behind;
        start = grow_newest(behind);
    }
    if (start == 0) {
        size_t further = cb_range_total() / FURTHER_PART & ~(CB_RANGE_STEP - 1);
        wanted = wanted > apart ? wanted : apart;
        start = open_further(apart, further > wanted ? further : wanted, got);
    }
    return start;
}

bool cb_range_begins(uintptr_t start) {
    uint32_t count = atomic_load_explicit(&cb_range_count, memory_order_relaxed);
    return count > 0 && atomic_load_explicit(&cb_ranges[count - 1].start, memory_order_relaxed) == start;
}

size_t cb_range_total(void) {
    size_t total = 0;
    /* acquire: partner of the release in open_range; the sizes are figures */
    uint32_t count = atomic_load_explicit(&cb_range_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        total += atomic_load_explicit(&cb_ranges[i].size, memory_order_relaxed);
    }
    return total;
}

bool cb_range_owns_other(uintptr_t p) {
    /* acquire: partner of the release in open_range */
    uint32_t count = atomic_load_explicit(&cb_range_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        if (p - atomic_load_explicit(&cb_ranges[i].start, memory_order_relaxed) <
            atomic_load_explicit(&cb_ranges[i].size, memory_order_acquire)) {
            return true;
        }
    }
    return false;
}
