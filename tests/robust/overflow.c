/*
 * A program writes 64 KiB past the end of an object: small, medium and large, with others behind it. The
 * contents of those are gone, but the allocator keeps nothing there: every one of them can be freed, resized
 * and measured, and what is allocated afterwards is as good as ever.
 *
 * The objects are made in a thread of their own, so that what libc has allocated lies elsewhere.
 */
#include "fixture.h"

enum { VICTIMS = 20000, PAST = 64 << 10 };

static void overwrite(size_t size, unsigned char with) {
    static unsigned char *held[VICTIMS];
    static size_t usable[VICTIMS];
    size_t count = size < 200 ? VICTIMS : size < 2000 ? 4000 : size < 40000 ? 400 : 20;
    for (size_t i = 0; i < count; i++) {
        held[i] = malloc(size);
        CHECK(held[i] != NULL);
        usable[i] = malloc_usable_size(held[i]);
    }
    for (size_t i = 1; i < count; i += 3) { /* parked and dead ones among them */
        free(held[i]);
        held[i] = NULL;
    }
    /* One with 64 KiB of others behind it: a quarter of the way up. */
    uintptr_t low = UINTPTR_MAX, high = 0;
    for (size_t i = 0; i < count; i++) {
        uintptr_t p = (uintptr_t)held[i];
        low = p != 0 && p < low ? p : low;
        high = p + size > high && p != 0 ? p + size : high;
    }
    unsigned char *victim = NULL;
    for (size_t i = 0; i < count; i++) {
        uintptr_t p = (uintptr_t)held[i];
        if (p != 0 && p + size + PAST <= high && p >= low + (high - low) / 8) {
            victim = held[i];
            break;
        }
    }
    CHECK(victim != NULL);
    memset(victim, with, size + PAST);
    for (size_t i = 0; i < count; i++) {
        if (held[i] != NULL) {
            CHECK(malloc_usable_size(held[i]) == usable[i]);
            if (i % 4 == 0) {
                held[i] = realloc(held[i], size * 2);
                CHECK(held[i] != NULL);
            }
        }
    }
    fixture_work(with, 1000);
    for (size_t i = 0; i < count; i++) {
        free(held[i]);
    }
    fixture_work(with + 1U, 1000);
}

static void *run(void *unused) {
    static const size_t size[] = {1, 16, 17, 100, 500, 1000, 1024, 3000, 10000, 32768, 40000, 300000};
    static const unsigned char with[] = {0x00, 0xFF, 0x40, 0x81, 0xC1};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        for (size_t k = 0; k < sizeof with; k++) {
            overwrite(size[i], with[k]);
        }
    }
    return unused;
}

int main(void) {
    fixture_begin(120);
    free(malloc(1 << 20));
    pthread_join(fixture_thread(run, NULL), NULL);
    fixture_work(1, 2000);
    printf("%d KiB past objects of 12 sizes\n", PAST >> 10);
    return 0;
}
