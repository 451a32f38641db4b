/*
 * Setting an arena up, and what an arena is that was not.
 *
 * Layer: tests. Threading: none.
 */
#include "fixture.h"

static void a_zeroed_arena_refuses_every_request(void **state) {
    (void)state;
    static cutback_arena arena;
    cutback_arena copy = arena;
    int object = 0;
    assert_null(cutback_alloc(&arena, 8, 8));
    assert_null(cutback_alloc(&arena, 0, 8));
    assert_null(cutback_calloc(&arena, 2, 8, 8));
    assert_null(cutback_realloc(&arena, NULL, 0, 8, 8));
    cutback_free(&arena, &object, sizeof object);
    assert_false(cutback_owns(&arena, &object));
    assert_false(cutback_owns(&arena, NULL));
    assert_int_equal(cutback_used(&arena), 0);
    assert_int_equal(cutback_remaining(&arena), 0);
    assert_unchanged(&arena, &copy);
}

static void a_zeroed_arena_gives_a_mark_that_it_refuses(void **state) {
    (void)state;
    static cutback_arena arena;
    cutback_mark mark = cutback_mark_set(&arena);
    assert_false(cutback_reset(&arena, mark));
    assert_false(cutback_commit(&arena, mark));
}

static void a_new_arena_is_empty(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(100, 4);
    assert_used(arena, 0);
    assert_int_equal(cutback_remaining(arena), 100);
    assert_stat(arena, used, 0);
    assert_stat(arena, peak, 0);
    assert_stat(arena, live_blocks, 0);
    assert_stat(arena, rewinds, 0);
    assert_stat(arena, forgotten_frees, 0);
    assert_stat(arena, double_frees, 0);
    assert_stat(arena, failed_requests, 0);
}

static void an_arena_on_the_stack_works(void **state) {
    (void)state;
    unsigned char memory[64];
    cutback_slot ring[2];
    cutback_arena arena = {0};
    assert_true(cutback_init(&arena, memory, sizeof memory, ring, 2));
    void *block = cutback_alloc(&arena, 64, 1);
    assert_ptr_equal(block, memory);
    assert_null(cutback_alloc(&arena, 1, 1));
    cb_hook_show(memory, sizeof memory);
}

static void an_arena_of_no_bytes_is_an_arena(void **state) {
    (void)state;
    unsigned char memory[1];
    cutback_arena arena = {0};
    assert_true(cutback_init(&arena, memory, 0, NULL, 0));
    assert_null(cutback_alloc(&arena, 1, 1));
    assert_non_null(cutback_alloc(&arena, 0, 1));
    assert_false(cutback_owns(&arena, memory));
}

static void init_refuses_what_cannot_be(void **state) {
    (void)state;
    static _Alignas(cutback_slot) unsigned char memory[256];
    cutback_slot ring[2];
    cutback_arena arena = {0};
    assert_false(cutback_init(&arena, NULL, 64, ring, 2));
    assert_false(cutback_init(&arena, NULL, 0, NULL, 0));
    assert_false(cutback_init(&arena, memory, sizeof memory, NULL, 1));
    assert_false(cutback_init(&arena, memory, SIZE_MAX, ring, 2));
    assert_false(cutback_init(&arena, memory, SIZE_MAX / 2 + 1, ring, 2));
#if !defined(CUTBACK_MINIMAL) /* which does not look at the ring */
    assert_false(cutback_init(&arena, memory, sizeof memory, ring, SIZE_MAX / 2));
#endif
    assert_null(cutback_alloc(&arena, 1, 1));
}

#if !defined(CUTBACK_MINIMAL)
static void init_refuses_a_ring_inside_the_memory(void **state) {
    (void)state;
    static _Alignas(cutback_slot) unsigned char memory[256];
    cutback_arena arena = {0};
    cutback_slot *inside = (cutback_slot *)(void *)(memory + 128);
    assert_false(cutback_init(&arena, memory, sizeof memory, inside, 2));
    assert_true(cutback_init(&arena, memory, 128, inside, 2));
    cb_hook_show(memory, sizeof memory);
}
#endif

static void a_refused_init_leaves_the_arena_not_initialised(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(128, 2);
    assert_non_null(cutback_alloc(arena, 8, 8));
    assert_false(cutback_init(arena, NULL, 128, NULL, 0));
    assert_null(cutback_alloc(arena, 8, 8));
    assert_int_equal(cutback_remaining(arena), 0);
}

static void a_second_init_starts_over(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(128, 2);
    assert_non_null(cutback_alloc(arena, 100, 1));
    assert_null(cutback_alloc(arena, 100, 1));
    assert_true(cutback_init(arena, fixture_memory(arena), 64, arena->ring, 1));
    assert_used(arena, 0);
    assert_int_equal(cutback_remaining(arena), 64);
    assert_stat(arena, live_blocks, 0);
    assert_stat(arena, failed_requests, 0);
}

static void an_arena_owns_its_memory_to_the_byte(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(100, 2);
    assert_true(cutback_owns(arena, fixture_memory(arena)));
    assert_true(cutback_owns(arena, fixture_memory(arena) + 99));
    assert_false(cutback_owns(arena, fixture_memory(arena) + 100));
    assert_false(cutback_owns(arena, fixture_memory(arena) - 1));
    assert_false(cutback_owns(arena, arena->ring));
    assert_false(cutback_owns(arena, NULL));
}

/* ---- without a call ---- */

static unsigned char declared_memory[256];
static cutback_slot declared_ring[4];
static cutback_arena declared = CUTBACK_INIT(declared_memory, declared_ring);

static void a_declared_arena_is_ready_at_its_first_use(void **state) {
    (void)state;
    assert_int_equal(cutback_used(&declared), 0);
    assert_int_equal(cutback_remaining(&declared), 256);
    assert_stat(&declared, peak, 0);
    assert_true(cutback_owns(&declared, declared_memory + 255));
    cutback_free(&declared, declared_memory, 10);
    void *block = cutback_alloc(&declared, 100, 1);
    assert_ptr_equal(block, declared_memory);
    assert_used(&declared, 100);
    cutback_free(&declared, block, 100);
    assert_used(&declared, 0);
    cb_hook_show(declared_memory, sizeof declared_memory);
}

static void a_mark_may_be_the_first_use_of_a_declared_arena(void **state) {
    (void)state;
    cutback_arena arena = CUTBACK_INIT(declared_memory, declared_ring);
    cutback_mark mark = cutback_mark_set(&arena);
    assert_non_null(cutback_alloc(&arena, 100, 1));
    assert_true(cutback_reset(&arena, mark));
    assert_used(&arena, 0);
    cb_hook_show(declared_memory, sizeof declared_memory);
}

#if !defined(CUTBACK_MINIMAL) /* there it does not link */
static void a_declared_arena_of_another_layout_is_not_initialised(void **state) {
    (void)state;
    cutback_arena arena = CUTBACK_INIT(declared_memory, declared_ring);
    arena.size -= sizeof(cutback_scope);
    assert_null(cutback_alloc(&arena, 1, 1));
    assert_false(cutback_reset(&arena, cutback_mark_set(&arena)));
}
#endif

/* ---- clear ---- */

static void clear_gives_everything_back(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 2);
    for (size_t i = 0; i < 5; i++)
        assert_non_null(cutback_alloc(arena, 10, 8));
    cutback_free(arena, fixture_memory(arena), 10);
    cutback_mark_set(arena);
    cutback_clear(arena);
    assert_used(arena, 0);
    assert_int_equal(cutback_remaining(arena), 256);
    assert_stat(arena, live_blocks, 0);
    assert_stat(arena, peak, 74);
    void *block = cutback_alloc(arena, 256, 1);
    assert_ptr_equal(block, fixture_memory(arena));
    cutback_free(arena, block, 256);
    assert_used(arena, 0);
}

static void clear_ends_every_scope(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(4096, 2);
    cutback_mark marks[CUTBACK_SCOPES + 2];
    for (size_t i = 0; i < CUTBACK_SCOPES + 2; i++)
        marks[i] = cutback_mark_set(arena);
    cutback_clear(arena);
    assert_int_equal(cutback_remaining(arena), 4096);
    for (size_t i = 0; i < CUTBACK_SCOPES + 2; i++) {
        assert_false(cutback_reset(arena, marks[i]));
        assert_false(cutback_commit(arena, marks[i]));
    }
    cutback_mark_set(arena);
    assert_false(cutback_reset(arena, marks[0]));
}

static void clear_of_an_arena_that_is_not_initialised_does_nothing(void **state) {
    (void)state;
    static cutback_arena arena;
    cutback_arena copy = arena;
    cutback_clear(&arena);
    assert_unchanged(&arena, &copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zeroed_arena_refuses_every_request),
        cmocka_unit_test(a_zeroed_arena_gives_a_mark_that_it_refuses),
        cmocka_unit_test(a_new_arena_is_empty),
        cmocka_unit_test(an_arena_on_the_stack_works),
        cmocka_unit_test(an_arena_of_no_bytes_is_an_arena),
        cmocka_unit_test(init_refuses_what_cannot_be),
#if !defined(CUTBACK_MINIMAL)
        cmocka_unit_test(init_refuses_a_ring_inside_the_memory),
        cmocka_unit_test(a_declared_arena_of_another_layout_is_not_initialised),
#endif
        cmocka_unit_test(a_refused_init_leaves_the_arena_not_initialised),
        cmocka_unit_test(a_second_init_starts_over),
        cmocka_unit_test(an_arena_owns_its_memory_to_the_byte),
        cmocka_unit_test(a_declared_arena_is_ready_at_its_first_use),
        cmocka_unit_test(a_mark_may_be_the_first_use_of_a_declared_arena),
        cmocka_unit_test(clear_gives_everything_back),
        cmocka_unit_test(clear_ends_every_scope),
        cmocka_unit_test(clear_of_an_arena_that_is_not_initialised_does_nothing),
    };
    return cmocka_run_group_tests_name("arena: init", tests, NULL, NULL);
}
