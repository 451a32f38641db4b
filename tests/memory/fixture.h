/*
 * fixture.h: what the tests of memory that comes back share: memory that does not come from malloc, and failing.
 *
 * The programs call malloc like any other program; meson runs them with the preload library. Nothing here
 * allocates between two measurements.
 *
 * Layer:     tests.
 * Threading: any.
 */
#ifndef CB_TESTS_MEMORY_FIXTURE_H
#define CB_TESTS_MEMORY_FIXTURE_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../support/proc.h"
#include "../support/random.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

#define SKIPPED 77 /* the exit status that says so to meson */

static bool fixture_failed;

/* One line on standard error; the test goes on, and fails at the end. */
__attribute__((format(printf, 1, 2), unused)) static void fixture_fail(const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2) {
        length = (int)sizeof line - 2;
    }
    line[length] = '\n';
    if (write(STDERR_FILENO, line, (size_t)length + 1) < 0) {
        abort();
    }
    fixture_failed = true;
}

#define demand(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fixture_fail("%s:%d: not true: %s", __FILE__, __LINE__, #condition);                             \
        }                                                                                                    \
    } while (0)

/* Zeroed, in memory already, and not from malloc. Never freed. */
__attribute__((unused)) static void *fixture_own(size_t size) {
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED) {
        perror("mmap");
        _exit(1);
    }
    return p;
}

/* As many sizes of each doubling as of any other. */
__attribute__((unused)) static size_t fixture_size(uint64_t *state, size_t least, size_t most) {
    unsigned doublings = 63 - (unsigned)__builtin_clzl(most / least);
    for (;;) {
        uint64_t r = fixture_random(state);
        size_t low = least << (r >> 40) % (doublings + 1);
        size_t size = low + (size_t)(r & 0xffffffff) % low;
        if (size <= most) {
            return size;
        }
    }
}

/* Writes to every page. */
__attribute__((unused)) static void fixture_touch(void *p, size_t size) {
    volatile unsigned char *bytes = p;
    for (size_t at = 0; at < size; at += 4096) {
        bytes[at] = 1;
    }
    if (size != 0) {
        bytes[size - 1] = 1;
    }
}

__attribute__((unused)) static bool fixture_preloaded(void) {
    return strstr(fixture_read("/proc/self/maps"), "libcutback_preload") != NULL;
}

/* A figure for people, on standard output, without stdio's buffer. */
__attribute__((format(printf, 1, 2), unused)) static void fixture_note(const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (write(STDOUT_FILENO, line, (size_t)length) < 0) {
        abort();
    }
}

__attribute__((unused)) static long fixture_kib(size_t after, size_t before) {
    return (long)((int64_t)(after - before) / 1024);
}

/* The first thing a test calls. What the first call of everything needs is in memory afterwards. */
__attribute__((unused)) static void fixture_begin(void) {
    if (!fixture_preloaded()) {
        fixture_fail("the preload library is not in this process");
        _exit(1);
    }
    free(malloc(1));
    fixture_resident();
}

#endif
