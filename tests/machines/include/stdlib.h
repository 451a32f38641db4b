/* The part of stdlib.h that the tests of the arena use: there is no environment. */
#ifndef CB_TESTS_MACHINES_STDLIB_H
#define CB_TESTS_MACHINES_STDLIB_H

#include <stddef.h>

static inline char *getenv(const char *name) {
    (void)name;
    return NULL;
}

static inline unsigned long long strtoull(const char *text, char **end, int base) {
    (void)text;
    (void)end;
    (void)base;
    return 0;
}

#endif
