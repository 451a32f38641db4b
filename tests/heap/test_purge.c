/*
 * Memory goes back to the system: what is resident after everything was freed, in whatever order; malloc_trim
 * and mallinfo2.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

#include "heap/list.h"
#include "heap/pages.h"
#include "heap/bin.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#define AMOUNT ((size_t)64 << 20)
#define SLACK ((size_t)8 << 20) /* an eighth */
#define TRIMMED_SLACK ((size_t)2 << 20)

enum { MOST = 1 << 20, ORDERS = 3 };
static const char *const order_name[ORDERS] = {"reverse", "same", "random"};

static void *object[MOST];

static size_t fill(size_t least, size_t most) {
    uint64_t random = 11;
    size_t count = 0;
    for (size_t have = 0; have < AMOUNT && count < MOST; count++) {
        size_t size = least + fixture_random(&random) % (most - least + 1);
        object[count] = cb_malloc(size);
        assert_non_null(object[count]);
        memset(object[count], 1, size);
        have += size;
    }
    return count;
}

static void empty(size_t count, int order) {
    uint64_t random = 13;
    for (size_t i = count; order == 2 && i > 1; i--) {
        size_t k = fixture_random(&random) % i;
        void *swap = object[i - 1];
        object[i - 1] = object[k];
        object[k] = swap;
    }
    for (size_t i = 0; i < count; i++) {
        cb_free(object[order == 0 ? count - 1 - i : i]);
    }
}

/*
 * In a process of its own: a heap that gave memory back only to need it again at once keeps more the next
 * time. What stays at first is the reserve, the bins, and the map of what was there; after malloc_trim only
 * the last.
 */
static int given_back(size_t least, size_t most, int order) {
    memset(object, 1, sizeof object);
    cb_malloc_trim(0);
    size_t before = fixture_resident();
    empty(fill(least, most), order);
    size_t after = fixture_resident();
    cb_malloc_trim(0);
    size_t trimmed = fixture_resident();
    bool good = after <= before + SLACK && trimmed <= before + TRIMMED_SLACK && cb_heap_check() == NULL;
    if (!good) {
        print_error("%zu to %zu bytes, freed in %s order: %zd KiB more than before, %zd after malloc_trim\n",
                    least, most, order_name[order], (ssize_t)(after - before) / 1024,
                    (ssize_t)(trimmed - before) / 1024);
    }
    return good ? 0 : 1;
}

static void demand_given_back(size_t least, size_t most) {
    bool good = true;
#if BED_SANITIZED
    skip(); /* sanitizers keep memory of their own */
#endif
    for (int order = 0; order < ORDERS; order++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            _exit(given_back(least, most, order));
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        good = good && status == 0;
    }
    assert_true(good);
}

static void small_objects_are_given_back(void **state) {
    (void)state;
    demand_given_back(64, 400);
}

static void medium_objects_are_given_back(void **state) {
    (void)state;
    demand_given_back(1100, 30000);
}

static void large_objects_are_given_back(void **state) {
    (void)state;
    demand_given_back(50000, 1000000);
}

static void all_kinds_of_objects_are_given_back(void **state) {
    (void)state;
    demand_given_back(1, 60000);
}

static void mallinfo_follows_what_is_allocated(void **state) {
    (void)state;
    memset(object, 1, sizeof object);
    cb_malloc_trim(0);
    struct mallinfo2 before = cb_mallinfo2();
    void *p = cb_malloc((size_t)10 << 20);
    size_t count = fill(100, 100);
    struct mallinfo2 between = cb_mallinfo2();
    assert_true(between.uordblks - before.uordblks >= AMOUNT + ((size_t)10 << 20));
    assert_true(between.uordblks - before.uordblks <= AMOUNT + AMOUNT / 4 + ((size_t)10 << 20));
    assert_int_equal(between.uordblks + between.fordblks, between.arena);
    assert_true(between.keepcost <= between.fordblks);
    empty(count, 2);
    cb_free(p);
    cb_malloc_trim(0);
    struct mallinfo2 after = cb_mallinfo2();
    assert_true(after.uordblks <= before.uordblks + 2 * CB_BLOCK_SIZE);
    assert_int_equal(after.keepcost, 0);
    struct mallinfo old = cb_mallinfo();
    assert_int_equal(old.uordblks, after.uordblks);
}

static void trim_says_whether_something_went_back(void **state) {
    (void)state;
    cb_malloc_trim(0);
    assert_int_equal(cb_malloc_trim(0), 0);
    void *p = cb_malloc(400000);
    memset(p, 1, 400000);
    cb_free(p);
    assert_int_equal(cb_malloc_trim(0), 1);
    assert_int_equal(cb_malloc_trim(0), 0);
    assert_heap();
}

static void malloc_info_writes_a_document(void **state) {
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    assert_int_equal(cb_malloc_info(0, stream), 0);
    assert_int_equal(cb_malloc_info(1, stream), -1);
    fclose(stream);
    assert_non_null(strstr(text, "<malloc version=\"1\">"));
    assert_non_null(strstr(text, "</malloc>"));
    free(text);
}

/*
 * As where the system's pages are of 16 KiB: four units of 4 KiB are a page, and only whole pages count as
 * dead.
 * The bins are emptied after each step, so that what was freed is dead.
 */
static void pages_of_four_units_die_together(void **state) {
    (void)state;
    enum { OBJECTS = 16384, UNIT = 64 };
    size_t page = cb_page_size;
    cb_malloc_trim(0);
    cb_page_size = 16384;
    for (size_t i = 0; i < OBJECTS; i++) {
        object[i] = cb_malloc(64);
        assert_non_null(object[i]);
    }
    /* The first page whose objects are all ours, in the middle of a block. */
    size_t first = 0;
    while ((uintptr_t)object[first] % CB_BLOCK_SIZE != 32768) {
        first++;
    }
    struct cb_block *block = cb_block_of((uintptr_t)object[first]);
    uint64_t bits = (uint64_t)15 << 8;
    assert_ptr_equal((char *)object[first] + 4 * UNIT * 64, object[first + 4 * UNIT]);
    static const size_t units[] = {2, 0, 3, 1};
    for (size_t k = 0; k < 4; k++) {
        assert_int_equal((block->dead_pages | block->purged_pages) & bits, 0);
        for (size_t i = 0; i < UNIT; i++) {
            cb_free(object[first + units[k] * UNIT + i]);
            object[first + units[k] * UNIT + i] = NULL;
        }
        cb_bin_empty_all(&cb_thread);
        assert_heap();
        assert_true((block->full >> (8 + units[k]) & 1) != 0);
    }
    assert_int_equal((block->dead_pages | block->purged_pages) & bits, bits);
    assert_int_equal((block->dead_pages | block->purged_pages) & (bits << 4 | bits >> 4), 0);
    for (size_t i = 0; i < OBJECTS; i++) {
        cb_free(object[i]);
    }
    cb_malloc_trim(0);
    assert_heap();
    cb_page_size = page;
}

/* Frees the objects in those of each eight pages whose bits are set, and gives the pages back. */
static void free_pages(size_t count, unsigned which) {
    for (size_t i = 0; i < count; i++) {
        if (object[i] != NULL && (which >> ((uintptr_t)object[i] / cb_page_size % 8) & 1) != 0) {
            cb_free(object[i]);
            object[i] = NULL;
        }
    }
    cb_malloc_trim(0);
    assert_heap();
}

/* Of each eight pages three go back, then the four beside them, in one call; the last one stays. */
static void one_call_goes_over_pages_that_went_back_before(void **state) {
    enum { OBJECTS = 32768, PAGES = OBJECTS * 64 / 4096 };
    struct cb_pages_totals before, after;
    (void)state;
    if (cb_page_size != 4096) {
        skip(); /* eight pages are to be much less than a block */
    }
    cb_malloc_trim(0);
    for (size_t i = 0; i < OBJECTS; i++) {
        object[i] = cb_malloc(64);
        assert_non_null(object[i]);
        memset(object[i], (int)i, 64);
    }
    free_pages(OBJECTS, 1 << 1 | 1 << 3 | 1 << 5);
    cb_pages_totals(&before);
    free_pages(OBJECTS, 1 << 0 | 1 << 2 | 1 << 4 | 1 << 6);
    cb_pages_totals(&after);
    assert_true(after.purged - before.purged >= ((size_t)PAGES / 2 - 8) * 4096);
    assert_true(after.purged - before.purged <= ((size_t)PAGES / 2 + 8) * 4096);
    assert_true(after.purges - before.purges <= PAGES / 8 + 8);
    for (size_t i = 0; i < OBJECTS; i++) {
        for (size_t k = 0; object[i] != NULL && k < 64; k++) {
            assert_int_equal(((unsigned char *)object[i])[k], (unsigned char)i);
        }
    }
    free_pages(OBJECTS, 0xff);
}

/* The system may refuse to take pages back, from memory that is locked say: it is not asked again for each. */
static void refused_pages_stay_and_are_offered_again(void **state) {
    (void)state;
    struct cb_heap *heap = cb_thread.heap;
    if (cb_page_size != 4096) {
        skip(); /* the check below is of pages of one unit */
    }
    size_t count = fill(64, 64);
    heap->purge_from = SIZE_MAX;
    for (size_t i = 0; i < count / 2; i++) {
        cb_free(object[i]);
    }
    cb_bin_empty_all(&cb_thread);
    assert_int_equal(heap->purged_pages, 0);
    struct cb_block *block = heap->all;
    while ((block->full & block->dead_pages) == 0) {
        block = cb_list_next(block, CB_LIST_ALL);
        assert_non_null(block);
    }
    uint64_t dead = block->dead_pages;
    block->dead_pages &= ~block->full; /* and the check notices what went missing */
    assert_string_equal(cb_heap_check(), "a page that is dead does not count as such");
    block->dead_pages = dead;
    assert_heap();
    heap->purge_from = 0;
    size_t before = cb_mallinfo2().keepcost;
    for (size_t i = count / 2; i < count; i++) {
        cb_free(object[i]);
    }
    cb_malloc_trim(0);
    assert_true(cb_mallinfo2().keepcost < before);
    assert_heap();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_objects_are_given_back),
        cmocka_unit_test(medium_objects_are_given_back),
        cmocka_unit_test(large_objects_are_given_back),
        cmocka_unit_test(all_kinds_of_objects_are_given_back),
        cmocka_unit_test(mallinfo_follows_what_is_allocated),
        cmocka_unit_test(trim_says_whether_something_went_back),
        cmocka_unit_test(malloc_info_writes_a_document),
        cmocka_unit_test(pages_of_four_units_die_together),
        cmocka_unit_test(one_call_goes_over_pages_that_went_back_before),
        cmocka_unit_test(refused_pages_stay_and_are_offered_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
