/*
 * All is freed, and the system has it again: resident memory straight after the last free, without a call in
 * between.
 *
 * usage: drain small|medium|large|vectors|mixed lifo|fifo|random self|other|exit|again KIB [MIB]
 *
 * So many KiB may be left, of so many MiB.
 *
 *   self    one thread allocates and frees
 *   other   another thread than the one that allocates frees; the owner waits, and makes no call
 *   exit    a thread allocates, frees and ends
 *   again   as self, three times: memory that was given back and is wanted again within moments is kept, up to what was
 *           in use at most; and goes when it has not been wanted for some seconds, a tenth of them with a call
 *
 * Layer:     tests.
 * Threading: as said.
 */
#include "fixture.h"

#include <pthread.h>
#include <time.h>

#define AMOUNT 200             /* MiB */
#define MOST ((size_t)4 << 20) /* objects */

static const char *kind, *order, *by;
static void **object;
static uint32_t *turn;
static size_t amount, count;
static size_t base, full, freed;

static void *vector(uint64_t *random, size_t size) {
    char *p = NULL;
    for (size_t length = 64;; length *= 2) {
        length = length < size ? length : size;
        p = realloc(p, length);
        if (p == NULL) {
            return NULL;
        }
        memset(p + length / 2, (int)(fixture_random(random) & 0xff), length - length / 2);
        if (length == size) {
            return p;
        }
    }
}

static void fill(void) {
    uint64_t random = 17;
    bool vectors = strcmp(kind, "vectors") == 0;
    size_t least = 16, most = 1 * KIB;
    if (strcmp(kind, "medium") == 0) {
        least = 1 * KIB;
        most = 32 * KIB;
    } else if (strcmp(kind, "large") == 0) {
        least = 64 * KIB;
        most = 4 * MIB;
    } else if (vectors) {
        least = 1 * KIB;
        most = 1 * MIB;
    } else if (strcmp(kind, "mixed") == 0) {
        most = 256 * KIB;
    }
    count = 0;
    for (size_t live = 0; live < amount && count < MOST; count++) {
        size_t size = fixture_size(&random, least, most);
        object[count] = vectors ? vector(&random, size) : malloc(size);
        if (object[count] == NULL) {
            fixture_fail("no memory");
            _exit(1);
        }
        if (!vectors) {
            memset(object[count], 1, size);
        }
        live += size;
    }
    for (size_t i = 0; i < count; i++) {
        turn[i] = (uint32_t)(strcmp(order, "lifo") == 0 ? count - 1 - i : i);
    }
    for (size_t i = count; strcmp(order, "random") == 0 && i > 1; i--) {
        size_t k = fixture_random(&random) % i;
        uint32_t swap = turn[i - 1];
        turn[i - 1] = turn[k];
        turn[k] = swap;
    }
}

static void empty(void) {
    for (size_t i = 0; i < count; i++) {
        free(object[turn[i]]);
    }
}

static void *fill_and_empty(void *unused) {
    fill();
    full = fixture_resident();
    empty();
    return unused;
}

/* Measured in the thread that freed, while the owner waits; and the owner has done nothing before the program
 * ends. */
static void *empty_elsewhere(void *unused) {
    full = fixture_resident();
    empty();
    freed = fixture_resident();
    return unused;
}

static void *nothing(void *unused) {
    free(malloc(1));
    fixture_resident(); /* the thread's buffer for it, part of what the thread and its stack cost */
    return unused;
}

static void in_thread(void *(*work)(void *)) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, NULL) != 0) {
        fixture_fail("no thread");
        _exit(1);
    }
    pthread_join(thread, NULL);
}

/* Bytes of memory that the system has to give. */
static size_t available(void) {
    size_t kib = 0;
    char line[128];
    FILE *file = fopen("/proc/meminfo", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "MemAvailable:", 13) == 0) {
            kib = strtoul(line + 13, NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib * 1024;
}

/* The program is quiet: a block a quarter of a second, for ten seconds. */
static void forget(void) {
    const struct timespec pause = {.tv_nsec = 250000000};
    for (int i = 0; i < 40; i++) {
        nanosleep(&pause, NULL);
        free(malloc(100000));
    }
    size_t left = fixture_resident();
    fixture_note("%ld KiB ten quiet seconds later\n", fixture_kib(left, base));
    if (left > base + amount / 10) {
        fixture_fail("%ld KiB more than at the start after ten seconds", fixture_kib(left, base));
    }
}

int main(int argc, char **argv) {
    if (argc != 5 && argc != 6) {
        return 2;
    }
    amount = (argc == 6 ? strtoul(argv[5], NULL, 10) : AMOUNT) << 20;
    if (argc == 6 && available() < amount * 2) {
        fixture_note("skipped: not enough memory\n");
        return 77;
    }
    size_t bound = strtoul(argv[4], NULL, 10) * 1024;
    kind = argv[1], order = argv[2], by = argv[3];
    object = fixture_own(MOST * sizeof *object);
    turn = fixture_own(MOST * sizeof *turn);
    fixture_begin();
    bool again = strcmp(by, "again") == 0, threads = !again && strcmp(by, "self") != 0;
    if (threads) {
        in_thread(nothing); /* what libc maps for its first thread and keeps */
    }
    base = fixture_resident();
    if (strcmp(by, "other") == 0) {
        fill();
        in_thread(empty_elsewhere);
    } else if (threads) {
        in_thread(fill_and_empty);
        freed = fixture_resident();
    } else {
        for (int i = 0; i < (again ? 3 : 1); i++) {
            fill_and_empty(NULL);
            freed = fixture_resident();
        }
    }
    fixture_note("%s, %s, %s: %zu objects, %ld KiB when full, %ld KiB after the last free\n", kind, order, by,
                 count, fixture_kib(full, base), fixture_kib(freed, base));
    demand(full > base + amount - amount / 8);
    if (freed > (again ? full : base) + bound) {
        fixture_fail("%ld KiB more than at the start", fixture_kib(freed, base));
    }
    if (again && strcmp(order, "random") == 0) {
        forget();
    }
    return fixture_failed;
}
