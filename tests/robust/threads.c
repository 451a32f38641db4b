/*
 * Ten thousand threads in waves, joined, detached and cancelled. Each frees what earlier ones left behind and
 * leaves some for others; many are gone when their memory is freed. Destructors of thread-specific data
 * allocate and free in every round that the system grants, and threads that do so over and over do not make
 * the program grow.
 */
#include "fixture.h"

#include <limits.h>
#include <semaphore.h>

enum { TOTAL = 10000, WAVE = 50, SHARED = 512, KEYS = 40, LEAVING = 2000 };

/* release by the thread that puts an object in, acquire by whoever takes it out */
static struct fixture_object *_Atomic shared[SHARED];
static pthread_key_t key[KEYS], rounds_key;
static sem_t ended;

static void trade(uint64_t *random, int times) {
    for (int i = 0; i < times; i++) {
        struct fixture_object *_Atomic *box = &shared[fixture_random(random) % SHARED];
        fixture_drop(atomic_exchange_explicit(box, fixture_make(random), memory_order_acq_rel));
    }
}

static void visit(uintptr_t seed) {
    uint64_t random = seed;
    trade(&random, 10 + (int)(seed % 7));
    if (seed % 16 == 0) {
        fixture_work(seed, 20);
    }
}

static void *joined(void *argument) {
    visit((uintptr_t)argument);
    return NULL;
}

static void *detached(void *argument) {
    visit((uintptr_t)argument);
    sem_post(&ended); /* what comes after is not waited for */
    return NULL;
}

static void drop_kept(void *object) {
    fixture_drop(object);
}

static void *cancelled(void *argument) {
    uint64_t random = (uintptr_t)argument;
    struct fixture_object *mine = fixture_make(&random);
    pthread_cleanup_push(drop_kept, mine);
    visit((uintptr_t)argument);
    for (;;) {
        trade(&random, 1);
        pthread_testcancel();
        if (random % 8 == 0) {
            usleep(100); /* a point of cancellation inside libc */
        }
    }
    pthread_cleanup_pop(1);
    return NULL;
}

static void waves(void) {
    uintptr_t seed = 1;
    for (int done = 0; done < TOTAL; done += WAVE) {
        pthread_t thread[WAVE];
        int alone = 0;
        for (int i = 0; i < WAVE; i++, seed++) {
            void *(*run)(void *) = i % 3 == 0 ? detached : i % 3 == 1 ? joined : cancelled;
            thread[i] = fixture_thread(run, (void *)seed);
            if (run == detached) {
                pthread_detach(thread[i]);
                alone++;
            }
        }
        for (int i = 0; i < WAVE; i++) {
            if (i % 3 == 2) {
                CHECK(pthread_cancel(thread[i]) == 0);
            }
            if (i % 3 != 0) {
                CHECK(pthread_join(thread[i], NULL) == 0);
            }
        }
        while (alone-- > 0) {
            while (sem_wait(&ended) != 0) {
                CHECK(errno == EINTR);
            }
        }
    }
    for (size_t i = 0; i < SHARED; i++) {
        fixture_drop(atomic_exchange(&shared[i], NULL));
    }
}

/* The value of the key counts the rounds; in each of them memory of all sizes comes and goes. */
struct late {
    int round;
    struct fixture_object *kept[8];
};

static _Atomic int last_rounds;

static void destroy(void *value) {
    struct late *late = value;
    uint64_t random = (uint64_t)late->round;
    for (int i = 0; i < 8; i++) {
        fixture_drop(late->kept[i]);
        late->kept[i] = fixture_make(&random);
    }
    free(calloc(3, 500));
    CHECK(errno == 0);
    if (++late->round < PTHREAD_DESTRUCTOR_ITERATIONS) {
        pthread_setspecific(rounds_key, late);
        return;
    }
    for (int i = 0; i < 8; i++) {
        fixture_drop(late->kept[i]);
    }
    free(late);
    atomic_fetch_add(&last_rounds, 1);
}

static void *leave(void *seed) {
    /* Keys from the 33rd on make libc allocate; here, as the first thing of the thread. */
    for (int i = 0; i < KEYS; i++) {
        pthread_setspecific(key[i], seed);
    }
    struct late *late = calloc(1, sizeof *late);
    CHECK(late != NULL);
    errno = 0;
    pthread_setspecific(rounds_key, late);
    return NULL;
}

static void leave_in_every_round(int threads) {
    atomic_store(&last_rounds, 0);
    for (int i = 0; i < threads; i += 4) {
        pthread_t thread[4];
        for (int k = 0; k < 4; k++) {
            thread[k] = fixture_thread(leave, &shared);
        }
        for (int k = 0; k < 4; k++) {
            pthread_join(thread[k], NULL);
        }
    }
    CHECK(atomic_load(&last_rounds) == threads);
}

int main(void) {
    fixture_begin(300);
    CHECK(sem_init(&ended, 0, 0) == 0);
    for (int i = 0; i < KEYS; i++) {
        CHECK(pthread_key_create(&key[i], NULL) == 0);
    }
    CHECK(pthread_key_create(&rounds_key, destroy) == 0);
    leave_in_every_round(200);
    size_t before = fixture_resident();
    leave_in_every_round(LEAVING);
    size_t after = fixture_resident();
    printf("%d threads that allocate in their last moments: %zu KiB before, %zu KiB after\n", LEAVING,
           before >> 10, after >> 10);
    CHECK(after < before + ((size_t)32 << 20)); /* heaps that are lost would be tens of KiB each */
    waves();
    printf("%d threads in waves\n", TOTAL);
    return 0;
}
