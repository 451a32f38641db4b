/*
 * Waves: objects are allocated, all are freed, and it begins again. Memory that was given back and is wanted again is
 * a mistake that may be made once: the page faults of all waves stay within two and a half times the memory of the
 * largest (three times, where two threads share them), in whatever order sizes follow each other. When the waves are
 * over and time has passed, what was kept goes.
 *
 * The clock is the test's, so that how long a wave takes is of no account; each sequence runs in a process of its own,
 * whose own memory is touched before.
 *
 * Layer:     tests.
 * Threading: up to two threads at once, which share the waves; or one after the other, a wave each.
 */
#include "child.h"

#include "heap/pages.h"
#include "heap/range.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define LEAST_LEFT (2 * MIB) /* may be resident after a drain in any case */
/* And for each thread that goes on a little: with what it parks and has in hand. */
#define LEAST_QUIET (5 * MIB)

enum {
    MOST = 150000, /* objects of a thread in a wave */
    MOST_WAVES = 40,
    THREADS = 2,
    STACK = 256 << 10,
    WAVE_TIME = 5, /* milliseconds of a wave, if the plan has no pauses */
    FAULTS_A_WAVE = 16,
    FAULTS_AT_ALL = 256, /* of code and libc's data, which the process touches for the first time */
    QUIET_OBJECTS = 300,
    QUIET_TIME = 10, /* milliseconds between two of them */
    SURVIVOR = 500,  /* APART: one of so many objects lives on until the next wave, so that blocks stay */
};

enum by { ALONE, TWO, ENDING, HANDED, APART };
enum order { RANDOM, SAME, REVERSE };
static const char *const by_name[] = {"one thread", "two threads", "threads that end",
                                      "two threads, half handed over",
                                      "two threads, one of which sleeps in the end"};
static const char *const order_name[] = {"random", "same", "reverse"};

struct sizes {
    size_t least, most;
};

/* Most objects are small; of the bytes, a good half is in those beyond 2 KiB. */
static const struct sizes mixed[] = {{16, 2 << 10}, {2 << 10, 32 << 10}, {32 << 10, 256 << 10}};
static const unsigned mixed_up_to[] = {970, 998, 1000}; /* of 1000 objects */

/* A sequence of waves. */
static struct {
    enum by by;
    enum order order;
    struct sizes sizes; /* most 0: mixed */
    int count;
    int pause;                /* milliseconds from one wave to the next */
    size_t bytes[MOST_WAVES]; /* of each wave; 0: half as much again as is resident, and a MiB */
    int awake;                /* APART: the thread that goes on, while the other one sleeps */
    bool goes_on_large;       /* ... with large objects only */
} plan;

static struct worker {
    void *object[MOST];
    size_t count, survivors; /* the first of the objects, once the others have been freed */
    uint64_t random;
    int number;
} worker[THREADS];
static _Alignas(4096) unsigned char stack[THREADS][STACK];
static pthread_barrier_t together;

/* The first thread counts, while the second waits. */
static int64_t now;
static size_t before;                  /* bytes resident before the first wave */
static size_t largest;                 /* bytes of a wave, of all so far */
static size_t given_before, all_given; /* bytes given back, ever, and by all waves */
static long faults_before, first_faults, all_faults;
/* Bytes resident after the first wave, the last, and the quiet time. */
static size_t left_first, left_last, left_quiet;

static size_t over_before(void) {
    size_t bytes = fixture_anonymous();
    return bytes > before ? bytes - before : 0;
}

/*
 * Bytes that are left. Pages that hold something live or parked cannot go: those of 4 KiB are few and counted, larger
 * ones are not.
 */
static size_t left_beside(void) {
    size_t bytes = over_before(), kept = 0;
    uint32_t count = cb_page_size > 4096 ? atomic_load(&cb_range_count) : 0;
    for (uint32_t i = 0; i < count; i++) {
        uintptr_t start = atomic_load(&cb_ranges[i].start), end = start + atomic_load(&cb_ranges[i].size);
        for (struct cb_block *block = cb_block_of(start); block <= cb_block_of(end - 1); block++) {
            uint64_t gone =
                atomic_load(&block->owner) != NULL ? block->dead_pages | block->purged_pages : ~(uint64_t)0;
            kept += CB_BLOCK_SIZE / CB_BLOCK_UNITS * (size_t)__builtin_popcountll(~gone);
        }
    }
    return bytes > kept ? bytes - kept : 0;
}

static long faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

static size_t given_back(void) {
    struct cb_pages_totals totals;
    cb_pages_totals(&totals);
    return totals.purged;
}

static void pass(int64_t milliseconds) {
    now += milliseconds;
    cb_os_assume_time(now);
}

/* ---- one wave --------------------------------------------------------------------------------------------------- */

/* Between `least` and `most`, each doubling as likely as the others. */
static size_t spread(struct sizes sizes, uint64_t *random) {
    size_t low = sizes.least;
    unsigned doublings = 0;
    while (low << (doublings + 1) <= sizes.most) {
        doublings++;
    }
    low <<= fixture_random(random) % doublings;
    return low + fixture_random(random) % low;
}

static size_t draw(uint64_t *random) {
    if (plan.sizes.most != 0) {
        return spread(plan.sizes, random);
    }
    unsigned k = 0, of_1000 = (unsigned)(fixture_random(random) % 1000);
    while (of_1000 >= mixed_up_to[k]) {
        k++;
    }
    return spread(mixed[k], random);
}

static void *made(size_t size) {
    unsigned char *p = cb_malloc(size);
    DEMAND(p != NULL);
    for (size_t i = 0; i < size; i += 4096) {
        p[i] = 1;
    }
    p[size - 1] = 1;
    return p;
}

static void fill(struct worker *w, size_t bytes) {
    while (w->survivors != 0) {
        cb_free(w->object[--w->survivors]);
    }
    w->count = 0;
    for (size_t left = bytes; left > 0;) {
        size_t size = draw(&w->random);
        size = size < left ? size : left;
        DEMAND(w->count < MOST);
        w->object[w->count++] = made(size);
        left -= size;
    }
}

static void empty(struct worker *w) {
    w->survivors = plan.by == APART ? w->count / SURVIVOR : 0;
    for (size_t i = 0; i < w->count - w->survivors; i++) {
        size_t last = w->count - 1 - i, k = plan.order == SAME ? i : last;
        if (plan.order == RANDOM) {
            k = fixture_random(&w->random) % (last + 1);
            void *swap = w->object[k];
            w->object[k] = w->object[last];
            w->object[last] = swap;
            k = last;
        }
        cb_free(w->object[k]);
    }
}

static bool are_two(void) {
    return plan.by == TWO || plan.by == HANDED || plan.by == APART;
}

static void meet(void) {
    if (are_two()) {
        pthread_barrier_wait(&together);
    }
}

/* Every second object changes hands. */
static void hand_over(const struct worker *w) {
    meet();
    size_t both = worker[0].count < worker[1].count ? worker[0].count : worker[1].count;
    for (size_t i = 1; w->number == 0 && i < both; i += 2) {
        void *swap = worker[0].object[i];
        worker[0].object[i] = worker[1].object[i];
        worker[1].object[i] = swap;
    }
    meet();
}

/* ---- a sequence ------------------------------------------------------------------------------------------------- */

/* Between two waves: what the one left, and the size of the next. One thread does it, the other waits. */
static void between(int wave) {
    if (wave == 1) {
        first_faults = faults() - faults_before;
        left_first = left_beside();
    }
    if (wave == plan.count) {
        all_faults = faults() - faults_before;
        left_last = over_before();
        all_given = given_back() - given_before;
        return;
    }
    if (plan.bytes[wave] == 0) {
        size_t bytes = over_before() / 2 * 3 + MIB;
        plan.bytes[wave] = bytes < 64 * MIB ? bytes : MIB;
    }
    largest = plan.bytes[wave] > largest ? plan.bytes[wave] : largest;
    pass(plan.pause);
}

static void begin(struct worker *w, int wave) {
    meet();
    if (w->number == 0) {
        between(wave);
    }
    meet();
}

static void run_wave(struct worker *w, int wave) {
    fill(w, plan.bytes[wave] / (are_two() ? 2 : 1));
    if (plan.by == HANDED) {
        hand_over(w);
    }
    for (int turn = 0; plan.by == APART && turn < w->number; turn++) {
        meet(); /* the first thread frees while the second still uses all that it has */
    }
    empty(w);
    for (int turn = w->number; plan.by == APART && turn < THREADS; turn++) {
        meet();
    }
}

/* A few objects more while time passes. */
static void be_quiet(struct worker *w) {
    enum { HELD = 20 };
    static const struct sizes sizes = {16, 2 << 10};
    void *held[HELD] = {NULL};
    for (int i = 0; i < QUIET_OBJECTS; i++) {
        meet();
        if (w->number == 0) {
            pass(QUIET_TIME);
        }
        meet();
        cb_free(held[i % HELD]);
        held[i % HELD] = made(spread(sizes, &w->random));
    }
    for (int i = 0; i < HELD; i++) {
        cb_free(held[i]);
    }
    meet();
    if (w->number == 0) {
        left_quiet = left_beside();
    }
    meet();
}

/*
 * One thread goes on, the other sleeps. Objects of one size that are not freed in reverse order: the bin has them, and
 * no slow path is met but for what the heap does to look at the time.
 */
static void go_on(struct worker *w) {
    enum { HELD = 20, SIZE = 100, LARGE = 100 << 10 };
    void *held[HELD] = {NULL};
    for (int i = 0; w->number == plan.awake && i < QUIET_OBJECTS; i++) {
        pass(QUIET_TIME);
        cb_free(held[i % HELD]);
        held[i % HELD] = made(plan.goes_on_large ? LARGE : SIZE);
    }
    for (int i = 0; w->number == plan.awake && i < HELD; i++) {
        cb_free(held[i]);
    }
    meet();
    left_quiet = w->number == 0 ? left_beside() : left_quiet;
    meet();
}

static void *work(void *argument) {
    struct worker *w = argument;
    for (int wave = 0; wave < plan.count; wave++) {
        begin(w, wave);
        run_wave(w, wave);
    }
    begin(w, plan.count);
    if (plan.by == APART) {
        go_on(w);
    } else {
        be_quiet(w);
    }
    return NULL;
}

static void *work_once(void *argument) {
    run_wave(&worker[0], *(int *)argument);
    return NULL;
}

static void *work_quietly(void *argument) {
    be_quiet(argument);
    return NULL;
}

static pthread_t start(int number, void *(*run)(void *), void *argument) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack[number], STACK);
    DEMAND(pthread_create(&thread, &attributes, run, argument) == 0);
    pthread_attr_destroy(&attributes);
    return thread;
}

static void run_by_threads_that_end(void) {
    for (int wave = 0; wave < plan.count; wave++) {
        between(wave);
        pthread_join(start(0, work_once, &wave), NULL);
    }
    between(plan.count);
    pthread_join(start(0, work_quietly, &worker[0]), NULL);
}

static void run_by_two(void) {
    pthread_t thread[THREADS];
    pthread_barrier_init(&together, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        thread[i] = start(i, work, &worker[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
}

/* ---- what is demanded ------------------------------------------------------------------------------------------- */

static bool good = true;

static const char *described(void) {
    static char text[200];
    size_t least = plan.sizes.most != 0 ? plan.sizes.least : mixed[0].least;
    size_t most = plan.sizes.most != 0 ? plan.sizes.most : mixed[2].most;
    snprintf(text, sizeof text,
             "%s, %d waves of up to %zu KiB, one in %d ms, objects of %zu to %zu bytes, %s order",
             by_name[plan.by], plan.count, largest / KIB, plan.pause, least, most, order_name[plan.order]);
    return text;
}

static void demand_at_most(const char *what, size_t is, size_t bound) {
    if (is > bound) {
        print_error("%s: %s: %zu, and not at most %zu\n", described(), what, is, bound);
        good = false;
    }
}

/*
 * Pages that all waves may fetch; an eighth of them for the map, and what is lost between objects. Of two threads, one
 * may be far behind the other: the waves are not alike then. With larger pages, some are fetched while others are held
 * (doc/experiments.md).
 */
static size_t fetched_at_most(size_t pages) {
    if (are_two()) {
        return pages * 3;
    }
    return cb_page_size > 4096 ? pages / 2 * 7 : pages / 2 * 5 + pages / 8;
}

/* The page faults are the kernel's, whose pages stay what they are under CUTBACK_TEST_PAGE_SIZE. */
static void judge(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = largest / page;
    size_t of_waves = (size_t)plan.count * FAULTS_A_WAVE + FAULTS_AT_ALL;
    size_t first_pages = plan.bytes[0] / page, tenth = largest / 10;
    print_message(
        "%s: %ld faults, %.2f of the largest's pages, %ld in the first; %zu KiB given back; left after the "
        "first %zu KiB, the last %zu, when quiet %zu\n",
        described(), all_faults, (double)all_faults / (double)pages, first_faults, all_given / KIB,
        left_first / KIB, left_last / KIB, left_quiet / KIB);
    size_t may_fault = fetched_at_most(pages) + of_waves;
    demand_at_most("faults of all waves", (size_t)all_faults, may_fault);
    demand_at_most("faults of the first wave", (size_t)first_faults,
                   first_pages + first_pages / 8 + FAULTS_AT_ALL);
    demand_at_most("bytes given back", all_given, may_fault * page);
    if (!are_two()) {
        demand_at_most("bytes left after the first wave", left_first, LEAST_LEFT);
    }
    size_t least = LEAST_QUIET * (are_two() ? 2 : 1);
    demand_at_most("bytes left when quiet", left_quiet, tenth > least ? tenth : least);
    const char *wrong = cb_heap_check();
    demand(wrong == NULL, wrong);
    demand(good, "a bound is exceeded");
}

/* In the child: everything that is not the heap's is touched once more, since it shares it with its parent. */
static void run_plan(void) {
    uint64_t random = fixture_seed(17);
    memset(worker, 1, sizeof worker);
    memset(stack, 1, sizeof stack);
    for (int i = 0; i < THREADS; i++) {
        worker[i].random = fixture_random(&random);
        worker[i].survivors = 0;
        worker[i].number = i;
    }
    cb_free(cb_malloc(1));
    now = (int64_t)cb_os_milliseconds();
    given_before = given_back();
    before = fixture_anonymous();
    faults_before = faults();
    if (plan.by == ENDING) {
        run_by_threads_that_end();
    } else if (plan.by == ALONE) {
        work(&worker[0]);
    } else {
        run_by_two();
    }
    judge();
}

/* ---- sequences -------------------------------------------------------------------------------------------------- */

/* True when the waves of the plan keep the bounds, each plan in a child. */
static bool kept;

static void run(enum by by, enum order order) {
    plan.by = by;
    plan.order = order;
    kept = status_of_child(run_plan) == 0 && kept;
}

static void reset(int count) {
    memset(&plan, 0, sizeof plan);
    plan.count = count;
    plan.pause = WAVE_TIME;
    kept = true;
}

static void constant(size_t mebibytes) {
    for (int i = 0; i < plan.count; i++) {
        plan.bytes[i] = mebibytes * MIB;
    }
}

static void waves_of_one_thread(void **state) {
    (void)state;
    reset(20);
    for (size_t mebibytes = 1; mebibytes <= 64; mebibytes *= 4) {
        constant(mebibytes);
        for (int order = RANDOM; order <= REVERSE; order++) {
            run(ALONE, (enum order)order);
        }
    }
    assert_true(kept);
}

static void waves_of_one_kind_of_object(void **state) {
    static const struct sizes kinds[] = {{64, 256}, {1 << 10, 32 << 10}, {64 << 10, 256 << 10}};
    (void)state;
    reset(20);
    constant(16);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        plan.sizes = kinds[i];
        run(ALONE, RANDOM);
    }
    assert_true(kept);
}

/* Nothing is called meanwhile, so nothing can go back: what was kept is there when the next wave wants it. */
static void waves_with_pauses(void **state) {
    (void)state;
    reset(20);
    constant(16);
    for (plan.pause = 50; plan.pause <= 5000; plan.pause *= 10) {
        run(ALONE, RANDOM);
    }
    assert_true(kept);
}

static void waves_by(enum by by) {
    reset(20);
    for (size_t mebibytes = 4; mebibytes <= 64; mebibytes *= 4) {
        constant(mebibytes);
        run(by, RANDOM);
    }
    assert_true(kept);
}

static void waves_of_two_threads(void **state) {
    (void)state;
    waves_by(TWO);
}

static void waves_of_threads_that_end(void **state) {
    (void)state;
    waves_by(ENDING);
}

static void waves_of_which_others_free_half(void **state) {
    (void)state;
    waves_by(HANDED);
}

/* Whichever of the two sleeps when it has freed its half, and whatever the other one does. */
static void waves_of_two_of_which_one_sleeps(void **state) {
    (void)state;
    reset(4);
    constant(64);
    for (plan.awake = 0; plan.awake < THREADS; plan.awake++) {
        for (int large = 0; large < 2; large++) {
            plan.goes_on_large = large;
            run(APART, RANDOM);
        }
    }
    assert_true(kept);
}

static void waves_of_random_sizes(void **state) {
    (void)state;
    uint64_t random = fixture_seed(19);
    reset(30);
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < plan.count; i++) {
            plan.bytes[i] = spread((struct sizes){MIB, 64 * MIB}, &random);
        }
        run(ALONE, RANDOM);
    }
    assert_true(kept);
}

static void small_and_large_waves_by_turns(void **state) {
    (void)state;
    reset(40);
    for (int every = 2; every <= 8; every *= 2) {
        for (int i = 0; i < plan.count; i++) {
            plan.bytes[i] = i % every == every - 1 ? 64 * MIB : MIB;
        }
        run(ALONE, RANDOM);
    }
    assert_true(kept);
}

/* Up by half each time to 64 MiB, and, the second time, down again as fast. */
static void waves_that_grow_and_shrink(void **state) {
    (void)state;
    for (int turns = 0; turns < 2; turns++) {
        reset(MOST_WAVES);
        size_t bytes = MIB;
        bool up = true;
        for (int i = 0; i < plan.count; i++) {
            plan.bytes[i] = bytes;
            if (up && bytes > 64 * MIB / 3 * 2) {
                up = turns == 0;
                bytes = turns == 0 ? MIB : bytes / 3 * 2;
            } else if (up) {
                bytes += bytes / 2;
            } else {
                bytes = bytes / 3 * 2;
                up = bytes < 3 * MIB / 2;
            }
        }
        run(ALONE, RANDOM);
    }
    assert_true(kept);
}

/* Each wave wants half as much again as the heap has kept, until that is 64 MiB, and then begins from 1 MiB again. */
static void waves_that_want_more_than_is_kept(void **state) {
    (void)state;
    reset(MOST_WAVES);
    plan.bytes[0] = MIB;
    run(ALONE, RANDOM);
    run(ENDING, RANDOM);
    assert_true(kept);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waves_of_one_thread),
        cmocka_unit_test(waves_of_one_kind_of_object),
        cmocka_unit_test(waves_with_pauses),
        cmocka_unit_test(waves_of_two_threads),
        cmocka_unit_test(waves_of_threads_that_end),
        cmocka_unit_test(waves_of_which_others_free_half),
        cmocka_unit_test(waves_of_two_of_which_one_sleeps),
        cmocka_unit_test(waves_of_random_sizes),
        cmocka_unit_test(small_and_large_waves_by_turns),
        cmocka_unit_test(waves_that_grow_and_shrink),
        cmocka_unit_test(waves_that_want_more_than_is_kept),
    };
    if (BED_SANITIZED) { /* whose own memory is touched along with the heap's */
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
