/*
 * 98 % of the memory is freed, in runs of 64 KiB, the runs in random order: what is resident follows what is
 * live, all along, within a tenth and the reserve. A block with survivors gives the pages back that none of
 * them is in.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

#define AMOUNT ((size_t)200 << 20)
#define RUN (64 * KIB)
#define MOST ((size_t)2 << 20)
#define RESERVE(live) (1 * MIB + (live) / 50)

int main(void) {
    void **object = fixture_own(MOST * sizeof *object);
    uint32_t *first = fixture_own((AMOUNT / RUN + 2) * sizeof *first); /* object of each run */
    uint32_t *turn = fixture_own((AMOUNT / RUN + 2) * sizeof *turn);
    size_t *bytes = fixture_own((AMOUNT / RUN + 2) * sizeof *bytes);
    uint64_t random = 5;
    size_t count = 0, runs = 0, live = 0;
    fixture_begin();
    size_t base = fixture_resident();
    while (live < AMOUNT && count < MOST) {
        size_t size = fixture_size(&random, 16, 1 * KIB);
        object[count] = malloc(size);
        if (object[count] == NULL) {
            return 1;
        }
        memset(object[count], 1, size);
        if (runs == 0 || bytes[runs - 1] >= RUN) {
            first[runs++] = (uint32_t)count;
        }
        bytes[runs - 1] += size;
        live += size;
        count++;
    }
    first[runs] = (uint32_t)count;
    for (uint32_t i = 0; i < runs; i++) {
        turn[i] = i;
    }
    for (size_t i = runs; i > 1; i--) {
        size_t k = fixture_random(&random) % i;
        uint32_t swap = turn[i - 1];
        turn[i - 1] = turn[k];
        turn[k] = swap;
    }
    size_t all = live, full = fixture_resident() - base;
    fixture_note("%zu objects, %zu KiB; resident: %zu KiB\n", count, all / KIB, full / KIB);
    for (size_t i = 0; i < runs * 98 / 100; i++) {
        for (uint32_t k = first[turn[i]]; k < first[turn[i] + 1]; k++) {
            free(object[k]);
        }
        live -= bytes[turn[i]];
        if (i % (runs / 25) == runs / 50 || i + 1 == runs * 98 / 100) {
            size_t now = fixture_resident() - base;
            /* what a live byte cost at first, rounding and map included, is no question here */
            size_t fair = (size_t)((double)full / (double)all * (double)live);
            fixture_note("live %6zu KiB: resident %6zu KiB, %+.1f %%\n", live / KIB, now / KIB,
                         100.0 * ((double)now / (double)fair - 1));
            if (now > fair + fair / 10 + RESERVE(live)) {
                fixture_fail("live %zu KiB: %zu KiB resident", live / KIB, now / KIB);
            }
        }
    }
    return fixture_failed;
}
