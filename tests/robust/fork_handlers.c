/*
 * Forks of a busy program that has a library whose handler, in the child, allocates and starts threads, before
 * our own handler has run or after it (forker.c); and children in which it is another thread than the one that
 * forked that allocates first. No child may die, hang or find its memory changed.
 *
 * usage: fork_handlers early|late|inside|_Fork [no-wipe]
 *   early   the handler was registered before ours
 *   late    after it
 *   inside  early, and the handler forks as well
 *   _Fork   no handler runs; the threads come first
 *   no-wipe on a system that does not know MADV_WIPEONFORK, as Linux before 4.14
 */
#include "fixture.h"

#include "../support/no_wipe.h"

#include <sys/resource.h>
#include <sys/syscall.h>

enum { THREADS = 6, SHARED = 128, FORKS = 200, CHILD_SECONDS = 60 };

extern bool forker_forks;
void forker_start(void);
void forker_join(void);
void forker_register(void);

/* release by the thread that puts an object in, acquire by whoever takes it out */
static struct fixture_object *_Atomic shared[SHARED];
static _Atomic bool stop;

/* Allocates all sizes, and frees what others did. */
static void *busy(void *argument) {
    uint64_t random = (uintptr_t)argument;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 10);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        for (int i = 0; i < 50; i++) {
            fixture_drop(atomic_exchange_explicit(&shared[fixture_random(&random) % SHARED],
                                                  fixture_make(&random), memory_order_acq_rel));
        }
        void *large[4];
        for (size_t i = 0; i < 4; i++) {
            large[i] = malloc(100000 + i * 50000);
        }
        for (size_t i = 0; i < 4; i++) {
            free(large[i]);
        }
    }
    return NULL;
}

static void live(bool by_handler, uint64_t seed) {
    alarm(CHILD_SECONDS);
    if (!by_handler) {
        forker_start();
    }
    for (size_t i = 0; i < SHARED; i++) {
        fixture_drop(atomic_exchange_explicit(&shared[i], NULL, memory_order_acquire));
    }
    fixture_work(seed, 200);
    forker_join();
    fixture_work(seed + 1, 50);
}

static void run(const char *how) {
    pthread_t thread[THREADS];
    bool by_handler = strcmp(how, "_Fork") != 0;
    forker_forks = strcmp(how, "inside") == 0;
    if (strcmp(how, "late") == 0) {
        forker_register();
    }
    for (uintptr_t i = 0; i < THREADS; i++) {
        thread[i] = fixture_thread(busy, (void *)(i + 1));
    }
    for (uint64_t i = 0; i < FORKS; i++) {
        fixture_work(i, 20);
        pid_t child = by_handler ? fork() : _Fork();
        if (child == 0) {
            live(by_handler, i);
            _exit(0);
        }
        fixture_wait(child);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    for (size_t i = 0; i < SHARED; i++) {
        fixture_drop(atomic_exchange(&shared[i], NULL));
    }
    printf("%d forks, %s\n", FORKS, how);
}

int main(int argc, char **argv) {
    CHECK(argc >= 2);
    bool early = strcmp(argv[1], "early") == 0 || strcmp(argv[1], "inside") == 0;
    if (argc > 2 && strcmp(argv[2], "no-wipe") == 0) { /* the library is to find that out when it starts */
        if (!forget_wipe()) {
            fixture_skip("no filters here");
        }
        char *again[] = {argv[0], argv[1], NULL};
        execv("/proc/self/exe", again);
        CHECK(false);
    }
    fixture_begin(500);
    CHECK(early == (getenv("FORKER_EARLY") != NULL));
    run(argv[1]);
    return 0;
}
