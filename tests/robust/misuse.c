/*
 * Misuse goes on being survived: two threads free the same object at once, again and again, in sizes from 16 to
 * 5,000 bytes, with owners that work, sleep or have ended; and single threads free twice, free what lies
 * inside an object, and resize what is gone. With on_error=warn and ignore the program must neither crash nor
 * hang, and objects that were never misused must keep what is in them. With on_error=abort each misuse is
 * that of a child, which ends by SIGABRT, or well where the second free was not seen before its end.
 *
 * usage: misuse [SECONDS [SEED]]
 */
#include "fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>

enum { WORKING = 512, PAIRS = 2000 };

/* ---- two threads free the same object ---------------------------------------------------------------- */

static pthread_barrier_t together;
static void *pair[PAIRS];
static _Atomic unsigned arrived; /* how many have come to a pair: relaxed, a race is what is wanted */

/* Frees each pair's object as nearly at the same time as the other thread as it can. */
static void *free_pairs(void *argument) {
    uint64_t random = (uintptr_t)argument;
    pthread_barrier_wait(&together);
    for (unsigned i = 0; i < PAIRS; i++) {
        atomic_fetch_add_explicit(&arrived, 1, memory_order_relaxed);
        for (int spin = 0; spin < 2000 && atomic_load_explicit(&arrived, memory_order_relaxed) < 2 * (i + 1);
             spin++) {
        }
        free(pair[i]);
        if (fixture_random(&random) % 256 == 0) {
            free(malloc(1 + fixture_random(&random) % 5000)); /* takes in what others have freed */
        }
    }
    return NULL;
}

static void *allocate_pairs(void *argument) {
    uint64_t random = (uintptr_t)argument;
    size_t spread = 1 + fixture_random(&random) % 4985;
    for (unsigned i = 0; i < PAIRS; i++) {
        pair[i] = malloc(16 + fixture_random(&random) % spread);
        CHECK(pair[i] != NULL);
    }
    return NULL;
}

/* Objects of this thread that nobody misuses. */
static void keep_working(uint64_t *random) {
    struct fixture_object *held[WORKING] = {0};
    for (int i = 0; i < 4 * WORKING; i++) {
        struct fixture_object **at = &held[fixture_random(random) % WORKING];
        fixture_drop(*at);
        *at = fixture_make(random);
    }
    for (int i = 0; i < WORKING; i++) {
        fixture_drop(held[i]);
    }
}

static void two_free_the_same(uint64_t *random) {
    uint64_t how = fixture_random(random) % 3;
    atomic_store_explicit(&arrived, 0, memory_order_relaxed);
    if (how == 0) { /* the owner has ended */
        pthread_join(fixture_thread(allocate_pairs, (void *)(uintptr_t)fixture_random(random)), NULL);
    } else {
        allocate_pairs((void *)(uintptr_t)fixture_random(random));
    }
    CHECK(pthread_barrier_init(&together, NULL, 2) == 0);
    pthread_t one = fixture_thread(free_pairs, (void *)(uintptr_t)fixture_random(random));
    if (how == 1) { /* the owner is one of the two */
        free_pairs((void *)(uintptr_t)fixture_random(random));
    } else {
        pthread_t two = fixture_thread(free_pairs, (void *)(uintptr_t)fixture_random(random));
        pthread_join(two, NULL);
    }
    pthread_join(one, NULL);
}

/* ---- one thread, one mistake ---------------------------------------------------------------------------- */

static void mistake(uint64_t *random) {
    size_t size = 16 + fixture_random(random) % (fixture_random(random) % 16 == 0 ? 100000 : 5000);
    char *object = malloc(size), *other = malloc(size);
    CHECK(object != NULL && other != NULL);
    switch (fixture_random(random) % 5) {
    case 0:
        free(object);
        free(object);
        break;
    case 1:
        free(object + 1 + fixture_random(random) % (size - 1));
        break;
    case 2:
        free(object);
        CHECK(realloc(object, size * 2) == NULL);
        break;
    case 3:
        free(other);
        free(object);
        free(other);
        other = NULL;
        break;
    default:
        CHECK(realloc(object + 8, size) == NULL);
    }
    (void)other; /* lost, as is the rest: which of them are still objects is not known */
}

/* ---- the modes ---------------------------------------------------------------------------------------------- */

static void run_for(time_t seconds, uint64_t seed) {
    time_t start = time(NULL);
    uint64_t random = seed;
    unsigned long long pairs = 0;
    do {
        two_free_the_same(&random);
        pairs += PAIRS;
        for (int i = 0; i < 200; i++) {
            mistake(&random);
        }
        keep_working(&random);
    } while (time(NULL) - start < seconds);
    printf("misuse: seed %llu, %s: %llu pairs\n", (unsigned long long)seed, getenv("CUTBACK_OPTIONS"), pairs);
}

/* Each mistake in a child of its own, which must not end by anything but a report. */
static void abort_for(time_t seconds, uint64_t seed) {
    time_t start = time(NULL);
    uint64_t random = seed;
    unsigned children = 0, aborted = 0;
    do {
        uint64_t how = fixture_random(&random);
        pid_t child = fork();
        if (child == 0) {
            alarm(30);
            if (how % 2 == 0) {
                mistake(&how);
            } else {
                two_free_the_same(&how);
                keep_working(&how);
            }
            _exit(0);
        }
        int status = -1;
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
        CHECK(how % 2 == 0 ? WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT
                           : status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));
        aborted += status != 0;
        children++;
    } while (time(NULL) - start < seconds);
    printf("misuse: seed %llu, abort: %u of %u children reported\n", (unsigned long long)seed, aborted,
           children);
}

static void again(const char *program, const char *mode, const char *seconds, const char *seed) {
    pid_t child = fork();
    if (child == 0) {
        setenv("CUTBACK_OPTIONS", mode, 1);
        execl(program, program, seconds, seed, "in mode", (char *)NULL);
        _exit(127);
    }
    fixture_wait(child);
}

int main(int argc, char **argv) {
    const char *seconds = argc > 1 ? argv[1] : "3", *seed = argc > 2 ? argv[2] : "1";
    if (argc > 3) {
        fixture_begin((unsigned)atoi(seconds) + 120);
        bool aborts = strcmp(getenv("CUTBACK_OPTIONS"), "on_error=abort") == 0;
        int quiet = open("/dev/null", O_WRONLY); /* thousands of reports */
        CHECK(quiet >= 0 && dup2(quiet, STDERR_FILENO) == STDERR_FILENO);
        (aborts ? abort_for : run_for)(atoi(seconds), strtoull(seed, NULL, 0));
        return 0;
    }
    again("/proc/self/exe", "on_error=warn", seconds, seed);
    again("/proc/self/exe", "on_error=ignore", seconds, seed);
    again("/proc/self/exe", "on_error=abort", seconds, seed);
    return 0;
}
