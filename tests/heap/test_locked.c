/*
 * Memory that the program has locked (mlockall) stays locked, whatever is moved, freed and allocated again;
 * it cannot be given back, so it is reused, and not offered to the system at each free.
 *
 * Layer:     tests.
 * Threading: none; each test is a process of its own, for a lock is of the whole process and not inherited.
 */
#include "child.h"

#include "heap/pages.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

enum { BLOCKS = 40, CANNOT_LOCK = 77 };

static void in_locked_child(void (*work)(void)) {
#if BED_SANITIZED
    (void)work; /* a sanitizer's shadow memory is too large to be locked */
    skip();
#else
    int status = status_of_child(work);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_LOCK) {
        skip();
    }
    assert_int_equal(status, 0);
#endif
}

static void lock_all(int flags) {
    if (mlockall(flags) != 0) {
        _exit(CANNOT_LOCK);
    }
}

/* Bytes of [p, p + size) that lie in mappings which are locked. */
static size_t locked_bytes(const void *p, size_t size) {
    uintptr_t from = (uintptr_t)p, to = from + size, low = 0, high = 0;
    size_t locked = 0;
    char line[512];
    FILE *file = fopen("/proc/self/smaps", "r");
    DEMAND(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        uintptr_t start, end;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &start, &end) == 2) {
            low = start > from ? start : from;
            high = end < to ? end : to;
        } else if (low < high && strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " lo") != NULL) {
            locked += high - low;
        }
    }
    fclose(file);
    return locked;
}

static void check_locked(void *const *block, size_t count, const char *when) {
    size_t unlocked = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = block[i] != NULL ? cb_malloc_usable_size(block[i]) : 0;
        unlocked += size != 0 && locked_bytes(block[i], size) != size;
    }
    if (unlocked != 0) {
        print_error("%s: %zu of %zu blocks lie in memory that is not locked\n", when, unlocked, count);
    }
    DEMAND(unlocked == 0);
}

static void grow(void **block, size_t from, size_t to, size_t step) {
    for (size_t size = from; size < to; size += step) {
        *block = cb_realloc(*block, size + step);
        DEMAND(*block != NULL);
        memset((char *)*block + size, 1, step);
    }
}

static void check_heap(void) {
    const char *wrong = cb_heap_check();
    demand(wrong == NULL, wrong);
}

/*
 * Blocks that were moved before the lock, blocks that grow under it, and what takes the place of what is
 * freed.
 */
static void everything_stays_locked(void) {
    static void *before[4], *block[BLOCKS], *rest[BLOCKS];
    for (size_t size = 0; size < 6 * MIB; size += 512 * KIB) {
        for (size_t i = 0; i < 4; i++) {
            grow(&before[i], size, size + 512 * KIB, 512 * KIB);
        }
    }
    lock_all(MCL_CURRENT | MCL_FUTURE);
    for (size_t i = 0; i < BLOCKS; i++) {
        block[i] = cb_malloc(100 * KIB);
        memset(block[i], 1, 100 * KIB);
    }
    for (size_t i = 0; i < BLOCKS / 10; i++) { /* beyond what is moved rather than copied, in turn */
        grow(&block[i], 100 * KIB, 5 * MIB + 100 * KIB, MIB);
    }
    check_locked(before, 4, "moved before the lock");
    check_locked(block, BLOCKS, "grown");
    for (size_t size = 5 * MIB + 100 * KIB; size < 12 * MIB; size += MIB) {
        for (size_t i = 0; i < BLOCKS / 10; i++) {
            grow(&block[i], size, size + MIB, MIB);
        }
    }
    check_locked(block, BLOCKS, "grown in turn");
    for (size_t i = 0; i < 4; i++) {
        if (i < 2) {
            cb_free(before[i]);
            before[i] = NULL;
        } else {
            before[i] = cb_realloc(before[i], i * MIB);
        }
    }
    for (size_t i = 0; i < BLOCKS; i += 2) {
        cb_free(block[i]);
        block[i] = NULL;
    }
    cb_malloc_trim(0);
    check_locked(before, 4, "shrunk");
    check_locked(block, BLOCKS, "half freed");
    for (size_t i = 0; i < BLOCKS; i++) {
        rest[i] = i % 2 == 0 ? cb_calloc(1, 64 * KIB << i % 8) : cb_malloc(200 + 300 * i);
        DEMAND(rest[i] != NULL);
        for (size_t at = 0; i % 2 == 0 && at < 64 * KIB << i % 8; at += 512) {
            DEMAND(((char *)rest[i])[at] == 0);
        }
    }
    check_locked(rest, BLOCKS, "allocated where others were");
    check_locked(block, BLOCKS, "beside them");
    check_heap();
}

/*
 * A lock of what there is, and not of what comes: what has the place of a moved block that is freed is locked
 * yet.
 */
static void what_was_locked_stays_so(void) {
    void *block[2] = {NULL}, *again;
    for (size_t size = 0; size < 6 * MIB; size += 512 * KIB) {
        grow(&block[0], size, size + 512 * KIB, 512 * KIB);
        grow(&block[1], size, size + 512 * KIB, 512 * KIB);
    }
    lock_all(MCL_CURRENT);
    uintptr_t place = (uintptr_t)block[0];
    size_t size = cb_malloc_usable_size(block[0]);
    cb_free(block[0]);
    DEMAND(locked_bytes((void *)place, size) == size);
    again = cb_malloc(size);
    check_locked(&block[1], 1, "the other");
    cb_free(again);
    check_heap();
}

static void freed_memory_is_not_offered_again_and_again(void) {
    static void *block[64];
    lock_all(MCL_CURRENT | MCL_FUTURE);
    for (size_t i = 0; i < 64; i++) {
        block[i] = cb_malloc(MIB);
        memset(block[i], 1, MIB);
    }
    int calls = cb_os_calls();
    struct cb_pages_totals before, after;
    cb_pages_totals(&before);
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < 64; i++) {
            cb_free(block[i]);
        }
        for (size_t i = 0; i < 64; i++) {
            block[i] = cb_malloc(MIB);
            DEMAND(block[i] != NULL);
        }
    }
    cb_pages_totals(&after);
    DEMAND(after.mapped == before.mapped); /* it is reused ... */
    DEMAND(cb_os_calls() - calls < 40);    /* ... and in 3,200 frees it was offered a few times */
    check_heap();
}

/* The same with small objects, whose pages are offered by another part of the heap. */
static void freed_small_objects_are_not_offered_again_and_again(void) {
    enum { OBJECTS = 100000, SIZE = 200 };
    static void *object[OBJECTS];
    lock_all(MCL_CURRENT | MCL_FUTURE);
    int calls = 0;
    for (int round = 0; round < 10; round++) {
        if (round == 2) {
            calls = cb_os_calls();
        }
        for (size_t i = 0; i < OBJECTS; i++) {
            object[i] = cb_malloc(SIZE);
            DEMAND(object[i] != NULL);
        }
        for (size_t i = 0; i < OBJECTS; i++) {
            cb_free(object[i]);
        }
    }
    DEMAND(cb_os_calls() - calls < 400); /* in 800,000 frees */
    check_heap();
}

static void whatever_is_moved_or_freed_stays_locked(void **state) {
    (void)state;
    in_locked_child(everything_stays_locked);
    in_locked_child(what_was_locked_stays_so);
}

static void locked_memory_is_reused(void **state) {
    (void)state;
    in_locked_child(freed_memory_is_not_offered_again_and_again);
    in_locked_child(freed_small_objects_are_not_offered_again_and_again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_moved_or_freed_stays_locked),
        cmocka_unit_test(locked_memory_is_reused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
