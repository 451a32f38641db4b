/*
 * An arena of more than 4 GiB: its blocks take two slots each, and behave like those of a small one. Skipped (status
 * 77) where there are no such addresses, and with AddressSanitizer, which would write half a gigabyte about it.
 *
 * Layer: tests. Threading: none.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "fixture.h"

#if SIZE_MAX > UINT32_MAX && !defined(CB_HOOK_ASAN)
static const size_t wide_size = (size_t)5 << 30;
static unsigned char *wide_memory;
static cutback_slot wide_ring[9];

static void a_wide_arena_remembers_a_block_for_every_two_slots(void **state) {
    (void)state;
    cutback_arena arena = {0};
    void *blocks[6];
    assert_true(cutback_init(&arena, wide_memory, wide_size, wide_ring, 9));
    for (size_t i = 0; i < 6; i++)
        blocks[i] = cutback_alloc(&arena, (size_t)700 << 20, 4096);
    assert_int_equal(fixture_known(&arena), 4);
    assert_used(&arena, (size_t)4200 << 20);
    cutback_free(&arena, blocks[4], (size_t)700 << 20);
    cutback_free(&arena, blocks[2], (size_t)700 << 20);
    cutback_free(&arena, blocks[5], (size_t)700 << 20);
    assert_used(&arena, (size_t)2800 << 20);
    cutback_free(&arena, blocks[3], (size_t)700 << 20);
    assert_used(&arena, (size_t)1400 << 20);
    cutback_free(&arena, blocks[1], (size_t)700 << 20);
    assert_int_equal(cutback_get_stats(&arena).forgotten_frees, 1);
    cutback_free(&arena, blocks[0], (size_t)700 << 20);
    assert_used(&arena, 0);
    assert_int_equal(cutback_get_stats(&arena).peak, (size_t)4200 << 20);
}

static void blocks_above_4_gib_are_written_and_resized(void **state) {
    (void)state;
    cutback_arena arena = {0};
    assert_true(cutback_init(&arena, wide_memory, wide_size, wide_ring, 9));
    assert_non_null(cutback_alloc(&arena, (size_t)4 << 30, 1));
    cutback_mark mark = cutback_mark_set(&arena);
    unsigned char *block = cutback_alloc(&arena, 100, 64);
    fixture_fill(block, 100, 7);
    assert_ptr_equal(cutback_realloc(&arena, block, 100, 5000, 64), block);
    fixture_expect(block, 100, 7);
    assert_null(cutback_alloc(&arena, (size_t)1 << 30, 1));
    assert_true(cutback_reset(&arena, mark));
    assert_used(&arena, (size_t)4 << 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wide_arena_remembers_a_block_for_every_two_slots),
        cmocka_unit_test(blocks_above_4_gib_are_written_and_resized),
    };
    wide_memory =
        mmap(NULL, wide_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (wide_memory == MAP_FAILED) {
        puts("skipped: no room for 5 GiB of addresses");
        return 77;
    }
    return cmocka_run_group_tests_name("arena: wide", tests, NULL, NULL);
}
#else
int main(void) {
    puts("skipped: no addresses for it, or AddressSanitizer");
    return 77;
}
#endif
