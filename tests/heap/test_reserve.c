/*
 * How much memory without anything live may stay: the rule of reserve.c by itself, with a clock that is the test's.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

#include "heap/options.h"
#include "heap/reserve.h"

#define MIB ((size_t)1 << 20)

enum { PERIOD = CB_PERIOD, LOOK = CB_PERIOD / 2, SEQUENCES = 400, STEPS = 300, QUARTER = 4 };

static int64_t now;
static size_t part; /* what the one holder has reported */

static size_t regret(void) {
    return cb_reserve_room(part); /* nobody else holds anything */
}

static void look_after(int64_t milliseconds) {
    now += milliseconds;
    cb_os_assume_time(now);
    cb_reserve_look();
}

static int begin(void **state) {
    (void)state;
    now = 1000000;
    cb_os_assume_time(now);
    cb_reserve_forget();
    cb_reserve_report(&part, 0);
    cb_reserve_in_use(0);
    cb_reserve_purged(1); /* so that time passes */
    for (int i = 0; i < 200; i++) {
        look_after(LOOK); /* the most in use lately fades */
        cb_reserve_purged(1);
    }
    cb_reserve_forget();
    return 0;
}

static void what_goes_back_the_first_time_is_no_mistake(void **state) {
    (void)state;
    cb_reserve_in_use(100 * MIB);
    cb_reserve_fetched(100 * MIB);
    assert_int_equal(regret(), 0);
    cb_reserve_purged(60 * MIB);
    assert_int_equal(regret(), 0);
    assert_false(cb_reserve_is_over());
    cb_reserve_report(&part, MIB);
    assert_true(cb_reserve_is_over());
}

static void what_is_fetched_soon_after_may_stay(void **state) {
    (void)state;
    cb_reserve_in_use(100 * MIB);
    cb_reserve_purged(30 * MIB);
    look_after(PERIOD - 1);
    cb_reserve_fetched(10 * MIB);
    assert_int_equal(regret(), 20 * MIB);
    cb_reserve_fetched(30 * MIB); /* no more than went back */
    assert_int_equal(regret(), 60 * MIB);
    cb_reserve_report(&part, 60 * MIB);
    assert_false(cb_reserve_is_over());
    assert_int_equal(cb_reserve_room(part), 60 * MIB);
    assert_int_equal(cb_reserve_room(20 * MIB), 20 * MIB); /* a holder of some of it: others have 40 */
    cb_reserve_purged(20 * MIB);
    assert_int_equal(regret(), 55 * MIB);
}

static void what_is_fetched_late_is_no_mistake(void **state) {
    (void)state;
    cb_reserve_in_use(100 * MIB);
    cb_reserve_purged(60 * MIB);
    for (int i = 0; i < 5; i++) {
        look_after(LOOK);
    }
    cb_reserve_fetched(60 * MIB);
    assert_int_equal(regret(), 0);
}

static void it_is_never_more_than_was_in_use(void **state) {
    (void)state;
    cb_reserve_in_use(8 * MIB);
    cb_reserve_in_use(0);
    cb_reserve_purged(60 * MIB);
    cb_reserve_fetched(60 * MIB);
    assert_int_equal(regret(), 9 * MIB);
    for (int i = 0; i < 40; i++) {
        look_after(LOOK);
    }
    assert_in_range(regret(), 0, MIB); /* nobody held any of it */
}

static void what_nobody_takes_is_forgotten_and_a_pause_is_no_time(void **state) {
    (void)state;
    cb_reserve_in_use(64 * MIB);
    cb_reserve_purged(32 * MIB);
    cb_reserve_fetched(32 * MIB);
    look_after(LOOK);
    cb_reserve_report(&part, 64 * MIB);
    look_after(60 * 60 * 1000);
    assert_int_equal(regret(), 64 * MIB); /* an hour, but only one period, in which it was taken and given */
    look_after(60 * 60 * 1000);
    assert_int_equal(regret(), 64 * MIB);
    look_after(LOOK);
    assert_int_equal(regret(), 32 * MIB);
    cb_reserve_report(&part, regret());
    for (int i = 0; i < 8; i++) {
        look_after(LOOK);
        cb_reserve_report(&part, regret());
    }
    assert_in_range(regret(), 1, 2 * MIB);
    cb_reserve_forget();
    assert_int_equal(regret(), 0);
}

static void what_is_held_of_no_use_tells_of_what_might_be(void **state) {
    (void)state;
    cb_reserve_in_use(64 * MIB);
    cb_reserve_purged(64 * MIB);
    cb_reserve_fetched(64 * MIB);
    assert_int_equal(regret(), 72 * MIB);
    look_after(LOOK);
    cb_reserve_report(&part, 32 * MIB);
    look_after(LOOK);
    assert_int_equal(regret(), 72 * MIB);
    look_after(LOOK);
    look_after(LOOK);
    assert_int_equal(regret(), 24 * MIB); /* less 16 of 32 that were held, and 32 of 40 that were not */
}

static void without_a_reserve_nothing_is_regretted(void **state) {
    (void)state;
    size_t option = cb_options_reserve();
    cb_options_set_reserve(0);
    cb_reserve_in_use(64 * MIB);
    cb_reserve_purged(64 * MIB);
    cb_reserve_fetched(64 * MIB);
    assert_int_equal(regret(), 0);
    cb_options_set_reserve(option);
}

/*
 * A program that wants and releases memory at random, and an allocator that holds what it may. Of the bytes that went
 * back, M were fetched again in the same period or the next, and R were not; by C the regret would have risen beyond its
 * bound, F of it faded, and it was at most B: M <= 4/7 (B + F + C) + R/7, see doc/memory.md.
 */
struct account {
    size_t in_use, held;
    size_t mistakes, cut, purged, faded, most; /* ever */
    size_t lately[2];                          /* purged in this period and the last, and not fetched again */
    int64_t elapsed;
};

static void settle(struct account *a) {
    cb_reserve_in_use(a->in_use);
    cb_reserve_report(&part, a->held);
    size_t may_stay = regret();
    if (a->held > may_stay) {
        size_t excess = a->held - may_stay;
        cb_reserve_purged(excess);
        a->held -= excess;
        a->purged += excess;
        a->lately[0] += excess;
        cb_reserve_report(&part, a->held);
    }
}

static void want(struct account *a, size_t bytes) {
    size_t kept = bytes < a->held ? bytes : a->held, fetched = bytes - kept;
    a->held -= kept;
    a->in_use += bytes;
    cb_reserve_in_use(a->in_use);
    cb_reserve_report(&part, a->held);
    size_t was = regret(), before = a->mistakes;
    cb_reserve_fetched(fetched);
    for (int i = 1; i >= 0; i--) {
        size_t again = fetched < a->lately[i] ? fetched : a->lately[i];
        a->lately[i] -= again;
        a->mistakes += again;
        fetched -= again;
    }
    a->cut += 2 * (a->mistakes - before) - (regret() - was);
    settle(a);
    a->most = regret() > a->most ? regret() : a->most;
}

static void give(struct account *a, size_t bytes) {
    a->in_use -= bytes;
    a->held += bytes;
    settle(a);
}

static void wait(struct account *a, int64_t milliseconds) {
    size_t was = regret();
    look_after(milliseconds);
    a->faded += was - regret();
    a->elapsed += milliseconds < LOOK ? milliseconds : LOOK;
    if (a->elapsed >= PERIOD) {
        a->elapsed = 0;
        a->lately[1] = a->lately[0];
        a->lately[0] = 0;
    }
}

/* The next step of the program: at random, in waves, or the one that hurts most. */
static void step(struct account *a, int kind, uint64_t *random) {
    size_t r = fixture_random(random);
    if (kind == 0) {
        if (r % 2 == 0) {
            want(a, (r >> 8) % (32 * MIB));
        } else {
            give(a, a->in_use != 0 ? (r >> 8) % a->in_use : 0);
        }
    } else if (kind == 1) {
        want(a, (1 + (r >> 8) % 64) * MIB);
        give(a, a->in_use);
    } else {
        want(a, a->held < 200 * MIB ? a->held + a->held / 2 + MIB : MIB);
        give(a, a->in_use);
    }
    wait(a, (int64_t)((r >> 40) % ((r >> 60) == 0 ? 5000 : 50)));
}

static void mistakes_are_bounded(void **state) {
    uint64_t random = fixture_seed(23);
    for (int sequence = 0; sequence < SEQUENCES; sequence++) {
        struct account a = {0};
        begin(state);
        for (int i = 0; i < STEPS; i++) {
            step(&a, sequence % 3, &random);
        }
        size_t right = a.purged - a.mistakes, rounding = (size_t)STEPS * QUARTER;
        size_t bound = (a.most + a.faded + a.cut) / 7 * 4 + right / 7 + rounding;
        if (a.mistakes > bound) {
            print_error("sequence %d: %zu KiB of %zu KiB, and at most %zu KiB\n", sequence, a.mistakes >> 10,
                        a.purged >> 10, bound >> 10);
        }
        assert_true(a.mistakes <= bound);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_goes_back_the_first_time_is_no_mistake, begin),
        cmocka_unit_test_setup(what_is_fetched_soon_after_may_stay, begin),
        cmocka_unit_test_setup(what_is_fetched_late_is_no_mistake, begin),
        cmocka_unit_test_setup(it_is_never_more_than_was_in_use, begin),
        cmocka_unit_test_setup(what_nobody_takes_is_forgotten_and_a_pause_is_no_time, begin),
        cmocka_unit_test_setup(what_is_held_of_no_use_tells_of_what_might_be, begin),
        cmocka_unit_test_setup(without_a_reserve_nothing_is_regretted, begin),
        cmocka_unit_test_setup(mistakes_are_bounded, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
