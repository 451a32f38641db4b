/*
 * medium.c: see medium.h.
 *
 * Layer: heap. Threads: under the lock of the heap; where a function takes a thread, the owner only.
 */
#include "heap/medium.h"

#include "heap/purge.h"

#define ALIGNED_SEEN_EACH 4 /* runs of a list, in search of one with an aligned place */

/*
 * The list of a run: sixteen per doubling, from CB_RUN_LEAST on, by its quads. Every run of the lists behind
 * the one that a request belongs to will do; one in that list may be too short.
 */
static unsigned list_of(size_t quads) {
    quads = cb_higher(quads, CB_RUN_LEAST);
    unsigned log = 63 - (unsigned)__builtin_clzl(quads);
    return (log - 4) * 16 + (unsigned)(quads >> (log - 4) & 15);
}

/* A dead run. granules 0: none. */
struct dead_run {
    size_t granule, granules;
};

enum { NEXT, PREV }; /* of cb_map_links */

/* The quads at the map byte m, whose map bytes are zero, are a dead run from now on. */
static void add(struct cb_heap *heap, uint8_t *m, size_t quads) {
    cb_map_dead_tag(m, quads);
    if (quads < CB_RUN_LEAST) {
        return;
    }
    unsigned list = list_of(quads);
    uint8_t *next = heap->runs[list];
    cb_map_set_link(cb_map_links(m, NEXT), next);
    cb_map_set_link(cb_map_links(m, PREV), NULL);
    if (next != NULL) {
        cb_map_set_link(cb_map_links(next, PREV), m);
    }
    heap->runs[list] = m;
    heap->runs_filled[list / 64] |= (uint64_t)1 << (list & 63);
}

/* The dead run at m is none any more: its map bytes are zero. */
static void take_out(struct cb_heap *heap, uint8_t *m, size_t quads) {
    if (quads >= CB_RUN_LEAST) {
        unsigned list = list_of(quads);
        uint8_t *next = cb_map_link(cb_map_links(m, NEXT)), *prev = cb_map_link(cb_map_links(m, PREV));
        if (next != NULL) {
            cb_map_set_link(cb_map_links(next, PREV), prev);
        }
        if (prev != NULL) {
            cb_map_set_link(cb_map_links(prev, NEXT), next);
        } else if ((heap->runs[list] = next) == NULL) {
            heap->runs_filled[list / 64] &= ~((uint64_t)1 << (list & 63));
        }
        cb_map_set_link(cb_map_links(m, NEXT), NULL);
        cb_map_set_link(cb_map_links(m, PREV), NULL);
    }
    cb_map_dead_untag(m, quads);
}

/* The dead run that begins at m. */
static struct dead_run run_at(const uint8_t *m) {
    return (struct dead_run){cb_map_quad_granule(m), cb_map_length(m) << CB_QUAD_SHIFT};
}

static bool may_use(struct dead_run run) {
    return cb_purge_may_use(cb_block_of_granule(run.granule), run.granule << CB_GRANULE_SHIFT, run.granules);
}

/* A dead run of at least so many granules, the shortest at hand. */
static struct dead_run find(struct cb_heap *heap, size_t granules) {
    unsigned list = list_of(granules >> CB_QUAD_SHIFT);
    while ((list = cb_bit_from(heap->runs_filled, CB_RUN_LISTS / 64, list)) < CB_RUN_LISTS) {
        uint8_t *m = heap->runs[list++];
        for (int seen = 0; m != NULL && seen < CB_SEARCH; seen++, m = cb_map_link(cb_map_links(m, NEXT))) {
            struct dead_run run = run_at(m);
            if (run.granules >= granules && may_use(run)) {
                return run;
            }
        }
    }
    return (struct dead_run){0, 0};
}

/* The same for one in which so many granules fit at a multiple of `align` granules. */
static struct dead_run find_aligned(struct cb_heap *heap, size_t granules, size_t align) {
    size_t sure = granules + align - 1; /* so long a run has an aligned place, wherever it begins */
    unsigned list = list_of(granules >> CB_QUAD_SHIFT), end = list_of(sure >> CB_QUAD_SHIFT);
    for (int seen = 0;
         (list = cb_bit_from(heap->runs_filled, CB_RUN_LISTS / 64, list)) < end && seen < CB_SEARCH; list++) {
        uint8_t *m = heap->runs[list];
        for (int i = 0; m != NULL && i < ALIGNED_SEEN_EACH;
             i++, seen++, m = cb_map_link(cb_map_links(m, NEXT))) {
            struct dead_run run = run_at(m);
            if (cb_align_up(run.granule, align) + granules <= run.granule + run.granules && may_use(run)) {
                return run;
            }
        }
    }
    return find(heap, sure);
}

/*
 * A run without room left must not be inside a dead run: when what lies before and what lies behind it have died and
 * merged, it moves to the start of both.
 */
static CB_NOINLINE void move_empty_run(struct cb_heap *heap, struct dead_run dead) {
    struct cb_run *run = &heap->space[CB_MEDIUM].run;
    if (run->cursor == run->limit && run->cursor - dead.granule < dead.granules) {
        run->cursor = run->limit = dead.granule;
    }
}

/* Makes the granules one dead run with the dead runs before and behind them. */
static struct dead_run merge(struct cb_heap *heap, struct cb_block *block, size_t granule, size_t granules) {
    uint8_t *from = cb_map_at_quad(granule), *to = from + (granules >> CB_QUAD_SHIFT);
    if (cb_map_get(from - 1) >= CB_DEAD) {
        size_t before = cb_map_dead_before(from - 1);
        from -= before;
        take_out(heap, from, before);
    }
    if (cb_map_get(to) >= CB_DEAD) {
        size_t behind = cb_map_length(to);
        take_out(heap, to, behind);
        to += behind;
    }
    add(heap, from, (size_t)(to - from));
    struct dead_run run = run_at(from);
    if (CB_UNLIKELY(cb_block_has_run(heap, block))) {
        move_empty_run(heap, run);
    }
    return run;
}

bool cb_medium_drop_if_empty(struct cb_heap *heap, struct cb_block *block) {
    if (!cb_block_shut_if_empty(heap, block)) {
        return false;
    }
    if (block->fresh != 0) {
        take_out(heap, cb_map + cb_block_first(block), block->fresh >> CB_QUAD_SHIFT);
    }
    cb_block_drop(heap, block);
    return true;
}

void cb_medium_die(struct cb_heap *heap, struct cb_block *block, size_t granule, size_t granules) {
    struct dead_run run = merge(heap, block, granule, granules);
    block->dead = (uint16_t)(block->dead + granules);
    cb_count(&heap->dead, granules);
    if (CB_UNLIKELY(block->dead == block->fresh) && cb_medium_drop_if_empty(heap, block)) {
        return;
    }
    if (CB_UNLIKELY(run.granules >= CB_UNIT_GRANULES)) {
        cb_purge_died(heap, block, run.granule << CB_GRANULE_SHIFT, run.granules);
    }
}

/* Takes a part of a dead run out; what is before and behind it stays dead. */
static void carve(struct cb_heap *heap, struct dead_run run, size_t granule, size_t granules) {
    size_t before = granule - run.granule, behind = run.granules - before - granules;
    uint8_t *m = cb_map_at_quad(run.granule);
    take_out(heap, m, run.granules >> CB_QUAD_SHIFT);
    if (before != 0) {
        add(heap, m, before >> CB_QUAD_SHIFT);
    }
    if (behind != 0) {
        add(heap, m + ((before + granules) >> CB_QUAD_SHIFT), behind >> CB_QUAD_SHIFT);
    }
    cb_block_revive(heap, cb_block_of_granule(granule), granule, granules);
}

void cb_medium_retire(struct cb_thread *t) {
    struct cb_space *s = &t->heap->space[CB_MEDIUM];
    struct cb_block *block = s->run_block;
    struct cb_run run = s->run;
    s->run = CB_NO_RUN;
    s->run_block = NULL;
    if (block != NULL && run.cursor != run.limit) {
        cb_medium_die(t->heap, block, run.cursor, run.limit - run.cursor);
    } else if (block != NULL) {
        cb_medium_drop_if_empty(t->heap, block);
    }
}

/* Not more than a step of a long dead run: pages behind that are not resident stay known as such. */
bool cb_medium_refill(struct cb_thread *t, size_t granules, size_t align, size_t step) {
    cb_medium_retire(t);
    struct dead_run dead = find_aligned(t->heap, granules, align);
    if (dead.granules == 0) {
        return false;
    }
    size_t at = cb_align_up(dead.granule, align), room = dead.granules - (at - dead.granule);
    size_t taken = step + CB_MEDIUM_LEAST < room || align > CB_UNIT_GRANULES ? step : room;
    carve(t->heap, dead, at, taken);
    cb_block_set_run(t, CB_MEDIUM, cb_block_of_granule(at), at, taken, false);
    return true;
}
