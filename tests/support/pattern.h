/*
 * pattern.h: what tests fill objects with, so that each says itself whether it is intact.
 *
 * Layer:     tests. Includes nothing of the project.
 * Threading: any.
 */
#ifndef CB_TESTS_PATTERN_H
#define CB_TESTS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

static inline unsigned char fixture_byte(unsigned char seed, size_t i) {
    return (unsigned char)(seed + i * 7 + (i >> 8));
}

static inline void fixture_fill(void *object, size_t size, unsigned char seed) {
    for (size_t i = 0; i < size; i++) {
        ((unsigned char *)object)[i] = fixture_byte(seed, i);
    }
}

static inline bool fixture_holds(const void *object, size_t size, unsigned char seed) {
    for (size_t i = 0; i < size; i++) {
        if (((const unsigned char *)object)[i] != fixture_byte(seed, i)) {
            return false;
        }
    }
    return true;
}

#endif
