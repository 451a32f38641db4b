/*
 * The statistics: each counter counts what its name says, once.
 *
 * Layer: tests. Threading: none.
 */
#include "fixture.h"

static void used_and_peak_follow_the_cursor(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    void *a = cutback_alloc(arena, 100, 1);
    void *b = cutback_alloc(arena, 50, 1);
    cutback_free(arena, b, 50);
    assert_int_equal(cutback_get_stats(arena).used, 100);
    assert_int_equal(cutback_get_stats(arena).peak, 150);
    cutback_free(arena, a, 100);
    assert_int_equal(cutback_get_stats(arena).peak, 150);
}

static void growing_in_place_raises_the_peak(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    void *a = cutback_alloc(arena, 10, 1);
    cutback_realloc(arena, a, 10, 200, 1);
    cutback_realloc(arena, a, 200, 10, 1);
    assert_int_equal(cutback_get_stats(arena).peak, 200);
    assert_int_equal(cutback_get_stats(arena).used, 10);
}

static void live_blocks_are_those_not_freed(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 1);
    void *a = cutback_alloc(arena, 10, 1);
    cutback_alloc(arena, 10, 1);
    cutback_mark mark = cutback_mark_set(arena);
    cutback_alloc(arena, 10, 1);
    cutback_alloc(arena, 0, 1);
    assert_int_equal(cutback_get_stats(arena).live_blocks, 3);
    cutback_free(arena, a, 10);
    assert_int_equal(cutback_get_stats(arena).live_blocks, 2);
    cutback_reset(arena, mark);
    assert_int_equal(cutback_get_stats(arena).live_blocks, 1);
}

static void a_rewind_is_a_call_that_brought_back_what_was_freed_before(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    void *a = cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_free(arena, a, 10); /* not on top */
    assert_int_equal(cutback_get_stats(arena).rewinds, 0);
    cutback_free(arena, b, 10); /* and a with it */
    assert_int_equal(cutback_get_stats(arena).rewinds, 1);
    a = cutback_alloc(arena, 10, 1);
    cutback_free(arena, a, 10); /* this block alone */
    a = cutback_alloc(arena, 10, 1);
    cutback_mark mark = cutback_mark_set(arena);
    b = cutback_alloc(arena, 10, 1);
    cutback_realloc(arena, b, 10, 5, 1);
    cutback_reset(arena, mark); /* what the scope held, and no more */
    assert_int_equal(cutback_get_stats(arena).rewinds, 1);
    mark = cutback_mark_set(arena);
    cutback_free(arena, a, 10);
    cutback_reset(arena, mark); /* and a */
    assert_int_equal(cutback_get_stats(arena).rewinds, 2);
    a = cutback_alloc(arena, 10, 1);
    mark = cutback_mark_set(arena);
    cutback_free(arena, a, 10);
    cutback_commit(arena, mark);
    assert_int_equal(cutback_get_stats(arena).rewinds, 3);
}

static void every_refusal_is_a_failed_request(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(64, 4);
    void *a = cutback_alloc(arena, 10, 1);
    cutback_alloc(arena, 100, 1);
    cutback_alloc(arena, 1, 3);
    cutback_calloc(arena, SIZE_MAX, 2, 1);
    cutback_calloc(arena, 100, 2, 1);
    cutback_realloc(arena, a, 10, 100, 1);
    cutback_realloc(arena, a, 10, 20, 5);
    assert_int_equal(cutback_get_stats(arena).failed_requests, 6);
}

static void forgotten_and_second_frees_are_counted_apart(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 2);
    void *a = cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_alloc(arena, 10, 1);
    cutback_free(arena, a, 10);
    cutback_free(arena, b, 10);
    cutback_free(arena, b, 10);
    assert_int_equal(cutback_get_stats(arena).forgotten_frees, 1);
    assert_int_equal(cutback_get_stats(arena).double_frees, 1);
}

static void usage_tells_live_dead_and_padding_apart(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 30, 1);
    void *a = cutback_alloc(arena, 10, 1);
    cutback_alloc(arena, 20, 16); /* padding: 8 */
    void *b = cutback_alloc(arena, 5, 1);
    cutback_mark mark = cutback_mark_set(arena);
    cutback_alloc(arena, 7, 1);
    cutback_free(arena, a, 10);
    cutback_free(arena, b, 5); /* the newest before a mark */
    cutback_usage usage = cutback_get_usage(arena);
    assert_int_equal(usage.forgotten, 30);
    assert_int_equal(usage.live, 27);
    assert_int_equal(usage.dead, 15);
    assert_int_equal(usage.padding, 8);
    assert_int_equal(usage.live + usage.dead + usage.padding + usage.forgotten, cutback_used(arena));
    cutback_reset(arena, mark);
    usage = cutback_get_usage(arena);
    assert_int_equal(usage.live, 20);
    assert_int_equal(usage.dead, 10);
}

static void usage_without_slots_is_all_forgotten(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 0);
    cutback_alloc(arena, 30, 1);
    assert_int_equal(cutback_get_usage(arena).forgotten, 30);
    assert_int_equal(cutback_get_usage(arena).live, 0);
}

static void frees_are_counted_by_their_distance_from_the_top(void **state) {
    (void)state;
    enum { BLOCKS = 12, BUCKETS = 4 };
    cutback_arena *arena = fixture_make(256, 10);
    size_t counts[BUCKETS] = {0};
    void *blocks[BLOCKS];
    assert_true(cutback_watch_frees(arena, counts, BUCKETS));
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = cutback_alloc(arena, 8, 8);
    cutback_free(arena, blocks[0], 8);  /* forgotten: not counted */
    cutback_free(arena, blocks[2], 8);  /* 9 above */
    cutback_free(arena, blocks[7], 8);  /* 4 above */
    cutback_free(arena, blocks[8], 8);  /* 3 above */
    cutback_free(arena, blocks[9], 8);  /* 2 above, dead or not */
    cutback_free(arena, blocks[10], 8); /* 1 above */
    cutback_free(arena, blocks[11], 8); /* on top */
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 1);
    assert_int_equal(counts[2], 2);
    assert_int_equal(counts[3], 2);
    assert_int_equal(cutback_get_stats(arena).forgotten_frees, 1);
    assert_used(arena, 56);
}

static void counting_frees_begins_and_ends_in_use(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 10);
    size_t count = 0;
    void *a = cutback_alloc(arena, 8, 8);
    cutback_mark outer = cutback_mark_set(arena);
    void *b = cutback_alloc(arena, 8, 8);
    void *c = cutback_alloc(arena, 8, 8);
    assert_true(cutback_watch_frees(arena, &count, 1));
    assert_null(cb_arena_check(arena));
    cutback_mark inner = cutback_mark_set(arena);
    cutback_free(arena, b, 8);
    assert_int_equal(count, 1);
    assert_true(cutback_watch_frees(arena, NULL, 0));
    assert_null(cb_arena_check(arena));
    assert_true(cutback_reset(arena, inner));
    cutback_free(arena, c, 8);
    assert_used(arena, 8);
    assert_true(cutback_reset(arena, outer));
    cutback_free(arena, a, 8);
    assert_used(arena, 0);
    assert_int_equal(count, 1);
}

static void an_arena_that_is_not_initialised_has_no_figures(void **state) {
    (void)state;
    cutback_arena arena = {0};
    size_t count = 0;
    assert_false(cutback_watch_frees(&arena, &count, 1));
    assert_int_equal(cutback_get_usage(&arena).live, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(used_and_peak_follow_the_cursor),
        cmocka_unit_test(growing_in_place_raises_the_peak),
        cmocka_unit_test(live_blocks_are_those_not_freed),
        cmocka_unit_test(a_rewind_is_a_call_that_brought_back_what_was_freed_before),
        cmocka_unit_test(every_refusal_is_a_failed_request),
        cmocka_unit_test(forgotten_and_second_frees_are_counted_apart),
        cmocka_unit_test(usage_tells_live_dead_and_padding_apart),
        cmocka_unit_test(usage_without_slots_is_all_forgotten),
        cmocka_unit_test(frees_are_counted_by_their_distance_from_the_top),
        cmocka_unit_test(counting_frees_begins_and_ends_in_use),
        cmocka_unit_test(an_arena_that_is_not_initialised_has_no_figures),
    };
    return cmocka_run_group_tests_name("arena: statistics", tests, NULL, NULL);
}
