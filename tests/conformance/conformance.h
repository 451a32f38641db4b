/*
 * What POSIX, C11, C23 and the glibc manual say of each allocation function, as properties of whatever malloc
 * the program runs with: linked, or preloaded.
 *
 * Layer:     tests. Needs libc and threads, nothing of this project.
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verdict { HOLDS = 0, FAILS = 1, ABSENT = 2 }; /* ABSENT: the function does not exist here */

struct property {
    const char *text;
    enum verdict (*holds)(void);
};

/* Each ends with an entry without a text. */
extern const struct property allocation_properties[], aligned_properties[], resize_properties[],
    process_properties[];

/* Leaves the property when something does not hold. */
#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            return FAILS;                                                                                    \
        }                                                                                                    \
    } while (0)

/* Keeps the compiler from knowing what a pointer or a size is. */
void *opaque(void *p);
size_t unknown(size_t n);

void fill(void *p, size_t size, unsigned char seed);
bool filled(const void *p, size_t size, unsigned char seed);
bool zero(const void *p, size_t size);

#endif
