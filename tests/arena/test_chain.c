/*
 * The chain: when chunks are obtained and go back, one case for each rule of cutback_chain.h.
 *
 * Layer: tests. Threading: none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arena/chain_check.h"

/* A source on malloc that counts, and that refuses or gives too little when told to. */
struct tally {
    size_t supplied;
    size_t out;
    size_t asked; /* the last time */
    bool refuses;
    bool cheats;
};

static struct tally tally;

static void *tally_supply(void *context, size_t *size) {
    struct tally *t = context;
    t->asked = *size;
    if (t->refuses)
        return NULL;
    void *chunk = malloc(*size);
    assert_non_null(chunk);
    if (t->cheats)
        *size /= 2;
    t->supplied++;
    t->out++;
    return chunk;
}

static void tally_take(void *context, void *chunk, size_t size) {
    struct tally *t = context;
    memset(chunk, 0xEE, size); /* all of it is the source's again */
    free(chunk);
    t->out--;
}

static const cutback_source source = {tally_supply, tally_take, &tally};

static cutback_chain *chain_make(size_t chunk, size_t slots, bool keep) {
    static cutback_chain chain;
    cutback_chain_release(&chain);
    memset(&chain, 0, sizeof chain);
    memset(&tally, 0, sizeof tally);
    assert_true(cutback_chain_init(&chain, source, chunk, slots, keep));
    return &chain;
}

#define assert_chain(chain, count, bytes)                                                                    \
    do {                                                                                                     \
        assert_int_equal(tally.out, (count));                                                                \
        assert_int_equal(cutback_chain_get_stats(chain).chunks, (count));                                    \
        assert_int_equal(cutback_chain_used(chain), (bytes));                                                \
        assert_null(cb_chain_check(chain));                                                                  \
    } while (0)

static void nothing_is_obtained_before_it_is_needed(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, false);
    assert_chain(chain, 0, 0);
    assert_non_null(cutback_chain_alloc(chain, 0, 8));
    cutback_chain_free(chain, &tally, 8);
    cutback_chain_clear(chain);
    assert_chain(chain, 0, 0);
}

static void a_chunk_is_obtained_when_a_block_does_not_fit(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, false);
    unsigned char *a = cutback_chain_alloc(chain, 200, 1);
    assert_chain(chain, 1, 200);
    unsigned char *b = cutback_chain_alloc(chain, 100, 1);
    assert_chain(chain, 2, 300);
    assert_true(cutback_chain_owns(chain, a) && cutback_chain_owns(chain, b));
    memset(a, 1, 200);
    memset(b, 2, 100);
    assert_int_equal(a[199], 1);
}

static void a_large_block_gets_a_chunk_that_is_large_enough(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, false);
    unsigned char *a = cutback_chain_alloc(chain, 10000, 256);
    assert_non_null(a);
    assert_int_equal((uintptr_t)a % 256, 0);
    assert_true(tally.asked >= 10000 + sizeof(cutback_chunk) + 8 * sizeof(cutback_slot));
    cutback_chain_free(chain, a, 10000);
    assert_chain(chain, 0, 0);
}

static void the_cursor_falls_back_across_the_border(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, false);
    void *a = cutback_chain_alloc(chain, 100, 1);
    void *b = cutback_chain_alloc(chain, 100, 1);
    void *c = cutback_chain_alloc(chain, 100, 1);
    assert_chain(chain, 2, 300);
    cutback_chain_free(chain, b, 100); /* on top of its chunk, though not of the chain */
    assert_chain(chain, 2, 200);
    cutback_chain_free(chain, c, 100);
    assert_chain(chain, 1, 100);
    assert_ptr_equal(cutback_chain_alloc(chain, 10, 1), b); /* where the first chunk goes on */
    cutback_chain_free(chain, b, 10);
    cutback_chain_free(chain, a, 100);
    assert_chain(chain, 0, 0);
}

static void a_chunk_in_the_middle_goes_back_as_soon_as_it_is_empty(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, false);
    void *a = cutback_chain_alloc(chain, 200, 1);
    void *b = cutback_chain_alloc(chain, 200, 1);
    void *c = cutback_chain_alloc(chain, 200, 1);
    cutback_chain_free(chain, b, 200);
    assert_chain(chain, 2, 400);
    cutback_chain_free(chain, a, 200);
    assert_chain(chain, 1, 200);
    cutback_chain_free(chain, c, 200);
    assert_chain(chain, 0, 0);
}

static void one_empty_chunk_is_kept_if_the_caller_says_so(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, true);
    for (int i = 0; i < 10; i++) {
        void *a = cutback_chain_alloc(chain, 200, 1);
        void *b = cutback_chain_alloc(chain, 200, 1);
        void *c = cutback_chain_alloc(chain, 200, 1);
        assert_chain(chain, 3, 600);
        cutback_chain_free(chain, c, 200);
        assert_chain(chain, 3, 400); /* c's is kept */
        cutback_chain_free(chain, cutback_chain_alloc(chain, 200, 1), 200);
        assert_chain(chain, 3, 400); /* and was used again */
        cutback_chain_free(chain, b, 200);
        assert_chain(chain, 2, 200); /* now b's is */
        cutback_chain_free(chain, a, 200);
        assert_chain(chain, 1, 0); /* now a's is, where it is */
    }
    assert_int_equal(tally.supplied, 1 + 2 * 10);
    cutback_chain_release(chain);
    assert_chain(chain, 0, 0);
    assert_int_equal(cutback_chain_get_stats(chain).held, 0);
}

static void a_kept_chunk_that_is_too_small_stays_kept(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, true);
    cutback_chain_free(chain, cutback_chain_alloc(chain, 10, 1), 10);
    assert_chain(chain, 1, 0);
    void *large = cutback_chain_alloc(chain, 5000, 1);
    assert_chain(chain, 2, 5000);
    void *small = cutback_chain_alloc(chain, 200, 1);
    assert_chain(chain, 2, 5200); /* the kept one is in use */
    cutback_chain_free(chain, small, 200);
    cutback_chain_free(chain, large, 5000);
    assert_chain(chain, 1, 0);
}

static void a_reset_gives_back_the_chunks_obtained_since(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, false);
    void *a = cutback_chain_alloc(chain, 50, 1);
    cutback_chain_mark outer = cutback_chain_mark_set(chain);
    assert_non_null(cutback_chain_alloc(chain, 50, 1));
    assert_non_null(cutback_chain_alloc(chain, 200, 1));
    cutback_chain_mark inner = cutback_chain_mark_set(chain);
    for (int i = 0; i < 5; i++)
        assert_non_null(cutback_chain_alloc(chain, 200, 1));
    assert_chain(chain, 7, 1300);
    assert_true(cutback_chain_reset(chain, outer));
    assert_chain(chain, 1, 50);
    assert_false(cutback_chain_reset(chain, inner));
    assert_false(cutback_chain_reset(chain, outer));
    cutback_chain_free(chain, a, 50);
    assert_chain(chain, 0, 0);
}

static void a_commit_keeps_what_is_in_all_chunks(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, false);
    void *a = cutback_chain_alloc(chain, 50, 1);
    cutback_chain_mark outer = cutback_chain_mark_set(chain);
    void *b = cutback_chain_alloc(chain, 50, 1);
    void *c = cutback_chain_alloc(chain, 200, 1);
    cutback_chain_mark inner = cutback_chain_mark_set(chain);
    void *d = cutback_chain_alloc(chain, 20, 1);
    assert_true(cutback_chain_commit(chain, outer));
    assert_false(cutback_chain_commit(chain, inner));
    assert_chain(chain, 2, 320);
    cutback_chain_free(chain, d, 20);
    cutback_chain_free(chain, c, 200);
    cutback_chain_free(chain, a, 50);
    cutback_chain_free(chain, b, 50);
    assert_chain(chain, 0, 0);
}

static void an_open_mark_holds_its_chunk(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, false);
    cutback_chain_mark mark = cutback_chain_mark_set(chain); /* obtains the first */
    assert_chain(chain, 1, 0);
    cutback_chain_free(chain, cutback_chain_alloc(chain, 10, 1), 10);
    assert_chain(chain, 1, 0);
    assert_true(cutback_chain_reset(chain, mark));
    assert_chain(chain, 0, 0);
}

static void marks_nest_deeper_than_a_chunk_has_room_for(void **state) {
    (void)state;
    enum { DEPTH = 300 };
    cutback_chain *chain = chain_make(64, 8, false);
    static cutback_chain_mark marks[DEPTH];
    for (int i = 0; i < DEPTH; i++) {
        marks[i] = cutback_chain_mark_set(chain);
        assert_ptr_equal(marks[i].chain, chain);
        assert_non_null(cutback_chain_alloc(chain, 1, 1));
    }
    assert_null(cb_chain_check(chain));
    for (int i = DEPTH; i-- > 0;) {
        assert_int_equal(cutback_chain_used(chain), i + 1);
        assert_true(cutback_chain_reset(chain, marks[i]));
        assert_false(cutback_chain_reset(chain, marks[i]));
    }
    assert_chain(chain, 0, 0);
}

static void marks_of_before_clear_are_refused(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, true);
    cutback_chain_mark old = cutback_chain_mark_set(chain);
    cutback_chain_clear(chain);
    cutback_chain_mark fresh = cutback_chain_mark_set(chain); /* same chunk, same depth */
    assert_false(cutback_chain_reset(chain, old));
    cutback_chain_release(chain);
    assert_true(cutback_chain_init(chain, source, 256, 8, true));
    assert_ptr_equal(cutback_chain_mark_set(chain).chain, chain);
    assert_false(cutback_chain_commit(chain, old) || cutback_chain_commit(chain, fresh));
}

static void realloc_grows_on_top_and_moves_into_a_new_chunk(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, false);
    unsigned char *a = cutback_chain_alloc(chain, 50, 1);
    memset(a, 7, 50);
    assert_ptr_equal(cutback_chain_realloc(chain, a, 50, 250, 1), a);
    assert_chain(chain, 1, 250);
    unsigned char *moved = cutback_chain_realloc(chain, a, 250, 2000, 1);
    assert_non_null(moved);
    assert_int_equal(moved[49], 7);
    assert_chain(chain, 1, 2000); /* the first one is empty and went back */
    assert_ptr_equal(cutback_chain_realloc(chain, moved, 2000, 10, 1), moved);
    assert_chain(chain, 1, 10);
    assert_non_null(cutback_chain_realloc(chain, moved, 10, 0, 1));
    assert_chain(chain, 0, 0);
}

static void realloc_of_an_older_chunks_top_stays_there(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, false);
    void *a = cutback_chain_alloc(chain, 10, 1);
    void *b = cutback_chain_alloc(chain, 50, 1);
    assert_non_null(cutback_chain_alloc(chain, 220, 1));
    assert_ptr_equal(cutback_chain_realloc(chain, b, 50, 200, 1), b);
    assert_chain(chain, 2, 430);
    cutback_chain_mark mark = cutback_chain_mark_set(chain);
    void *moved = cutback_chain_realloc(chain, a, 10, 12, 1); /* not on top: into the newest, and its scope */
    assert_true(moved != a);
    assert_chain(chain, 2, 442);
    assert_true(cutback_chain_reset(chain, mark));
    assert_chain(chain, 2, 430);
}

static void calloc_clears_what_was_used_before(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, true);
    unsigned char *a = cutback_chain_alloc(chain, 100, 1);
    memset(a, 0xFF, 100);
    cutback_chain_free(chain, a, 100);
    a = cutback_chain_calloc(chain, 10, 10, 1);
    for (int i = 0; i < 100; i++)
        assert_int_equal(a[i], 0);
    volatile size_t many = SIZE_MAX;
    assert_null(cutback_chain_calloc(chain, many, 2, 1));
}

static void a_source_that_refuses_changes_nothing(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, false);
    unsigned char *a = cutback_chain_alloc(chain, 200, 1);
    a[0] = 1;
    tally.refuses = true;
    assert_null(cutback_chain_alloc(chain, 100, 1));
    assert_null(cutback_chain_realloc(chain, a, 200, 300, 1));
    tally.refuses = false;
    tally.cheats = true;
    assert_null(cutback_chain_alloc(chain, 100, 1));
    assert_chain(chain, 1, 200);
    assert_int_equal(cutback_chain_get_stats(chain).failed_requests, 3);
    tally.cheats = false;
    assert_non_null(cutback_chain_alloc(chain, 56, 1));
}

static void a_mark_that_cannot_be_opened_is_refused(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, false);
    tally.refuses = true;
    cutback_chain_mark mark = cutback_chain_mark_set(chain);
    assert_false(cutback_chain_reset(chain, mark));
    assert_int_equal(cutback_chain_get_stats(chain).failed_requests, 1);
}

static void wrong_arguments_are_refused(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, false);
    cutback_source none = {NULL, tally_take, NULL};
    cutback_source no_take = {tally_supply, NULL, NULL};
    volatile size_t huge = SIZE_MAX;
    void *a = cutback_chain_alloc(chain, 10, 1);
    int other = 0;
    assert_null(cutback_chain_alloc(chain, huge, 1));
    assert_null(cutback_chain_alloc(chain, huge / 4, 1 + huge / 2));
    assert_null(cutback_chain_alloc(chain, 8, 3));
    assert_null(cutback_chain_alloc(chain, 8, 0));
    assert_null(cutback_chain_realloc(chain, a, 10, 20, 3));
    assert_null(cutback_chain_realloc(chain, &other, 4, 8, 4));
    assert_null(cutback_chain_realloc(chain, a, huge, 8, 4)); /* reaches beyond what there is */
    assert_int_equal(cutback_chain_get_stats(chain).failed_requests, 7);
    cutback_chain_free(chain, &other, 4);
    cutback_chain_free(chain, NULL, 4);
    cutback_chain_free(chain, a, 0);
    cutback_chain_free(chain, a, 11);
    cutback_chain_free(chain, (char *)a + 1, 1);
    assert_chain(chain, 1, 10);
    cutback_chain fresh;
    memset(&fresh, 0, sizeof fresh);
    assert_null(cutback_chain_alloc(&fresh, 8, 8));
    assert_null(cutback_chain_mark_set(&fresh).chain);
    assert_false(cutback_chain_init(&fresh, none, 256, 8, false));
    assert_false(cutback_chain_init(&fresh, no_take, 256, 8, false));
    assert_false(cutback_chain_init(&fresh, source, huge, 8, false));
    assert_false(cutback_chain_init(&fresh, source, 256, huge / 8, false));
    assert_null(cutback_chain_alloc(&fresh, 8, 8));
}

static void another_chains_mark_is_refused(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, false);
    cutback_chain_mark mark = cutback_chain_mark_set(chain);
    cutback_chain other;
    memset(&other, 0, sizeof other);
    assert_true(cutback_chain_init(&other, source, 256, 8, false));
    assert_ptr_equal(cutback_chain_mark_set(&other).chain, &other);
    assert_false(cutback_chain_reset(&other, mark));
    cutback_chain_release(&other);
    assert_true(cutback_chain_reset(chain, mark));
}

/* ---- chunks from another arena ---- */

static void *arena_supply(void *context, size_t *size) {
    return cutback_alloc(context, *size, 1);
}

static void arena_take(void *context, void *chunk, size_t size) {
    cutback_free(context, chunk, size);
}

static void chunks_may_come_from_another_arena(void **state) {
    (void)state;
    static unsigned char memory[64 * 1024];
    static cutback_slot ring[8];
    static cutback_arena outer = CUTBACK_INIT(memory, ring);
    cutback_source from = {arena_supply, arena_take, &outer};
    cutback_chain chain;
    void *blocks[40];
    memset(&chain, 0, sizeof chain);
    assert_true(cutback_chain_init(&chain, from, 1000, 16, false));
    for (int i = 0; i < 40; i++)
        assert_non_null(blocks[i] = cutback_chain_alloc(&chain, 100, 8));
    assert_int_equal(cutback_used(&outer), cutback_chain_get_stats(&chain).held);
    for (int i = 40; i-- > 0;)
        cutback_chain_free(&chain, blocks[i], 100);
    assert_int_equal(cutback_used(&outer), 0); /* each chunk was on top when it went back */
}

static void the_statistics_outlive_the_chunks(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 2, false);
    void *a = cutback_chain_alloc(chain, 10, 1);
    void *b = cutback_chain_alloc(chain, 10, 1);
    void *c = cutback_chain_alloc(chain, 10, 1);
    cutback_chain_free(chain, a, 10); /* forgotten */
    cutback_chain_free(chain, b, 10);
    cutback_chain_free(chain, b, 10); /* twice */
    void *d = cutback_chain_alloc(chain, 250, 1);
    cutback_chain_free(chain, d, 250);
    cutback_chain_free(chain, c, 10); /* and the others with it */
    assert_chain(chain, 0, 0);
    cutback_chain_stats stats = cutback_chain_get_stats(chain);
    assert_int_equal(stats.forgotten_frees, 1);
    assert_int_equal(stats.double_frees, 1);
    assert_int_equal(stats.rewinds, 1);
    assert_int_equal(stats.peak, 280);
    assert_true(stats.held_peak >= 512 && stats.held == 0);
}

static void the_peak_is_of_what_is_in_use_at_one_time(void **state) {
    (void)state;
    cutback_chain *chain = chain_make(256, 8, false);
    void *a = cutback_chain_alloc(chain, 20, 1);
    void *b = cutback_chain_alloc(chain, 250, 1);
    void *c = cutback_chain_alloc(chain, 6, 1);
    assert_int_equal(cutback_chain_get_stats(chain).peak, 276);
    cutback_chain_free(chain, c, 6);
    b = cutback_chain_realloc(chain, b, 250, 20, 1);
    assert_ptr_equal(cutback_chain_realloc(chain, a, 20, 200, 1), a); /* in the older chunk */
    assert_chain(chain, 2, 220);
    assert_int_equal(cutback_chain_get_stats(chain).peak, 276);
    b = cutback_chain_realloc(chain, b, 20, 256, 1);
    assert_non_null(b);
    assert_int_equal(cutback_chain_get_stats(chain).peak, 456);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_obtained_before_it_is_needed),
        cmocka_unit_test(a_chunk_is_obtained_when_a_block_does_not_fit),
        cmocka_unit_test(a_large_block_gets_a_chunk_that_is_large_enough),
        cmocka_unit_test(the_cursor_falls_back_across_the_border),
        cmocka_unit_test(a_chunk_in_the_middle_goes_back_as_soon_as_it_is_empty),
        cmocka_unit_test(one_empty_chunk_is_kept_if_the_caller_says_so),
        cmocka_unit_test(a_kept_chunk_that_is_too_small_stays_kept),
        cmocka_unit_test(a_reset_gives_back_the_chunks_obtained_since),
        cmocka_unit_test(a_commit_keeps_what_is_in_all_chunks),
        cmocka_unit_test(an_open_mark_holds_its_chunk),
        cmocka_unit_test(marks_nest_deeper_than_a_chunk_has_room_for),
        cmocka_unit_test(marks_of_before_clear_are_refused),
        cmocka_unit_test(realloc_grows_on_top_and_moves_into_a_new_chunk),
        cmocka_unit_test(realloc_of_an_older_chunks_top_stays_there),
        cmocka_unit_test(calloc_clears_what_was_used_before),
        cmocka_unit_test(a_source_that_refuses_changes_nothing),
        cmocka_unit_test(a_mark_that_cannot_be_opened_is_refused),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(another_chains_mark_is_refused),
        cmocka_unit_test(chunks_may_come_from_another_arena),
        cmocka_unit_test(the_statistics_outlive_the_chunks),
        cmocka_unit_test(the_peak_is_of_what_is_in_use_at_one_time),
    };
    return cmocka_run_group_tests_name("arena: chain", tests, NULL, NULL);
}
