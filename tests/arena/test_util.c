/*
 * The conveniences of cutback_util.h.
 *
 * Layer: tests. Threading: none.
 */
#include "fixture.h"
#include "cutback_util.h"

struct thing {
    double number;
    char letter;
};

static void an_alignment_is_that_of_the_type(void **state) {
    (void)state;
    assert_int_equal(cutback_alignment(struct thing), _Alignof(struct thing));
    assert_int_equal(cutback_alignment(char *), _Alignof(char *));
    assert_int_equal(cutback_alignment(char), 1);
}

static void one_of_a_type_is_aligned_and_as_large_as_it(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    assert_non_null(cutback_new(arena, char));
    struct thing *thing = cutback_new(arena, struct thing);
    assert_int_equal(fixture_offset(arena, thing), _Alignof(struct thing));
    assert_used(arena, _Alignof(struct thing) + sizeof *thing);
    char **pointer = cutback_new(arena, char *);
    *pointer = &thing->letter;
    cutback_free(arena, pointer, sizeof *pointer);
    cutback_free(arena, thing, sizeof *thing);
    assert_used(arena, 1);
}

static void an_array_that_overflows_is_refused(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    volatile size_t many = SIZE_MAX / sizeof(uint32_t) + 2; /* times 4 is 4 */
    uint32_t *numbers = cutback_array(arena, uint32_t, 10);
    assert_used(arena, 40);
    assert_null(cutback_array(arena, uint32_t, many));
    assert_null(cutback_array(arena, uint32_t, 100));
    assert_null(cutback_resize(arena, uint32_t, numbers, 10, many));
    assert_int_equal(cutback_get_stats(arena).failed_requests, 3);
    assert_used(arena, 40);
    assert_non_null(cutback_array(arena, uint32_t, 0));
    assert_used(arena, 40);
}

static void an_array_is_resized_with_its_content(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(256, 4);
    uint32_t *numbers = cutback_array(arena, uint32_t, 2);
    numbers[1] = 42;
    assert_ptr_equal(cutback_resize(arena, uint32_t, numbers, 2, 20), numbers);
    assert_used(arena, 80);
    assert_non_null(cutback_alloc(arena, 1, 1));
    uint32_t *moved = cutback_resize(arena, uint32_t, numbers, 20, 30);
    assert_int_equal(moved[1], 42);
    moved = cutback_resize(arena, uint32_t, NULL, 0, 3);
    assert_non_null(moved);
}

static void a_copy_is_of_all_bytes(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(64, 4);
    struct thing thing = {1.5, 'x'};
    const struct thing *copy = cutback_dup(arena, &thing, sizeof thing, cutback_alignment(struct thing));
    assert_memory_equal(copy, &thing, sizeof thing);
    assert_non_null(cutback_dup(arena, NULL, 0, 1));
    assert_null(cutback_dup(arena, fixture_memory(arena), 64, 1));
}

static void strings_are_copied_with_their_end(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(16, 4);
    const char unended[3] = {'a', 'b', 'c'};
    assert_string_equal(cutback_strdup(arena, "hello"), "hello");
    assert_used(arena, 6);
    assert_string_equal(cutback_strndup(arena, unended, 3), "abc");
    assert_string_equal(cutback_strndup(arena, "ab", 10), "ab");
    assert_string_equal(cutback_strdup(arena, ""), "");
    assert_used(arena, 14);
    assert_null(cutback_strdup(arena, "hello"));
    assert_used(arena, 14);
}

static void printf_takes_as_much_as_it_writes(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(2048, 4);
    char *line = cutback_printf(arena, "%s %d", "answer", 42);
    assert_string_equal(line, "answer 42");
    assert_used(arena, 10);
    char *wide = cutback_printf(arena, "%500d", 7);
    assert_int_equal(strlen(wide), 500);
    assert_int_equal(wide[499], '7');
    assert_used(arena, 511);
    cutback_free(arena, wide, 501);
    cutback_free(arena, line, 10);
    assert_used(arena, 0);
}

static void printf_that_does_not_fit_changes_nothing(void **state) {
    (void)state;
    cutback_arena *arena = fixture_make(20, 4);
    char *first = cutback_printf(arena, "%s", "0123456789");
    assert_null(cutback_printf(arena, "%s", "0123456789"));
    assert_null(cutback_printf(arena, "%300d", 1));
    assert_used(arena, 11);
    assert_string_equal(cutback_printf(arena, "%s", "12345678"), "12345678"); /* to the last byte */
    assert_used(arena, 20);
    assert_null(cutback_printf(arena, "%s", ""));
    assert_string_equal(first, "0123456789");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alignment_is_that_of_the_type),
        cmocka_unit_test(one_of_a_type_is_aligned_and_as_large_as_it),
        cmocka_unit_test(an_array_that_overflows_is_refused),
        cmocka_unit_test(an_array_is_resized_with_its_content),
        cmocka_unit_test(a_copy_is_of_all_bytes),
        cmocka_unit_test(strings_are_copied_with_their_end),
        cmocka_unit_test(printf_takes_as_much_as_it_writes),
        cmocka_unit_test(printf_that_does_not_fit_changes_nothing),
    };
    return cmocka_run_group_tests_name("arena: conveniences", tests, NULL, NULL);
}
