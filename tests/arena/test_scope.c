/*
 * Scopes: what a mark protects, and what reset and commit leave.
 *
 * Layer: tests. Threading: none.
 */
#include "fixture.h"

/* ---- reset ---- */

static void reset_gives_back_all_since_the_mark(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    unsigned char *older = cutback_alloc(arena, 10, 1);
    fixture_fill(older, 10, 1);
    cutback_mark mark = cutback_mark_set(arena);
    for (int i = 0; i < 10; i++)
        cutback_alloc(arena, 10, 8);
    assert_true(cutback_reset(arena, mark));
    assert_used(arena, 10);
    assert_stat(arena, live_blocks, 1);
    fixture_expect(older, 10, 1);
}

static void reset_of_an_empty_scope_changes_nothing_else(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 10, 1);
    cutback_mark mark = cutback_mark_set(arena);
    assert_true(cutback_reset(arena, mark));
    assert_used(arena, 10);
    assert_stat(arena, rewinds, 0);
}

static void reset_takes_older_dead_blocks_back_too(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 8);
    cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    void *c = cutback_alloc(arena, 10, 1);
    cutback_mark mark = cutback_mark_set(arena);
    cutback_alloc(arena, 10, 1);
    cutback_free(arena, c, 10);
    cutback_free(arena, b, 10);
    assert_used(arena, 40);
    assert_true(cutback_reset(arena, mark));
    assert_used(arena, 10);
}

static void reset_falls_back_when_everything_older_died(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 1);
    void *a = cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_mark mark = cutback_mark_set(arena);
    cutback_alloc(arena, 10, 1);
    cutback_alloc(arena, 10, 1); /* by now the ring has forgotten a and b */
    cutback_free(arena, a, 10);
    cutback_free(arena, b, 10);
    assert_stat(arena, forgotten_frees, 2);
    assert_true(cutback_reset(arena, mark));
    assert_used(arena, 0);
}

static void reset_never_raises_the_cursor(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 10, 1);
    cutback_mark mark = cutback_mark_set(arena);
    void *inside = cutback_alloc(arena, 10, 1);
    cutback_free(arena, inside, 10);
    assert_used(arena, 10);
    assert_true(cutback_reset(arena, mark));
    assert_used(arena, 10);
}

static void blocks_of_before_the_mark_are_remembered_after_a_reset(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_mark mark = cutback_mark_set(arena);
    cutback_alloc(arena, 10, 1);
    cutback_reset(arena, mark);
    cutback_free(arena, b, 10);
    assert_used(arena, 10);
}

/* ---- while it is open ---- */

static void nothing_older_is_rewound_while_a_scope_is_open(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    void *a = cutback_alloc(arena, 10, 1);
    cutback_mark mark = cutback_mark_set(arena);
    cutback_free(arena, a, 10);
    assert_used(arena, 10);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_free(arena, b, 10);
    assert_used(arena, 10);
    assert_true(cutback_reset(arena, mark));
    assert_used(arena, 0);
}

static void a_second_free_of_an_older_block_is_ignored_and_counted(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_mark mark = cutback_mark_set(arena);
    cutback_free(arena, b, 10);
    cutback_free(arena, b, 10);
    assert_stat(arena, double_frees, 1);
    cutback_reset(arena, mark);
    assert_used(arena, 10);
}

static void the_last_live_block_of_a_scope_takes_the_scope_with_it(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 1);
    cutback_alloc(arena, 10, 1);
    cutback_mark_set(arena);
    void *b = cutback_alloc(arena, 10, 32);
    void *c = cutback_alloc(arena, 10, 32);
    cutback_free(arena, c, 10);
    assert_used(arena, 42);
    cutback_free(arena, b, 10);
    assert_used(arena, 10);
}

static void without_slots_a_scope_falls_back_to_its_start(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 0);
    void *a = cutback_alloc(arena, 10, 1);
    cutback_mark mark = cutback_mark_set(arena);
    void *b = cutback_alloc(arena, 10, 1);
    void *c = cutback_alloc(arena, 10, 1);
    cutback_free(arena, c, 10);
    assert_used(arena, 30);
    cutback_free(arena, b, 10);
    assert_used(arena, 10);
    cutback_free(arena, a, 10);
    assert_used(arena, 10);
    assert_true(cutback_reset(arena, mark));
    assert_used(arena, 0);
}

static void an_older_block_at_the_cursor_is_not_on_top(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    unsigned char *a = cutback_alloc(arena, 20, 1);
    fixture_fill(a, 20, 3);
    cutback_mark mark = cutback_mark_set(arena);
    assert_ptr_equal(cutback_realloc(arena, a, 20, 15, 1), a);
    assert_used(arena, 20); /* shrank where it is */
    unsigned char *moved = cutback_realloc(arena, a, 15, 30, 1);
    assert_int_equal(fixture_offset(arena, moved), 20); /* grew by moving into the scope */
    fixture_expect(moved, 15, 3);
    assert_used(arena, 50);
    assert_true(cutback_commit(arena, mark));
    cutback_free(arena, moved, 30);
    assert_used(arena, 0);
}

static void an_older_forgotten_block_at_the_cursor_is_not_on_top(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 0);
    void *a = cutback_alloc(arena, 20, 1);
    cutback_mark_set(arena);
    assert_int_equal(fixture_offset(arena, cutback_realloc(arena, a, 20, 30, 1)), 20);
    assert_used(arena, 50);
}

static void a_block_moved_into_a_scope_goes_with_it(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    void *a = cutback_alloc(arena, 20, 1);
    cutback_mark mark = cutback_mark_set(arena);
    assert_non_null(cutback_realloc(arena, a, 20, 30, 1));
    assert_true(cutback_reset(arena, mark));
    assert_used(arena, 0);
    assert_stat(arena, live_blocks, 0);
}

/* ---- commit ---- */

static void commit_keeps_what_was_allocated(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    void *a = cutback_alloc(arena, 10, 1);
    cutback_mark mark = cutback_mark_set(arena);
    unsigned char *b = cutback_alloc(arena, 10, 1);
    fixture_fill(b, 10, 9);
    assert_true(cutback_commit(arena, mark));
    fixture_expect(b, 10, 9);
    assert_used(arena, 20);
    cutback_free(arena, a, 10);
    cutback_free(arena, b, 10);
    assert_used(arena, 0);
}

static void committed_blocks_count_for_the_enclosing_scope(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 0);
    void *a = cutback_alloc(arena, 10, 1);
    cutback_mark mark = cutback_mark_set(arena);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_commit(arena, mark);
    cutback_free(arena, a, 10);
    assert_used(arena, 20); /* b is live */
    cutback_free(arena, b, 10);
    assert_used(arena, 0);
}

static void commit_takes_uncovered_dead_blocks_back(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 10, 1);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_mark mark = cutback_mark_set(arena);
    void *c = cutback_alloc(arena, 10, 1);
    cutback_free(arena, b, 10);
    cutback_free(arena, c, 10);
    assert_used(arena, 20);
    assert_true(cutback_commit(arena, mark));
    assert_used(arena, 10);
}

static void commit_falls_back_when_nothing_is_live(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 0);
    void *a = cutback_alloc(arena, 10, 1);
    cutback_mark mark = cutback_mark_set(arena);
    cutback_free(arena, a, 10);
    assert_used(arena, 10);
    assert_true(cutback_commit(arena, mark));
    assert_used(arena, 0);
}

/* ---- scopes in scopes ---- */

static void scopes_nest(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 8);
    cutback_mark outer = cutback_mark_set(arena);
    cutback_alloc(arena, 10, 1);
    cutback_mark inner = cutback_mark_set(arena);
    cutback_alloc(arena, 10, 1);
    assert_true(cutback_reset(arena, inner));
    assert_used(arena, 10);
    assert_true(cutback_reset(arena, outer));
    assert_used(arena, 0);
}

static void a_block_counts_for_the_scope_that_it_was_allocated_in(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 0);
    void *outermost = cutback_alloc(arena, 10, 1);
    cutback_mark outer = cutback_mark_set(arena);
    void *b = cutback_alloc(arena, 10, 1);
    cutback_mark middle = cutback_mark_set(arena);
    cutback_mark inner = cutback_mark_set(arena); /* at the same place */
    void *d = cutback_alloc(arena, 10, 1);
    cutback_free(arena, b, 10);
    assert_used(arena, 30);
    cutback_free(arena, d, 10);
    assert_used(arena, 20);
    assert_true(cutback_reset(arena, inner));
    assert_used(arena, 20); /* b is in the scope of outer, not of middle */
    assert_true(cutback_commit(arena, middle));
    assert_used(arena, 10);
    cutback_free(arena, outermost, 10);
    assert_used(arena, 10);
    assert_true(cutback_commit(arena, outer));
    assert_used(arena, 0);
}

static void reset_of_an_outer_mark_ends_the_inner_ones(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 8);
    cutback_alloc(arena, 5, 1);
    cutback_mark outer = cutback_mark_set(arena);
    cutback_alloc(arena, 10, 1);
    cutback_mark inner = cutback_mark_set(arena);
    cutback_alloc(arena, 10, 1);
    cutback_mark innermost = cutback_mark_set(arena);
    cutback_alloc(arena, 10, 1);
    assert_true(cutback_reset(arena, outer));
    assert_used(arena, 5);
    assert_stat(arena, live_blocks, 1);
    cutback_arena copy = *arena;
    assert_false(cutback_reset(arena, innermost));
    assert_false(cutback_reset(arena, inner));
    assert_false(cutback_commit(arena, inner));
    assert_unchanged(arena, &copy);
}

static void commit_of_an_outer_mark_ends_the_inner_ones(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 0);
    cutback_mark outer = cutback_mark_set(arena);
    void *a = cutback_alloc(arena, 10, 1);
    cutback_mark inner = cutback_mark_set(arena);
    void *b = cutback_alloc(arena, 10, 1);
    assert_true(cutback_commit(arena, outer));
    assert_used(arena, 20);
    assert_false(cutback_reset(arena, inner));
    assert_false(cutback_commit(arena, inner));
    cutback_free(arena, b, 10);
    assert_used(arena, 20);
    cutback_free(arena, a, 10);
    assert_used(arena, 0);
}

/* ---- marks ---- */

static void a_mark_is_good_for_once(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_mark mark = cutback_mark_set(arena);
    cutback_mark twin = mark;
    assert_true(cutback_reset(arena, mark));
    cutback_alloc(arena, 10, 1);
    cutback_arena copy = *arena;
    assert_false(cutback_reset(arena, mark));
    assert_false(cutback_commit(arena, mark));
    assert_false(cutback_reset(arena, twin));
    assert_unchanged(arena, &copy);
}

static void an_old_mark_is_refused_although_a_new_one_looks_alike(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_mark old = cutback_mark_set(arena);
    cutback_reset(arena, old);
    cutback_mark fresh = cutback_mark_set(arena); /* same depth, same cursor */
    cutback_alloc(arena, 10, 1);
    assert_false(cutback_reset(arena, old));
    assert_false(cutback_commit(arena, old));
    assert_used(arena, 10);
    assert_true(cutback_reset(arena, fresh));
}

static void an_old_mark_is_refused_under_deeper_ones(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_mark first = cutback_mark_set(arena);
    cutback_commit(arena, first);
    cutback_mark second = cutback_mark_set(arena);
    cutback_mark third = cutback_mark_set(arena);
    assert_false(cutback_reset(arena, first));
    assert_true(cutback_reset(arena, third));
    assert_true(cutback_reset(arena, second));
}

/* Of the minimal arena it is refused where its number or depth is another. */
static void a_mark_of_another_arena_is_refused(void **state) {
    (void)state;
    static unsigned char memory[64];
    cutback_arena other = {0};
    cutback_arena *arena = fixture_make(256, 4);
    assert_true(cutback_init(&other, memory, sizeof memory, NULL, 0));
    cutback_mark mine = cutback_mark_set(arena);
#if defined(CUTBACK_MINIMAL)
    assert_true(cutback_reset(&other, cutback_mark_set(&other)));
#endif
    cutback_mark theirs = cutback_mark_set(&other); /* the first one, too */
    cutback_alloc(arena, 10, 1);
    assert_false(cutback_reset(arena, theirs));
    assert_false(cutback_commit(arena, theirs));
    assert_used(arena, 10);
    assert_true(cutback_reset(arena, mine));
    cb_hook_show(memory, sizeof memory);
}

static void a_zeroed_mark_is_refused(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_mark none = {0};
    assert_false(cutback_reset(arena, none));
    assert_false(cutback_commit(arena, none));
    assert_false(cutback_reset(arena, fixture_forged(arena)));
}

static void a_mark_of_before_a_second_init_is_refused(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_mark old = cutback_mark_set(arena);
    assert_true(cutback_init(arena, fixture_memory(arena), 256, arena->ring, 4));
    cutback_mark fresh = cutback_mark_set(arena);
    cutback_alloc(arena, 10, 1);
    assert_false(cutback_reset(arena, old));
    assert_true(cutback_reset(arena, fresh));
}

#if defined(CUTBACK_MINIMAL)
static void a_scope_too_many_is_refused_and_changes_nothing(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_mark marks[CUTBACK_SCOPES];
    for (size_t i = 0; i < CUTBACK_SCOPES; i++) {
        marks[i] = cutback_mark_set(arena);
        assert_non_null(cutback_alloc(arena, 10, 1));
    }
    cutback_arena copy = *arena;
    cutback_mark beyond = cutback_mark_set(arena);
    assert_unchanged(arena, &copy);
    assert_false(cutback_mark_open(arena, beyond));
    assert_false(cutback_reset(arena, beyond));
    assert_false(cutback_commit(arena, beyond));
    assert_used(arena, 10 * CUTBACK_SCOPES);
    for (size_t i = CUTBACK_SCOPES; i-- != 0;) {
        assert_true(cutback_reset(arena, marks[i]));
        assert_used(arena, 10 * i);
    }
    assert_true(cutback_mark_open(arena, cutback_mark_set(arena)));
}
#else
static void scopes_nest_without_end(void **state) {
    (void)state;
    enum { DEPTH = CUTBACK_SCOPES + 40 };
    cutback_arena *arena = fixture_make(4096, 4);
    cutback_mark marks[DEPTH];
    for (size_t i = 0; i < DEPTH; i++) {
        marks[i] = cutback_mark_set(arena);
        assert_non_null(cutback_alloc(arena, 10, 1));
        assert_used(arena, 10 * (i + 1));
    }
    for (size_t i = DEPTH; i-- != DEPTH / 2;) {
        assert_true(cutback_reset(arena, marks[i]));
        assert_used(arena, 10 * i);
        assert_false(cutback_reset(arena, marks[i]));
    }
    assert_true(cutback_reset(arena, marks[1]));
    assert_used(arena, 10);
    assert_int_equal(cutback_remaining(arena), 4086);
}

static void very_deep_scopes_take_room_at_the_end(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 0);
    cutback_mark first = cutback_mark_set(arena);
    for (size_t i = 1; i < CUTBACK_SCOPES; i++)
        cutback_mark_set(arena);
    assert_int_equal(cutback_remaining(arena), 256);
    cutback_mark_set(arena);
    cutback_mark_set(arena);
    assert_int_equal(cutback_remaining(arena), 256 - 2 * sizeof(cutback_scope));
    assert_used(arena, 0);
    assert_null(cutback_alloc(arena, 256 - 2 * sizeof(cutback_scope) + 1, 1));
    unsigned char *block = cutback_alloc(arena, 256 - 2 * sizeof(cutback_scope), 1);
    memset(block, 0xFF, 256 - 2 * sizeof(cutback_scope));
    assert_int_equal(cutback_remaining(arena), 0);
    assert_true(cutback_commit(arena, first));
    assert_int_equal(cutback_remaining(arena), 2 * sizeof(cutback_scope));
    assert_stat(arena, live_blocks, 1);
}

static void a_very_deep_scope_that_does_not_fit_is_not_opened(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    cutback_mark last = {0};
    cutback_alloc(arena, 240, 1);
    for (size_t i = 0; i < CUTBACK_SCOPES; i++)
        last = cutback_mark_set(arena);
    cutback_mark beyond = cutback_mark_set(arena);
    assert_stat(arena, failed_requests, 1);
    cutback_alloc(arena, 1, 1);
    assert_false(cutback_reset(arena, beyond));
    assert_used(arena, 241);
    assert_true(cutback_reset(arena, last));
    assert_used(arena, 240);
}
#endif

/* ---- scopes across functions ---- */

#if defined(CUTBACK_MINIMAL)
enum { NESTED = CUTBACK_SCOPES };
#else
enum { NESTED = CUTBACK_SCOPES + 9 };
#endif

/* Takes memory for its own use while it runs, and is handed the arena like any argument. */
static size_t scratch_user(cutback_arena *arena, size_t rest) {
    cutback_mark mark = cutback_mark_set(arena);
    unsigned char *scratch = cutback_alloc(arena, 16, 8);
    assert_non_null(scratch);
    fixture_fill(scratch, 16, (unsigned char)rest);
    size_t used = rest != 0 ? scratch_user(arena, rest - 1) : cutback_used(arena);
    fixture_expect(scratch, 16, (unsigned char)rest);
    assert_true(cutback_reset(arena, mark));
    return used;
}

static void functions_that_mark_and_reset_what_they_are_handed_nest(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(4096, 4);
    assert_non_null(cutback_alloc(arena, 8, 8));
    assert_int_equal(scratch_user(arena, NESTED - 1), 8 + 16 * NESTED);
    assert_used(arena, 8);
}

#if !defined(CB_TESTS_NO_JUMPS)
static jmp_buf scope_escape;

static void fails_deep_inside(cutback_arena *arena) {
    for (int i = 0; i < 7; i++) {
        cutback_mark_set(arena);
        assert_non_null(cutback_alloc(arena, 16, 8));
    }
    longjmp(scope_escape, 1);
}

static void an_error_path_resets_an_outer_mark(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(1024, 4);
    unsigned char *kept = cutback_alloc(arena, 20, 1);
    fixture_fill(kept, 20, 5);
    for (int i = 0; i < 3; i++) {
        cutback_mark outer = cutback_mark_set(arena);
        if (setjmp(scope_escape) == 0)
            fails_deep_inside(arena);
        assert_true(cutback_reset(arena, outer));
        assert_used(arena, 20);
    }
    fixture_expect(kept, 20, 5);
    cutback_free(arena, kept, 20);
    assert_used(arena, 0);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_that_mark_and_reset_what_they_are_handed_nest),
#if !defined(CB_TESTS_NO_JUMPS)
        cmocka_unit_test(an_error_path_resets_an_outer_mark),
#endif
        cmocka_unit_test(reset_gives_back_all_since_the_mark),
        cmocka_unit_test(reset_of_an_empty_scope_changes_nothing_else),
        cmocka_unit_test(reset_takes_older_dead_blocks_back_too),
        cmocka_unit_test(reset_falls_back_when_everything_older_died),
        cmocka_unit_test(reset_never_raises_the_cursor),
        cmocka_unit_test(blocks_of_before_the_mark_are_remembered_after_a_reset),
        cmocka_unit_test(nothing_older_is_rewound_while_a_scope_is_open),
        cmocka_unit_test(a_second_free_of_an_older_block_is_ignored_and_counted),
        cmocka_unit_test(the_last_live_block_of_a_scope_takes_the_scope_with_it),
        cmocka_unit_test(without_slots_a_scope_falls_back_to_its_start),
        cmocka_unit_test(an_older_block_at_the_cursor_is_not_on_top),
        cmocka_unit_test(an_older_forgotten_block_at_the_cursor_is_not_on_top),
        cmocka_unit_test(a_block_moved_into_a_scope_goes_with_it),
        cmocka_unit_test(commit_keeps_what_was_allocated),
        cmocka_unit_test(committed_blocks_count_for_the_enclosing_scope),
        cmocka_unit_test(commit_takes_uncovered_dead_blocks_back),
        cmocka_unit_test(commit_falls_back_when_nothing_is_live),
        cmocka_unit_test(scopes_nest),
        cmocka_unit_test(a_block_counts_for_the_scope_that_it_was_allocated_in),
        cmocka_unit_test(reset_of_an_outer_mark_ends_the_inner_ones),
        cmocka_unit_test(commit_of_an_outer_mark_ends_the_inner_ones),
        cmocka_unit_test(a_mark_is_good_for_once),
        cmocka_unit_test(an_old_mark_is_refused_although_a_new_one_looks_alike),
        cmocka_unit_test(an_old_mark_is_refused_under_deeper_ones),
        cmocka_unit_test(a_mark_of_another_arena_is_refused),
        cmocka_unit_test(a_zeroed_mark_is_refused),
        cmocka_unit_test(a_mark_of_before_a_second_init_is_refused),
#if defined(CUTBACK_MINIMAL)
        cmocka_unit_test(a_scope_too_many_is_refused_and_changes_nothing),
#else
        cmocka_unit_test(scopes_nest_without_end),
        cmocka_unit_test(very_deep_scopes_take_room_at_the_end),
        cmocka_unit_test(a_very_deep_scope_that_does_not_fit_is_not_opened),
#endif
    };
    return cmocka_run_group_tests_name("arena: scopes", tests, NULL, NULL);
}
