/*
 * Resizing: in place on top, in place elsewhere, by moving.
 *
 * Layer: tests. Threading: none.
 */
#include "fixture.h"

/* ---- on top ---- */

static void the_block_on_top_grows_in_place(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    unsigned char *block = cutback_alloc(arena, 10, 8);
    fixture_fill(block, 10, 3);
    assert_ptr_equal(cutback_realloc(arena, block, 10, 200, 8), block);
    fixture_expect(block, 10, 3);
    assert_used(arena, 200);
    cutback_free(arena, block, 200);
    assert_used(arena, 0);
}

static void the_block_on_top_grows_to_the_last_byte(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    void *block = cutback_alloc(arena, 10, 8);
    assert_ptr_equal(cutback_realloc(arena, block, 10, 256, 8), block);
    assert_int_equal(cutback_remaining(arena), 0);
}

static void the_block_on_top_shrinks_in_place(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    unsigned char *block = cutback_alloc(arena, 100, 8);
    fixture_fill(block, 100, 9);
    assert_ptr_equal(cutback_realloc(arena, block, 100, 30, 8), block);
    fixture_expect(block, 30, 9);
    assert_used(arena, 30);
    cutback_free(arena, block, 30);
    assert_used(arena, 0);
}

static void the_block_on_top_that_cannot_grow_is_untouched(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 100, 1);
    unsigned char *block = cutback_alloc(arena, 100, 1);
    fixture_fill(block, 100, 1);
    assert_null(cutback_realloc(arena, block, 100, 157, 1));
    assert_null(cutback_realloc(arena, block, 100, SIZE_MAX, 1));
    fixture_expect(block, 100, 1);
    assert_used(arena, 200);
    assert_stat(arena, failed_requests, 2);
    cutback_free(arena, block, 100);
    assert_used(arena, 100);
}

static void the_padding_stays_with_a_resized_block(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 1, 1);
    void *block = cutback_alloc(arena, 8, 64);
    block = cutback_realloc(arena, block, 8, 80, 64);
    assert_used(arena, 144);
    cutback_free(arena, block, 80);
    assert_used(arena, 1);
}

static void a_forgotten_block_at_the_cursor_is_on_top(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 0);
    void *block = cutback_alloc(arena, 10, 8);
    assert_ptr_equal(cutback_realloc(arena, block, 10, 50, 8), block);
    assert_used(arena, 50);
    assert_ptr_equal(cutback_realloc(arena, block, 50, 20, 8), block);
    assert_used(arena, 20);
    assert_null(cutback_realloc(arena, block, 20, 257, 8));
    cutback_free(arena, block, 20);
    assert_used(arena, 0);
}

static void the_same_size_changes_nothing(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    void *a = cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_arena copy = *arena;
    assert_ptr_equal(cutback_realloc(arena, a, 10, 10, 1), a);
    assert_ptr_equal(cutback_realloc(arena, b, 10, 10, 1), b);
    assert_unchanged(arena, &copy);
}

static void a_dead_block_beneath_comes_back_after_a_resize(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    void *a = cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_free(arena, a, 10);
    b = cutback_realloc(arena, b, 10, 100, 1);
    assert_used(arena, 110);
    cutback_free(arena, b, 100);
    assert_used(arena, 0);
}

/* ---- elsewhere ---- */

static void a_block_elsewhere_shrinks_where_it_is(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    unsigned char *a = cutback_alloc(arena, 50, 1);
    fixture_fill(a, 50, 5);
    void *b = cutback_alloc(arena, 10, 1);
    assert_ptr_equal(cutback_realloc(arena, a, 50, 20, 1), a);
    fixture_expect(a, 20, 5);
    assert_used(arena, 60);
    cutback_free(arena, a, 20);
    cutback_free(arena, b, 10);
    assert_used(arena, 0);
}

static void what_was_cut_off_elsewhere_comes_back_when_it_is_on_top(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    void *a = cutback_alloc(arena, 50, 1);
    void *b = cutback_alloc(arena, 10, 1);
    a = cutback_realloc(arena, a, 50, 20, 1);
    cutback_free(arena, b, 10);
    assert_used(arena, 50);
    assert_ptr_equal(cutback_realloc(arena, a, 20, 30, 1), a);
    assert_used(arena, 30);
}

static void a_block_elsewhere_grows_by_moving(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    unsigned char *a = cutback_alloc(arena, 20, 1);
    fixture_fill(a, 20, 7);
    unsigned char *b = cutback_alloc(arena, 10, 1);
    fixture_fill(b, 10, 70);
    unsigned char *moved = cutback_realloc(arena, a, 20, 40, 16);
    assert_int_equal(fixture_offset(arena, moved), 32);
    fixture_expect(moved, 20, 7);
    fixture_expect(b, 10, 70);
    assert_used(arena, 72);
    assert_stat(arena, live_blocks, 2);
    cutback_free(arena, moved, 40);
    assert_used(arena, 30);
    cutback_free(arena, b, 10);
    assert_used(arena, 0);
}

static void a_block_elsewhere_that_cannot_move_is_untouched(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(64, 4);
    unsigned char *a = cutback_alloc(arena, 20, 1);
    fixture_fill(a, 20, 7);
    cutback_alloc(arena, 20, 1);
    assert_null(cutback_realloc(arena, a, 20, 25, 1));
    fixture_expect(a, 20, 7);
    assert_used(arena, 40);
    assert_stat(arena, live_blocks, 2);
}

static void moving_a_forgotten_block_counts_its_free(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 1);
    unsigned char *a = cutback_alloc(arena, 20, 1);
    fixture_fill(a, 20, 7);
    void *b = cutback_alloc(arena, 10, 1);
    unsigned char *moved = cutback_realloc(arena, a, 20, 30, 1);
    fixture_expect(moved, 20, 7);
    assert_stat(arena, forgotten_frees, 1);
    cutback_free(arena, moved, 30);
    assert_used(arena, 30);
    cutback_free(arena, b, 10);
    assert_used(arena, 0);
}

/* ---- alignment ---- */

static void the_block_on_top_slides_up_to_a_larger_alignment(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 4, 1);
    unsigned char *block = cutback_alloc(arena, 100, 4);
    fixture_fill(block, 100, 11);
    unsigned char *moved = cutback_realloc(arena, block, 100, 150, 64);
    assert_int_equal(fixture_offset(arena, moved), 64);
    fixture_expect(moved, 100, 11);
    assert_used(arena, 214);
    cutback_free(arena, moved, 150);
    assert_used(arena, 4); /* the way it slid is padding */
}

static void a_block_that_slides_may_shrink(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 4, 1);
    unsigned char *block = cutback_alloc(arena, 200, 4);
    fixture_fill(block, 200, 11);
    unsigned char *moved = cutback_realloc(arena, block, 200, 16, 64);
    assert_int_equal(fixture_offset(arena, moved), 64);
    fixture_expect(moved, 16, 11);
    assert_used(arena, 80);
}

static void a_block_that_cannot_slide_is_untouched(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(100, 4);
    cutback_alloc(arena, 4, 1);
    unsigned char *block = cutback_alloc(arena, 90, 4);
    fixture_fill(block, 90, 11);
    assert_null(cutback_realloc(arena, block, 90, 90, 64));
    fixture_expect(block, 90, 11);
    assert_used(arena, 94);
}

static void a_block_elsewhere_moves_to_a_larger_alignment(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 4, 1);
    unsigned char *a = cutback_alloc(arena, 20, 4);
    fixture_fill(a, 20, 1);
    cutback_alloc(arena, 4, 1);
    unsigned char *moved = cutback_realloc(arena, a, 20, 10, 64);
    assert_int_equal(fixture_offset(arena, moved), 64);
    fixture_expect(moved, 10, 1);
    assert_used(arena, 74);
}

static void a_smaller_alignment_moves_nothing(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 1, 1);
    void *a = cutback_alloc(arena, 20, 64);
    assert_ptr_equal(cutback_realloc(arena, a, 20, 30, 1), a);
    cutback_alloc(arena, 1, 1);
    assert_ptr_equal(cutback_realloc(arena, a, 30, 10, 2), a);
}

/* ---- the ends of the range ---- */

static void null_allocates(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    assert_ptr_equal(cutback_realloc(arena, NULL, 0, 10, 8), fixture_memory(arena));
    assert_int_equal(fixture_offset(arena, cutback_realloc(arena, NULL, 99, 10, 8)), 16);
}

static void an_empty_block_grows_by_allocating(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    void *empty = cutback_alloc(arena, 0, 8);
    assert_ptr_equal(cutback_realloc(arena, empty, 0, 10, 8), fixture_memory(arena));
    assert_used(arena, 10);
}

static void size_0_frees(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    void *block = cutback_alloc(arena, 10, 8);
    void *empty = cutback_realloc(arena, block, 10, 0, 64);
    assert_non_null(empty);
    assert_int_equal((uintptr_t)empty % 64, 0);
    assert_used(arena, 0);
    assert_non_null(cutback_realloc(arena, NULL, 0, 0, 8));
    assert_used(arena, 0);
}

static void an_impossible_alignment_leaves_the_block_alone(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    void *block = cutback_alloc(arena, 10, 8);
    assert_null(cutback_realloc(arena, block, 10, 20, 0));
    assert_null(cutback_realloc(arena, block, 10, 20, 12));
    assert_null(cutback_realloc(arena, block, 10, 0, 12));
    assert_null(cutback_realloc(arena, block, 10, 20, SIZE_MAX / 2 + 1));
    assert_used(arena, 10);
    assert_stat(arena, live_blocks, 1);
}

static void what_is_no_live_block_is_refused(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    unsigned char *a = cutback_alloc(arena, 10, 8);
    cutback_alloc(arena, 10, 8);
    cutback_free(arena, a, 10);
    unsigned char elsewhere[8] = {0};
    assert_null(cutback_realloc(arena, a, 10, 5, 1));
    assert_null(cutback_realloc(arena, a + 17, 1, 5, 1));
    assert_null(cutback_realloc(arena, fixture_memory(arena) + 100, 1, 5, 1));
    assert_null(cutback_realloc(arena, elsewhere, 8, 16, 1));
    assert_used(arena, 26);
    assert_stat(arena, failed_requests, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_block_on_top_grows_in_place),
        cmocka_unit_test(the_block_on_top_grows_to_the_last_byte),
        cmocka_unit_test(the_block_on_top_shrinks_in_place),
        cmocka_unit_test(the_block_on_top_that_cannot_grow_is_untouched),
        cmocka_unit_test(the_padding_stays_with_a_resized_block),
        cmocka_unit_test(a_forgotten_block_at_the_cursor_is_on_top),
        cmocka_unit_test(the_same_size_changes_nothing),
        cmocka_unit_test(a_dead_block_beneath_comes_back_after_a_resize),
        cmocka_unit_test(a_block_elsewhere_shrinks_where_it_is),
        cmocka_unit_test(what_was_cut_off_elsewhere_comes_back_when_it_is_on_top),
        cmocka_unit_test(a_block_elsewhere_grows_by_moving),
        cmocka_unit_test(a_block_elsewhere_that_cannot_move_is_untouched),
        cmocka_unit_test(moving_a_forgotten_block_counts_its_free),
        cmocka_unit_test(the_block_on_top_slides_up_to_a_larger_alignment),
        cmocka_unit_test(a_block_that_slides_may_shrink),
        cmocka_unit_test(a_block_that_cannot_slide_is_untouched),
        cmocka_unit_test(a_block_elsewhere_moves_to_a_larger_alignment),
        cmocka_unit_test(a_smaller_alignment_moves_nothing),
        cmocka_unit_test(null_allocates),
        cmocka_unit_test(an_empty_block_grows_by_allocating),
        cmocka_unit_test(size_0_frees),
        cmocka_unit_test(an_impossible_alignment_leaves_the_block_alone),
        cmocka_unit_test(what_is_no_live_block_is_refused),
    };
    return cmocka_run_group_tests_name("arena: realloc", tests, NULL, NULL);
}
