/*
 * A program that was busy and is quiet now: what the reserve has grown by while memory was given back and
 * taken again at once goes back when it is not needed any more, while the program goes on a little.
 *
 * usage: quiet large|mixed
 *
 *   large   bursts of blocks of 1 MiB beside others that live on
 *   mixed   objects of 512 bytes to 16 KiB that replace each other at random, and then a quarter of them
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

#include <time.h>

#define LIVE ((size_t)100 << 20)
#define QUIET 10 /* steps ... */
#define STEP 500 /* ... of so many milliseconds */
#define REPLACED 1000000

static void **object;
static size_t *length;
static size_t count, live;
static uint64_t random_state = 5;

static void pause_for(long milliseconds) {
    struct timespec rest = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&rest, &rest) != 0) {
    }
}

static void make(size_t i, size_t least, size_t most) {
    size_t size = least == most ? least : fixture_size(&random_state, least, most);
    object[i] = malloc(size);
    memset(object[i], 1, size);
    length[i] = size;
    live += size;
}

static void end(size_t i) {
    free(object[i]);
    object[i] = NULL;
    live -= length[i];
}

static void burst(size_t from, size_t blocks) {
    for (size_t i = 0; i < blocks; i++) {
        make(from + i, MIB, MIB);
    }
    for (size_t i = 0; i < blocks; i++) {
        end(from + i * 7 % blocks);
    }
}

static void replace(size_t times) {
    for (; times > 0; times--) {
        size_t i = fixture_random(&random_state) % count;
        if (object[i] != NULL) {
            end(i);
            make(i, 512, 16 * KIB);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        return 2;
    }
    bool large = strcmp(argv[1], "large") == 0;
    object = fixture_own(((size_t)1 << 20) * sizeof *object);
    length = fixture_own(((size_t)1 << 20) * sizeof *length);
    fixture_begin();
    size_t base = fixture_resident();
    while (live < LIVE) {
        make(count++, large ? MIB : 512, large ? MIB : 16 * KIB);
    }
    if (large) {
        for (int i = 0; i < 4; i++) {
            burst(count, 3 * LIVE / MIB); /* 7 does not divide it */
        }
    } else {
        replace(REPLACED);
        for (size_t i = 0; i < count; i++) {
            if (fixture_random(&random_state) % 4 != 0) {
                end(i);
            }
        }
    }
    size_t busy = fixture_resident() - base;
    for (int i = 0; i < QUIET; i++) {
        pause_for(STEP);
        if (large) {
            burst(count, 4);
        } else {
            replace(1000);
        }
    }
    size_t now = fixture_resident() - base;
    fixture_note("%s: %zu KiB live; resident: %zu KiB at first, %zu KiB after %d s of quiet use\n", argv[1],
                 live / KIB, busy / KIB, now / KIB, QUIET * STEP / 1000);
    size_t allowed = large ? live + live / 8 + 8 * MIB : 2 * live + live / 5 * 2;
    if (now > allowed) {
        fixture_fail("%zu KiB, but %zu KiB resident", live / KIB, now / KIB);
    }
    return fixture_failed;
}
