/* A stress test for any malloc: run it plainly, with a library preloaded, or linked with one.
 *
 * Worker threads allocate, resize and free blocks of all sizes and alignments; every byte of a block is
 * written when it is made and checked before it goes, so that two blocks which overlap, or a resize which
 * loses data, are noticed. Blocks change hands through mailboxes, and are then checked, resized and freed by
 * another thread than the one that made them. Meanwhile short-lived threads come and go, leaving blocks
 * behind for others, and the process forks; each child goes on with what it inherited, starts a thread of its
 * own, and ends.
 *
 * usage: stress [-s SEED] [-t THREADS] [-r ROUNDS] [-f FORKS] [-c SHORT_LIVED_THREADS]
 *
 * The seed alone decides over the calls of each thread (not how the threads interleave). Exit status 0 and one
 * line when all was well; otherwise a message and abort(). Needs libc and threads, nothing of this project.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/random.h"

enum { SLOTS = 400, MAILBOXES = 256, CHILD_SECONDS = 60, OPERATIONS_PER_ROUND = 1000 };

/* A block under test, described outside of it; the description itself is allocated too when it changes hands.
 */
typedef struct {
    unsigned char *start;
    size_t size;
    unsigned char pattern;
} block;

typedef struct {
    uint64_t random;
    uint64_t operations;
    block slots[SLOTS];
} worker;

static _Atomic(block *) mailboxes[MAILBOXES];
static atomic_ullong total_operations;
static uint64_t seed = 1;
static unsigned threads = 4, rounds = 100, forks = 20, short_lived = 200;

#define CHECK(condition, ...)                                                                                \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "stress: " __VA_ARGS__);                                                         \
            fprintf(stderr, " (%s)\n", #condition);                                                          \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

static uint64_t roll(worker *w, uint64_t below) {
    return fixture_random(&w->random) % below;
}

static size_t roll_size(worker *w) {
    switch (roll(w, 200)) {
    case 0:
        return 1 + roll(w, 3u << 20);
    case 1:
    case 2:
    case 3:
        return 1 + roll(w, 256 * 1024);
    default:
        return roll(w, 4) ? 1 + roll(w, 200) : 1 + roll(w, 9000);
    }
}

/* The byte at an offset depends on the offset as well, so that contents moved by a few bytes are noticed. */
static unsigned char byte_at(unsigned char pattern, size_t offset) {
    return (unsigned char)(pattern + offset * 7 + (offset >> 8));
}

static void fill(block *b, size_t from) {
    for (size_t i = from; i < b->size; i++)
        b->start[i] = byte_at(b->pattern, i);
}

static void check(const block *b, size_t size) {
    unsigned char wrong = 0; /* the loop that runs all the time has no exit, so that it can be vectorised */
    for (size_t i = 0; i < size; i++)
        wrong |= b->start[i] ^ byte_at(b->pattern, i);
    for (size_t i = 0; wrong && i < size; i++)
        CHECK(b->start[i] == byte_at(b->pattern, i), "byte %zu of the %zu at %p is wrong", i, b->size,
              (void *)b->start);
}

static void make(worker *w, block *b) {
    b->size = roll_size(w);
    b->pattern = 0;
    switch (roll(w, 8)) {
    case 0:
        b->start = calloc(b->size, 1);
        CHECK(b->start, "calloc of %zu failed", b->size);
        for (size_t i = 0; i < b->size; i++)
            b->pattern |= b->start[i];
        CHECK(b->pattern == 0, "the %zu bytes at %p from calloc are not zero", b->size, (void *)b->start);
        break;
    case 1: {
        size_t alignment = (size_t)16 << roll(w, 9);
        void *out = NULL;
        CHECK(posix_memalign(&out, alignment, b->size) == 0, "posix_memalign of %zu failed", b->size);
        CHECK((uintptr_t)out % alignment == 0, "%p is not aligned to %zu", out, alignment);
        b->start = out;
        break;
    }
    default:
        b->start = malloc(b->size);
        CHECK(b->start, "malloc of %zu failed", b->size);
    }
    CHECK((uintptr_t)b->start % 16 == 0 || b->size < 16, "%p is not aligned", (void *)b->start);
    CHECK(malloc_usable_size(b->start) >= b->size, "the usable size of %p is less than %zu", (void *)b->start,
          b->size);
    b->pattern = (unsigned char)roll(w, 256);
    fill(b, 0);
}

static void resize(worker *w, block *b) {
    size_t size = roll(w, 3) ? roll_size(w) : b->size + 1 + roll(w, 64);
    unsigned char *start = realloc(b->start, size);
    CHECK(start, "realloc to %zu failed", size);
    size_t kept = size < b->size ? size : b->size;
    b->start = start;
    check(b, kept);
    b->size = size;
    fill(b, kept);
}

static void drop(block *b) {
    check(b, b->size);
    int before = errno = (int)b->pattern;
    free(b->start);
    CHECK(errno == before, "free changed errno");
    b->start = NULL;
}

/* Leaves the block in a mailbox, and takes over what lay there. */
static void exchange(worker *w, block *b) {
    block *parcel = malloc(sizeof *parcel);
    CHECK(parcel, "no memory for a parcel");
    *parcel = *b;
    b->start = NULL;
    /* acquire and release: the contents of the blocks travel with the pointers */
    parcel = atomic_exchange_explicit(&mailboxes[roll(w, MAILBOXES)], parcel, memory_order_acq_rel);
    if (parcel) {
        *b = *parcel;
        free(parcel);
        check(b, b->size);
    }
}

static void step(worker *w) {
    block *b = &w->slots[roll(w, SLOTS)];
    w->operations++;
    if (!b->start) {
        make(w, b);
        return;
    }
    switch (roll(w, 8)) {
    case 0:
        resize(w, b);
        break;
    case 1:
    case 2:
        exchange(w, b);
        break;
    case 3: { /* a burst in LIFO order */
        block burst[16];
        for (unsigned i = 0; i < 16; i++)
            make(w, &burst[i]);
        for (unsigned i = 16; i-- > 0;)
            drop(&burst[i]);
        break;
    }
    default:
        drop(b);
    }
}

static void drop_all(worker *w) {
    for (unsigned i = 0; i < SLOTS; i++)
        if (w->slots[i].start)
            drop(&w->slots[i]);
}

static worker *new_worker(uint64_t number) {
    worker *w = calloc(1, sizeof *w);
    CHECK(w, "no memory for a worker");
    w->random = seed;
    w->random = fixture_random(&w->random) + number;
    return w;
}

static void *long_lived(void *argument) {
    worker *w = argument;
    for (unsigned i = 0; i < rounds * OPERATIONS_PER_ROUND; i++)
        step(w);
    drop_all(w);
    atomic_fetch_add_explicit(&total_operations, w->operations, memory_order_relaxed);
    free(w);
    return NULL;
}

/* Does a little, leaves some of its blocks to others, and is gone. */
static void *passer_by(void *argument) {
    worker *w = argument;
    for (unsigned i = 0; i < 300; i++)
        step(w);
    for (unsigned i = 0; i < SLOTS; i += 8)
        if (w->slots[i].start)
            exchange(w, &w->slots[i]);
    drop_all(w);
    free(w);
    return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), worker *w) {
    CHECK(pthread_create(thread, NULL, run, w) == 0, "pthread_create failed");
}

static void empty_mailboxes(void) {
    for (unsigned i = 0; i < MAILBOXES; i++) {
        block *parcel = atomic_exchange_explicit(&mailboxes[i], NULL, memory_order_acq_rel);
        if (parcel) {
            drop(parcel);
            free(parcel);
        }
    }
}

/* In the child, where only this thread lives on. */
static void continue_in_child(unsigned number) {
    alarm(CHILD_SECONDS); /* a child that hangs dies, and the parent notices */
    empty_mailboxes();
    worker *w = new_worker(1000000 + number);
    for (unsigned i = 0; i < 2000; i++)
        step(w);
    pthread_t thread;
    start(&thread, passer_by, new_worker(2000000 + number));
    for (unsigned i = 0; i < 500; i++)
        step(w);
    CHECK(pthread_join(thread, NULL) == 0, "pthread_join failed");
    drop_all(w);
    free(w);
    empty_mailboxes();
    _exit(0);
}

static void fork_once(unsigned number) {
    pid_t child = fork();
    CHECK(child >= 0, "fork failed");
    if (child == 0)
        continue_in_child(number);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child, "waitpid failed");
    CHECK(status == 0, "child %u ended with status 0x%x", number, (unsigned)status);
}

static void read_arguments(int argc, char **argv) {
    int option;
    while ((option = getopt(argc, argv, "s:t:r:f:c:")) != -1) {
        unsigned long long value = optarg ? strtoull(optarg, NULL, 0) : 0;
        switch (option) {
        case 's':
            seed = value;
            break;
        case 't':
            threads = (unsigned)value;
            break;
        case 'r':
            rounds = (unsigned)value;
            break;
        case 'f':
            forks = (unsigned)value;
            break;
        case 'c':
            short_lived = (unsigned)value;
            break;
        default:
            fprintf(stderr,
                    "usage: %s [-s SEED] [-t THREADS] [-r ROUNDS] [-f FORKS] [-c SHORT_LIVED_THREADS]\n",
                    argv[0]);
            exit(2);
        }
    }
}

int main(int argc, char **argv) {
    read_arguments(argc, argv);
    pthread_t *workers = calloc(threads, sizeof *workers);
    CHECK(workers || threads == 0, "no memory for the threads");
    for (unsigned i = 0; i < threads; i++)
        start(&workers[i], long_lived, new_worker(i));

    unsigned forked = 0;
    for (unsigned i = 0; i < short_lived; i += 4) {
        pthread_t four[4];
        for (unsigned k = 0; k < 4; k++)
            start(&four[k], passer_by, new_worker(1000 + i + k));
        if (forked * (uint64_t)short_lived < i * (uint64_t)forks)
            fork_once(forked++);
        for (unsigned k = 0; k < 4; k++)
            CHECK(pthread_join(four[k], NULL) == 0, "pthread_join failed");
    }
    while (forked < forks)
        fork_once(forked++);

    for (unsigned i = 0; i < threads; i++)
        CHECK(pthread_join(workers[i], NULL) == 0, "pthread_join failed");
    free(workers);
    empty_mailboxes();
    printf("stress: %llu operations, %u threads, %u forks, seed %llu: all well\n",
           (unsigned long long)atomic_load_explicit(&total_operations, memory_order_relaxed),
           threads + short_lived, forked, (unsigned long long)seed);
    return 0;
}
