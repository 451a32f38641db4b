/*
 * Workloads whose calls are known, to be recorded: the first argument says which.
 *
 * Layer:     tests.
 * Threading: as the workload says.
 *
 * The calls of interest have sizes of their own (a prime, mostly), so that those of libc are told apart.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((weak)) void free_sized(void *ptr, size_t size); /* the C library may have none */

void *__libc_malloc(size_t size);

#define MANY 20000
#define HANDED 10000
#define RING 64

static void *volatile keep[MANY]; /* volatile: every call is made */

static int single(void) {
    void *p = malloc(7919);
    p = realloc(p, 17389);
    p = reallocarray(p, 11, 1013);
    if (malloc_usable_size(p) < 11143) {
        return 1;
    }
    free(p);
    free(NULL);
    keep[0] = calloc(3, 2003);
    if (free_sized != NULL) {
        free_sized(keep[0], 6009);
    }
    void *aligned = NULL;
    if (posix_memalign(&aligned, 256, 4099) != 0) {
        return 1;
    }
    free(aligned);
    keep[0] = aligned_alloc(4096, 8192 + 4096);
    keep[1] = memalign(64, 5003);
    keep[2] = valloc(5009);
    keep[3] = pvalloc(5011);
    keep[4] = malloc(SIZE_MAX / 2);
    keep[5] = realloc(malloc(5021), SIZE_MAX / 2);
    keep[6] = realloc(malloc(5023), 0);
    malloc_trim(0);
    return 0;
}

/* Objects go from one thread to another, which frees or resizes them. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    void *slot[RING];
    size_t in, out;
} ring = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void *produce(void *unused) {
    for (size_t i = 0; i < HANDED; i++) {
        void *p = malloc(16 + i % 500);
        pthread_mutex_lock(&ring.mutex);
        while (ring.in - ring.out == RING) {
            pthread_cond_wait(&ring.changed, &ring.mutex);
        }
        ring.slot[ring.in++ % RING] = p;
        pthread_cond_broadcast(&ring.changed);
        pthread_mutex_unlock(&ring.mutex);
    }
    return unused;
}

static void *consume(void *unused) {
    for (size_t i = 0; i < HANDED; i++) {
        pthread_mutex_lock(&ring.mutex);
        while (ring.in == ring.out) {
            pthread_cond_wait(&ring.changed, &ring.mutex);
        }
        void *p = ring.slot[ring.out++ % RING];
        pthread_cond_broadcast(&ring.changed);
        pthread_mutex_unlock(&ring.mutex);
        free(i % 3 == 0 ? realloc(p, 1000 + i % 100) : p);
    }
    return unused;
}

static void *allocate_some(void *unused) {
    for (size_t i = 0; i < 500; i++) {
        free(malloc(100 + i));
    }
    return unused;
}

static int threads(void) {
    pthread_t producer, consumer;
    pthread_create(&producer, NULL, produce, NULL);
    pthread_create(&consumer, NULL, consume, NULL);
    pthread_join(producer, NULL);
    pthread_join(consumer, NULL);
    for (int i = 0; i < 50; i++) { /* one after the other */
        pthread_create(&producer, NULL, allocate_some, NULL);
        pthread_join(producer, NULL);
    }
    return 0;
}

/* An object of the C library's own malloc is none of the trace's, nor of the heap's. */
static int foreign(void) {
    void *p = __libc_malloc(5003);
    p = realloc(p, 7919);
    free(p);
    free(__libc_malloc(5009));
    return 0;
}

static void many(size_t count) {
    for (size_t i = 0; i < count; i++) {
        keep[i % MANY] = malloc(24 + i % 64);
    }
}

/* The child frees and resizes what it has from its parent, and has a child itself. */
static int forked(bool by_clone) {
    void *mine = malloc(7919), *other = malloc(7927);
    pid_t child = by_clone ? _Fork() : fork();
    if (child == 0) {
        free(mine);
        other = realloc(other, 10007);
        void *own = malloc(10009);
        pid_t grandchild = fork();
        if (grandchild == 0) {
            free(own);
            exit(0);
        }
        waitpid(grandchild, NULL, 0);
        free(own);
        free(other);
        exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    free(mine);
    free(other);
    return status;
}

static _Atomic int handled;

static void allocate_in_handler(int number) {
    int saved = errno;
    free(malloc((size_t)number + 4000));
    handled++;
    errno = saved;
}

/* Handlers interrupt calls of malloc, and call it. */
static int signals(void) {
    struct sigaction action = {.sa_handler = allocate_in_handler, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    pid_t self = getpid(), child = fork();
    if (child == 0) {
        for (int i = 0; i < 200; i++) {
            kill(self, SIGUSR1);
            usleep(20);
        }
        _exit(0);
    }
    while (waitpid(child, NULL, WNOHANG) == 0) {
        for (int i = 0; i < 1000; i++) {
            free(malloc(200));
        }
    }
    return handled == 0;
}

static int end_by(const char *how) {
    many(MANY);
    keep[0] = malloc(7919); /* the last call */
    if (strcmp(how, "segv") == 0) {
        raise(SIGSEGV);
    } else if (strcmp(how, "kill") == 0) {
        raise(SIGKILL);
    } else if (strcmp(how, "abort") == 0) {
        abort();
    } else if (strcmp(how, "_exit") == 0) {
        _exit(0);
    }
    execl("/bin/true", "true", (char *)NULL);
    return 1;
}

/* Closes every descriptor, and has others under their numbers. */
static int daemon_like(void) {
    many(10);
    for (int i = 3; i < 2000; i++) {
        close(i);
    }
    for (int i = 0; i < 950; i++) {
        keep[0] = fopen("/dev/null", "r");
    }
    if (chdir("/") != 0) {
        return 1;
    }
    for (int i = 0; i < 5; i++) {
        many(MANY);
    }
    keep[0] = malloc(7919);
    return 0;
}

static int limited(void) {
    struct rlimit limit = {100000, 100000};
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 5; i++) {
        many(MANY);
    }
    return 0;
}

int main(int count, char **words) {
    const char *what = count == 2 ? words[1] : "";
    if (strcmp(what, "single") == 0) {
        return single();
    } else if (strcmp(what, "threads") == 0) {
        return threads();
    } else if (strcmp(what, "fork") == 0 || strcmp(what, "_Fork") == 0) {
        return forked(what[0] == '_');
    } else if (strcmp(what, "foreign") == 0) {
        return foreign();
    } else if (strcmp(what, "signals") == 0) {
        return signals();
    } else if (strcmp(what, "daemon") == 0) {
        return daemon_like();
    } else if (strcmp(what, "limited") == 0) {
        return limited();
    }
    return end_by(what);
}
