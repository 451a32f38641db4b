/*
 * A program on the whole heap, under its real names, on another machine or with another C library: each way to allocate,
 * several threads that free each other's objects, a fork; or, named as its argument, a fault that must be reported.
 *
 * Layer:     tests.
 * Threading: three threads.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 3
#define EACH 2000
#define TAG ((uintptr_t)0x5a << 56) /* aarch64 ignores these bits of an address */

int malloc_trim(size_t pad);

static unsigned char *object[THREADS][EACH];
static pthread_barrier_t filled;

static void demand(int condition, const char *text) {
    if (!condition) {
        printf("not so: %s\n", text);
        exit(1);
    }
}
#define DEMAND(condition) demand((condition), #condition)

static size_t size_of(size_t i) {
    return i % 7 == 0 ? i * 40 : i % 500 + 1;
}

static void *work(void *argument) {
    size_t mine = (size_t)(uintptr_t)argument, others = (mine + 1) % THREADS;
    for (size_t i = 0; i < EACH; i++) {
        object[mine][i] = malloc(size_of(i));
        DEMAND(object[mine][i] != NULL);
        memset(object[mine][i], (int)(mine + i), size_of(i));
    }
    pthread_barrier_wait(&filled);
    for (size_t i = 0; i < EACH; i++) {
        unsigned char *p = object[others][i];
        DEMAND(size_of(i) == 0 || (p[0] == (unsigned char)(others + i) && p[size_of(i) - 1] == p[0]));
        free(p);
    }
    return NULL;
}

static void threads(void) {
    pthread_t thread[THREADS];
    pthread_barrier_init(&filled, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        DEMAND(pthread_create(&thread[i], NULL, work, (void *)(uintptr_t)i) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
}

/* Memory that was written to and given back is zero when calloc has it again, and realloc keeps what is there. */
static void contents(void) {
    for (size_t size = 100; size < (size_t)20 << 20; size = size * 3 + 17) {
        unsigned char *p = malloc(size);
        DEMAND(p != NULL);
        memset(p, 1, size);
        p = realloc(p, size * 2);
        DEMAND(p != NULL && p[0] == 1 && p[size - 1] == 1);
        memset(p, 1, size * 2);
        free(p);
        malloc_trim(0);
        p = calloc(2, size);
        DEMAND(p != NULL);
        for (size_t i = 0; i < 2 * size; i++) {
            DEMAND(p[i] == 0);
        }
        free(p);
    }
}

static void alignments(void) {
    void *p = NULL;
    for (size_t align = 16; align <= (size_t)4 << 20; align *= 4) {
        DEMAND(posix_memalign(&p, align, 100) == 0 && (uintptr_t)p % align == 0 &&
               malloc_usable_size(p) >= 100);
        free(p);
    }
    DEMAND(aligned_alloc(3, 100) == NULL && errno == EINVAL);
    volatile size_t much = SIZE_MAX / 2;
    DEMAND(malloc(much) == NULL && errno == ENOMEM);
}

static void forks(void) {
    char *text = strdup("before");
    pid_t child = fork();
    if (child == 0) {
        threads();
        free(text);
        exit(0);
    }
    int status = -1;
    DEMAND(waitpid(child, &status, 0) == child && status == 0);
    free(text);
}

int main(int argc, char **argv) {
    const char *fault = argc > 1 ? argv[1] : "";
    char *volatile p = malloc(100);
    if (strcmp(fault, "twice") == 0) {
        free(p);
        free(p);
    } else if (strcmp(fault, "tagged") == 0) {
        free((void *)((uintptr_t)p | TAG));
    } else if (strcmp(fault, "stack") == 0) {
        uintptr_t words[4] = {0};
        free((void *)(((uintptr_t)words + 15) & ~(uintptr_t)15));
    } else if (strcmp(fault, "program") == 0) {
        free((void *)((uintptr_t)main & ~(uintptr_t)15));
    }
    free(p);
    threads();
    contents();
    alignments();
    forks();
    puts("passed");
    return 0;
}
