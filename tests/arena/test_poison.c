/*
 * AddressSanitizer knows what is free in an arena: each access that it must catch is made in a child process,
 * whose report and exit status are looked at. Skipped (status 77) in a build without AddressSanitizer.
 *
 * Layer: tests. Threading: none; forks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

/* The byte at the wrong place; volatile, so that the access is made. */
static void touch(const unsigned char *byte) {
    volatile unsigned char sink = *(const volatile unsigned char *)byte;
    (void)sink;
}

/* Whether a child that runs `act` dies with a report of an access to memory that the arena had poisoned. */
static bool is_caught(void (*act)(void)) {
    char report[4096];
    size_t size = 0;
    ssize_t got = 0;
    int status = 0;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        act();
        _exit(0);
    }
    close(ends[1]);
    while (size < sizeof report - 1 && (got = read(ends[0], report + size, sizeof report - 1 - size)) > 0)
        size += (size_t)got;
    report[size] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return false;
    return strstr(report, "AddressSanitizer: use-after-poison") != NULL;
}

static void act_nothing_wrong(void) {
    cutback_arena *arena = fixture_make(256, 4);
    unsigned char *a = cutback_alloc(arena, 13, 8);
    unsigned char *b = cutback_alloc(arena, 20, 8);
    memset(a, 1, 13);
    b = cutback_realloc(arena, b, 20, 100, 8);
    memset(b, 1, 100);
    cutback_free(arena, b, 100);
    memset(cutback_alloc(arena, 30, 8), 1, 30);
}

static void act_use_after_free_on_top(void) {
    cutback_arena *arena = fixture_make(256, 4);
    unsigned char *a = cutback_alloc(arena, 16, 8);
    cutback_free(arena, a, 16);
    touch(a);
}

static void act_use_after_free_elsewhere(void) {
    cutback_arena *arena = fixture_make(256, 4);
    unsigned char *a = cutback_alloc(arena, 16, 8);
    cutback_alloc(arena, 16, 8);
    cutback_free(arena, a, 16);
    touch(a + 15);
}

static void act_use_after_free_of_a_forgotten_block(void) {
    cutback_arena *arena = fixture_make(256, 0);
    unsigned char *a = cutback_alloc(arena, 16, 8);
    cutback_alloc(arena, 16, 8);
    cutback_free(arena, a, 16);
    touch(a);
}

static void act_use_after_reset(void) {
    cutback_arena *arena = fixture_make(256, 4);
    cutback_mark mark = cutback_mark_set(arena);
    unsigned char *a = cutback_alloc(arena, 16, 8);
    cutback_reset(arena, mark);
    touch(a);
}

static void act_use_after_move(void) {
    cutback_arena *arena = fixture_make(256, 4);
    unsigned char *a = cutback_alloc(arena, 16, 8);
    cutback_alloc(arena, 16, 8);
    if (cutback_realloc(arena, a, 16, 32, 8) != a)
        touch(a);
}

static void act_use_after_slide(void) {
    cutback_arena *arena = fixture_make(256, 4);
    cutback_alloc(arena, 8, 8);
    unsigned char *a = cutback_alloc(arena, 100, 8);
    if (cutback_realloc(arena, a, 100, 100, 64) != a)
        touch(a);
}

static void act_overflow_into_free_space(void) {
    cutback_arena *arena = fixture_make(256, 4);
    touch((unsigned char *)cutback_alloc(arena, 16, 8) + 16);
}

static void act_overflow_by_one_byte_of_an_odd_size(void) {
    cutback_arena *arena = fixture_make(256, 4);
    touch((unsigned char *)cutback_alloc(arena, 13, 8) + 13);
}

static void act_overflow_into_padding(void) {
    cutback_arena *arena = fixture_make(256, 4);
    unsigned char *a = cutback_alloc(arena, 16, 8);
    cutback_alloc(arena, 16, 64);
    touch(a + 16);
}

static void act_use_of_what_a_shrink_cut_off(void) {
    cutback_arena *arena = fixture_make(256, 4);
    unsigned char *a = cutback_alloc(arena, 64, 8);
    cutback_alloc(arena, 16, 8);
    cutback_realloc(arena, a, 64, 16, 8);
    touch(a + 16);
}

static void act_use_of_memory_never_handed_out(void) {
    touch(fixture_memory(fixture_make(256, 4)) + 100);
}

static void access_to_live_blocks_is_not_reported(void **state) {
    (void)state;
    assert_false(is_caught(act_nothing_wrong));
}

static void use_after_free_is_caught(void **state) {
    (void)state;
    assert_true(is_caught(act_use_after_free_on_top));
    assert_true(is_caught(act_use_after_free_elsewhere));
    assert_true(is_caught(act_use_after_free_of_a_forgotten_block));
}

static void use_after_reset_is_caught(void **state) {
    (void)state;
    assert_true(is_caught(act_use_after_reset));
}

static void use_after_realloc_is_caught(void **state) {
    (void)state;
    assert_true(is_caught(act_use_after_move));
    assert_true(is_caught(act_use_after_slide));
    assert_true(is_caught(act_use_of_what_a_shrink_cut_off));
}

static void overflow_into_free_space_is_caught(void **state) {
    (void)state;
    assert_true(is_caught(act_overflow_into_free_space));
    assert_true(is_caught(act_overflow_by_one_byte_of_an_odd_size));
    assert_true(is_caught(act_use_of_memory_never_handed_out));
}

static void overflow_into_padding_is_caught(void **state) {
    (void)state;
    assert_true(is_caught(act_overflow_into_padding));
}

#if defined(CB_HOOK_ASAN)
static const bool poison_works = true;
#else
static const bool poison_works = false;
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(access_to_live_blocks_is_not_reported),
        cmocka_unit_test(use_after_free_is_caught),
        cmocka_unit_test(use_after_reset_is_caught),
        cmocka_unit_test(use_after_realloc_is_caught),
        cmocka_unit_test(overflow_into_free_space_is_caught),
        cmocka_unit_test(overflow_into_padding_is_caught),
    };
    if (!poison_works) {
        puts("skipped: built without AddressSanitizer");
        return 77;
    }
    return cmocka_run_group_tests_name("arena: poison", tests, NULL, NULL);
}
