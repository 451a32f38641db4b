/*
 * Remote frees: what other threads free costs no memory, however many owners there are and in whatever order; it comes
 * back although its owner sleeps; and what two threads free at once is freed once.
 *
 * Layer:     tests; reaches into the heap.
 * Threading: the point.
 */
#include "fixture.h"

#include "heap/map.h"
#include "heap/meta.h"
#include "heap/options.h"
#include "heap/pages.h"

#include <pthread.h>
#include <stdlib.h>

enum { OWNERS = 40, EACH = 3000, PAIRS = BED_SANITIZED ? 3000 : 30000, MEDIUM_EACH = 200 };
enum { BATCH = 50, SPINS = 10000 };

static pthread_barrier_t filled, done;

struct owner {
    pthread_t thread;
    size_t size;
    int count;
    void *object[EACH];
    struct cb_heap *heap;
    const char *wrong;
};

static struct owner owner[OWNERS];

static void *fill_and_sleep(void *argument) {
    struct owner *o = argument;
    for (int i = 0; i < o->count; i++) {
        o->object[i] = cb_malloc(o->size);
    }
    o->heap = cb_thread.heap;
    pthread_barrier_wait(&filled);
    pthread_barrier_wait(&done);
    cb_free(cb_malloc(60000)); /* the owner wakes up */
    o->wrong = cb_heap_check();
    return NULL;
}

static void start_owners(int owners, size_t size, int count) {
    pthread_barrier_init(&filled, NULL, (unsigned)owners + 1);
    pthread_barrier_init(&done, NULL, (unsigned)owners + 1);
    for (int i = 0; i < owners; i++) {
        owner[i].size = size;
        owner[i].count = count;
        assert_int_equal(pthread_create(&owner[i].thread, NULL, fill_and_sleep, &owner[i]), 0);
    }
    pthread_barrier_wait(&filled);
}

static void end_owners(int owners) {
    pthread_barrier_wait(&done);
    for (int i = 0; i < owners; i++) {
        pthread_join(owner[i].thread, NULL);
        assert_null(owner[i].wrong);
    }
    pthread_barrier_destroy(&filled);
    pthread_barrier_destroy(&done);
}

static void shuffle(void **all, size_t count) {
    uint64_t random = fixture_seed(5);
    for (size_t i = count - 1; i > 0; i--) {
        size_t other = fixture_random(&random) % (i + 1);
        void *p = all[i];
        all[i] = all[other];
        all[other] = p;
    }
}

/* All objects of all owners, in the order 0: by turns, 1: at random. */
static void free_all(int owners, int count, int order) {
    size_t total = (size_t)owners * (size_t)count, at = 0;
    void **all = malloc(total * sizeof *all);
    for (int k = 0; k < count; k++) {
        for (int i = 0; i < owners; i++) {
            all[at++] = owner[i].object[k];
        }
    }
    if (order == 1) {
        shuffle(all, total);
    }
    for (size_t i = 0; i < total; i++) {
        cb_free(all[i]);
    }
    free(all);
}

/* Resident bytes in use do not rise by a free, and what is mapped does not either. */
static void frees_for_many_owners_take_no_memory(void **state) {
    (void)state;
    for (int order = 0; order < 2; order++) {
        start_owners(OWNERS, 16, EACH);
        size_t meta = cb_meta_total();
        struct cb_pages_totals before, after;
        cb_pages_totals(&before);
        free_all(OWNERS, EACH, order);
        cb_pages_totals(&after);
        assert_int_equal(cb_meta_total(), meta);
        assert_int_equal(after.mapped, before.mapped);
        assert_true(after.free >= before.free);
        end_owners(OWNERS);
    }
    assert_heap();
}

static size_t live(const struct cb_heap *heap) {
    return cb_heap_in_use(heap) << CB_GRANULE_SHIFT;
}

/* All but what is in the blocks of the owner's runs, and what is not worth a look yet. */
static void what_a_sleeping_owner_has_comes_back(void **state) {
    (void)state;
    static const size_t size[] = {1000, 30000};
    for (int i = 0; i < 2; i++) {
        int count = i == 0 ? EACH : MEDIUM_EACH;
        start_owners(1, size[i], count);
        assert_true(live(owner[0].heap) >= (size_t)count * size[i]);
        free_all(1, count, 1);
        assert_in_range(live(owner[0].heap), 0, 4 * CB_BLOCK_SIZE);
        end_owners(1);
    }
}

/* A thread that only frees has no heap. */
static void *free_one(void *p) {
    cb_free(p);
    return cb_thread.heap;
}

static void a_block_goes_back_once_the_owner_has_seen_what_others_freed(void **state) {
    (void)state;
    enum { COUNT = 600 };
    void *object[COUNT];
    for (int i = 0; i < COUNT; i++) {
        object[i] = cb_malloc(1000);
    }
    struct cb_block *block = cb_block_of((uintptr_t)object[COUNT / 2]);
    for (int i = 0; i < COUNT; i++) {
        if (cb_block_of((uintptr_t)object[i]) != block) {
            cb_free(object[i]);
        } else {
            pthread_t thread;
            void *heap = &thread;
            assert_int_equal(pthread_create(&thread, NULL, free_one, object[i]), 0);
            pthread_join(thread, &heap);
            assert_null(heap);
        }
    }
    assert_ptr_equal(block->owner, cb_thread.heap);
    assert_heap();
    cb_malloc_trim(0);
    assert_null(block->owner);
    assert_int_equal(block->remote, 0); /* as in a block table that was given back: late bits queue nothing */
    assert_heap();
}

/*
 * Pairs of threads that free the same object in the same moment, with and without the owner as one of them. Objects are
 * handed over by the batch, at barriers, where threads wait asleep. Within a batch the two wait for each other at each
 * object, but not for long: on a busy machine the other may have no processor.
 */
static void *both[BATCH];
static _Atomic int arrived[BATCH];
static pthread_barrier_t begin, end;
static bool over; /* guarded by begin */
static _Atomic int met;

static void free_batch(void) {
    for (int i = 0; i < BATCH; i++) {
        bool is_first = atomic_fetch_add(&arrived[i], 1) == 0;
        for (int spins = 0; spins < SPINS && atomic_load(&arrived[i]) < 2; spins++) {
        }
        met += is_first && atomic_load(&arrived[i]) == 2;
        cb_free(both[i]);
    }
}

static void *other_half(void *unused) {
    for (;;) {
        pthread_barrier_wait(&begin);
        if (over) {
            return unused;
        }
        free_batch();
        pthread_barrier_wait(&end);
    }
}

/* What lies beside keeps their blocks in use. */
static void one_batch(uint64_t *random, bool owner_frees) {
    void *beside[BATCH];
    for (int i = 0; i < BATCH; i++) {
        both[i] = cb_malloc(fixture_random(random) % 16 == 0 ? 5000 : 16 + fixture_random(random) % 1000);
        beside[i] = cb_malloc(16);
        assert_non_null(both[i]);
        atomic_store(&arrived[i], 0);
    }
    pthread_barrier_wait(&begin);
    if (owner_frees) {
        free_batch();
    }
    pthread_barrier_wait(&end);
    for (int i = 0; i < BATCH; i++) {
        cb_free(beside[i]);
    }
}

static void an_object_that_two_threads_free_at_once_is_freed_once(void **state) {
    (void)state;
    pthread_t thread[2];
    uint64_t random = fixture_seed(3);
    cb_options.on_error = CB_ERROR_IGNORE;
    for (int threads = 1; threads <= 2; threads++) { /* 1: the owner takes part */
        pthread_barrier_init(&begin, NULL, (unsigned)threads + 1);
        pthread_barrier_init(&end, NULL, (unsigned)threads + 1);
        over = false;
        met = 0;
        for (int i = 0; i < threads; i++) {
            assert_int_equal(pthread_create(&thread[i], NULL, other_half, NULL), 0);
        }
        for (int batch = 0; batch < PAIRS / BATCH; batch++) {
            one_batch(&random, threads == 1);
            if (batch % 20 == 0) {
                assert_heap();
            }
        }
        print_message("of %d objects, %d were freed by two threads at once\n", PAIRS, met);
        over = true;
        pthread_barrier_wait(&begin);
        for (int i = 0; i < threads; i++) {
            pthread_join(thread[i], NULL);
        }
        assert_heap();
    }
    cb_options.on_error = CB_ERROR_ABORT;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frees_for_many_owners_take_no_memory),
        cmocka_unit_test(what_a_sleeping_owner_has_comes_back),
        cmocka_unit_test(a_block_goes_back_once_the_owner_has_seen_what_others_freed),
        cmocka_unit_test(an_object_that_two_threads_free_at_once_is_freed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
