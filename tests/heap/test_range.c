/*
 * Ranges: whatever lies behind the heap, it grows, in few ranges and few mappings.
 *
 * Layer:     tests.
 * Threading: none; each test is a process of its own, so that its heap is a new one.
 */
#include "child.h"

#include "heap/pages.h"
#include "heap/range.h"

#include <stdio.h>
#include <sys/mman.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define REACH (BED_SANITIZED ? 2 * GIB : 16 * GIB) /* bytes that must be had, in any case */

static uintptr_t newest_end(void) {
    const struct cb_range *newest = &cb_ranges[atomic_load(&cb_range_count) - 1];
    return atomic_load(&newest->start) + atomic_load(&newest->size);
}

/* Puts a page right behind the newest range, unless one is there. */
static void block_growth(void) {
    mmap((void *)newest_end(), 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

/* Allocates objects of a size, and blocks the heap's end after each time that it has grown. */
static void blocked_with(size_t size) {
    size_t before = fixture_mappings(), got = 0, total = 0;
    cb_free(cb_malloc(1));
    for (; got < REACH; got += size) {
        if (cb_range_total() != total) {
            total = cb_range_total();
            block_growth();
        }
        unsigned char *p = cb_malloc(size);
        if (p == NULL) {
            print_error("no more than %zu MiB, in %u ranges\n", got / MIB, atomic_load(&cb_range_count));
        }
        DEMAND(p != NULL);
        DEMAND(cb_range_owns((uintptr_t)p) && cb_range_owns((uintptr_t)p + size - 1));
        if (got % (64 * MIB) == 0) {
            p[size - 1] = 1;
        }
        if (got % (512 * MIB) == 0 && !BED_SANITIZED) {
            cb_free(cb_realloc(cb_malloc(size), size * 2)); /* and everything else goes on */
        }
    }
    /* a range is three mappings, and there is ours behind each */
    DEMAND(fixture_mappings() <= before + 4 * (size_t)atomic_load(&cb_range_count) + 8);
    DEMAND(atomic_load(&cb_range_count) <= 32);
    const char *wrong = cb_heap_check();
    demand(wrong == NULL, wrong);
}

static void blocked_with_large_objects(void) {
    blocked_with(MIB);
}

static void blocked_with_objects_of_100_kib(void) {
    blocked_with(100 * KIB);
}

/* Only once, right at the start: the range at the next place grows as the first would have. */
static void blocked_once(void) {
    cb_free(cb_malloc(1));
    block_growth();
    for (size_t got = 0; got < REACH; got += 4 * MIB) {
        DEMAND(cb_malloc(4 * MIB) != NULL);
    }
    DEMAND(atomic_load(&cb_range_count) == 2);
}

static void the_heap_grows_around_what_is_put_at_its_end(void **state) {
    (void)state;
    in_child(blocked_with_large_objects);
    in_child(blocked_with_objects_of_100_kib);
}

static void what_lies_behind_once_costs_one_range(void **state) {
    (void)state;
    in_child(blocked_once);
}

/* Objects in all of many ranges are objects: resized, freed, told from what is none. */
static void objects_of_further_ranges(void) {
    enum { OBJECTS = 2000 };
    static unsigned char *object[OBJECTS];
    size_t total = 0;
    for (size_t i = 0; i < OBJECTS; i++) {
        if (cb_range_total() != total) {
            total = cb_range_total();
            block_growth();
        }
        size_t size = 40 + i * i % 300000;
        object[i] = cb_malloc(size);
        DEMAND(object[i] != NULL);
        fixture_fill(object[i], size, (unsigned char)i);
    }
    DEMAND(atomic_load(&cb_range_count) >= 8);
    for (size_t i = 0; i < OBJECTS; i++) {
        size_t size = 40 + i * i % 300000;
        DEMAND(fixture_holds(object[i], size, (unsigned char)i));
        DEMAND(cb_malloc_usable_size(object[i]) >= size);
        object[i] = cb_realloc(object[i], size + 5000);
        DEMAND(object[i] != NULL && fixture_holds(object[i], size, (unsigned char)i));
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        cb_free(object[i * 7 % OBJECTS]);
    }
    const char *wrong = cb_heap_check();
    demand(wrong == NULL, wrong);
    struct cb_pages_totals totals;
    cb_malloc_trim(0);
    cb_pages_totals(&totals);
    DEMAND(totals.mapped - totals.free < 4 * MIB);
}

static void objects_of_further_ranges_are_objects(void **state) {
    (void)state;
    in_child(objects_of_further_ranges);
}

/* Where little is left, a further range is as small as need be. */
static void little_left(void) {
    for (size_t left = 64 * MIB; left >= 2 * MIB; left /= 2) {
        cb_free(cb_malloc(1));
        block_growth();
        cb_os_assume(2, left + left / 8);
        void *p = cb_malloc(left - MIB);
        DEMAND(p != NULL);
        int calls = cb_os_calls();
        DEMAND(cb_malloc(512 * MIB) == NULL);
        DEMAND(cb_os_calls() - calls <= 8); /* and being refused does not take many calls */
        cb_os_assume(-1, 0);
        block_growth();
    }
}

static void where_little_is_left_a_range_is_small(void **state) {
    (void)state;
    in_child(little_left);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_heap_grows_around_what_is_put_at_its_end),
        cmocka_unit_test(what_lies_behind_once_costs_one_range),
        cmocka_unit_test(objects_of_further_ranges_are_objects),
        cmocka_unit_test(where_little_is_left_a_range_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
