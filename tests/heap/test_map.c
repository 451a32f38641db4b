/*
 * The granule map: every length is written, read and erased again; dead runs are found, one by one and side by side.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

#include "heap/check.h"
#include "heap/map.h"
#include "heap/scan.h"

enum { ROOM = CB_BLOCK_GRANULES, LONGEST = CB_BLOCK_GRANULES - 1, BEFORE = 8 };

static _Alignas(CB_SCAN_BYTES) uint8_t bytes[BEFORE + ROOM + 8];
static uint8_t *const map = bytes + BEFORE;

/* As the map of a block: what a scan reads are whole words of 64 bytes. */
static _Alignas(CB_SCAN_BYTES) uint8_t block[ROOM];

static uint64_t seed = 1;

static bool all_zero(void) {
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Short ones as in the small space, others as in the medium one. */
static void begin(uint8_t *m, size_t state, size_t length) {
    if (length <= CB_LENGTH) {
        cb_map_set(m, state | length);
    } else {
        cb_map_begin_medium(m, state, length);
    }
}

static void an_object_of_every_length_has_that_length(void **state) {
    (void)state;
    static const size_t states[] = {CB_NONE, CB_LIVE, CB_PARKED};
    for (size_t length = 1; length <= LONGEST; length++) {
        for (size_t i = 0; i < 3; i++) {
            begin(map, states[i], length);
            assert_int_equal(cb_map_get(map) & CB_STATE, states[i]);
            assert_int_equal(cb_map_length(map), length);
        }
        cb_map_erase_medium(map);
        assert_int_equal(cb_map_get(map), 0);
    }
    assert_true(all_zero());
}

static void only_the_first_byte_of_an_object_looks_like_one(void **state) {
    (void)state;
    for (size_t length = 1; length <= LONGEST; length++) {
        begin(map, CB_LIVE, length);
        for (size_t i = 1; i <= 4 && i < length; i++) {
            assert_int_equal(cb_map_get(map + i) & CB_STATE, CB_NONE);
        }
        cb_map_erase_medium(map);
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

/* Objects and dead runs of the small space, up to `end`; `sparse`: of so many, one is an object. */
static void fill_block(size_t end, unsigned sparse) {
    static const size_t states[] = {CB_LIVE, CB_PARKED, CB_REMOTE};
    memset(block, 0, sizeof block);
    for (size_t at = 0, length; at < end; at += length) {
        length = 1 + fixture_random(&seed) % (fixture_random(&seed) % 2 != 0 ? CB_SMALL_GRANULES : 3);
        length = length < end - at ? length : end - at;
        if (fixture_random(&seed) % sparse == 0) {
            cb_map_set(block + at, states[fixture_random(&seed) % 3] | length);
        } else {
            cb_map_dead_tag_short(block + at, length);
        }
    }
}

/* Goes through [from, end) by scanning, and run by run. */
static void compare_scan(size_t from, size_t end, size_t limit, size_t most) {
    const uint8_t *found;
    uint8_t *m = block + from, *last = block + end;
    size_t length = 0;
    struct cb_scan scan = cb_scan_begin(m, last, block + limit);
    for (m = cb_check_find_dead(m, last); m < last; m = cb_check_find_dead(m, last)) {
        size_t whole = (size_t)(cb_map_dead_end(m, ROOM) - m), part = (size_t)(cb_map_dead_end(m, most) - m);
        found = cb_scan_next(&scan, most, &length);
        assert_ptr_equal(found, m);
        if (whole <= most) {
            assert_int_equal(length, whole);
            m += whole;
        } else {
            assert_true(length > most);
            m += part;
            scan = cb_scan_begin(m, last, block + limit);
        }
    }
    assert_null(cb_scan_next(&scan, most, &length));
}

static void a_scan_finds_the_dead_stretches_that_a_walk_finds(void **state) {
    (void)state;
    static const unsigned sparse[] = {1, 2, 5, 100};
    for (unsigned round = 0; round < 200; round++) {
        size_t limit = 1 + fixture_random(&seed) % (round % 2 != 0 ? ROOM - 1 : 300);
        fill_block(limit, sparse[round % 4]);
        for (size_t from = 0; from < limit; from += cb_map_length(block + from)) {
            if (from % 8 == 0 || from < 200) {
                size_t most = from % 3 == 0 ? 128 : fixture_random(&seed) % 300;
                compare_scan(from, from + fixture_random(&seed) % 500 % (limit - from), limit, most);
            }
        }
        compare_scan(0, limit, limit, 128);
        compare_scan(limit, limit, limit, 128);
    }
}

static void bytes_are_told_apart_alike_with_and_without_vectors(void **state) {
    (void)state;
    for (unsigned round = 0; round < 1000; round++) {
        for (unsigned i = 0; i < CB_SCAN_BYTES; i++) {
            block[i] = round < 256 ? (uint8_t)(round + i) : (uint8_t)fixture_random(&seed);
        }
        uint64_t dead = cb_scan_dead(block), used = cb_scan_used(block), remote = cb_scan_remote(block);
        assert_true(dead == cb_scan_dead_plain(block) && used == cb_scan_used_plain(block));
        assert_true(remote == cb_scan_remote_plain(block));
        for (unsigned i = 0; i < CB_SCAN_BYTES; i++) {
            assert_int_equal(dead >> i & 1, block[i] >= CB_DEAD);
            assert_int_equal(used >> i & 1, block[i] != 0);
            assert_int_equal(remote >> i & 1, (block[i] & CB_STATE) == CB_REMOTE);
        }
    }
}

static void addresses_and_places_in_the_map_belong_together(void **state) {
    (void)state;
    uintptr_t p = (uintptr_t)cb_malloc(100);
    assert_int_equal(cb_map_address(cb_map_at(p)), p);
    assert_true(p - cb_block_start(cb_block_of(p)) < CB_BLOCK_SIZE);
    cb_free((void *)p);
}

static void quads_and_places_in_the_map_belong_together(void **state) {
    (void)state;
    char *p = cb_malloc(2000);
    size_t granule = (uintptr_t)p >> CB_GRANULE_SHIFT;
    struct cb_block *around = cb_block_of((uintptr_t)p);
    uint8_t *m = cb_map_at_quad(granule), *first = cb_map_at(cb_block_start(around));
    assert_int_equal(around->space, CB_MEDIUM);
    assert_int_equal(granule % CB_QUAD_GRANULES, 0);
    assert_int_equal(cb_map_quad_granule(m), granule);
    assert_int_equal(m - first, ((uintptr_t)p - cb_block_start(around)) / 64);
    assert_ptr_equal(cb_map_of_object((uintptr_t)p), m);
    for (size_t at = 16; at < 64; at += 16) {
        assert_null(cb_map_of_object((uintptr_t)p + at));
        assert_ptr_equal(cb_map_in(around, granule + at / 16), m);
    }
    cb_free(p);
}

/* No byte of the map of such a block is that of a live small object, at whatever granule it is looked for. */
static void the_map_of_a_medium_block_shows_no_small_object(void **state) {
    (void)state;
    enum { COUNT = 300 };
    uint64_t random = fixture_seed(27);
    static void *p[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        p[i] = cb_malloc(CB_SMALL_MAX + 1 + fixture_random(&random) % (CB_MEDIUM_MAX - CB_SMALL_MAX));
    }
    for (size_t i = 0; i < COUNT; i += 2) {
        cb_free(p[i]);
    }
    cb_malloc_trim(0);
    for (size_t i = 1; i < COUNT; i += 2) {
        const struct cb_block *around = cb_block_of((uintptr_t)p[i]);
        const uint8_t *m = cb_map_at(cb_block_start(around));
        for (size_t at = 0; at < CB_BLOCK_GRANULES; at++) {
            assert_false(m[at] > CB_LIVE && m[at] <= CB_LIVE + CB_SMALL_GRANULES);
            assert_true(at < CB_BLOCK_GRANULES >> CB_QUAD_SHIFT || m[at] == 0);
        }
        cb_free(p[i]);
    }
    cb_malloc_trim(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_of_every_length_has_that_length),
        cmocka_unit_test(only_the_first_byte_of_an_object_looks_like_one),
        cmocka_unit_test(a_dead_run_of_every_length_has_it_at_both_ends),
        cmocka_unit_test(a_scan_finds_the_dead_stretches_that_a_walk_finds),
        cmocka_unit_test(bytes_are_told_apart_alike_with_and_without_vectors),
        cmocka_unit_test(addresses_and_places_in_the_map_belong_together),
        cmocka_unit_test(quads_and_places_in_the_map_belong_together),
        cmocka_unit_test(the_map_of_a_medium_block_shows_no_small_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
