/*
 * Many owners: threads allocate, and other threads free what they allocated, in turn, at random, owner by owner or
 * backwards, while the owners sleep, work, allocate once more or have ended. Those who free come and go as
 * well. Every object is checked when it goes, every thread verifies its heap's invariants, and when all is
 * freed and all threads have ended the heap may not have kept more than a little. On the heap with prefixed
 * names, so that the invariants can be looked at and the sanitizers can watch.
 *
 * usage: many_owners [SECONDS [SEED]]
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

enum {
    OWNERS_MOST = SANITIZED ? 40 : 300,
    OBJECTS_MOST = SANITIZED ? 20000 : 300000,
    SLICE = 200, /* objects that a thread frees before it looks whether it is to end */
    FREERS_MOST = 4
};
static const size_t slack = (size_t)128 << 20; /* bytes that may be resident in addition when all is freed */

enum fate { ENDS, SLEEPS, WORKS, WAKES, FATES };

/* Written before the threads of a phase start. */
static struct {
    unsigned owners, each, order; /* order: 0 in turn, 1 random, 2 owner by owner, 3 backwards */
    size_t spread;                /* sizes */
    enum fate fate;               /* of the owners; FATES: any */
    uint64_t seed;
} phase;

static struct fixture_object
    *objects[OBJECTS_MOST]; /* of the first owner, of the second, ...; see `allocated` */
static unsigned turns[OBJECTS_MOST];
static pthread_barrier_t allocated, finished; /* between owners and main */
static _Atomic unsigned next;                 /* of the turns; relaxed, each is taken once */
static _Atomic bool all_freed;                /* relaxed: only says when to stop */

static void verify_heap(void) {
    const char *wrong = cb_heap_check();
    if (wrong != NULL) {
        fprintf(stderr, "many_owners: %s\n", wrong);
        abort();
    }
}

static struct fixture_object *make(uint64_t *random) {
    size_t size = sizeof(struct fixture_object) + fixture_random(random) % phase.spread;
    struct fixture_object *object = cb_malloc(size);
    CHECK(object != NULL);
    fixture_fill_object(object, size, fixture_random(random));
    return object;
}

static void drop(struct fixture_object *object) {
    fixture_verify(object);
    cb_free(object);
}

/* A little of an owner's own. */
static void work(uint64_t *random) {
    struct fixture_object *held[32];
    for (int i = 0; i < 32; i++) {
        held[i] = make(random);
    }
    for (int i = 0; i < 32; i++) {
        drop(held[(i * 5) % 32]);
    }
}

static enum fate fate_of(unsigned owner) {
    return phase.fate != FATES ? phase.fate : (enum fate)(owner % FATES);
}

static void *own(void *argument) {
    unsigned owner = (unsigned)(uintptr_t)argument;
    uint64_t random = phase.seed + owner;
    for (unsigned i = 0; i < phase.each; i++) {
        objects[owner * phase.each + i] = make(&random);
    }
    enum fate fate = fate_of(owner);
    pthread_barrier_wait(&allocated);
    while (fate == WORKS && !atomic_load_explicit(&all_freed, memory_order_relaxed)) {
        work(&random);
    }
    if (fate != ENDS) {
        pthread_barrier_wait(&finished);
    }
    if (fate == WAKES) {
        work(&random);
        verify_heap();
    }
    return NULL;
}

static void *free_some(void *argument) {
    uint64_t random = (uintptr_t)argument;
    unsigned count = phase.owners * phase.each, slices = 1 + (unsigned)(fixture_random(&random) % 400);
    for (unsigned i = 0; i < slices; i++) {
        unsigned from = atomic_fetch_add_explicit(&next, SLICE, memory_order_relaxed);
        for (unsigned k = from; k < from + SLICE && k < count; k++) {
            drop(objects[turns[k]]);
        }
        if (fixture_random(&random) % 64 == 0) {
            work(&random);
        }
    }
    verify_heap();
    return NULL;
}

static void set_turns(uint64_t *random) {
    unsigned count = phase.owners * phase.each;
    for (unsigned i = 0; i < count; i++) {
        turns[i] = phase.order == 0   ? i % phase.owners * phase.each + i / phase.owners
                   : phase.order == 3 ? count - 1 - i
                                      : i;
    }
    for (unsigned i = count; phase.order == 1 && i > 1; i--) {
        unsigned k = (unsigned)(fixture_random(random) % i), kept = turns[i - 1];
        turns[i - 1] = turns[k];
        turns[k] = kept;
    }
}

static void free_all(uint64_t *random) {
    pthread_t freer[FREERS_MOST];
    while (atomic_load_explicit(&next, memory_order_relaxed) < phase.owners * phase.each) {
        unsigned freers = 1 + (unsigned)(fixture_random(random) % FREERS_MOST);
        for (unsigned i = 0; i < freers; i++) {
            freer[i] = fixture_thread(free_some, (void *)(uintptr_t)fixture_random(random));
        }
        for (unsigned i = 0; i < freers; i++) {
            pthread_join(freer[i], NULL);
        }
    }
}

static size_t base; /* resident before the first phase */

static void run_phase(uint64_t *random) {
    static const unsigned owners[] = {2, 3, 16, 17, 40, 100, 300};
    static const size_t spread[] = {1, 64, 500, 5000};
    pthread_t thread[OWNERS_MOST];
    uint64_t r = fixture_random(random);
    phase.owners = owners[r % 7] < OWNERS_MOST ? owners[r % 7] : OWNERS_MOST;
    phase.spread = spread[(r >> 8) % 4];
    phase.each = OBJECTS_MOST / (1 + (unsigned)phase.spread / 64) / phase.owners;
    phase.order = (unsigned)(r >> 16) % 4;
    phase.fate = (enum fate)((r >> 24) % (FATES + 1));
    phase.seed = r;
    atomic_store_explicit(&next, 0, memory_order_relaxed);
    atomic_store_explicit(&all_freed, false, memory_order_relaxed);
    unsigned stay = 0;
    for (unsigned i = 0; i < phase.owners; i++) {
        stay += fate_of(i) != ENDS;
    }
    CHECK(pthread_barrier_init(&allocated, NULL, phase.owners + 1) == 0);
    CHECK(pthread_barrier_init(&finished, NULL, stay + 1) == 0);
    for (unsigned i = 0; i < phase.owners; i++) {
        thread[i] = fixture_thread(own, (void *)(uintptr_t)i);
    }
    set_turns(random);
    pthread_barrier_wait(&allocated);
    free_all(random);
    atomic_store_explicit(&all_freed, true, memory_order_relaxed);
    pthread_barrier_wait(&finished);
    for (unsigned i = 0; i < phase.owners; i++) {
        pthread_join(thread[i], NULL);
    }
    verify_heap();
    cb_malloc_trim(0);
    size_t kept = fixture_resident();
    if (!SANITIZED && kept > base + slack) {
        fprintf(stderr, "many_owners: %zu KiB kept: %u owners, %zu bytes, order %u, fate %u\n",
                (kept - base) >> 10, phase.owners, phase.spread, phase.order, phase.fate);
    }
    CHECK(SANITIZED || kept <= base + slack);
}

int main(int argc, char **argv) {
    time_t seconds = argc > 1 ? atoi(argv[1]) : 5, start = time(NULL);
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1, random = seed;
    unsigned phases = 0;
    memset(objects, 1, sizeof objects);
    memset(turns, 1, sizeof turns);
    base = fixture_resident();
    do {
        alarm(300); /* for one phase */
        run_phase(&random);
        phases++;
    } while (time(NULL) - start < seconds);
    printf("many_owners: seed %llu: %u phases, %zu KiB mapped\n", (unsigned long long)seed, phases,
           cb_mallinfo2().arena >> 10);
    return 0;
}
