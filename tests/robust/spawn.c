/*
 * The other ways to a child while threads are busy: posix_spawn, vfork and exec, system, popen, daemon; and
 * children that no handler of fork knows of (_Fork, the system calls), which allocate nevertheless. What such
 * a child does first is varied, since each kind of request meets other locks that a lost thread may hold.
 */
#include "fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>

extern char **environ;

enum { THREADS = 8, RAW = 120, TAMED = 10, MANY = 2000, CHILD_SECONDS = 60 };

static _Atomic bool stop;

/* Blocks, large objects, remote frees: what the shared locks are for. */
static void *busy(void *argument) {
    uint64_t random = (uintptr_t)argument;
    static void *_Atomic swap[32];
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 10);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        void *large[6];
        for (size_t i = 0; i < 6; i++) {
            large[i] = malloc(100000 + i * 50000);
        }
        for (size_t i = 0; i < 6; i++) {
            free(large[i]);
        }
        for (int i = 0; i < 100; i++) {
            free(atomic_exchange(&swap[fixture_random(&random) % 32], malloc(fixture_size(&random))));
        }
    }
    return NULL;
}

static void *brief(void *argument) {
    fixture_work((uintptr_t)argument, 30);
    return NULL;
}

/* What a child without handlers does first. */
static void first_thing(unsigned which, void **many) {
    switch (which % 7) {
    case 0:
        free(malloc(20000));
        break;
    case 1:
        free(malloc(2000000));
        break;
    case 2: /* bins overflow, blocks go back */
        for (size_t i = 0; i < MANY; i++) {
            free(many[i]);
            many[i] = NULL;
        }
        break;
    case 3:
        malloc_trim(0);
        break;
    case 4:
        CHECK(mallinfo2().arena != 0);
        break;
    case 5:
        pthread_join(fixture_thread(brief, (void *)(uintptr_t)which), NULL);
        break;
    default:
        for (size_t i = 0; i < MANY; i++) {
            CHECK(malloc(4000) != NULL);
        }
    }
}

static pid_t split(unsigned how) {
    switch (how % 3) {
    case 0:
        return _Fork();
    case 1:
        return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    default:
        return fork();
    }
}

static void children_without_handlers(void) {
    static void *many[MANY];
    for (unsigned n = 0; n < RAW; n++) {
        for (size_t i = 0; i < MANY; i++) {
            many[i] = malloc(n % 2 == 0 ? 4000 : 200);
        }
        pid_t child = split(n / 7);
        if (child == 0) {
            alarm(CHILD_SECONDS);
            first_thing(n, many);
            brief((void *)(uintptr_t)n);
            first_thing(n + 3, many);
            _exit(0);
        }
        fixture_wait(child);
        for (size_t i = 0; i < MANY; i++) {
            free(many[i]);
        }
    }
}

/*
 * Of one thread, which does nothing in the child but free so many objects, or have so many aligned ones, before
 * it allocates: how far bins and runs are decides which slow path is the first to be taken there.
 */
static void children_of_one_thread(void) {
    enum { COUNT = 180 };
    static const size_t sizes[] = {48, 3000};
    void *object[COUNT];
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (size_t i = 0; i < COUNT; i++) {
            object[i] = malloc(sizes[s]);
        }
        for (size_t n = 0; n < (size_t)2 * COUNT; n++) {
            pid_t child = _Fork();
            if (child == 0) {
                alarm(CHILD_SECONDS);
                for (size_t i = 0; i < n / 2; i++) {
                    if (n % 2 == 0) {
                        free(object[i]);
                    } else {
                        memset(memalign(256, 900), 1, 900);
                    }
                }
                for (int i = 0; i < 3; i++) {
                    memset(malloc(sizes[s]), 1, sizes[s]);
                    memset(realloc(malloc(40), 400), 1, 400);
                }
                _exit(0);
            }
            fixture_wait(child);
        }
        for (size_t i = 0; i < COUNT; i++) {
            free(object[i]);
        }
    }
}

static void spawned(void) {
    char *arguments[] = {"true", NULL};
    pid_t child;
    CHECK(posix_spawnp(&child, "true", NULL, NULL, arguments, environ) == 0);
    fixture_wait(child);
}

static void vforked(void) {
    char *arguments[] = {"true", NULL};
    pid_t child = vfork();
    if (child == 0) {
        execvp("true", arguments);
        _exit(98);
    }
    fixture_wait(child);
}

static void by_shell(void) {
    char line[64];
    CHECK(system("exit 0") == 0);
    FILE *pipe = popen("echo heard", "r");
    CHECK(pipe != NULL && fgets(line, sizeof line, pipe) != NULL && strcmp(line, "heard\n") == 0);
    CHECK(pclose(pipe) == 0);
}

/* The daemon itself says through a pipe that it is well. */
static void daemonised(void) {
    int ends[2];
    char word = 0;
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        alarm(CHILD_SECONDS);
        CHECK(daemon(1, 1) == 0);
        alarm(CHILD_SECONDS);
        brief(&ends);
        pthread_join(fixture_thread(brief, ends), NULL);
        CHECK(write(ends[1], "y", 1) == 1);
        _exit(0);
    }
    fixture_wait(child);
    close(ends[1]);
    CHECK(read(ends[0], &word, 1) == 1 && word == 'y');
    close(ends[0]);
}

int main(void) {
    fixture_begin(300);
    children_of_one_thread();
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        thread[i] = fixture_thread(busy, (void *)(i + 1));
    }
    children_without_handlers();
    for (int i = 0; i < TAMED; i++) {
        spawned();
        vforked();
        by_shell();
        daemonised();
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    printf("%d children without handlers, %d each spawned, by vfork, by shell, as daemons\n", RAW, TAMED);
    return 0;
}
