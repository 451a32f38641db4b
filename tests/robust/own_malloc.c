/*
 * A program with a malloc of its own, as chromium and others have: it comes before every preloaded one, and all memory
 * that changes hands is the program's. glibc's reallocarray calls the program's realloc, and so must the library's.
 *
 * Usage: robust_own_malloc, under any preloaded malloc, or under none. Exit status 0 or 1.
 */
#include <errno.h>
#include <malloc.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POOL = 1 << 20, HEADER = 16 };

static alignas(HEADER) unsigned char pool[POOL];
static size_t used;

void *malloc(size_t size) {
    if (size > POOL - used - 2 * HEADER) {
        errno = ENOMEM;
        return NULL;
    }
    unsigned char *p = pool + used;
    memcpy(p, &size, sizeof size);
    used += HEADER + (size + HEADER - 1) / HEADER * HEADER;
    return p + HEADER;
}

static int ours(const void *ptr) {
    return (uintptr_t)ptr - (uintptr_t)pool < POOL;
}

void free(void *ptr) {
    if (ptr != NULL && !ours(ptr)) {
        abort();
    }
}

void *calloc(size_t count, size_t size) {
    return malloc(count * size); /* nothing is handed out twice, and the pool is zero */
}

void *realloc(void *ptr, size_t size) {
    if (ptr != NULL && !ours(ptr)) {
        abort();
    }
    size_t old = 0;
    void *to = malloc(size);
    if (to != NULL && ptr != NULL) {
        memcpy(&old, (unsigned char *)ptr - HEADER, sizeof old);
        memcpy(to, ptr, old < size ? old : size);
    }
    return to;
}

void *memalign(size_t align, size_t size) {
    return align <= HEADER ? malloc(size) : NULL;
}

void *aligned_alloc(size_t align, size_t size) {
    return memalign(align, size);
}

int posix_memalign(void **out, size_t align, size_t size) {
    *out = memalign(align, size);
    return *out != NULL ? 0 : ENOMEM;
}

static int failures;

static void want(int holds, const char *what) {
    if (!holds) {
        printf("FAILED: %s\n", what);
        failures++;
    }
}

int main(void) {
    char *line = NULL;
    size_t room = 0;
    char *p = reallocarray(NULL, 4, 10);
    want(ours(p), "reallocarray(NULL) asks the program's realloc");
    strcpy(p, "what is in it stays");
    char *q = reallocarray(p, 40, 10);
    want(ours(q) && strcmp(q, "what is in it stays") == 0, "reallocarray asks the program's realloc");
    volatile size_t much = SIZE_MAX / 2;
    errno = 0;
    want(reallocarray(q, much, 3) == NULL && errno == ENOMEM, "a product that overflows is refused");
    free(q);
    p = strdup("of libc");
    want(ours(p), "strdup asks the program's malloc");
    free(p);
    want(asprintf(&p, "%d", 1234567) == 7 && ours(p), "so does asprintf");
    free(p);
    want(getline(&line, &room, stdin) == 5 && ours(line), "so does getline");
    free(line);
    return failures != 0;
}
