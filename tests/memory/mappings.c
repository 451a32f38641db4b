/*
 * Mappings: the kernel allows a process 65,530 of them by default; whatever the program does, at most 200 are
 * ours. Those that the process had before are not counted, nor is each thread's stack, for the threads have
 * ended.
 *
 * usage: mappings grow|interleaved|threads
 *
 * Layer:     tests.
 * Threading: four at a time in `threads`.
 */
#include "fixture.h"

#include <pthread.h>

#define ALLOWED 200
#define LEFT 20 /* when what was moved is free again */

static size_t base;

static void check_bound(const char *when, size_t bound) {
    size_t now = fixture_mappings();
    fixture_note("%s: %zu mappings more than at the start\n", when, now > base ? now - base : 0);
    if (now > base + bound) {
        fixture_fail("%s: %zu mappings more than at the start", when, now - base);
    }
}

static void check(const char *when) {
    check_bound(when, ALLOWED);
}

/* Hundreds of vectors grow in turn beyond what is moved rather than copied, shrink, and go in random order.
 */
static void grow(void) {
    enum { VECTORS = 120 };
    char *p[VECTORS] = {NULL};
    size_t size[VECTORS] = {0};
    uint64_t random = 9;
    for (int round = 0; round < 4; round++) {
        for (int step = 0; step < VECTORS; step++) {
            size_t i = fixture_random(&random) % VECTORS;
            size_t now = (fixture_random(&random) % 8 == 0 ? 1 : 4 + fixture_random(&random) % 12) * MIB;
            char *q = realloc(p[i], now);
            if (q == NULL) {
                fixture_fail("no %zu MiB", now / MIB);
                return;
            }
            p[i] = q;
            if (size[i] != 0 && q[0] != (char)i) {
                fixture_fail("vector %zu lost what was in it", i);
            }
            q[0] = (char)i;
            q[now - 1] = 1;
            size[i] = now;
        }
        check("vectors that grow");
    }
    for (size_t i = 0; i < VECTORS; i++) {
        free(p[i * 7 % VECTORS]);
    }
    check_bound("vectors freed", LEFT);
}

/* Every other one of many large blocks goes: as many holes, each given back to the system. */
static void interleaved(void) {
    enum { BLOCKS = 4000 };
    static char *p[BLOCKS];
    for (size_t size = 64 * KIB; size <= 256 * KIB; size *= 2) {
        for (size_t i = 0; i < BLOCKS; i++) {
            p[i] = malloc(size);
            if (p[i] == NULL) {
                fixture_fail("no memory");
                return;
            }
            p[i][0] = 1;
        }
        for (size_t i = 0; i < BLOCKS; i += 2) {
            free(p[i]);
        }
        check("every other block freed");
        for (size_t i = 0; i < BLOCKS; i += 2) {
            p[i] = aligned_alloc(64 * KIB, size / 2);
            p[i][0] = 1;
        }
        check("and replaced");
        for (size_t i = 0; i < BLOCKS; i++) {
            free(p[i]);
        }
        check("all freed");
    }
}

static void *work(void *argument) {
    enum { SLOTS = 256 };
    void *slot[SLOTS] = {NULL};
    uint64_t random = (uint64_t)(uintptr_t)argument + 1;
    for (int i = 0; i < 4000; i++) {
        size_t k = fixture_random(&random) % SLOTS;
        size_t size = fixture_size(&random, 16, 2 * MIB);
        if (fixture_random(&random) % 4 == 0) {
            void *p = realloc(slot[k], size);
            if (p == NULL) {
                fixture_fail("no memory");
                break;
            }
            slot[k] = p;
        } else {
            free(slot[k]);
            slot[k] = malloc(size);
        }
        *(char *)slot[k] = 1;
    }
    for (size_t k = 0; k < SLOTS; k++) {
        free(slot[k]);
    }
    return NULL;
}

static void threads(void) {
    enum { AT_A_TIME = 4 };
    for (uintptr_t round = 0; round < 12; round++) {
        pthread_t thread[AT_A_TIME];
        for (uintptr_t i = 0; i < AT_A_TIME; i++) {
            pthread_create(&thread[i], NULL, work, (void *)(round * AT_A_TIME + i));
        }
        for (int i = 0; i < AT_A_TIME; i++) {
            pthread_join(thread[i], NULL);
        }
    }
    check("after 48 threads");
}

int main(int argc, char **argv) {
    if (argc != 2) {
        return 2;
    }
    fixture_begin();
    base = fixture_mappings();
    if (strcmp(argv[1], "grow") == 0) {
        grow();
    } else if (strcmp(argv[1], "interleaved") == 0) {
        interleaved();
    } else {
        threads();
    }
    return fixture_failed;
}
