/*
 * Freeing: what comes back, what is remembered, what is forgotten, and what is ignored.
 *
 * Layer: tests. Threading: none.
 */
#include "fixture.h"

/* ---- the ring knows the block ---- */

static void the_worked_example_step_by_step(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(4096, 8);
    void *a = cutback_alloc(arena, 64, 8);
    assert_used(arena, 64);
    void *b = cutback_alloc(arena, 64, 8);
    assert_used(arena, 128);
    void *c = cutback_alloc(arena, 64, 8);
    assert_used(arena, 192);
    assert_int_equal(fixture_known(arena), 3);
    cutback_free(arena, c, 64);
    assert_used(arena, 128);
    assert_int_equal(fixture_known(arena), 2);
    cutback_free(arena, a, 64); /* b is in the way */
    assert_used(arena, 128);
    assert_int_equal(fixture_known(arena), 2);
    cutback_free(arena, b, 64); /* both come back */
    assert_used(arena, 0);
    assert_int_equal(fixture_known(arena), 0);
    assert_ptr_equal(cutback_alloc(arena, 64, 8), a);
}

static void the_block_on_top_comes_back_at_once(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 10, 1);
    void *top = cutback_alloc(arena, 20, 1);
    cutback_free(arena, top, 20);
    assert_used(arena, 10);
    assert_ptr_equal(cutback_alloc(arena, 5, 1), top);
}

static void its_padding_comes_back_too(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 1, 1);
    void *top = cutback_alloc(arena, 8, 64);
    assert_used(arena, 72);
    cutback_free(arena, top, 8);
    assert_used(arena, 1);
}

static void the_padding_of_a_dead_block_beneath_comes_back_too(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 1, 1);
    void *beneath = cutback_alloc(arena, 1, 32);
    void *top = cutback_alloc(arena, 1, 64);
    cutback_free(arena, beneath, 1);
    assert_used(arena, 65);
    cutback_free(arena, top, 1);
    assert_used(arena, 1);
}

static void a_live_block_stops_the_cursor(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 8);
    void *blocks[5];
    for (size_t i = 0; i < 5; i++)
        blocks[i] = cutback_alloc(arena, 10, 1);
    cutback_free(arena, blocks[0], 10);
    cutback_free(arena, blocks[3], 10);
    cutback_free(arena, blocks[2], 10);
    assert_used(arena, 50);
    cutback_free(arena, blocks[4], 10);
    assert_used(arena, 20);
    cutback_free(arena, blocks[1], 10);
    assert_used(arena, 0);
}

static void frees_in_any_order_end_at_the_start(void **state) {
    (void)state;
    static const unsigned orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}};
    for (size_t order = 0; order < 4; order++) {
        cutback_arena *arena = fixture_make(256, 4);
        void *blocks[4];
        for (size_t i = 0; i < 4; i++)
            blocks[i] = cutback_alloc(arena, 7, 4);
        for (size_t i = 0; i < 4; i++) {
            cutback_free(arena, blocks[orders[order][i]], 7);
            assert_null(cb_arena_check(arena));
        }
        assert_used(arena, 0);
    }
}

static void a_thousand_pairs_need_no_room(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(64, 1);
    for (int i = 0; i < 1000; i++) {
        void *block = cutback_alloc(arena, 60, 4);
        assert_non_null(block);
        cutback_free(arena, block, 60);
    }
    assert_stat(arena, peak, 60);
}

static void the_size_of_a_remembered_block_may_be_understated(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 8, 1);
    void *block = cutback_alloc(arena, 100, 1);
    cutback_free(arena, block, 1);
    assert_used(arena, 8);
}

/* ---- the ring has forgotten the block ---- */

static void the_ring_forgets_the_oldest(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 2);
    cutback_alloc(arena, 10, 1); /* keeps the scope alive */
    void *b = cutback_alloc(arena, 10, 1);
    void *c = cutback_alloc(arena, 10, 1);
    void *d = cutback_alloc(arena, 10, 1);
    cutback_free(arena, d, 10);
    cutback_free(arena, c, 10);
    assert_used(arena, 20);
    cutback_free(arena, b, 10); /* on top, but forgotten */
    assert_used(arena, 20);
    assert_stat(arena, forgotten_frees, 1);
    assert_stat(arena, live_blocks, 1);
}

static void the_cursor_stops_at_a_forgotten_dead_block(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 1);
    cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    void *c = cutback_alloc(arena, 10, 1);
    cutback_free(arena, b, 10);
    cutback_free(arena, c, 10);
    assert_used(arena, 20);
}

static void the_ring_remembers_anew_after_it_forgot(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 2);
    for (int i = 0; i < 5; i++)
        cutback_alloc(arena, 10, 1);
    for (int i = 0; i < 20; i++) {
        void *a = cutback_alloc(arena, 10, 1);
        void *b = cutback_alloc(arena, 10, 1);
        cutback_free(arena, a, 10);
        cutback_free(arena, b, 10);
        assert_used(arena, 50);
    }
}

static void the_last_live_block_takes_the_arena_with_it(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 2);
    void *blocks[6];
    for (size_t i = 0; i < 6; i++)
        blocks[i] = cutback_alloc(arena, 10, 8);
    for (size_t i = 0; i < 5; i++)
        cutback_free(arena, blocks[i], 10);
    assert_used(arena, 90);
    cutback_free(arena, blocks[5], 10);
    assert_used(arena, 0);
    assert_int_equal(fixture_known(arena), 0);
    assert_stat(arena, forgotten_frees, 4);
}

static void the_last_live_block_may_be_a_forgotten_one(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 1);
    void *a = cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_free(arena, b, 10);
    assert_used(arena, 10);
    cutback_free(arena, a, 10);
    assert_used(arena, 0);
}

static void without_slots_it_is_a_plain_bump_allocator(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 0);
    void *a = cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_free(arena, b, 10);
    assert_used(arena, 20);
    assert_int_equal(fixture_offset(arena, cutback_alloc(arena, 10, 1)), 20);
    cutback_free(arena, a, 10);
    assert_used(arena, 30);
}

static void without_slots_the_last_free_still_falls_back(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 0);
    void *a = cutback_alloc(arena, 10, 16);
    void *b = cutback_alloc(arena, 10, 16);
    cutback_free(arena, a, 10);
    assert_used(arena, 26);
    cutback_free(arena, b, 10);
    assert_used(arena, 0);
    assert_ptr_equal(cutback_alloc(arena, 10, 16), a);
}

/* ---- ignored ---- */

static void null_and_size_0_are_ignored(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 2);
    void *a = cutback_alloc(arena, 10, 1);
    cutback_arena copy = *arena;
    cutback_free(arena, NULL, 10);
    cutback_free(arena, NULL, 0);
    cutback_free(arena, a, 0);
    cutback_free(arena, cutback_alloc(arena, 0, 16), 0);
    assert_unchanged(arena, &copy);
}

static void what_is_not_the_arenas_is_ignored(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 2);
    cutback_alloc(arena, 10, 1);
    cutback_arena copy = *arena;
    int elsewhere = 0;
    cutback_free(arena, &elsewhere, sizeof elsewhere);
    cutback_free(arena, fixture_memory(arena) - 1, 1);
    cutback_free(arena, fixture_memory(arena) + 256, 1);
    assert_unchanged(arena, &copy);
}

static void what_is_above_the_cursor_is_ignored(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 2);
    cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_free(arena, b, 10);
    cutback_arena copy = *arena;
    cutback_free(arena, b, 10);
    cutback_free(arena, fixture_memory(arena) + 255, 1);
    assert_unchanged(arena, &copy);
}

static void the_inside_of_a_remembered_block_is_ignored(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    unsigned char *a = cutback_alloc(arena, 10, 1);
    unsigned char *b = cutback_alloc(arena, 10, 16);
    cutback_arena copy = *arena;
    cutback_free(arena, a + 1, 9);
    cutback_free(arena, b + 9, 1);
    cutback_free(arena, b - 1, 1); /* padding */
    assert_unchanged(arena, &copy);
}

static void a_size_that_reaches_into_the_next_block_is_ignored(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 1);
    void *a = cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_arena copy = *arena;
    cutback_free(arena, a, 11); /* forgotten */
    cutback_free(arena, b, 11); /* remembered */
    cutback_free(arena, b, SIZE_MAX);
    assert_unchanged(arena, &copy);
}

static void a_second_free_is_ignored_and_counted(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    void *a = cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_free(arena, a, 10);
    cutback_free(arena, a, 10);
    cutback_free(arena, a, 10);
    assert_used(arena, 20);
    assert_stat(arena, double_frees, 2);
    assert_stat(arena, live_blocks, 1);
    cutback_free(arena, b, 10);
    assert_used(arena, 0);
}

static void a_second_free_does_not_end_another_blocks_life(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_alloc(arena, 10, 1);
    cutback_free(arena, b, 10);
    cutback_free(arena, b, 10);
    cutback_free(arena, b, 10);
    assert_used(arena, 30); /* the last live block has not died */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worked_example_step_by_step),
        cmocka_unit_test(the_block_on_top_comes_back_at_once),
        cmocka_unit_test(its_padding_comes_back_too),
        cmocka_unit_test(the_padding_of_a_dead_block_beneath_comes_back_too),
        cmocka_unit_test(a_live_block_stops_the_cursor),
        cmocka_unit_test(frees_in_any_order_end_at_the_start),
        cmocka_unit_test(a_thousand_pairs_need_no_room),
        cmocka_unit_test(the_size_of_a_remembered_block_may_be_understated),
        cmocka_unit_test(the_ring_forgets_the_oldest),
        cmocka_unit_test(the_cursor_stops_at_a_forgotten_dead_block),
        cmocka_unit_test(the_ring_remembers_anew_after_it_forgot),
        cmocka_unit_test(the_last_live_block_takes_the_arena_with_it),
        cmocka_unit_test(the_last_live_block_may_be_a_forgotten_one),
        cmocka_unit_test(without_slots_it_is_a_plain_bump_allocator),
        cmocka_unit_test(without_slots_the_last_free_still_falls_back),
        cmocka_unit_test(null_and_size_0_are_ignored),
        cmocka_unit_test(what_is_not_the_arenas_is_ignored),
        cmocka_unit_test(what_is_above_the_cursor_is_ignored),
        cmocka_unit_test(the_inside_of_a_remembered_block_is_ignored),
        cmocka_unit_test(a_size_that_reaches_into_the_next_block_is_ignored),
        cmocka_unit_test(a_second_free_is_ignored_and_counted),
        cmocka_unit_test(a_second_free_does_not_end_another_blocks_life),
    };
    return cmocka_run_group_tests_name("arena: free", tests, NULL, NULL);
}
