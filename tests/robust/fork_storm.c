/*
 * A storm of forks from a program with eight busy threads. Each child checks and frees what the parent's
 * threads allocated, allocates, starts a thread, and every eighth forks again; in a second storm two threads
 * fork at once. No child may hang or find its memory changed.
 *
 * usage: fork_storm [FORKS]
 */
#include "fixture.h"

#include <sys/resource.h>
#include <sys/syscall.h>

enum { THREADS = 8, SHARED = 64, CHILD_SECONDS = 60 };

/* release by the thread that puts an object in, acquire by whoever takes it out */
static struct fixture_object *_Atomic shared[SHARED];
static _Atomic bool stop;
static _Atomic unsigned made; /* children */

static void *busy(void *argument) {
    uint64_t random = (uintptr_t)argument;
    /* The children come first: they would wait for ten times as long as they run. */
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 10);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        struct fixture_object *object = fixture_make(&random);
        object =
            atomic_exchange_explicit(&shared[fixture_random(&random) % SHARED], object, memory_order_acq_rel);
        fixture_drop(object);
    }
    return NULL;
}

static void *brief(void *argument) {
    fixture_work((uintptr_t)argument, 30);
    return NULL;
}

static void live(uint64_t seed, int depth);

static void split(uint64_t seed, int depth) {
    pid_t child = fork();
    if (child == 0) {
        alarm(CHILD_SECONDS);
        live(seed, depth);
        _exit(0);
    }
    atomic_fetch_add(&made, 1);
    fixture_wait(child);
}

/* What a child does; in an order that depends on the seed, since what comes first must cope with the most. */
static void live(uint64_t seed, int depth) {
    if (seed % 3 == 0) {
        brief((void *)(uintptr_t)seed);
    }
    for (size_t i = 0; i < SHARED; i++) {
        fixture_drop(atomic_exchange_explicit(&shared[i], NULL, memory_order_acquire));
    }
    pthread_join(fixture_thread(brief, (void *)(uintptr_t)(seed + 1)), NULL);
    brief((void *)(uintptr_t)(seed + 2));
    if (depth > 0) {
        split(seed + 3, depth - 1);
    }
}

struct part {
    uint64_t seed;
    int forks;
};

static void *fork_often(void *argument) {
    const struct part *part = argument;
    for (int i = 0; i < part->forks; i++) {
        split(part->seed + (uint64_t)i, i % 8 == 0 ? 2 : 0);
    }
    return NULL;
}

int main(int argc, char **argv) {
    int forks = argc > 1 ? atoi(argv[1]) : 2000;
    fixture_begin(500);
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        thread[i] = fixture_thread(busy, (void *)(i + 1));
    }
    struct part all = {1000, forks / 5 * 4}, half = {2000000, forks / 10};
    fork_often(&all);
    pthread_t other = fixture_thread(fork_often, &half);
    fork_often(&half);
    pthread_join(other, NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    for (size_t i = 0; i < SHARED; i++) {
        fixture_drop(atomic_exchange(&shared[i], NULL));
    }
    printf("%u forks (and those of the children)\n", atomic_load(&made));
    return 0;
}
