/*
 * Allocation: where blocks lie, and which requests are refused.
 *
 * Layer: tests. Threading: none.
 */
#include "fixture.h"

static void blocks_follow_each_other(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 8);
    assert_int_equal(fixture_offset(arena, cutback_alloc(arena, 3, 1)), 0);
    assert_int_equal(fixture_offset(arena, cutback_alloc(arena, 5, 1)), 3);
    assert_used(arena, 8);
    assert_int_equal(cutback_remaining(arena), 248);
}

static void padding_comes_before_the_block(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 8);
    cutback_alloc(arena, 1, 1);
    assert_int_equal(fixture_offset(arena, cutback_alloc(arena, 4, 64)), 64);
    assert_used(arena, 68);
}

static void every_power_of_two_is_an_alignment(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(4096, 8);
    for (size_t align = 1; align <= 1024; align *= 2) {
        void *block = cutback_alloc(arena, 1, align);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % align, 0);
    }
}

static void alignment_is_of_the_address_not_of_the_offset(void **state) {
    (void)state;
    static _Alignas(64) unsigned char memory[128];
    cutback_slot ring[2];
    cutback_arena arena = {0};
    assert_true(cutback_init(&arena, memory + 1, 127, ring, 2));
    assert_ptr_equal(cutback_alloc(&arena, 8, 16), memory + 16);
    assert_used(&arena, 23);
    cb_hook_show(memory, sizeof memory);
}

static void a_request_may_fill_the_arena_to_the_last_byte(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(100, 8);
    assert_non_null(cutback_alloc(arena, 100, 1));
    assert_int_equal(cutback_remaining(arena), 0);
    assert_null(cutback_alloc(arena, 1, 1));
}

static void a_request_one_byte_too_large_changes_nothing(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(100, 8);
    cutback_alloc(arena, 10, 1);
    assert_null(cutback_alloc(arena, 91, 1));
    assert_used(arena, 10);
    assert_stat(arena, live_blocks, 1);
    assert_non_null(cutback_alloc(arena, 90, 1));
}

static void a_request_whose_padding_does_not_fit_is_refused(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(100, 8);
    cutback_alloc(arena, 65, 1);
    assert_null(cutback_alloc(arena, 1, 64));
    assert_used(arena, 65);
}

static void a_request_that_wraps_around_is_refused(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(100, 8);
    cutback_alloc(arena, 1, 1);
    assert_null(cutback_alloc(arena, SIZE_MAX, 1));
    assert_null(cutback_alloc(arena, SIZE_MAX - 8, 16));
    assert_null(cutback_alloc(arena, SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 1));
    assert_null(cutback_alloc(arena, 1, SIZE_MAX / 2 + 1));
    assert_used(arena, 1);
}

static void an_alignment_that_is_no_power_of_two_is_refused(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(100, 8);
    assert_null(cutback_alloc(arena, 8, 0));
    assert_null(cutback_alloc(arena, 8, 3));
    assert_null(cutback_alloc(arena, 8, 24));
    assert_null(cutback_alloc(arena, 8, SIZE_MAX));
    assert_null(cutback_alloc(arena, 0, 3));
    assert_used(arena, 0);
}

static void size_0_gives_an_aligned_pointer_and_touches_nothing(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(100, 2);
    cutback_alloc(arena, 10, 1);
    cutback_arena copy = *arena;
    for (size_t align = 1; align <= 4096; align *= 2) {
        void *empty = cutback_alloc(arena, 0, align);
        assert_non_null(empty);
        assert_int_equal((uintptr_t)empty % align, 0);
    }
    assert_unchanged(arena, &copy);
}

static void size_0_is_met_by_a_full_arena(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(8, 2);
    cutback_alloc(arena, 8, 1);
    assert_non_null(cutback_alloc(arena, 0, 64));
}

static void two_arenas_do_not_know_each_other(void **state) {
    (void)state;
    static unsigned char memory[64];
    cutback_arena other = {0};
    cutback_arena *arena = fixture_make(64, 2);
    assert_true(cutback_init(&other, memory, sizeof memory, NULL, 0));
    void *block = cutback_alloc(&other, 8, 1);
    assert_false(cutback_owns(arena, block));
    assert_true(cutback_owns(&other, block));
    assert_used(arena, 0);
    cb_hook_show(memory, sizeof memory);
}

static void calloc_clears_memory_that_was_used(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(64, 2);
    unsigned char *block = cutback_alloc(arena, 64, 1);
    memset(block, 0xFF, 64);
    cutback_free(arena, block, 64);
    block = cutback_calloc(arena, 8, 8, 8);
    assert_non_null(block);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(block[i], 0);
}

static void calloc_refuses_a_product_that_overflows(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(64, 2);
    const size_t half = (size_t)1 << (sizeof(size_t) * CHAR_BIT / 2);
    assert_null(cutback_calloc(arena, half, half, 1));
    assert_null(cutback_calloc(arena, half + 1, half, 1)); /* wraps to something small */
    assert_null(cutback_calloc(arena, SIZE_MAX, 2, 1));
    assert_null(cutback_calloc(arena, 2, SIZE_MAX / 2 + 1, 1));
    assert_null(cutback_calloc(arena, SIZE_MAX / 2 + 2, 2, 1)); /* wraps to 2 */
    assert_null(cutback_calloc(arena, SIZE_MAX / 3 + 1, 3, 1)); /* wraps to 2 or so */
    assert_null(cutback_calloc(arena, SIZE_MAX, 1, 1));
    assert_used(arena, 0);
    assert_stat(arena, failed_requests, 7);
}

static void calloc_multiplies(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(4096, 2);
    for (size_t count = 1; count < 60; count++)
        for (size_t size = 1; size < 60; size += 7) {
            void *block = cutback_calloc(arena, count, size, 1);
            assert_used(arena, count * size);
            cutback_free(arena, block, count * size);
        }
}

static void calloc_of_nothing_is_an_empty_block(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(64, 2);
    assert_non_null(cutback_calloc(arena, 0, 8, 16));
    assert_non_null(cutback_calloc(arena, 8, 0, 16));
    assert_non_null(cutback_calloc(arena, SIZE_MAX, 0, 16));
    assert_null(cutback_calloc(arena, 0, 8, 6));
    assert_used(arena, 0);
}

/* Compilers must not take for granted that a block is no part of an object they know. */
static void a_block_is_part_of_the_memory(void **state) {
    (void)state;
    static unsigned char memory[64];
    cutback_slot ring[2];
    cutback_arena arena = {0};
    assert_true(cutback_init(&arena, memory, sizeof memory, ring, 2));
    unsigned char *block = cutback_alloc(&arena, 64, 1);
    bool same = block == memory;
    assert_true(same);
    memory[5] = 1;
    block[5] = 2;
    assert_int_equal(memory[5], 2);
    cutback_free(&arena, block, 64);
    cb_hook_show(memory, sizeof memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_part_of_the_memory),
        cmocka_unit_test(blocks_follow_each_other),
        cmocka_unit_test(padding_comes_before_the_block),
        cmocka_unit_test(every_power_of_two_is_an_alignment),
        cmocka_unit_test(alignment_is_of_the_address_not_of_the_offset),
        cmocka_unit_test(a_request_may_fill_the_arena_to_the_last_byte),
        cmocka_unit_test(a_request_one_byte_too_large_changes_nothing),
        cmocka_unit_test(a_request_whose_padding_does_not_fit_is_refused),
        cmocka_unit_test(a_request_that_wraps_around_is_refused),
        cmocka_unit_test(an_alignment_that_is_no_power_of_two_is_refused),
        cmocka_unit_test(size_0_gives_an_aligned_pointer_and_touches_nothing),
        cmocka_unit_test(size_0_is_met_by_a_full_arena),
        cmocka_unit_test(two_arenas_do_not_know_each_other),
        cmocka_unit_test(calloc_clears_memory_that_was_used),
        cmocka_unit_test(calloc_refuses_a_product_that_overflows),
        cmocka_unit_test(calloc_multiplies),
        cmocka_unit_test(calloc_of_nothing_is_an_empty_block),
    };
    return cmocka_run_group_tests_name("arena: alloc", tests, NULL, NULL);
}
