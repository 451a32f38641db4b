/*
 * The granule map: every length is written, read and erased again; dead runs are found.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "bed.h"

#include "heap/map.h"

enum { ROOM = CB_BLOCK_GRANULES, LONGEST = CB_BLOCK_GRANULES - 1, BEFORE = 8 };

static _Alignas(8) uint8_t bytes[BEFORE + ROOM + 8];
static uint8_t *const map = bytes + BEFORE;

static bool all_zero(void) {
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static void an_object_of_every_length_has_that_length(void **state) {
    (void)state;
    static const size_t states[] = {CB_NONE, CB_LIVE, CB_PARKED};
    for (size_t length = 1; length <= LONGEST; length++) {
        for (size_t i = 0; i < 3; i++) {
            cb_map_begin(map, states[i], length);
            assert_int_equal(cb_map_get(map) & CB_STATE, states[i]);
            assert_int_equal(cb_map_length(map), length);
        }
        cb_map_erase(map, length);
        assert_int_equal(cb_map_get(map), 0);
    }
    assert_true(all_zero());
}

static void only_the_first_byte_of_an_object_looks_like_one(void **state) {
    (void)state;
    for (size_t length = 1; length <= LONGEST; length++) {
        cb_map_begin(map, CB_LIVE, length);
        for (size_t i = 1; i <= 4 && i < length; i++) {
            assert_int_equal(cb_map_get(map + i) & CB_STATE, CB_NONE);
        }
        cb_map_erase(map, length);
    }
}

static void a_dead_run_of_every_length_has_it_at_both_ends(void **state) {
    (void)state;
    for (size_t length = 1; length <= LONGEST; length++) {
        cb_map_dead_tag(map, length);
        assert_true(cb_map_get(map) >= CB_DEAD && cb_map_get(map + length - 1) >= CB_DEAD);
        assert_int_equal(cb_map_length(map), length);
        assert_int_equal(cb_map_dead_before(map + length - 1), length);
        for (size_t i = 1; i <= 4 && i + 1 < length; i++) {
            assert_true(cb_map_get(map + i) < CB_LIVE && cb_map_get(map + length - 1 - i) < CB_LIVE);
        }
        cb_map_dead_untag(map, length);
        assert_int_equal(cb_map_get(map), 0);
    }
    assert_true(all_zero());
}

static void a_dead_run_is_found_at_every_place(void **state) {
    (void)state;
    for (size_t at = 0; at < 200; at++) {
        for (size_t length = 1; length < 100; length += 9) {
            cb_map_dead_tag(map + at, length);
            for (size_t from = 0; from <= at; from++) {
                assert_ptr_equal(cb_map_find_dead(map + from, map + ROOM), map + at);
            }
            assert_ptr_equal(cb_map_find_dead(map, map + at), map + at);
            cb_map_dead_untag(map + at, length);
        }
    }
}

static void nothing_is_found_among_objects(void **state) {
    (void)state;
    size_t at = 0;
    for (size_t length = 1; at + length < ROOM; length++) {
        cb_map_begin(map + at, length % 2 != 0 ? CB_LIVE : CB_PARKED, length);
        at += length;
    }
    for (size_t end = 0; end < 100; end++) {
        assert_ptr_equal(cb_map_find_dead(map, map + ROOM - end), map + ROOM - end);
    }
    memset(bytes, 0, sizeof bytes);
}

static void a_dead_run_behind_the_end_is_not_found(void **state) {
    (void)state;
    cb_map_dead_tag(map + 21, 3);
    for (size_t end = 0; end <= 21; end++) {
        assert_ptr_equal(cb_map_find_dead(map, map + end), map + end);
    }
    memset(bytes, 0, sizeof bytes);
}

static void addresses_and_places_in_the_map_belong_together(void **state) {
    (void)state;
    uintptr_t p = (uintptr_t)cb_malloc(100);
    assert_int_equal(cb_map_address(cb_map_at(p)), p);
    assert_true(p - cb_block_start(cb_block_of(p)) < CB_BLOCK_SIZE);
    cb_free((void *)p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_of_every_length_has_that_length),
        cmocka_unit_test(only_the_first_byte_of_an_object_looks_like_one),
        cmocka_unit_test(a_dead_run_of_every_length_has_it_at_both_ends),
        cmocka_unit_test(a_dead_run_is_found_at_every_place),
        cmocka_unit_test(nothing_is_found_among_objects),
        cmocka_unit_test(a_dead_run_behind_the_end_is_not_found),
        cmocka_unit_test(addresses_and_places_in_the_map_belong_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
