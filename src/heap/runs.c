/*
 * runs.c: see runs.h.
 *
 * Layer: heap. Threads: under the lock of the heap.
 */
#include "heap/runs.h"

#include "heap/map.h"
#include "heap/purge.h"

#define ALIGNED_SEEN_EACH 4 /* runs of a list, in search of one with an aligned place */

/*
 * A run without room left must not be inside a dead run: when what lies before and what lies behind it have
 * died and merged, it moves to the start of both.
 */
static CB_NOINLINE void move_empty_run(struct cb_heap *heap, struct cb_dead_run dead) {
    struct cb_run *run = &heap->space[CB_MEDIUM].run;
    size_t start = dead.start >> CB_GRANULE_SHIFT;
    if (run->cursor == run->limit && run->cursor - start < dead.granules) {
        run->cursor = run->limit = start;
    }
}

/*
 * The list of a run: sixteen per doubling, from CB_RUN_LEAST on, by its quads. Every run of the lists behind
 * the one that a request belongs to will do; one in that list may be too short.
 */
static unsigned list_of(size_t quads) {
    unsigned log = 63 - (unsigned)__builtin_clzl(quads);
    return (log - 4) * 16 + (unsigned)(quads >> (log - 4) & 15);
}

static uint8_t *next_link(uint8_t *m) {
    return cb_map_links(m, 0);
}

static uint8_t *prev_link(uint8_t *m) {
    return cb_map_links(m, 1);
}

static void list_run(struct cb_heap *heap, uint8_t *m, size_t quads) {
    unsigned list = list_of(quads);
    uint8_t *next = heap->runs[list];
    cb_map_set_link(next_link(m), next);
    cb_map_set_link(prev_link(m), NULL);
    if (next != NULL) {
        cb_map_set_link(prev_link(next), m);
    }
    heap->runs[list] = m;
    heap->runs_filled[list / 64] |= (uint64_t)1 << (list & 63);
}

static void unlist_run(struct cb_heap *heap, uint8_t *m, size_t quads) {
    uint8_t *next = cb_map_link(next_link(m)), *prev = cb_map_link(prev_link(m));
    if (next != NULL) {
        cb_map_set_link(prev_link(next), prev);
    }
    if (prev != NULL) {
        cb_map_set_link(next_link(prev), next);
    } else {
        unsigned list = list_of(quads);
        heap->runs[list] = next;
        if (next == NULL) {
            heap->runs_filled[list / 64] &= ~((uint64_t)1 << (list & 63));
        }
    }
    cb_map_set_link(next_link(m), NULL);
    cb_map_set_link(prev_link(m), NULL);
}

void cb_runs_add(struct cb_heap *heap, uint8_t *m, size_t quads) {
    cb_map_dead_tag(m, quads);
    if (quads >= CB_RUN_LEAST) {
        list_run(heap, m, quads);
    }
}

void cb_runs_remove(struct cb_heap *heap, uint8_t *m, size_t quads) {
    if (quads >= CB_RUN_LEAST) {
        unlist_run(heap, m, quads);
    }
    cb_map_dead_untag(m, quads);
}

/* The first list from this one on that has a run; CB_RUN_LISTS: none. */
static unsigned filled_from(const struct cb_heap *heap, unsigned list) {
    return cb_bit_from(heap->runs_filled, CB_RUN_LISTS / 64, list);
}

/* The dead run of the medium space that begins at m. */
static struct cb_dead_run run_at(const uint8_t *m) {
    return (struct cb_dead_run){cb_map_quad_granule(m) << CB_GRANULE_SHIFT, cb_map_length(m)
                                                                                << CB_QUAD_SHIFT};
}

static bool may_use(struct cb_dead_run run) {
    return cb_purge_may_use(cb_block_of(run.start), run.start, run.granules);
}

/* The list in which the search for so many granules begins. */
static unsigned list_for(size_t granules) {
    return list_of(cb_higher(granules >> CB_QUAD_SHIFT, CB_RUN_LEAST));
}

struct cb_dead_run cb_runs_find(struct cb_heap *heap, size_t granules) {
    unsigned list = list_for(granules);
    while ((list = filled_from(heap, list)) < CB_RUN_LISTS) {
        uint8_t *m = heap->runs[list++];
        for (int seen = 0; m != NULL && seen < CB_SEARCH; seen++, m = cb_map_link(next_link(m))) {
            struct cb_dead_run run = run_at(m);
            if (run.granules >= granules && may_use(run)) {
                return run;
            }
        }
    }
    return (struct cb_dead_run){0, 0};
}

struct cb_dead_run cb_runs_find_aligned(struct cb_heap *heap, size_t granules, size_t align) {
    size_t sure = granules + align - 1; /* so long a run has an aligned place, wherever it begins */
    unsigned list = list_for(granules), end = list_for(sure);
    for (int seen = 0; (list = filled_from(heap, list)) < end && seen < CB_SEARCH; list++) {
        uint8_t *m = heap->runs[list];
        for (int i = 0; m != NULL && i < ALIGNED_SEEN_EACH; i++, seen++, m = cb_map_link(next_link(m))) {
            struct cb_dead_run run = run_at(m);
            size_t from = run.start >> CB_GRANULE_SHIFT;
            if (cb_align_up(from, align) + granules <= from + run.granules && may_use(run)) {
                return run;
            }
        }
    }
    return cb_runs_find(heap, sure);
}

struct cb_dead_run cb_runs_merge(struct cb_heap *heap, uintptr_t p, size_t granules) {
    uint8_t *from = cb_map_at_quad(p >> CB_GRANULE_SHIFT), *to = from + (granules >> CB_QUAD_SHIFT);
    if (cb_map_get(from - 1) >= CB_DEAD) {
        size_t before = cb_map_dead_before(from - 1);
        from -= before;
        cb_runs_remove(heap, from, before);
    }
    if (cb_map_get(to) >= CB_DEAD) {
        size_t behind = cb_map_length(to);
        cb_runs_remove(heap, to, behind);
        to += behind;
    }
    cb_runs_add(heap, from, (size_t)(to - from));
    struct cb_dead_run run = run_at(from);
    if (CB_UNLIKELY(cb_block_of(p) == heap->space[CB_MEDIUM].run_block)) {
        move_empty_run(heap, run);
    }
    return run;
}
