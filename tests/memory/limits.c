/*
 * Allocates until there is no more, under a limit that somebody else has set; frees; and goes on.
 *
 * usage: limits small|mixed|large|threads
 *        limits killed
 *
 * The first line printed is the number of KiB it got before the first NULL. Fails unless running out gives
 * ENOMEM, freeing most of it then helps, and the second time yields as much as the first (nothing was lost).
 * `killed` is for where no NULL comes, but the end: it writes to all that it gets, of 16 bytes to 32 KiB, and
 * prints how many KiB that are so far, a line for each MiB.
 *
 * Runs on any malloc.
 *
 * Layer:     tests.
 * Threading: two in `threads`.
 */
#include "fixture.h"

#include <errno.h>
#include <pthread.h>

struct chain {
    struct chain *next;
    size_t size;
};

static const char *kind;

/* Returns the bytes got; the objects are in a list through themselves. */
static size_t exhaust(struct chain **all, uint64_t seed) {
    size_t got = 0;
    uint64_t random = seed;
    for (;;) {
        size_t size = strcmp(kind, "large") == 0   ? fixture_size(&random, 64 * KIB, 1 * MIB)
                      : strcmp(kind, "mixed") == 0 ? fixture_size(&random, 16, 32 * KIB)
                                                   : fixture_size(&random, 16, 512);
        errno = 0;
        struct chain *p = malloc(size);
        if (p == NULL) {
            if (errno != ENOMEM) {
                fixture_fail("NULL, but errno is %d", errno);
            }
            return got;
        }
        p->next = *all; /* the page is written to; the rest may stay untouched */
        p->size = size;
        *all = p;
        got += size;
    }
}

/* Every object but each `keep`th (0: none stays). Returns the bytes freed. */
static size_t release(struct chain **all, size_t keep) {
    size_t freed = 0, number = 0;
    struct chain *kept = NULL;
    while (*all != NULL) {
        struct chain *p = *all;
        *all = p->next;
        if (keep != 0 && ++number % keep == 0) {
            p->next = kept;
            kept = p;
        } else {
            freed += p->size;
            free(p);
        }
    }
    *all = kept;
    return freed;
}

static pthread_barrier_t both;

static void *work(void *result) {
    struct chain *all = NULL;
    *(size_t *)result = exhaust(&all, 7);
    pthread_barrier_wait(&both); /* neither frees before the other has run out too */
    release(&all, 0);
    return NULL;
}

static void threads(void) {
    pthread_t thread;
    size_t ours, theirs = 0;
    pthread_barrier_init(&both, NULL, 2);
    if (pthread_create(&thread, NULL, work, &theirs) != 0) {
        fixture_fail("no thread");
        return;
    }
    work(&ours);
    pthread_join(thread, NULL);
    fixture_note("%zu\n", (ours + theirs) / KIB);
    void *p = malloc(1 * MIB); /* goes on */
    demand(p != NULL);
    free(p);
}

/*
 * Frees all but every `keep`th object, and asks for objects of the same sizes again. Where the holes are
 * bigger than what is asked for, most of them must be found.
 */
static void refill(struct chain **all, size_t keep) {
    size_t freed = release(all, keep), again = exhaust(all, 8);
    fixture_note("%zu KiB freed, each %zuth object kept; %zu had again\n", freed / KIB, keep, again / KIB);
    if (again < freed / 2) {
        fixture_fail("%zu KiB freed, but only %zu were had again", freed / KIB, again / KIB);
    }
}

#define KILLED_BY ((size_t)1 << 30) /* nobody did, then */

static void until_killed(void) {
    uint64_t random = 7;
    size_t told = 0;
    for (size_t got = 0; got < KILLED_BY;) {
        size_t size = fixture_size(&random, 16, 32 * KIB);
        void *p = malloc(size);
        if (p == NULL) {
            fixture_fail("NULL after %zu KiB", got / KIB);
            return;
        }
        memset(p, 1, size);
        got += size;
        if (got >= told + MIB) {
            told = got;
            fixture_note("%zu\n", got / KIB);
        }
    }
    fixture_fail("still alive with %zu KiB", KILLED_BY / KIB);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        return 2;
    }
    kind = argv[1];
    if (strcmp(kind, "killed") == 0) {
        until_killed();
        return fixture_failed;
    }
    if (strcmp(kind, "threads") == 0) {
        threads();
        return fixture_failed;
    }
    struct chain *all = NULL;
    size_t first = exhaust(&all, 7);
    fixture_note("%zu\n", first / KIB);
    if (strcmp(kind, "large") != 0) {
        refill(&all, 16);
    }
    release(&all, 0);
    size_t second = exhaust(&all, 7);
    release(&all, 0);
    fixture_note("when all had been freed: %zu\n", second / KIB);
    if (second < first - first / 20) {
        fixture_fail("%zu KiB at first, but %zu when all had been freed", first / KIB, second / KIB);
    }
    void *p = malloc(first / 2 * (strcmp(kind, "large") == 0));
    demand(p != NULL);
    free(p);
    return fixture_failed;
}
