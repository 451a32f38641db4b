/*
 * The statistics: each counter counts what its name says, once.
 *
 * Layer: tests. Threading: none.
 */
#include "bed.h"

static void used_and_peak_follow_the_cursor(void **state) {
    (void)state;
    cutback_arena *arena = bed_make(256, 4);
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
    cutback_arena *arena = bed_make(256, 4);
    void *a = cutback_alloc(arena, 10, 1);
    cutback_realloc(arena, a, 10, 200, 1);
    cutback_realloc(arena, a, 200, 10, 1);
    assert_int_equal(cutback_get_stats(arena).peak, 200);
    assert_int_equal(cutback_get_stats(arena).used, 10);
}

static void live_blocks_are_those_not_freed(void **state) {
    (void)state;
    cutback_arena *arena = bed_make(256, 1);
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
    cutback_arena *arena = bed_make(256, 4);
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
    cutback_arena *arena = bed_make(64, 4);
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
    cutback_arena *arena = bed_make(256, 2);
    void *a = cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_alloc(arena, 10, 1);
    cutback_free(arena, a, 10);
    cutback_free(arena, b, 10);
    cutback_free(arena, b, 10);
    assert_int_equal(cutback_get_stats(arena).forgotten_frees, 1);
    assert_int_equal(cutback_get_stats(arena).double_frees, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(used_and_peak_follow_the_cursor),
        cmocka_unit_test(growing_in_place_raises_the_peak),
        cmocka_unit_test(live_blocks_are_those_not_freed),
        cmocka_unit_test(a_rewind_is_a_call_that_brought_back_what_was_freed_before),
        cmocka_unit_test(every_refusal_is_a_failed_request),
        cmocka_unit_test(forgotten_and_second_frees_are_counted_apart),
    };
    return cmocka_run_group_tests_name("arena: statistics", tests, NULL, NULL);
}
