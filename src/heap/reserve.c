/*
 * reserve.c: see reserve.h.
 *
 * Layer: heap. Threads: any. Locks: none. All figures are relaxed atomics: they say how much, and guard nothing.
 *
 * To give a page back is right if nobody wants it again, and a mistake if somebody does: it costs a part of a system
 * call and a page fault. Nobody knows beforehand, as with skis that one rents or buys. So memory goes back at once
 * the first time; where that was a mistake, twice as much may stay the next time. That is the regret, in bytes:
 *   - It rises by twice the bytes that are fetched from the system, as far as as many went back in this period or the
 *     last, up to the most that was in use lately and an eighth.
 *   - It falls by a quarter of the bytes that go back all the same.
 *   - It falls with time: each period by half of the bytes that were held throughout it, and so were of no use; and
 *     by what might have been held throughout it, and was not, but by no more than those bytes, or an eighth of it.
 * doc/memory.md says what follows from that: a bound of the mistakes.
 *
 * Time is what passes between two looks, but no more than LOOK_MOST of it: a program that sleeps fetches nothing, which
 * says nothing about what it will fetch when it goes on.
 */
#include "heap/reserve.h"

#include "heap/options.h"
#include "os/os.h"

#define LOOK_MOST (CB_PERIOD / 2) /* milliseconds that count of those that pass between two looks */
#define FADED CB_KIB(4)           /* bytes of regret that are none */

static struct {
    _Atomic size_t heaps;
    _Atomic size_t held;        /* beyond the shares, by all */
    _Atomic size_t low, high;   /* the least and the most of it in this period */
    _Atomic size_t regret;      /* bytes ... */
    _Atomic size_t regret_then; /* ... and when this period began */
    _Atomic size_t missed;      /* given back in this period, and not fetched again ... */
    _Atomic size_t missed_then; /* ... and in the one before */
    _Atomic size_t unused;      /* of blocks: held by heaps, or given back */
    _Atomic size_t in_use;      /* in extents, those included ... */
    _Atomic size_t most_in_use; /* ... the most of it in this period ... */
    _Atomic size_t most_then;   /* ... and in those before, less a quarter for each that has passed */
    _Atomic size_t elapsed;     /* milliseconds of this period */
    _Atomic uint64_t looked_at; /* milliseconds */
    _Atomic size_t again;       /* bytes given back and fetched again soon after, ever */
    _Atomic size_t most_ever;   /* in use */
} reserve = {.heaps = 1};

static size_t get(_Atomic size_t *figure) {
    return atomic_load_explicit(figure, memory_order_relaxed);
}

static void set(_Atomic size_t *figure, size_t value) {
    atomic_store_explicit(figure, value, memory_order_relaxed);
}

/* Takes up to `less` off. Returns how much that was. */
static size_t reduce(_Atomic size_t *figure, size_t less) {
    size_t now = get(figure), taken;
    do {
        taken = now < less ? now : less;
    } while (taken != 0 && !atomic_compare_exchange_weak_explicit(
                               figure, &now, now - taken, memory_order_relaxed, memory_order_relaxed));
    return taken;
}

/* Adds `more`, up to `most`. */
static void raise(_Atomic size_t *figure, size_t more, size_t most) {
    size_t now = get(figure);
    while (now < most &&
           !atomic_compare_exchange_weak_explicit(figure, &now, more < most - now ? now + more : most,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

void cb_reserve_set_heaps(size_t heaps) {
    set(&reserve.heaps, heaps);
}

size_t cb_reserve_heaps(void) {
    return get(&reserve.heaps);
}

static size_t part_of(size_t bytes, size_t part) {
    return bytes / (cb_options.purge == CB_PURGE_LAZY ? CB_KEPT_PART : part);
}

size_t cb_reserve_pages_share(size_t in_use) {
    return cb_options_reserve() / 2 + part_of(in_use, CB_PART);
}

size_t cb_reserve_floor(void) {
    size_t heaps = cb_reserve_heaps(), floor = cb_options_reserve() / 4;
    return heaps <= CB_HEAPS ? floor : floor / heaps * CB_HEAPS;
}

size_t cb_reserve_heap_share(size_t resident, bool in_long) {
    return cb_reserve_floor() + part_of(resident, in_long ? CB_PART : CB_SPARSE_PART);
}

/*
 * A floor and a part of what lives; less where the blocks are mostly dead, since a parked object there keeps a page
 * that could go back. A heap that has been big may keep less of nothing than one that is small all along, for which
 * the floor is most of the speed.
 */
size_t cb_reserve_bins_share(const struct cb_reserve_bins *of) {
    size_t floor = of->used_most / CB_PART > of->floor ? of->floor / CB_PART : of->floor;
    size_t share = floor + of->in_use / CB_PART; /* what is parked counts as in use: close enough */
    if (of->draining) {
        share = cb_lower(share, CB_BIN_BYTES / 4);
    }
    if (of->in_use < of->used / 2) {
        share = share * (of->in_use * 512 / of->used) / 256;
    }
    return cb_higher(share, CB_KIB(4));
}

void cb_reserve_report(size_t *part, size_t held) {
    size_t change = held - *part;
    if (change == 0) {
        return;
    }
    __atomic_store_n(part, held, __ATOMIC_RELAXED);
    size_t now = atomic_fetch_add_explicit(&reserve.held, change, memory_order_relaxed) + change;
    if (now < get(&reserve.low)) {
        set(&reserve.low, now);
    }
    if (now > get(&reserve.high)) {
        set(&reserve.high, now);
    }
}

void cb_reserve_report_unused(size_t *part, size_t unused) {
    if (unused != *part) {
        atomic_fetch_add_explicit(&reserve.unused, unused - *part, memory_order_relaxed);
        *part = unused;
    }
}

size_t cb_reserve_room(size_t part) {
    size_t others = get(&reserve.held) - part, regret = get(&reserve.regret);
    return others < regret ? regret - others : 0;
}

bool cb_reserve_is_over(void) {
    return get(&reserve.held) > get(&reserve.regret);
}

bool cb_reserve_is_idle(void) {
    size_t held = get(&reserve.held);
    return held > CB_WORK && held + get(&reserve.unused) > get(&reserve.in_use);
}

static size_t regret_most(void) {
    size_t most = cb_higher(get(&reserve.most_in_use), get(&reserve.most_then));
    return cb_options_reserve() != 0 ? most + most / 8 : 0;
}

void cb_reserve_in_use(size_t bytes) {
    set(&reserve.in_use, bytes);
    if (bytes > get(&reserve.most_in_use)) {
        set(&reserve.most_in_use, bytes);
    }
    if (bytes > get(&reserve.most_ever)) {
        set(&reserve.most_ever, bytes);
    }
}

void cb_reserve_purged(size_t bytes) {
    atomic_fetch_add_explicit(&reserve.missed, bytes, memory_order_relaxed);
    reduce(&reserve.regret, bytes / 4);
}

void cb_reserve_fetched(size_t bytes) {
    size_t again = reduce(&reserve.missed_then, bytes);
    again += reduce(&reserve.missed, bytes - again);
    if (again != 0) {
        atomic_fetch_add_explicit(&reserve.again, again, memory_order_relaxed);
        raise(&reserve.regret, 2 * again, regret_most());
    }
}

static void end_period(void) {
    size_t low = get(&reserve.low), high = get(&reserve.high), regret = get(&reserve.regret);
    size_t lasting = cb_lower(regret, get(&reserve.regret_then)),
           unused = lasting > high ? lasting - high : 0;
    size_t then = get(&reserve.most_then);
    set(&reserve.most_then, cb_higher(get(&reserve.most_in_use), then - then / 4));
    set(&reserve.most_in_use, get(&reserve.in_use));
    size_t bound = regret_most();
    size_t less = low / 2 + cb_higher(unused / 8, cb_lower(unused, low));
    size_t more = regret > bound ? regret - bound : 0;
    reduce(&reserve.regret, regret < FADED ? regret : less > more ? less : more);
    set(&reserve.regret_then, get(&reserve.regret));
    set(&reserve.missed_then, atomic_exchange_explicit(&reserve.missed, 0, memory_order_relaxed));
    set(&reserve.low, get(&reserve.held));
    set(&reserve.high, get(&reserve.held));
}

size_t cb_reserve_look(void) {
    if (get(&reserve.regret) == 0 && get(&reserve.missed) == 0 && get(&reserve.missed_then) == 0 &&
        !cb_reserve_is_over()) {
        return 0;
    }
    uint64_t now = cb_os_milliseconds(),
             before = atomic_load_explicit(&reserve.looked_at, memory_order_relaxed);
    if (now == before || !atomic_compare_exchange_strong_explicit(
                             &reserve.looked_at, &before, now, memory_order_relaxed, memory_order_relaxed)) {
        return 0;
    }
    size_t passed = cb_lower(now - before, LOOK_MOST);
    size_t elapsed = atomic_fetch_add_explicit(&reserve.elapsed, passed, memory_order_relaxed) + passed;
    if (elapsed >= CB_PERIOD &&
        atomic_compare_exchange_strong_explicit(&reserve.elapsed, &elapsed, 0, memory_order_relaxed,
                                                memory_order_relaxed)) {
        end_period();
    }
    return passed;
}

void cb_reserve_read(struct cb_reserve_figures *figures) {
    *figures = (struct cb_reserve_figures){.regret = get(&reserve.regret),
                                           .held = get(&reserve.held),
                                           .again = get(&reserve.again),
                                           .most_in_use = get(&reserve.most_ever)};
}

void cb_reserve_after_fork(void) {
    set(&reserve.held, 0);
    set(&reserve.unused, 0);
    set(&reserve.low, 0);
    set(&reserve.high, 0);
}

void cb_reserve_forget(void) {
    set(&reserve.regret, 0);
    set(&reserve.missed, 0);
    set(&reserve.missed_then, 0);
}
