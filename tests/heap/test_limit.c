/*
 * The system gives no more memory: a request finds what there is, and if there is nothing it is refused, for a bounded
 * amount of work. Counted are the map bytes that sweeps go over and the system calls that are tried, at two sizes of
 * the heap.
 *
 * Layer:     tests.
 * Threading: none. Each case runs in a process of its own, where memory can be used up.
 */
#include "fixture.h"

#include "heap/refill.h"
#include "heap/bin.h"
#include "heap/thread.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define LITTLE (4 * MIB)
#define MUCH ((BED_SANITIZED ? 12 : 32) * MIB)

enum {
    MOST_OBJECTS = 600000,
    OPERATIONS = BED_SANITIZED ? 2000 : 20000,
    SWEPT_MOST = 2 * CB_BLOCK_GRANULES, /* map bytes a request, on average: two blocks */
    CALLS_MOST = 4,                     /* system calls a request for which no block has room */
    CHECK_EACH = 500
};

static void *object[MOST_OBJECTS];
static size_t size_of[MOST_OBJECTS], count, least, most;
static uint64_t seed;

static void demand(bool good, const char *what, int line) {
    if (!good) {
        print_error("line %d: %s\n", line, what);
        _exit(1);
    }
}
#define DEMAND(condition) demand(condition, #condition, __LINE__)

static void demand_heap(void) {
    const char *wrong = cb_heap_check();
    demand(wrong == NULL, wrong, __LINE__);
}

static size_t any_size(void) {
    return least + fixture_random(&seed) % (most - least + 1);
}

static bool allocate(size_t size) {
    errno = 0;
    void *p = cb_malloc(size);
    if (p == NULL) {
        DEMAND(errno == ENOMEM);
        return false;
    }
    DEMAND(count < MOST_OBJECTS);
    *(unsigned char *)p = (unsigned char)size;
    object[count] = p;
    size_of[count++] = size;
    return true;
}

/* Frees any object; returns its size. */
static size_t release_any(void) {
    size_t k = fixture_random(&seed) % count, size = size_of[k];
    DEMAND(*(unsigned char *)object[k] == (unsigned char)size);
    cb_free(object[k]);
    object[k] = object[--count];
    size_of[k] = size_of[count];
    return size;
}

/* Objects of `least` to `most` bytes, so many bytes of them and then as many as can be had. */
static void fill(size_t bytes) {
    cb_os_inject(-1);
    for (size_t got = 0; got < bytes; got += size_of[count - 1]) {
        DEMAND(allocate(any_size()));
    }
    cb_os_inject(0);
    while (allocate(any_size())) {
    }
    DEMAND(cb_thread.heap->tight);
    demand_heap();
}

static void release_all(void) {
    while (count != 0) {
        release_any();
    }
}

/* What has been done since `begin`. */
struct work {
    size_t swept, calls, requests, refused, pages; /* the last: got pages that are not enough for a block */
};

static struct work begin(void) {
    return (struct work){cb_thread.heap->swept, cb_os_injected(), 0, 0, 0};
}

static void ask(struct work *work, size_t size) {
    work->requests++;
    if (!allocate(size)) {
        work->refused++;
        return;
    }
    const struct cb_block *block = cb_block_of((uintptr_t)object[count - 1]);
    work->pages += atomic_load_explicit(&block->owner, memory_order_relaxed) == NULL;
}

static void demand_little_work(const char *what, struct work work) {
    size_t swept = cb_thread.heap->swept - work.swept, calls = cb_os_injected() - work.calls;
    print_message("%s: %zu requests, %zu refused, %zu got pages, %zu map bytes swept, %zu system calls\n",
                  what, work.requests, work.refused, work.pages, swept, calls);
    DEMAND(swept <= work.requests * SWEPT_MOST);
    DEMAND(calls <= (work.refused + work.pages) * CALLS_MOST);
    demand_heap();
}

static void one_for_one(void) {
    struct work work = begin();
    for (size_t i = 0; i < OPERATIONS; i++) {
        ask(&work, release_any());
    }
    DEMAND(work.refused == 0);
    demand_little_work("an object freed, one of its size asked for", work);
}

static void one_for_another(void) {
    struct work work = begin();
    for (size_t i = 0; i < OPERATIONS; i++) {
        release_any();
        ask(&work, any_size());
        if (i % CHECK_EACH == 0) {
            demand_heap();
        }
    }
    demand_little_work("an object freed, one of another size asked for", work);
}

static void many_for_many(void) {
    struct work work = begin();
    for (size_t i = 0; i < OPERATIONS / 8; i++) {
        for (size_t k = 0; k < 8; k++) {
            release_any();
        }
        for (size_t k = 0; k < 10; k++) {
            ask(&work, any_size());
        }
        if (i % CHECK_EACH == 0) {
            demand_heap();
        }
    }
    demand_little_work("eight freed, ten of other sizes asked for", work);
}

static void in_vain(void) {
    struct work work = begin();
    for (size_t i = 0; i < OPERATIONS; i++) {
        ask(&work, most);
    }
    DEMAND(work.refused > OPERATIONS / 2);
    demand_little_work("the largest size", work);
}

/* Objects that die leave room for whatever is no larger. (A small one may have been put where medium objects are, for
 * want of room elsewhere; and medium ones need room there.) */
static void holes_are_found(void) {
    for (size_t i = 0; i < OPERATIONS / 10; i++) {
        size_t size = release_any();
        if (least > CB_SMALL_MAX || most <= CB_SMALL_MAX || size > CB_SMALL_MAX) {
            DEMAND(allocate(least + fixture_random(&seed) % (size - least + 1)));
        }
    }
    demand_heap();
}

static void objects_at_the_limit(size_t bytes, size_t from, size_t to) {
    least = from;
    most = to;
    fill(bytes);
    one_for_one();
    one_for_another();
    many_for_many();
    in_vain();
    holes_are_found();
    release_all();
    demand_heap();
    fill(bytes);
    one_for_another();
}

static void small_objects(void) {
    objects_at_the_limit(LITTLE, 16, 512);
}

static void small_objects_of_a_large_heap(void) {
    objects_at_the_limit(MUCH, 16, 512);
}

static void medium_objects(void) {
    objects_at_the_limit(LITTLE, 1100, CB_MEDIUM_MAX);
}

static void medium_objects_of_a_large_heap(void) {
    objects_at_the_limit(MUCH, 1100, CB_MEDIUM_MAX);
}

static void objects_of_both_kinds(void) {
    objects_at_the_limit(MUCH, 16, 4096);
}

/* A hole between others is as long as all that died side by side, in whatever order. */
static void neighbours_become_one_hole(void) {
    enum { LENGTH = 5, TOGETHER = 12 };
    least = most = LENGTH * CB_GRANULE;
    fill(LITTLE);
    for (size_t turn = 0; turn < OPERATIONS / 100; turn++) {
        size_t first = fixture_random(&seed) % (count - TOGETHER);
        uintptr_t start = (uintptr_t)object[first];
        for (size_t i = 0; i < TOGETHER; i++) {
            if ((uintptr_t)object[first + i] != start + i * most) {
                start = 0;
            }
        }
        if (start == 0) {
            continue;
        }
        for (size_t i = 0; i < TOGETHER; i++) {
            cb_free(object[first + i * 5 % TOGETHER]);
        }
        unsigned char *p = cb_malloc(TOGETHER * most);
        DEMAND(p != NULL);
        cb_free(p);
        for (size_t i = 0; i < TOGETHER; i++) {
            object[first + i] = cb_malloc(most);
            DEMAND(object[first + i] != NULL);
            *(unsigned char *)object[first + i] = (unsigned char)most;
        }
        demand_heap();
    }
}

/* A dead run of the medium space that is long enough is found, however many nearly as long died after it. */
static void runs_behind_shorter_ones_are_found(void) {
    enum { SHORT = 72 * 16, LONG = 76 * 16, DEAD = 20 };
    DEMAND(allocate(LONG));
    cb_os_inject(0);
    while (allocate(count % 2 == 0 ? LONG : SHORT)) {
    }
    while (allocate(LONG)) {
    }
    while (allocate(SHORT)) {
    }
    DEMAND(size_of[2] == LONG && size_of[2 * DEAD + 3] == SHORT);
    for (size_t i = 0; i <= DEAD; i++) {
        cb_free(object[i == 0 ? 2 : 2 * i + 3]);
        cb_bin_empty_all(&cb_thread);
    }
    DEMAND(cb_malloc(LONG) != NULL);
    demand_heap();
}

static void the_check_notices_unknown_holes(void) {
    enum { FREED = 2000 };
    static const char wrong[] = "a block of a tight heap has holes that nobody knows of";
    least = 16;
    most = 512;
    fill(LITTLE);
    for (size_t i = 0; i < FREED; i++) {
        release_any();
    }
    cb_bin_empty_all(&cb_thread);
    demand_heap();
    const struct cb_heap *heap = cb_thread.heap;
    DEMAND(heap->tight && heap->holes >> CB_SMALL_GRANULES != 0);
    struct cb_block *block = heap->queue[CB_SWEEP_QUEUES + CB_SMALL_GRANULES];
    struct cb_block was = *block;
    block->holes_from = CB_BLOCK_GRANULES - 1;
    DEMAND(strcmp(cb_heap_check(), wrong) == 0);
    block->holes_from = was.holes_from;
    block->recheck_at = was.dead;
    DEMAND(strcmp(cb_heap_check(), wrong) == 0);
    block->recheck_at = 0;
    demand_heap();
}

/* Once memory can be had again, and much has been, blocks wait as in any other heap. */
static void a_heap_is_tight_until_it_grows(void) {
    least = 16;
    most = 512;
    fill(LITTLE);
    cb_os_inject(-1);
    size_t before = count;
    while (count < before + before / 2) {
        DEMAND(allocate(any_size()));
    }
    DEMAND(!cb_thread.heap->tight);
    demand_heap();
    release_all();
    demand_heap();
}

static void a_heap_is_tight_until_much_has_died(void) {
    least = 16;
    most = 512;
    fill(LITTLE);
    for (size_t before = count; count > before * 3 / 4;) {
        release_any();
    }
    cb_bin_empty_all(&cb_thread);
    DEMAND(allocate(most) && !cb_thread.heap->tight);
    demand_heap();
}

/* Blocks that only what is parked has kept are pages for whoever needs many. */
static void large_objects_get_what_is_parked(void) {
    enum { PER_BLOCK = 7, LARGE = 200000 };
    least = most = CB_MEDIUM_MAX;
    fill(LITTLE);
    while (cb_malloc(LARGE / 4) != NULL) {
    }
    for (size_t i = 0; i < PER_BLOCK; i++) { /* as large as the bins may keep */
        cb_free(object[i]);
    }
    errno = 0;
    unsigned char *p = cb_calloc(1, LARGE);
    DEMAND(p != NULL && p[0] == 0 && p[LARGE - 1] == 0);
    demand_heap();
    size_t calls = cb_os_injected();
    DEMAND(cb_malloc(LARGE) == NULL && errno == ENOMEM);
    DEMAND(cb_os_injected() - calls <= CALLS_MOST);
    for (size_t i = PER_BLOCK; i < (size_t)2 * PER_BLOCK; i++) {
        cb_free(object[i]);
    }
    p = cb_realloc(p, LARGE + LARGE / 10);
    DEMAND(p != NULL);
    for (size_t i = (size_t)2 * PER_BLOCK; i < (size_t)3 * PER_BLOCK; i++) {
        cb_free(object[i]);
    }
    DEMAND(cb_memalign((size_t)1 << 15, LARGE / 2) != NULL);
    demand_heap();
}

static void in_process(void (*what)(void)) {
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(120);
        seed = fixture_seed(5);
        what();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

#define TEST(what)                                                                                           \
    static void test_##what(void **state) {                                                                  \
        (void)state;                                                                                         \
        in_process(what);                                                                                    \
    }
TEST(small_objects)
TEST(small_objects_of_a_large_heap)
TEST(medium_objects)
TEST(medium_objects_of_a_large_heap)
TEST(objects_of_both_kinds)
TEST(neighbours_become_one_hole)
TEST(runs_behind_shorter_ones_are_found)
TEST(the_check_notices_unknown_holes)
TEST(a_heap_is_tight_until_it_grows)
TEST(a_heap_is_tight_until_much_has_died)
TEST(large_objects_get_what_is_parked)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_objects),
        cmocka_unit_test(test_small_objects_of_a_large_heap),
        cmocka_unit_test(test_medium_objects),
        cmocka_unit_test(test_medium_objects_of_a_large_heap),
        cmocka_unit_test(test_objects_of_both_kinds),
        cmocka_unit_test(test_neighbours_become_one_hole),
        cmocka_unit_test(test_runs_behind_shorter_ones_are_found),
        cmocka_unit_test(test_the_check_notices_unknown_holes),
        cmocka_unit_test(test_a_heap_is_tight_until_it_grows),
        cmocka_unit_test(test_a_heap_is_tight_until_much_has_died),
        cmocka_unit_test(test_large_objects_get_what_is_parked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
