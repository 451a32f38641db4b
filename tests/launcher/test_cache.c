/*
 * test_cache.c: the reader of ld.so's cache finds what a good one lists, and reads nothing beyond the end of any.
 *
 * Each file it is given ends where a page begins that must not be touched: one byte too far is a SIGSEGV, in every
 * kind of build.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/random.h"

#define DAMAGED 20000 /* files */

static const struct {
    const char *name, *path;
    uint64_t processor;
} listed[] = {
    {"liba.so", "/best/liba.so", 1},
    {"liba.so", "/one/liba.so", 0},
    {"liba.so", "/two/liba.so", 0},
    {"libb.so.1", "/one/libb.so.1", 0},
};
#define LISTED (sizeof listed / sizeof *listed)

static unsigned char good[4096];
static size_t good_size;
static unsigned char *fence; /* room for a file before a page without access */

static void put(size_t at, uint32_t number) {
    memcpy(good + at, &number, sizeof number);
}

/* A cache as ldconfig writes it; behind an older list of so many entries where `old` is not 0. */
static void make(uint32_t old) {
    size_t start = old == 0 ? 0 : (16 + (size_t)old * 12 + 7) / 8 * 8, strings = 48 + LISTED * 24;
    memset(good, 0, sizeof good);
    if (old != 0) {
        memcpy(good, "ld.so-1.7.0", 11);
        put(12, old);
    }
    memcpy(good + start, "glibc-ld.so.cache1.1", 20);
    put(start + 20, LISTED);
    for (size_t i = 0; i < LISTED; i++) {
        size_t entry = start + 48 + i * 24;
        put(entry + 4, (uint32_t)strings);
        strcpy((char *)good + start + strings, listed[i].name);
        strings += strlen(listed[i].name) + 1;
        put(entry + 8, (uint32_t)strings);
        strcpy((char *)good + start + strings, listed[i].path);
        strings += strlen(listed[i].path) + 1;
        put(entry + 16, (uint32_t)listed[i].processor);
    }
    good_size = start + strings;
}

static int set_up(void **state) {
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = sizeof good > page ? sizeof good : page;
    unsigned char *memory =
        mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    fence = memory + room;
    return mprotect(fence, page, PROT_NONE);
}

static const char *find(size_t size, const char *name, size_t n) {
    return cb_cache_find(memcpy(fence - size, good, size), size, name, n);
}

static void test_found(void **state) {
    (void)state;
    for (uint32_t old = 0; old < 4; old++) {
        make(old);
        assert_string_equal(find(good_size, "liba.so", 0), "/one/liba.so");
        assert_string_equal(find(good_size, "liba.so", 1), "/two/liba.so");
        assert_null(find(good_size, "liba.so", 2));
        assert_string_equal(find(good_size, "libb.so.1", 0), "/one/libb.so.1");
        assert_null(find(good_size, "libb.so", 0));
        assert_null(find(good_size, "", 0));
    }
}

static void test_none(void **state) {
    (void)state;
    assert_null(cb_cache_find(NULL, 0, "liba.so", 0));
    make(0);
    good[0] = 'G';
    assert_null(find(good_size, "liba.so", 0));
}

static void test_truncated(void **state) {
    (void)state;
    for (uint32_t old = 0; old < 2; old++) {
        make(old);
        for (size_t size = 0; size < good_size; size++) {
            assert_null(find(size, "libb.so.1", 0));
        }
    }
}

static void test_damaged(void **state) {
    (void)state;
    static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    uint64_t random = 1;
    for (unsigned i = 0; i < DAMAGED; i++) {
        make(i % 3);
        for (uint64_t n = 1 + fixture_random(&random) % 8; n > 0; n--) {
            good[fixture_random(&random) % good_size] = values[fixture_random(&random) % sizeof values];
        }
        const char *path = find(good_size, "libb.so.1", 0);
        assert_true(path == NULL || path + strlen(path) < (const char *)fence);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests_name("launcher cache", tests, set_up, NULL);
}
