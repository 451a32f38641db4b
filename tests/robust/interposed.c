/*
 * Under interposer.c, whose functions stand before libc's mmap, madvise, clock_gettime and others and allocate:
 * nothing deadlocks, in threads, at the first allocation and at the last; and the heap calls none of them, so
 * that whatever such a function does, it cannot be in the heap's way. Where that library is not loaded,
 * nothing is counted. With libfaketime loaded in its place, the time is what that says.
 *
 * usage: interposed counted | faked
 */
#include "fixture.h"

#include <sys/mman.h>
#include <time.h>

#define THREADS 4

static struct fixture_object *_Atomic shared[64];
static _Atomic unsigned long *calls;

static unsigned long count(void) {
    return calls != NULL ? atomic_load(calls) : 0;
}

/* Large blocks that come, grow, move and go, by copy, in place, and by moving pages. */
static void resize_large(void) {
    size_t size = 1000;
    unsigned char *p = malloc(size);
    for (; size < (size_t)64 << 20; size *= 2) {
        CHECK(p != NULL);
        p[size - 1] = 7;
        p = realloc(p, size * 2);
        CHECK(p != NULL && p[size - 1] == 7);
    }
    p = realloc(p, 5000);
    CHECK(p != NULL);
    free(p);
    void *aligned = aligned_alloc(1 << 20, 1 << 20);
    CHECK(aligned != NULL);
    free(aligned);
}

/* Enough that pages go back, in reverse order and in the order of allocation. */
static void fill_and_drain(void) {
    enum { OBJECTS = 40000 };
    static _Thread_local void *object[OBJECTS];
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < OBJECTS; i++) {
            object[i] = malloc(16 + i % 900);
            CHECK(object[i] != NULL);
            memset(object[i], 1, 16);
        }
        for (size_t i = 0; i < OBJECTS; i++) {
            free(object[round != 0 ? i : OBJECTS - 1 - i]);
        }
    }
}

static void everything(uint64_t seed) {
    fixture_work(seed, 2000);
    for (int i = 0; i < 3000; i++) {
        struct fixture_object *object = fixture_make(&seed);
        fixture_drop(
            atomic_exchange_explicit(&shared[fixture_random(&seed) % 64], object, memory_order_acq_rel));
    }
    fill_and_drain();
    resize_large();
    malloc_trim(0);
    (void)mallinfo2();
}

static void *work(void *argument) {
    everything((uintptr_t)argument);
    return NULL;
}

static void threads(void) {
    pthread_t thread[THREADS];
    for (int round = 0; round < 3; round++) {
        for (uintptr_t i = 0; i < THREADS; i++) {
            thread[i] = fixture_thread(work, (void *)(i + 1));
        }
        for (int i = 0; i < THREADS; i++) {
            CHECK(pthread_join(thread[i], NULL) == 0);
        }
    }
}

int main(int count_of_arguments, char **argument) {
    fixture_begin(120);
    CHECK(count_of_arguments == 2);
    if (strcmp(argument[1], "counted") == 0) {
        calls = dlsym(RTLD_DEFAULT, "interposer_calls");
        CHECK(calls != NULL);
        unsigned long before = count();
        void *page = mmap(NULL, 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(page != MAP_FAILED && munmap(page, 1) == 0);
        CHECK(count() >= before + 2);
    } else {
        CHECK(time(NULL) < 1600000000);
    }
    everything(1); /* whatever is done once has been done */
    unsigned long before = count();
    everything(2);
    CHECK(count() == before);
    threads();
    for (size_t i = 0; i < 64; i++) {
        fixture_drop(atomic_exchange(&shared[i], NULL));
    }
    pid_t child = fork();
    if (child == 0) {
        everything(3);
        _exit(0);
    }
    fixture_wait(child);
    return 0;
}
