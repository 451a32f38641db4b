/*
 * Threads that hand objects to each other, come and go, and leave behind what others free. Each checks its
 * own heap at intervals; contents are checked whenever an object changes hands. Clean under the thread
 * sanitizer.
 *
 * Layer:     tests.
 * Threading: the point.
 */
#include "fixture.h"

#include <pthread.h>
#include <semaphore.h>

enum { THREADS = 4, MAILBOXES = 128, SLOTS = 128, CHURN = 300, ROUNDS = 200, OBJECTS = 4000 };
#define STEPS (BED_SANITIZED ? 30000 : 150000)

struct parcel {
    size_t size;
    unsigned char seed, content[];
};

/* release by whoever puts a parcel in, acquire by whoever takes it out */
static struct parcel *_Atomic mailbox[MAILBOXES];
static _Atomic int faults;
static _Atomic bool tuned;

static void fault(const char *what) {
    print_error("%s\n", what);
    atomic_fetch_add(&faults, 1);
}

static void check_heap(void) {
    const char *wrong = cb_heap_check();
    if (wrong != NULL) {
        fault(wrong);
    }
}

static size_t parcel_size(uint64_t *random) {
    uint64_t r = fixture_random(random);
    size_t kind = r >> 8 & 127;
    return kind == 0 ? (r >> 16) % 200000 : kind < 10 ? (r >> 16) % 20000 : (r >> 16) % 400;
}

static struct parcel *pack(uint64_t *random) {
    size_t size = parcel_size(random);
    struct parcel *parcel = fixture_random(random) % 16 == 0 ? cb_memalign(128, sizeof *parcel + size)
                                                             : cb_malloc(sizeof *parcel + size);
    if (parcel == NULL) {
        fault("no memory");
        return NULL;
    }
    parcel->size = size;
    parcel->seed = (unsigned char)(size + 1);
    fixture_fill(parcel->content, size, parcel->seed);
    return parcel;
}

static void check(const struct parcel *parcel) {
    if (!fixture_holds(parcel->content, parcel->size, parcel->seed)) {
        fault("the contents of a parcel have changed");
    }
}

static void unpack(struct parcel *parcel) {
    if (parcel != NULL) {
        check(parcel);
        cb_free(parcel);
    }
}

/* In place or elsewhere, whoever made it. */
static struct parcel *repack(struct parcel *parcel, uint64_t *random) {
    size_t size = parcel_size(random);
    check(parcel);
    struct parcel *other = cb_realloc(parcel, sizeof *parcel + size);
    if (other == NULL) {
        fault("no memory");
        return parcel;
    }
    size_t common = size < other->size ? size : other->size;
    if (!fixture_holds(other->content, common, other->seed)) {
        fault("realloc lost contents");
    }
    other->size = size;
    fixture_fill(other->content, size, other->seed);
    return other;
}

static struct parcel *trade(struct parcel *parcel, uint64_t *random) {
    return atomic_exchange_explicit(&mailbox[fixture_random(random) % MAILBOXES], parcel,
                                    memory_order_acq_rel);
}

static void *worker(void *argument) {
    uint64_t random = (uintptr_t)argument;
    struct parcel *mine[SLOTS] = {0};
    for (int step = 0; step < STEPS; step++) {
        struct parcel **slot = &mine[fixture_random(&random) % SLOTS];
        uint64_t what = fixture_random(&random) % 16;
        if (what < 4) {
            *slot = trade(*slot, &random);
        } else if (what < 6 && *slot != NULL) {
            *slot = repack(*slot, &random);
        } else {
            unpack(*slot);
            *slot = what < 11 ? pack(&random) : NULL;
        }
        if (step % 4096 == 0) {
            check_heap();
        }
    }
    for (size_t i = 0; i < SLOTS; i++) {
        unpack(mine[i]);
    }
    check_heap();
    return NULL;
}

/* Lives for a moment; what it leaves in the mailboxes outlives it. */
static void *visitor(void *argument) {
    uint64_t random = (uintptr_t)argument;
    check_heap();
    for (int i = 0; i < 64; i++) {
        unpack(trade(pack(&random), &random));
    }
    check_heap();
    return NULL;
}

static void *churn(void *argument) {
    for (uintptr_t i = 0; i < CHURN; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, visitor, (void *)(i + (uintptr_t)argument)) == 0) {
            pthread_join(thread, NULL);
        }
    }
    return NULL;
}

static void empty_mailboxes(void) {
    for (size_t i = 0; i < MAILBOXES; i++) {
        unpack(atomic_exchange(&mailbox[i], NULL));
    }
}

static void objects_change_hands_while_threads_come_and_go(void **state) {
    (void)state;
    pthread_t thread[THREADS], churner;
    uint64_t seed = fixture_seed(7);
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, worker, (void *)(uintptr_t)(seed + i)), 0);
    }
    assert_int_equal(pthread_create(&churner, NULL, churn, (void *)(uintptr_t)(seed + 1000)), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    pthread_join(churner, NULL);
    empty_mailboxes();
    assert_int_equal(faults, 0);
    assert_heap();
}

static void *leave(void *argument) {
    void **left = argument;
    for (int i = 0; i < 100; i++) {
        left[i] = cb_malloc((size_t)i * 40);
        fixture_fill(left[i], (size_t)i * 40, (unsigned char)i);
    }
    return NULL;
}

static void what_a_thread_left_is_freed_after_its_end(void **state) {
    (void)state;
    for (int round = 0; round < 50; round++) {
        void *left[100];
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, leave, left), 0);
        pthread_join(thread, NULL);
        for (int i = 0; i < 100; i++) {
            assert_true(fixture_holds(left[i], (size_t)i * 40, (unsigned char)i));
            cb_free(left[i]);
        }
    }
    assert_heap();
}

static void *heap_of_thread(void *unused) {
    (void)unused;
    cb_free(cb_malloc(1));
    check_heap();
    return cb_thread.heap;
}

static void a_new_thread_takes_over_the_heap_of_one_that_ended(void **state) {
    (void)state;
    void *heap[2];
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, heap_of_thread, NULL), 0);
        pthread_join(thread, &heap[i]);
    }
    assert_non_null(heap[0]);
    assert_ptr_equal(heap[0], heap[1]);
}

/*
 * Objects made in one thread and freed in another come back to the first: memory does not grow. The threads wait for
 * each other asleep: one that only yields is run once in a round of all that runs on the machine.
 */
static void *handed_over; /* guarded by the two: the one who has waited for it may touch it */
static sem_t full, vacant;

static void *consume(void *unused) {
    for (;;) {
        sem_wait(&full);
        void *p = handed_over;
        sem_post(&vacant);
        if (p == NULL) {
            return unused;
        }
        cb_free(p);
    }
}

static void hand_over(void *p) {
    sem_wait(&vacant);
    handed_over = p;
    sem_post(&full);
}

static void what_others_free_is_used_again(void **state) {
    (void)state;
    pthread_t thread;
    sem_init(&full, 0, 0);
    sem_init(&vacant, 0, 1);
    assert_int_equal(pthread_create(&thread, NULL, consume, NULL), 0);
    cb_malloc_trim(0);
    size_t before = cb_mallinfo2().uordblks;
    for (int i = 0; i < 100000; i++) {
        void *p = cb_malloc(20000);
        assert_non_null(p);
        hand_over(p);
    }
    hand_over(NULL);
    pthread_join(thread, NULL);
    cb_malloc_trim(0); /* takes in what arrived last */
    assert_true(cb_mallinfo2().uordblks <= before + (1 << 20));
    assert_heap();
}

static void *free_nothing(void *unused) {
    cb_free(NULL);
    cb_free(unused);
    return cb_thread.heap;
}

static void *tune(void *unused) {
    (void)unused;
    while (!atomic_load_explicit(&tuned, memory_order_relaxed)) {
        cb_mallopt(M_TRIM_THRESHOLD, 1 << 20);
        cb_os_yield();
    }
    return NULL;
}

static void an_option_changes_while_others_allocate(void **state) {
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, tune, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        cb_free(cb_malloc(100000));
        for (int k = 0; k < 100; k++) {
            void *p = cb_malloc(20000), *other = cb_malloc(20000);
            assert_true(p != NULL && other != NULL);
            cb_free(p);
            cb_free(other);
        }
    }
    atomic_store_explicit(&tuned, true, memory_order_relaxed);
    pthread_join(thread, NULL);
    assert_heap();
}

static void *free_all(void *argument) {
    void **object = argument;
    for (int i = 0; i < OBJECTS; i++) {
        cb_free(object[i]);
    }
    return NULL;
}

/* Its blocks go back meanwhile, by the hands of the other. */
static void a_request_that_is_refused_may_come_while_another_thread_frees(void **state) {
    static void *object[OBJECTS];
    (void)state;
    for (int round = 0; round < 4; round++) {
        pthread_t thread;
        for (int i = 0; i < OBJECTS; i++) {
            object[i] = cb_malloc(1000);
            assert_non_null(object[i]);
        }
        assert_int_equal(pthread_create(&thread, NULL, free_all, object), 0);
        for (int i = 0; i < 1000; i++) {
            assert_null(cb_malloc((size_t)1 << 50));
        }
        pthread_join(thread, NULL);
    }
    cb_malloc_trim(0); /* takes in what arrived last */
    assert_heap();
}

static void free_of_null_comes_first_in_a_thread(void **state) {
    (void)state;
    pthread_t thread;
    void *heap = &thread;
    assert_int_equal(pthread_create(&thread, NULL, free_nothing, NULL), 0);
    pthread_join(thread, &heap);
    assert_null(heap);
}

static pthread_key_t late;

static void allocate_late(void *value) {
    static _Atomic int rounds;
    void *p = cb_malloc(300);
    fixture_fill(p, 300, 5);
    if (!fixture_holds(p, 300, 5)) {
        fault("memory of a destructor is not its own");
    }
    cb_free(p);
    cb_free(value);
    const int most =
        BED_SANITIZED ? 3 : 4; /* in the last round the thread sanitizer is done with the thread */
    if (atomic_fetch_add(&rounds, 1) % most != most - 1) {
        pthread_setspecific(late, cb_malloc(50));
    }
}

static void *use_key(void *unused) {
    pthread_setspecific(late, cb_malloc(50));
    return unused;
}

static void destructors_of_other_keys_allocate_in_every_round(void **state) {
    (void)state;
    assert_int_equal(pthread_key_create(&late, allocate_late), 0);
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, use_key, NULL), 0);
        pthread_join(thread, NULL);
    }
    pthread_key_delete(late);
    assert_int_equal(faults, 0);
    assert_heap();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_option_changes_while_others_allocate),
        cmocka_unit_test(a_request_that_is_refused_may_come_while_another_thread_frees),
        cmocka_unit_test(free_of_null_comes_first_in_a_thread),
        cmocka_unit_test(a_new_thread_takes_over_the_heap_of_one_that_ended),
        cmocka_unit_test(what_a_thread_left_is_freed_after_its_end),
        cmocka_unit_test(what_others_free_is_used_again),
        cmocka_unit_test(destructors_of_other_keys_allocate_in_every_round),
        cmocka_unit_test(objects_change_hands_while_threads_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
