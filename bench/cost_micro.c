/* The micro-benchmarks of tools/cost: patterns with a fixed number of operations, for counting and not for timing.
 *
 *     cost_micro NAME      runs one; prints the file that malloc comes from
 *     cost_micro --list    the names, and what each does
 *
 * Every object is written to before it is freed: all of it up to 64 bytes, beyond that one word of each page. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096 };

static uint64_t state = 88172645463325252u;

static uint64_t random64(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static size_t below(size_t n) {
    return (size_t)((random64() >> 32) * n >> 32);
}

static void *checked(void *p) {
    if (!p) {
        fputs("cost_micro: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

static void *make(size_t size) {
    char *p = checked(malloc(size));
    memset(p, 1, size < 64 ? size : 64);
    for (size_t at = PAGE; at < size; at += PAGE) {
        p[at] = 1;
    }
    return p;
}

/* 16 bytes to 2 KiB mostly, some to 32 KiB, few to 256 KiB. */
static size_t mixed_size(void) {
    size_t kind = below(1000);
    return kind < 2    ? 32768 + below(229376)
           : kind < 20 ? 2048 + below(30720)
                       : 16 + below((size_t)16 << below(8));
}

/* Sixteen sizes from 16 to 376 bytes, as a program has them. */
static size_t usual_size(size_t i) {
    return 16 + i % 16 * 24;
}

static void nothing(void) {}

static void pairs(void) {
    for (size_t i = 0; i < 1000000; i++) {
        free(make(usual_size(i >> 8)));
    }
}

static void *table[100000];

static void lifo(void) {
    for (size_t round = 0; round < 1000; round++) {
        for (size_t i = 0; i < 1000; i++) {
            table[i] = make(usual_size(i));
        }
        for (size_t i = 1000; i-- > 0;) {
            free(table[i]);
        }
    }
}

static void fifo(void) {
    for (size_t round = 0; round < 1000; round++) {
        for (size_t i = 0; i < 1000; i++) {
            table[i] = make(usual_size(i));
        }
        for (size_t i = 0; i < 1000; i++) {
            free(table[i]);
        }
    }
}

/* Frees and allocates anew what is in a slot chosen at random; the table is filled before and emptied after. */
static void replace(size_t slots, size_t turns, size_t (*size)(void)) {
    for (size_t i = 0; i < slots; i++) {
        table[i] = make(size());
    }
    for (size_t i = 0; i < turns; i++) {
        size_t k = below(slots);
        free(table[k]);
        table[k] = make(size());
    }
    for (size_t i = 0; i < slots; i++) {
        free(table[i]);
    }
}

static size_t small_size(void) {
    return 16 + below(31) * 16;
}

static void random_1000(void) {
    replace(1000, 1000000, small_size);
}

static void random_100000(void) {
    replace(100000, 800000, small_size);
}

static void mixed(void) {
    replace(4000, 400000, mixed_size);
}

/* Vectors that grow by half, up to 64 KiB, several at a time. */
static void growth(void) {
    enum { VECTORS = 16 };
    for (size_t round = 0; round < 600; round++) {
        char *vector[VECTORS] = {0};
        for (size_t size = 16; size < 65536; size += size / 2) {
            for (size_t k = 0; k < VECTORS; k++) {
                vector[k] = checked(realloc(vector[k], size));
                vector[k][size - 1] = 1;
            }
        }
        for (size_t k = 0; k < VECTORS; k++) {
            free(vector[k]);
        }
    }
}

static void zeroed(void) {
    for (size_t round = 0; round < 500; round++) {
        for (size_t i = 0; i < 1000; i++) {
            char *p = checked(calloc(1, usual_size(i)));
            p[0] = 1;
            table[i] = p;
        }
        for (size_t i = 0; i < 1000; i++) {
            free(table[(i * 7) % 1000]);
        }
    }
}

/* 16 MB of mixed objects, all freed in the order of allocation, ten times. */
static void waves(void) {
    for (size_t wave = 0; wave < 10; wave++) {
        size_t bytes = 0, n = 0;
        while (bytes < 16000000 && n < sizeof table / sizeof *table) {
            size_t size = mixed_size();
            table[n++] = make(size);
            bytes += size;
        }
        for (size_t i = 0; i < n; i++) {
            free(table[i]);
        }
    }
}

/* One thread allocates, the other frees, a batch of 1,000 at a time. */
enum { BATCH = 1000, BATCHES = 400 };
static void *batch[2][BATCH];
static pthread_barrier_t barrier;

static void *freeing(void *unused) {
    (void)unused;
    for (size_t b = 0; b < BATCHES; b++) {
        pthread_barrier_wait(&barrier);
        for (size_t i = 0; i < BATCH; i++) {
            free(batch[b & 1][i]);
        }
    }
    return NULL;
}

static void transfer(void) {
    pthread_t thread;
    if (pthread_barrier_init(&barrier, NULL, 2) || pthread_create(&thread, NULL, freeing, NULL)) {
        fputs("cost_micro: no thread\n", stderr);
        exit(1);
    }
    for (size_t b = 0; b < BATCHES; b++) {
        for (size_t i = 0; i < BATCH; i++) {
            batch[b & 1][i] = make(usual_size(i));
        }
        pthread_barrier_wait(&barrier);
    }
    pthread_join(thread, NULL);
}

static size_t large_size(void) {
    return 65536 + below(1048576 - 65536);
}

static void large(void) {
    replace(20, 10000, large_size);
}

static const struct {
    const char *name;
    void (*run)(void);
    const char *what;
} benchmarks[] = {
    {"start", nothing, "the start and end of a process"},
    {"pairs", pairs, "1,000,000 objects, each freed at once"},
    {"lifo", lifo, "1,000 objects freed in reverse order, 1,000 times"},
    {"fifo", fifo, "1,000 objects freed in the order of allocation, 1,000 times"},
    {"random_1000", random_1000, "1,000 slots of 16 to 496 bytes, 1,000,000 times one at random is replaced"},
    {"random_100000", random_100000,
     "100,000 slots of 16 to 496 bytes, 800,000 times one at random is replaced"},
    {"mixed", mixed, "4,000 slots of 16 bytes to 256 KiB, 400,000 times one at random is replaced"},
    {"growth", growth, "16 vectors that grow by half up to 64 KiB, 600 times"},
    {"calloc", zeroed, "1,000 objects by calloc, freed in another order, 500 times"},
    {"waves", waves, "16 MB of mixed objects allocated and freed, 10 times"},
    {"transfer", transfer, "400,000 objects that one thread allocates and another frees"},
    {"large", large, "20 slots of 64 KiB to 1 MiB, 10,000 times one at random is replaced"},
};

int main(int argc, char **argv) {
    const size_t n = sizeof benchmarks / sizeof *benchmarks;
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < n; i++) {
            printf("%s %s\n", benchmarks[i].name, benchmarks[i].what);
        }
        return 0;
    }
    for (size_t i = 0; argc == 2 && i < n; i++) {
        if (strcmp(argv[1], benchmarks[i].name) == 0) {
            Dl_info info;
            void *symbol = dlsym(RTLD_DEFAULT, "malloc");
            puts(symbol && dladdr(symbol, &info) ? info.dli_fname : "unknown");
            benchmarks[i].run();
            return 0;
        }
    }
    fputs("usage: cost_micro NAME; cost_micro --list\n", stderr);
    return 2;
}
