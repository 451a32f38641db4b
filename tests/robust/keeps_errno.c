/*
 * free leaves errno as it is, whichever way it takes: on top, into a bin, out of a full bin, blocks that go
 * back, large objects and the system calls with which their pages go, remote frees in batches, memory of
 * libc's own, NULL; and as late as in a destructor of thread-specific data. So do the requests that succeed.
 */
#include "fixture.h"

#include <signal.h>

extern void *__libc_malloc(size_t size);

enum { MANY = 60000, STRANGE = 12345 };

static void *held[MANY];

static void drop(void *p) {
    errno = STRANGE;
    free(p);
    CHECK(errno == STRANGE);
}

static void *get(size_t size) {
    errno = STRANGE;
    void *p = malloc(size);
    CHECK(p != NULL && errno == STRANGE);
    return p;
}

static void fill(size_t count, size_t size) {
    for (size_t i = 0; i < count; i++) {
        held[i] = get(size + i % 64);
    }
}

/* Every so manieth first, then the rest: bins overflow, dead runs merge, blocks and pages go back. */
static void *drop_all(void *argument) {
    size_t count = (uintptr_t)argument;
    for (size_t step = 0; step < 7; step++) {
        for (size_t i = step; i < count; i += 7) {
            drop(held[i]);
        }
    }
    return NULL;
}

static void *fill_here(void *argument) {
    fill((uintptr_t)argument, 100);
    return NULL;
}

static void late(void *value) {
    static _Thread_local int rounds;
    drop(value);
    drop(get(1000));
    pthread_setspecific(*(pthread_key_t *)held[0], ++rounds < 4 ? get(64) : NULL);
}

static void *set_late(void *key) {
    pthread_setspecific(*(pthread_key_t *)key, get(64));
    return NULL;
}

int main(void) {
    fixture_begin(120);
    drop(NULL);
    for (size_t size = 1; size < 5000000; size += size / 3 + 1) {
        drop(get(size));
        errno = STRANGE;
        void *p = realloc(calloc(1, size), size * 2);
        CHECK(p != NULL && errno == STRANGE);
        CHECK((p = realloc(p, 1)) != NULL && errno == STRANGE);
        drop(p);
    }
    static const size_t size[] = {16, 300, 2000, 20000};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        size_t count = MANY / (1 + size[i] / 300);
        fill(count, size[i]);
        drop_all((void *)count);
        fill(count, size[i]);
        pthread_join(fixture_thread(drop_all, (void *)count), NULL);
    }
    pthread_join(fixture_thread(fill_here, (void *)MANY), NULL); /* whose owner is gone */
    drop_all((void *)MANY);
    fill(50, (size_t)8 << 20);
    for (size_t i = 0; i < 50; i++) {
        memset(held[i], 1, (size_t)1 << 20);
    }
    drop_all((void *)50);
    for (size_t i = 0; i < 200; i++) {
        drop(__libc_malloc(i * i * 20));
    }
    pthread_key_t key;
    CHECK(pthread_key_create(&key, late) == 0);
    held[0] = &key;
    for (int i = 0; i < 20; i++) {
        pthread_join(fixture_thread(set_late, &key), NULL);
    }
    puts("errno is what it was");
    return 0;
}
