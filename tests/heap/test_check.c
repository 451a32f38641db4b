/*
 * The check of the invariants notices what it is there for: each is broken in turn, and mended.
 *
 * Layer:     tests; reaches into the heap.
 * Threading: none.
 */
#include "fixture.h"

#include "heap/map.h"
#include "heap/bin.h"

enum { OBJECTS = 24 };

static char *small[OBJECTS], *medium[OBJECTS];

/* Live, parked and dead objects in both spaces. */
static int prepare(void **state) {
    (void)state;
    for (size_t i = 0; i < OBJECTS; i++) {
        small[i] = cb_malloc(64);
        medium[i] = cb_malloc(5000);
    }
    for (size_t i = 0; i < OBJECTS / 2; i += 2) {
        cb_free(small[i]);
        cb_free(medium[i]);
    }
    cb_malloc_trim(0); /* what was parked is dead now */
    for (size_t i = OBJECTS / 2; i < OBJECTS; i += 2) {
        cb_free(small[i]);
        cb_free(medium[i]);
    }
    return cb_heap_check() == NULL ? 0 : -1;
}

static void finds(const char *fault) {
    const char *found = cb_heap_check();
    assert_non_null(found);
    assert_string_equal(found, fault);
}

/* Breaks what `place` holds, expects the fault, and mends it. */
#define BREAK(place, value, fault)                                                                           \
    do {                                                                                                     \
        __typeof__(place) good = (place);                                                                    \
        (place) = (__typeof__(place))(value);                                                                \
        finds(fault);                                                                                        \
        (place) = good;                                                                                      \
        assert_heap();                                                                                       \
    } while (0)

static struct cb_block *block_of(void *p) {
    return cb_block_of((uintptr_t)p);
}

static uint8_t *map_of(void *p) {
    return cb_map_of_object((uintptr_t)p);
}

static void wrong_map_bytes_are_found(void **state) {
    (void)state;
    static const char sequence[] = "the map of a block is not a sequence of objects and dead runs";
    BREAK(map_of(small[1])[1], 1, sequence);            /* inside an object */
    BREAK(map_of(small[1])[0], 0, sequence);            /* nothing where an object was */
    BREAK(map_of(small[1])[0], CB_LIVE | 63, sequence); /* others inside it */
    BREAK(map_of(medium[1])[1], 63, sequence);          /* another length, far too long */
    BREAK(map_of(small[0])[3], 0, sequence);            /* the end of a dead run */
    BREAK(map_of(medium[0])[40], 1, sequence);          /* inside one */
    BREAK(cb_map[cb_thread.run.cursor], 1, "the map bytes of a run are not zero");
    uint8_t *last = cb_map_at(cb_block_start(block_of(small[0]))) + CB_BLOCK_GRANULES - 1;
    BREAK(*last, CB_LIVE | 1, "the fresh part of a block is not zero in the map");
}

/* In the medium space; in the small one they are joined later. */
static void dead_runs_that_touch_are_found(void **state) {
    (void)state;
    uint8_t *m = map_of(small[0]), saved[1024];
    assert_int_equal(m[0], CB_DEAD | 4);
    memcpy(saved, m, 4);
    cb_map_dead_tag(m, 2);
    cb_map_dead_tag(m + 2, 2);
    assert_heap();
    memcpy(m, saved, 4);
    m = map_of(medium[0]);
    size_t length = cb_map_length(m);
    assert_in_range(length, 40, sizeof saved);
    memcpy(saved, m, length);
    memset(m, 0, length);
    cb_map_dead_tag(m, length - 20);
    cb_map_dead_tag(m + length - 20, 20);
    finds("the map of a block is not a sequence of objects and dead runs");
    memcpy(m, saved, length);
    assert_heap();
}

static void wrong_counts_are_found(void **state) {
    (void)state;
    struct cb_heap *heap = cb_thread.heap;
    struct cb_block *block = block_of(small[0]);
    BREAK(block->dead, block->dead + 1, "a block's count of dead granules is wrong");
    BREAK(heap->dead, heap->dead - 1, "a heap's totals are wrong");
    BREAK(heap->used, heap->used + 1, "a heap's totals are wrong");
    BREAK(heap->dead_pages, heap->dead_pages + 1, "a heap's totals are wrong");
    BREAK(block->unit_dead[0], block->unit_dead[0] + 1, "the dead granules of a page are miscounted");
    BREAK(block->full, block->full ^ 1, "the dead granules of a page are miscounted");
    uint64_t dead = block->dead_pages, purged = block->purged_pages;
    block->dead_pages |= 4;
    block->purged_pages |= 4;
    finds("a page is both purged and resident");
    block->dead_pages = dead;
    block->purged_pages = purged | 1; /* small[1] is in the block's first page */
    finds("a page that holds something live counts as dead");
    block->purged_pages = purged;
    assert_heap();
}

static void wrong_bins_are_found(void **state) {
    (void)state;
    struct cb_heap *heap = cb_thread.heap;
    size_t *slot = heap->bins->bin[cb_small_bin(4)].slot, *top = heap->bins->top[cb_small_bin(4)];
    struct cb_bin_ends ends = heap->bins->ends[cb_small_bin(4)];
    assert_true(cb_bin_count(heap, cb_small_bin(4)) >= 2);
    BREAK(cb_thread.asked, cb_thread.asked | 1 << 5, "malloc is to look into an empty bin");
    uint32_t full = (uint32_t)(uintptr_t)(top - 1),
             far = (uint32_t)(uintptr_t)(slot + heap->bins->bin[cb_small_bin(4)].room + 1);
    BREAK(heap->bins->ends[cb_small_bin(4)].full, full, "a bin holds more than its bound");
    BREAK(heap->bins->ends[cb_small_bin(4)].full, far, "a bin holds more than its bound");
    BREAK(heap->bins->ends[cb_small_bin(4)].empty, ends.empty + sizeof *slot,
          "a bin holds more than its bound");
    BREAK(heap->bins->bin[cb_small_bin(4)].room, CB_BIN_MOST,
          "a bin has more or less room than its place says");
    BREAK(heap->bins->top[cb_small_bin(4)], top - 1, "objects are parked that are in no bin");
    BREAK(slot[0], slot[1] + 1, "a bin holds what is not parked");
    BREAK(*(cb_map + slot[0]), CB_LIVE | 4, "a bin holds what is not parked");
    BREAK(heap->parked[CB_MEDIUM], heap->parked[CB_MEDIUM] + 1, "the count of what is parked is wrong");
}

static void wrong_lists_are_found(void **state) {
    (void)state;
    struct cb_heap *heap = cb_thread.heap;
    size_t word = heap->runs_filled[0] == 0;
    uint64_t *lists = &heap->runs_filled[word];
    uint8_t **run = heap->runs + word * 64;
    assert_true(*lists != 0);
    int filled = __builtin_ctzll(*lists), vacant = __builtin_ctzll(~*lists);
    BREAK(*lists, *lists ^ (uint64_t)1 << filled, "the mask of filled lists of runs is wrong");
    BREAK(*lists, *lists ^ (uint64_t)1 << vacant, "the mask of filled lists of runs is wrong");
    BREAK(run[filled], map_of(medium[1]), "a list of runs holds what is not a dead run");
    uint64_t mask = *lists;
    uint8_t *list = run[filled];
    *lists ^= (uint64_t)1 << filled;
    run[filled] = NULL;
    finds("a long dead run is in no list");
    run[filled] = list;
    *lists = mask;
    assert_heap();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_map_bytes_are_found), cmocka_unit_test(dead_runs_that_touch_are_found),
        cmocka_unit_test(wrong_counts_are_found),    cmocka_unit_test(wrong_bins_are_found),
        cmocka_unit_test(wrong_lists_are_found),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
