/*
 * Forks of a process with many owners: threads that work, sleep or end all the time, while processes are split off
 * by fork from several threads at once, by _Fork, vfork and posix_spawn, and children fork again. A child frees what
 * the parent's threads allocated, in whatever order, allocates, and starts threads of its own; handlers of
 * pthread_atfork allocate on each side. No child may end but well, or find its memory changed.
 *
 * The system copies the pages of a process one after the other while its threads go on. So an object that is
 * handed over during the copy may be in the child without its contents: nothing changes hands during a fork.
 * All threads go on allocating and freeing for themselves.
 *
 * usage: forks [SECONDS [SEED]]
 */
#include "fixture.h"

#include <spawn.h>
#include <time.h>

extern char **environ;

enum { THREADS_MOST = 24, SHARED = 2000, FORKERS = 3, CHILD_SECONDS = 60, PHASE_FORKS = 20 };

/* release by the thread that puts an object in, acquire by whoever takes it out */
static struct fixture_object *_Atomic shared[SHARED];
static _Atomic bool stop;
static _Atomic unsigned long long made;
static _Thread_local struct fixture_object *by_handler; /* of the thread that forks */

static void before_fork(void) {
    uint64_t random = 7;
    by_handler = fixture_make(&random);
}

static void after_fork(void) {
    uint64_t random = 9;
    fixture_drop(fixture_make(&random));
    fixture_drop(by_handler);
}

/* Either some trade, or some fork. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned trading, forking; /* guarded by gate; forking: those that wait for it included */

static void begin_fork(void) {
    pthread_mutex_lock(&gate);
    forking++;
    while (trading != 0) {
        pthread_cond_wait(&changed, &gate);
    }
    pthread_mutex_unlock(&gate);
}

static void end_fork(void) {
    pthread_mutex_lock(&gate);
    forking--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&gate);
}

/* In the child: whoever held the gate is not there. */
static void open_gate(void) {
    trading = forking = 0;
    pthread_mutex_init(&gate, NULL);
    pthread_cond_init(&changed, NULL);
}

static void begin_trade(void) {
    pthread_mutex_lock(&gate);
    while (forking != 0) {
        pthread_cond_wait(&changed, &gate);
    }
    trading++;
    pthread_mutex_unlock(&gate);
}

static void end_trade(void) {
    pthread_mutex_lock(&gate);
    trading--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&gate);
}

static void trade(uint64_t *random, int times) {
    fixture_work(fixture_random(random), times);
    begin_trade();
    for (int i = 0; i < times; i++) {
        struct fixture_object *object = fixture_random(random) % 8 == 0 ? NULL : fixture_make(random);
        fixture_drop(
            atomic_exchange_explicit(&shared[fixture_random(random) % SHARED], object, memory_order_acq_rel));
    }
    end_trade();
}

/* A thread that works for a while, sleeps for a while, and ends: another takes its place. */
static void *live_briefly(void *argument) {
    uint64_t random = (uintptr_t)argument;
    trade(&random, 200);
    for (int i = (int)(fixture_random(&random) % 20);
         i > 0 && !atomic_load_explicit(&stop, memory_order_relaxed); i--) {
        if (fixture_random(&random) % 2 == 0) {
            usleep(1000);
        }
        trade(&random, 20);
    }
    return NULL;
}

static void *keep_threads_alive(void *argument) {
    uint64_t random = (uintptr_t)argument;
    unsigned count = 2 + (unsigned)(fixture_random(&random) % (THREADS_MOST - 1));
    pthread_t thread[THREADS_MOST];
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        for (unsigned i = 0; i < count; i++) {
            thread[i] = fixture_thread(live_briefly, (void *)(uintptr_t)fixture_random(&random));
        }
        for (unsigned i = 0; i < count; i++) {
            pthread_join(thread[i], NULL);
        }
    }
    return NULL;
}

static void *work_briefly(void *argument) {
    fixture_work((uintptr_t)argument, 40);
    return NULL;
}

static void free_inherited(uint64_t random) {
    size_t step = 1 + 2 * (fixture_random(&random) % 500); /* odd, and no multiple of 5: each place once */
    step += step % 5 == 0 ? 2 : 0;
    for (size_t i = 0, at = 0; i < SHARED; i++, at = (at + step) % SHARED) {
        fixture_drop(atomic_exchange_explicit(&shared[at], NULL, memory_order_acquire));
    }
}

/* A child without threads of its own: after _Fork no handler has run. */
static void live_alone(uint64_t random) {
    if (random % 2 == 0) {
        work_briefly((void *)(uintptr_t)random);
    }
    free_inherited(random);
    work_briefly((void *)(uintptr_t)(random + 1));
}

static void split(uint64_t random, int depth);

static void live(uint64_t random, int depth) {
    live_alone(random);
    pthread_t thread[3];
    unsigned threads = (unsigned)(fixture_random(&random) % 4);
    for (unsigned i = 0; i < threads; i++) {
        thread[i] = fixture_thread(work_briefly, (void *)(uintptr_t)fixture_random(&random));
    }
    if (depth > 0) {
        split(fixture_random(&random), depth - 1);
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
    }
}

static pid_t start_program(void) {
    pid_t child = -1;
    char name[] = "true", *arguments[] = {name, NULL};
    CHECK(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ) == 0);
    return child;
}

static void split(uint64_t random, int depth) {
    uint64_t how = fixture_random(&random) % 16;
    begin_fork();
    pid_t child = how == 0 ? start_program() : how == 1 ? vfork() : how < 6 ? _Fork() : fork();
    if (child == 0) {
        if (how == 1) {
            _exit(0);
        }
        alarm(CHILD_SECONDS);
        open_gate();
        if (how < 6) {
            live_alone(random);
        } else {
            live(random, depth);
        }
        _exit(0);
    }
    end_fork();
    atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
    fixture_wait(child);
}

static void *split_often(void *argument) {
    uint64_t random = (uintptr_t)argument;
    for (int i = 0; i < PHASE_FORKS; i++) {
        split(fixture_random(&random), i % 8 == 0 ? 2 : 0);
    }
    return NULL;
}

static void run_phase(uint64_t *random) {
    pthread_t forker[FORKERS];
    unsigned forkers = 1 + (unsigned)(fixture_random(random) % FORKERS);
    atomic_store(&stop, false);
    pthread_t keeper = fixture_thread(keep_threads_alive, (void *)(uintptr_t)fixture_random(random));
    for (unsigned i = 0; i < forkers; i++) {
        forker[i] = fixture_thread(split_often, (void *)(uintptr_t)fixture_random(random));
    }
    for (unsigned i = 0; i < forkers; i++) {
        pthread_join(forker[i], NULL);
    }
    atomic_store(&stop, true);
    pthread_join(keeper, NULL);
    free_inherited(fixture_random(random));
}

int main(int argc, char **argv) {
    time_t seconds = argc > 1 ? atoi(argv[1]) : 5, start = time(NULL);
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1, random = seed;
    fixture_begin((unsigned)seconds + 300);
    CHECK(pthread_atfork(before_fork, after_fork, after_fork) == 0);
    do {
        run_phase(&random);
    } while (time(NULL) - start < seconds);
    printf("forks: seed %llu: %llu children of the parent\n", (unsigned long long)seed, atomic_load(&made));
    return 0;
}
