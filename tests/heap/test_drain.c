/*
 * Drains: a heap in which much is freed and nothing allocated. Bins let go of what they hold, dead pages go back by
 * the length of their stretches, and so do the books.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

#include "heap/map.h"
#include "heap/pages.h"
#include "heap/range.h"
#include "heap/bin.h"

#include <sys/mman.h>

enum {
    SIZE = 64,
    COUNT = (128 << 20) / SIZE,
    PAGES = 4096,
    BIN = 1000,
    PARKED_MOST = 640 << 10 /* bytes: twice what bins may hold in a drain */
};

static void *object[COUNT];

static void fill(size_t count, size_t size) {
    for (size_t i = 0; i < count; i++) {
        object[i] = cb_malloc(size != 0 ? size : 16 + i % 63 * 16);
        assert_non_null(object[i]);
        memset(object[i], 1, 16);
    }
}

static size_t parked(const struct cb_heap *heap) {
    size_t granules = 0;
    for (unsigned i = CB_BIN_BEGIN; i < CB_MEDIUM_BIN; i = cb_bin_next(i)) {
        granules += cb_bin_count(heap, i) * cb_bin_granules(i);
    }
    return granules << CB_GRANULE_SHIFT;
}

static size_t resident_pages(uintptr_t from, uintptr_t to) {
    static unsigned char in_memory[PAGES];
    size_t count = 0, pages = (to - from) / cb_page_size;
    assert_true(pages <= PAGES);
    assert_int_equal(mincore((void *)from, to - from, in_memory), 0);
    for (size_t i = 0; i < pages; i++) {
        count += in_memory[i] & 1;
    }
    return count;
}

static void bins_let_go_while_nothing_is_allocated(void **state) {
    (void)state;
    struct cb_heap *heap = cb_thread.heap;
    size_t count = (64 << 20) / 512, half = count / 2;
    fill(count, 0);
    for (size_t i = 0; i < half; i++) {
        cb_free(object[i]);
    }
    assert_in_range(parked(heap), 1, PARKED_MOST);
    assert_in_range(heap->purged_pages, 0, 64); /* what goes back are blocks */
    assert_true(heap->used - heap->dead < (CB_BLOCK_GRANULES * 192));
    assert_int_equal(cb_thread.asked, 0); /* malloc asks none of them, and free fetches nothing for it */
    assert_heap();
    fill(half, 0); /* over the dead ones */
    assert_int_equal(heap->died_in_bins, 0);
    for (size_t i = 0; i < count; i++) {
        cb_free(object[i]);
    }
    assert_heap();
    cb_malloc_trim(0);
}

static void a_bin_that_grows_keeps_its_order(void **state) {
    (void)state;
    struct cb_heap *heap = cb_thread.heap;
    unsigned bin = cb_small_bin(SIZE / 16);
    cb_bin_empty_all(&cb_thread);
    assert_true(heap->bins->bin[bin].room <= CB_BIN_FIRST);
    fill(BIN, SIZE);
    cb_free(cb_malloc(SIZE)); /* not on top are those that follow */
    void *top = cb_malloc(16);
    for (size_t i = 0; i < BIN; i++) {
        cb_free(object[i]);
    }
    assert_int_equal(cb_bin_count(heap, bin), BIN);
    assert_int_equal(heap->bins->bin[bin].room, CB_BIN_MOST);
    assert_non_null(heap->slots[CB_SMALL]);
    assert_heap();
    for (size_t i = 0; i < BIN; i++) {
        assert_true(heap->bins->bin[bin].slot[i] == (uintptr_t)object[i] >> CB_GRANULE_SHIFT);
    }
    for (size_t i = BIN; i > BIN / 2; i--) {
        cb_thread.asked |= cb_asked_bit(SIZE / 16); /* as if the run were used up */
        assert_ptr_equal(cb_malloc(SIZE), object[i - 1]);
    }
    cb_bin_empty_all(&cb_thread);
    assert_int_equal(heap->bins->bin[bin].room, CB_BIN_FIRST);
    assert_int_equal(cb_bin_count(heap, bin), 0);
    assert_heap();
#if !BED_SANITIZED
    uintptr_t slots = (uintptr_t)heap->slots[CB_SMALL];
    uintptr_t from = (slots + cb_page_size - 1) & ~(uintptr_t)(cb_page_size - 1);
    uintptr_t to =
        (slots + CB_SMALL_GRANULES * CB_BIN_MOST * sizeof(size_t)) & ~(uintptr_t)(cb_page_size - 1);
    assert_int_equal(resident_pages(from, to), 0);
#endif
    for (size_t i = BIN / 2; i < BIN; i++) {
        cb_free(object[i]);
    }
    cb_free(top);
    cb_malloc_trim(0);
}

/* Frees what is in the pages of each group of `group` that come first in it, so many of them. */
static void free_pages(size_t count, size_t group, size_t pages) {
    for (size_t i = 0; i < count; i++) {
        size_t page = ((uintptr_t)object[i] & (CB_BLOCK_SIZE - 1)) / 4096;
        if (object[i] != NULL && page % group < pages && page < 60) {
            cb_free(object[i]);
            object[i] = NULL;
        }
    }
    cb_bin_empty_all(&cb_thread);
    assert_heap();
}

static void free_rest(size_t count) {
    for (size_t i = 0; i < count; i++) {
        cb_free(object[i]);
    }
    cb_malloc_trim(0);
    assert_heap();
}

static void long_stretches_go_before_short_ones(void **state) {
    (void)state;
    struct cb_heap *heap = cb_thread.heap;
    size_t count = COUNT / 2;
    if (cb_page_size != 4096) {
        skip();
    }
    fill(count, SIZE);
    free_pages(count, 10, 1);
    assert_in_range(heap->dead_pages, 1200, 2048); /* of 16384: no eighth */
    assert_int_equal(heap->purged_pages, 0);
    free_pages(count, 10, 2);
    assert_in_range(heap->purged_pages, 1, 3000);
    assert_in_range(heap->dead_pages, 500, 16384 / 8 + 64);
    free_rest(count);
    fill(count, SIZE);
    free_pages(count, 30, 5); /* no more than in the end, five at a time */
    assert_in_range(heap->dead_pages, 0, 16384 / CB_PART + 64);
    assert_true(heap->purged_pages > 2000);
    free_rest(count);
}

/* The part of the block table for blocks that are no more. */
static void the_block_table_goes_back(void **state) {
    (void)state;
#if BED_SANITIZED
    skip(); /* too much of it */
#endif
    if (cb_page_size != 4096) {
        skip(); /* it is a few pages */
    }
    fill(COUNT, SIZE);
    uintptr_t from = atomic_load(&cb_ranges[0].start), to = from + atomic_load(&cb_ranges[0].size);
    from = (uintptr_t)cb_block_of(from) & ~(uintptr_t)(cb_page_size - 1);
    to = ((uintptr_t)cb_block_of(to) + cb_page_size - 1) & ~(uintptr_t)(cb_page_size - 1);
    size_t before = resident_pages(from, to);
    assert_true(before >= 16 * 4096 / cb_page_size);
    for (size_t i = 0; i < COUNT; i++) {
        cb_free(object[i]);
    }
    assert_heap();
    assert_true(resident_pages(from, to) <= before / 2);
    fill(COUNT, SIZE); /* and it is there again */
    free_rest(COUNT);
}

/*
 * No free of a busy program does the work of many: of 64 MiB, in random order, each gives back a bounded amount in a
 * bounded number of calls, and lets a bounded number of objects die.
 */
static void one_free_does_a_bounded_amount_of_work(void **state) {
    (void)state;
    enum { PURGED_MOST = 2 << 20, CALLS_MOST = 160, DEAD_MOST = 1 << 20 };
    struct cb_heap *heap = cb_thread.heap;
    size_t count = COUNT / 2, most[3] = {0, 0, 0}, all = 0;
    uint64_t random = fixture_seed(11);
    fill(count, SIZE);
    cb_os_assume_time((int64_t)cb_os_milliseconds()); /* it stands: after a pause, a call may do more */
    for (size_t i = count - 1; i > 0; i--) {
        size_t other = fixture_random(&random) % (i + 1);
        void *p = object[i];
        object[i] = object[other];
        object[other] = p;
    }
    for (size_t i = 0; i < count; i++) {
        struct cb_pages_totals before, after;
        size_t in_use = cb_heap_in_use(heap);
        cb_pages_totals(&before);
        cb_free(object[i]);
        cb_pages_totals(&after);
        size_t left = cb_heap_in_use(heap);
        assert_true(left <= in_use);
        size_t did[3] = {after.purged - before.purged, after.purges - before.purges,
                         (in_use - left) << CB_GRANULE_SHIFT};
        for (int k = 0; k < 3; k++) {
            most[k] = did[k] > most[k] ? did[k] : most[k];
        }
        all += did[0];
    }
    cb_os_assume_time(-1);
    print_message("at most %zu KiB in %zu calls, %zu KiB freed\n", most[0] >> 10, most[1], most[2] >> 10);
    assert_true(all >= count * SIZE / 2);
    assert_in_range(most[0], 1, PURGED_MOST);
    assert_in_range(most[1], 1, CALLS_MOST);
    assert_in_range(most[2], 1, DEAD_MOST);
    cb_malloc_trim(0);
    assert_heap();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bin_that_grows_keeps_its_order), /* first: the heap is small yet */
        cmocka_unit_test(bins_let_go_while_nothing_is_allocated),
        cmocka_unit_test(long_stretches_go_before_short_ones),
        cmocka_unit_test(the_block_table_goes_back),
        cmocka_unit_test(one_free_does_a_bounded_amount_of_work),
    };
    cb_free(cb_malloc(1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
