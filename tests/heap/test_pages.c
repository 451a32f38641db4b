/*
 * The page allocator: extents are cut, merged and found again, nothing overlaps, what is not dirty is zero.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

#include "heap/map.h"
#include "heap/pages.h"

static size_t page;

static int set_up(void **state) {
    (void)state;
    cb_free(cb_malloc(1)); /* starts the heap */
    page = cb_page_size;
    return page >= 4096 ? 0 : -1;
}

static uintptr_t take(size_t size, size_t align) {
    struct cb_dirty dirty;
    uintptr_t p = cb_pages_take(size, align, &dirty);
    assert_true(dirty.bytes == 0 || (dirty.from >= p && dirty.to <= p + size));
    for (uintptr_t at = p; at < p + size; at += page) {
        if (dirty.bytes == 0 || at < dirty.from || at >= dirty.to) {
            assert_int_equal(*(unsigned char *)at, 0);
        }
    }
    memset((void *)p, 1, size);
    return p;
}

static void what_is_given_back_is_taken_again(void **state) {
    (void)state;
    uintptr_t p = take(16 * page, page);
    cb_pages_give(p, 16 * page);
    assert_true(cb_extent_check());
    uintptr_t q = take(16 * page, page);
    cb_pages_give(q, 16 * page);
    assert_int_equal(p, q);
    assert_true(cb_extent_check());
}

static void neighbours_merge_in_any_order(void **state) {
    (void)state;
    static const int order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int i = 0; i < 6; i++) {
        uintptr_t p = take(3 * page, page);
        for (int k = 0; k < 3; k++) {
            cb_pages_give(p + (uintptr_t)order[i][k] * page, page);
            assert_true(cb_extent_check());
        }
        uintptr_t q = take(3 * page, page);
        assert_int_equal(q, p);
        cb_pages_give(q, 3 * page);
    }
}

/* What is free at the end of the range is one with the memory that the range grows by. */
static void the_free_end_grows(void **state) {
    (void)state;
    struct cb_pages_totals totals;
    for (size_t round = 0; round < 3; round++) {
        cb_pages_totals(&totals);
        size_t size =
            totals.mapped + page; /* more than there is: the range grows, and more is taken than asked for */
        struct cb_dirty dirty;
        uintptr_t p = cb_pages_take(size, page, &dirty);
        assert_true(p != 0);
        assert_true(cb_extent_check());
        cb_pages_give_partly(p, size, dirty.bytes != 0 ? size : 0);
        assert_true(cb_extent_check());
        struct cb_pages_totals after;
        cb_pages_totals(&after);
        uintptr_t q = cb_pages_take(after.mapped + page, page, &dirty);
        assert_true(q != 0 && q <= p);
        cb_pages_give_partly(q, after.mapped + page, dirty.bytes != 0 ? after.mapped + page : 0);
        assert_true(cb_extent_check());
    }
}

static void an_extent_of_one_page_is_an_extent(void **state) {
    (void)state;
    uintptr_t p = take(9 * page, page);
    for (uintptr_t i = 0; i < 9; i += 2) {
        cb_pages_give(p + i * page, page);
        assert_true(cb_extent_check());
    }
    for (uintptr_t i = 1; i < 9; i += 2) {
        cb_pages_give(p + i * page, page);
        assert_true(cb_extent_check());
    }
}

static void an_extent_grows_only_into_what_is_free(void **state) {
    (void)state;
    uintptr_t p = take(8 * page, page);
    cb_pages_give(p + 2 * page, 2 * page);
    assert_false(cb_pages_extend(p + 2 * page, 3 * page));
    assert_true(cb_pages_extend(p + 2 * page, 2 * page));
    assert_false(cb_pages_extend(p + 4 * page, page));
    cb_pages_give(p, 8 * page);
    assert_true(cb_extent_check());
}

static void every_alignment_is_kept(void **state) {
    (void)state;
    for (size_t align = page; align <= (size_t)1 << 30; align *= 2) {
        struct cb_dirty dirty;
        uintptr_t p = cb_pages_take(3 * page, align, &dirty);
        assert_true(p != 0 && (p & (align - 1)) == 0);
        cb_pages_give(p, 3 * page);
        assert_true(cb_extent_check());
    }
}

static void what_was_purged_reads_as_zero(void **state) {
    (void)state;
    struct cb_dirty dirty;
    uintptr_t p = take((size_t)4 << 20, page);
    cb_pages_give(p, (size_t)4 << 20);
    cb_excess_purge(0);
    struct cb_pages_totals totals;
    cb_pages_totals(&totals);
    assert_int_equal(totals.dirty, 0);
    uintptr_t q = cb_pages_take((size_t)4 << 20, page, &dirty);
    assert_int_equal(dirty.bytes, 0);
    for (size_t i = 0; i < (size_t)4 << 20; i += page) {
        assert_int_equal(*(unsigned char *)(q + i), 0);
    }
    cb_pages_give(q, (size_t)4 << 20);
    assert_true(cb_extent_check());
}

static void the_totals_add_up(void **state) {
    (void)state;
    struct cb_pages_totals before, between, after;
    cb_pages_totals(&before);
    uintptr_t p = take(64 * page, page);
    cb_pages_totals(&between);
    cb_pages_give(p, 64 * page);
    cb_pages_totals(&after);
    assert_int_equal(between.mapped - between.free, before.mapped - before.free + 64 * page);
    assert_int_equal(after.mapped - after.free, before.mapped - before.free);
}

static void more_than_there_is_is_refused(void **state) {
    (void)state;
    struct cb_dirty dirty;
    assert_int_equal(cb_pages_take((size_t)1 << 60, page, &dirty), 0);
    assert_int_equal(cb_pages_take(page, (size_t)1 << 62, &dirty), 0);
    assert_true(cb_extent_check());
}

static void random_takes_and_gives_leave_the_lists_whole(void **state) {
    (void)state;
    enum { SLOTS = 64 };
    struct {
        uintptr_t p;
        size_t size;
    } slot[SLOTS] = {0};
    uint64_t random = fixture_seed(3);
    for (int step = 0; step < 4000; step++) {
        size_t i = fixture_random(&random) % SLOTS;
        if (slot[i].p != 0) {
            assert_int_equal(*(size_t *)slot[i].p, i);
            cb_pages_give(slot[i].p, slot[i].size);
            slot[i].p = 0;
        } else {
            struct cb_dirty dirty;
            slot[i].size = (1 + fixture_random(&random) % 60) * page;
            slot[i].p = cb_pages_take(slot[i].size, page << fixture_random(&random) % 8, &dirty);
            assert_true(slot[i].p != 0);
            *(size_t *)slot[i].p = i;
        }
        assert_true(cb_extent_check());
    }
    for (size_t i = 0; i < SLOTS; i++) {
        if (slot[i].p != 0) {
            cb_pages_give(slot[i].p, slot[i].size);
        }
    }
    assert_true(cb_extent_check());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_back_is_taken_again),
        cmocka_unit_test(neighbours_merge_in_any_order),
        cmocka_unit_test(the_free_end_grows),
        cmocka_unit_test(an_extent_of_one_page_is_an_extent),
        cmocka_unit_test(an_extent_grows_only_into_what_is_free),
        cmocka_unit_test(every_alignment_is_kept),
        cmocka_unit_test(what_was_purged_reads_as_zero),
        cmocka_unit_test(the_totals_add_up),
        cmocka_unit_test(more_than_there_is_is_refused),
        cmocka_unit_test(random_takes_and_gives_leave_the_lists_whole),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
