/*
 * Allocation where programs seldom look: in constructors before main, in atexit handlers, in destructors of
 * the program and of libraries, in constructors and destructors of a library that is loaded and unloaded, in
 * a signal handler that interrupts nothing of ours, and in a storm of signals whose handlers do not allocate.
 *
 * usage: early_late PLUGIN
 */
#include "fixture.h"

#include <signal.h>
#include <sys/time.h>

static struct fixture_object *from_constructor, *for_handlers;
static _Atomic unsigned signals;

static void use(uint64_t seed) {
    fixture_work(seed, 20);
}

__attribute__((constructor(101))) static void construct(void) {
    uint64_t seed = 1;
    use(seed);
    from_constructor = fixture_make(&seed);
}

/* Runs after all of main's, and after the handlers that main registers. */
__attribute__((destructor(101))) static void destruct(void) {
    use(3);
    if (for_handlers != NULL) {
        fixture_drop(for_handlers);
        fixture_drop(from_constructor);
    }
}

static void at_exit(void) {
    use(4);
    fixture_verify(for_handlers);
}

static void at_quick(int status, void *argument) {
    CHECK(status == 0);
    use((uintptr_t)argument);
}

static void library_comes_and_goes(const char *path) {
    for (int i = 0; i < 100; i++) {
        void *plugin = dlopen(path, RTLD_NOW);
        CHECK(plugin != NULL);
        void *(*get)(size_t) = (void *(*)(size_t))dlsym(plugin, "plugin_get");
        void *(*kept)(void) = (void *(*)(void))dlsym(plugin, "plugin_kept");
        CHECK(get != NULL && kept != NULL && kept() != NULL); /* its constructor allocated that */
        char *p = get(100);
        CHECK(strcmp(p, "from a plugin") == 0);
        CHECK(dlclose(plugin) == 0); /* its destructor frees, and allocates */
        CHECK(strcmp(p, "from a plugin") == 0);
        free(p);
    }
}

/* Raised where the program is not in malloc, so it may. */
static void allocate_in_handler(int number) {
    use((uint64_t)number);
    fixture_verify(for_handlers);
    atomic_fetch_add(&signals, 1);
}

static void count_in_handler(int number) {
    int saved = errno;
    (void)number;
    atomic_fetch_add_explicit(&signals, 1, memory_order_relaxed);
    errno = saved;
}

static void *work_under_fire(void *seed) {
    for (int i = 0; i < 15; i++) {
        fixture_work((uintptr_t)seed + (uintptr_t)i, 1000);
    }
    return NULL;
}

static void storm(void) {
    struct itimerval often = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
    signal(SIGPROF, count_in_handler);
    setitimer(ITIMER_PROF, &often, NULL);
    pthread_t thread[3];
    for (uintptr_t i = 0; i < 3; i++) {
        thread[i] = fixture_thread(work_under_fire, (void *)(i * 100 + 1));
    }
    work_under_fire(&never);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 2000; k++) {
            pthread_kill(thread[i], SIGPROF);
            sched_yield();
        }
        pthread_join(thread[i], NULL);
    }
    setitimer(ITIMER_PROF, &never, NULL);
}

int main(int argc, char **argv) {
    uint64_t seed = 2;
    fixture_begin(120);
    CHECK(argc == 2);
    CHECK(from_constructor != NULL);
    fixture_verify(from_constructor);
    for_handlers = fixture_make(&seed);
    for (int i = 0; i < 40; i++) { /* more than libc has room for without allocating */
        CHECK(atexit(at_exit) == 0);
        CHECK(on_exit(at_quick, (void *)(uintptr_t)(i + 5)) == 0);
    }
    library_comes_and_goes(argv[1]);
    signal(SIGUSR1, allocate_in_handler);
    for (int i = 0; i < 50; i++) {
        raise(SIGUSR1);
    }
    storm();
    printf("%u signals\n", atomic_load(&signals));
    return 0;
}
