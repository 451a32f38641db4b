/*
 * A soak: phase after phase, each with its own mixture of sizes and ways of dying, of threads that work,
 * trade and end, and of forks, until the time is up. Every object is checked when it goes, every thread
 * verifies its heap's invariants now and then, and at the end of a phase, when all is freed, the program may
 * not have grown without bound. On the heap with prefixed names, so that the invariants can be looked at and
 * the sanitizers can watch.
 *
 * usage: soak [SECONDS [SEED]]
 */
#include "fixture.h"

#include "heap/check.h"
#include "heap/malloc.h"

#include <time.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { SHARED = 256, HELD = 512, WORKERS_MOST = 6, CHILD_SECONDS = 120 };
static const size_t slack = (size_t)64 << 20; /* bytes that the heap may keep when all is freed */

/* What a phase is like; written before its threads start. */
static struct {
    size_t least, spread; /* sizes */
    unsigned large;       /* one in so many is up to a megabyte */
    unsigned order;       /* 0: random, 1: LIFO, 2: FIFO */
    unsigned trades;      /* of 16 steps */
    unsigned steps;
} phase;

/* release by the thread that puts an object in, acquire by whoever takes it out */
static struct fixture_object *_Atomic shared[SHARED];
static _Atomic uint64_t operations, checks;

static void verify_heap(void) {
    const char *wrong = cb_heap_check();
    if (wrong != NULL) {
        fprintf(stderr, "soak: %s\n", wrong);
        abort();
    }
    atomic_fetch_add_explicit(&checks, 1, memory_order_relaxed);
}

static size_t size_of_phase(uint64_t *random) {
    size_t size = phase.least + fixture_random(random) % phase.spread;
    return sizeof(struct fixture_object) +
           (fixture_random(random) % phase.large == 0 ? fixture_random(random) % ((size_t)1 << 20) : size);
}

static struct fixture_object *make(uint64_t *random) {
    size_t size = size_of_phase(random);
    uint64_t how = fixture_random(random) % 32;
    struct fixture_object *object = how == 0 ? cb_calloc(1, size)
                                    : how == 1
                                        ? cb_aligned_alloc((size_t)32 << fixture_random(random) % 9, size)
                                        : cb_malloc(size);
    CHECK(object != NULL);
    CHECK(cb_malloc_usable_size(object) >= size);
    fixture_fill_object(object, size, fixture_random(random));
    return object;
}

static void drop(struct fixture_object *object) {
    if (object != NULL) {
        fixture_verify(object);
        cb_free(object);
    }
}

static struct fixture_object *resize(struct fixture_object *object, uint64_t *random) {
    size_t size = size_of_phase(random), old = object->size;
    fixture_verify(object);
    object = cb_realloc(object, size);
    CHECK(object != NULL);
    object->size = size < old ? size : old;
    fixture_verify(object);
    fixture_fill_object(object, size, fixture_random(random));
    return object;
}

static struct fixture_object *trade(struct fixture_object *object, uint64_t *random) {
    return atomic_exchange_explicit(&shared[fixture_random(random) % SHARED], object, memory_order_acq_rel);
}

static void *work(void *argument) {
    uint64_t random = (uintptr_t)argument;
    struct fixture_object *held[HELD] = {0};
    for (unsigned i = 0, top = 0; i < phase.steps; i++) {
        size_t at = phase.order == 0 ? fixture_random(&random) % HELD : phase.order == 1 ? top : i % HELD;
        if (phase.order == 1) {
            top = fixture_random(&random) % 2 == 0 && top < HELD - 1 ? top + 1 : top > 0 ? top - 1 : 0;
        }
        uint64_t what = fixture_random(&random) % 16;
        if (what < phase.trades) {
            held[at] = trade(held[at], &random);
        } else if (what == 15 && held[at] != NULL) {
            held[at] = resize(held[at], &random);
        } else {
            drop(held[at]);
            held[at] = phase.order == 1 && what % 2 == 0 ? NULL : make(&random);
        }
        if (i % 8192 == 0) {
            verify_heap();
        }
    }
    for (size_t i = 0; i < HELD; i++) {
        drop(held[i]);
    }
    verify_heap();
    atomic_fetch_add_explicit(&operations, phase.steps, memory_order_relaxed);
    return NULL;
}

static void *visit(void *argument) {
    uint64_t random = (uintptr_t)argument;
    for (int i = 0; i < 50; i++) {
        drop(trade(make(&random), &random));
    }
    verify_heap();
    return NULL;
}

static void empty_shared(void) {
    for (size_t i = 0; i < SHARED; i++) {
        drop(atomic_exchange_explicit(&shared[i], NULL, memory_order_acquire));
    }
}

static void fork_once(uint64_t seed) {
    pid_t child = fork();
    if (child == 0) {
        alarm(CHILD_SECONDS);
        visit((void *)(uintptr_t)seed);
        empty_shared();
        pthread_join(fixture_thread(visit, (void *)(uintptr_t)(seed + 1)), NULL);
        verify_heap();
        _exit(0);
    }
    fixture_wait(child);
}

static void run_phase(uint64_t *random) {
    static const size_t spread[] = {16, 128, 1024, 8192, 65536};
    uint64_t r = fixture_random(random);
    unsigned workers = 1 + (unsigned)(r >> 8) % WORKERS_MOST;
    phase.least = r % 3 == 0 ? (r >> 16) % 2048 : 0;
    phase.spread = spread[(r >> 32) % 5];
    phase.large = r % 5 == 0 ? 50 : 2000;
    phase.order = (unsigned)(r >> 40) % 3;
    phase.trades = (unsigned)(r >> 44) % 8;
    phase.steps = (unsigned)((SANITIZED ? 4000000 : 40000000) / (phase.spread + 400)) / workers;
    pthread_t thread[WORKERS_MOST];
    for (unsigned i = 0; i < workers; i++) {
        thread[i] = fixture_thread(work, (void *)(uintptr_t)fixture_random(random));
    }
    for (unsigned i = 0; i < (r >> 48) % 30; i++) {
        pthread_join(fixture_thread(visit, (void *)(uintptr_t)fixture_random(random)), NULL);
    }
    for (unsigned i = 0; !SANITIZED && i < (r >> 56) % 4; i++) { /* their run-time libraries mind */
        fork_once(fixture_random(random));
    }
    for (unsigned i = 0; i < workers; i++) {
        pthread_join(thread[i], NULL);
    }
    empty_shared();
    verify_heap();
    CHECK(cb_mallinfo2().uordblks < slack);
}

int main(int argc, char **argv) {
    time_t seconds = argc > 1 ? atoi(argv[1]) : 20, start = time(NULL);
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1, random = seed;
    unsigned phases = 0;
    do {
        alarm(600); /* for one phase */
        run_phase(&random);
        phases++;
    } while (time(NULL) - start < seconds);
    printf("soak: seed %llu: %u phases, %llu operations, heaps verified %llu times, %zu KiB mapped\n",
           (unsigned long long)seed, phases, (unsigned long long)atomic_load(&operations),
           (unsigned long long)atomic_load(&checks), cb_mallinfo2().arena >> 10);
    return 0;
}
