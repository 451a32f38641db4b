/*
 * Memory goes back to the system: what is resident after everything was freed, in whatever order; malloc_trim
 * and mallinfo2.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "bed.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#define AMOUNT ((size_t)64 << 20)
#define SLACK ((size_t)8 << 20) /* an eighth */
#define TRIMMED_SLACK ((size_t)2 << 20)

enum { MOST = 1 << 20, ORDERS = 3 };
static const char *const order_name[ORDERS] = {"reverse", "same", "random"};

static void *object[MOST];

/* Bytes of the process that are in memory; nothing is allocated to find out. */
static size_t resident(void) {
    char text[128] = "";
    int file = open("/proc/self/statm", O_RDONLY);
    ssize_t got = read(file, text, sizeof text - 1);
    close(file);
    assert_true(got > 0);
    char *second;
    (void)strtoull(text, &second, 10);
    return strtoull(second, NULL, 10) * cb_os_page_size();
}

static size_t fill(size_t least, size_t most) {
    uint64_t random = 11;
    size_t count = 0;
    for (size_t have = 0; have < AMOUNT && count < MOST; count++) {
        size_t size = least + bed_random(&random) % (most - least + 1);
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
        size_t k = bed_random(&random) % i;
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
 * time. What stays at first is the reserve, the rings, and the map of what was there; after malloc_trim only
 * the last.
 */
static int given_back(size_t least, size_t most, int order) {
    memset(object, 1, sizeof object);
    cb_malloc_trim(0);
    size_t before = resident();
    empty(fill(least, most), order);
    size_t after = resident();
    cb_malloc_trim(0);
    size_t trimmed = resident();
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_objects_are_given_back),
        cmocka_unit_test(medium_objects_are_given_back),
        cmocka_unit_test(large_objects_are_given_back),
        cmocka_unit_test(all_kinds_of_objects_are_given_back),
        cmocka_unit_test(mallinfo_follows_what_is_allocated),
        cmocka_unit_test(trim_says_whether_something_went_back),
        cmocka_unit_test(malloc_info_writes_a_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
