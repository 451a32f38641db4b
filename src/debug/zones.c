/*
 * zones.c: the patterns in and around an object. See types.h.
 *
 * Layer: debug. Threads: whoever has the object to itself, or holds the lock.
 */
#include "debug/types.h"

#include <string.h>

#define WORD sizeof(uint64_t)

static inline uint64_t word_at(uintptr_t at) {
    uint64_t word;
    memcpy(&word, (const void *)at, WORD);
    return word;
}

/* Whether all bytes of a range, of at least a word, are the byte that the word is made of. */
static inline bool all_are(uintptr_t start, uintptr_t end, uint64_t word) {
    uint64_t other = word_at(end - WORD) ^ word;
    for (uintptr_t at = start; at + WORD <= end; at += WORD) {
        other |= word_at(at) ^ word;
    }
    return other == 0;
}

/* The first byte of a range that is not `byte`; NULL when all are. */
static inline const uint8_t *first_other(uintptr_t start, uintptr_t end, uint8_t byte) {
    const uint8_t *p = (const uint8_t *)start, *limit = (const uint8_t *)end;
    if (end - start >= WORD && all_are(start, end, byte * (UINT64_MAX / UINT8_MAX))) {
        return NULL;
    }
    while (p < limit && *p == byte) {
        p++;
    }
    return p < limit ? p : NULL;
}

static inline void fill(uintptr_t start, uintptr_t end, uint8_t byte) {
    size_t bytes = end - start;
    if (bytes >= CB_RED &&
        bytes <= CB_RED + CB_GRANULE) { /* the red zone behind most objects, without a call */
        memset((void *)start, byte, CB_RED);
        memset((void *)(end - CB_GRANULE), byte, CB_GRANULE);
    } else {
        memset((void *)start, byte, bytes);
    }
}

static struct cb_damage damage(const char *what, const uint8_t *at) {
    return (struct cb_damage){.what = what, .at = (uintptr_t)at, .value = *at};
}

void cb_zones_paint(const struct cb_record *record) {
    uintptr_t end = record->address + record->size;
    memset((void *)(record->address - CB_RED), CB_BYTE_RED, CB_RED);
    fill(end, record->base + record->total, CB_BYTE_RED);
}

void cb_zones_fill_freed(const struct cb_record *record) {
    memset((void *)record->address, CB_BYTE_FREED, record->size);
}

/* The bytes among 16 that are not red. */
static inline uint64_t other_than_red(uintptr_t at) {
    const uint64_t red = CB_BYTE_RED * (UINT64_MAX / UINT8_MAX);
    return (word_at(at) ^ red) | (word_at(at + WORD) ^ red);
}

/* Whether both zones are as they were painted, where the one behind is of the usual length. */
static inline bool are_red(uintptr_t start, uintptr_t end, uintptr_t limit) {
    return limit - end >= CB_RED && limit - end <= CB_RED + CB_GRANULE &&
           (other_than_red(start - 32) | other_than_red(start - 16) | other_than_red(end) |
            other_than_red(end + 16) | other_than_red(limit - 16)) == 0;
}
_Static_assert(CB_RED == 32, "are_red looks at as much");

CB_NOINLINE static struct cb_damage look_closely(uintptr_t start, uintptr_t end, uintptr_t limit) {
    const uint8_t *at = first_other(end, limit, CB_BYTE_RED);
    if (at != NULL) {
        return damage("overflow of", at);
    }
    at = first_other(start - CB_RED, start, CB_BYTE_RED);
    if (at != NULL) {
        while (at + 1 < (const uint8_t *)start && at[1] != CB_BYTE_RED) {
            at++; /* the one nearest to the object tells more */
        }
        return damage("underflow of", at);
    }
    return (struct cb_damage){.what = NULL};
}

struct cb_damage cb_zones_check(const struct cb_record *record) {
    uintptr_t start = record->address, end = start + record->size, limit = record->base + record->total;
    return are_red(start, end, limit) ? (struct cb_damage){.what = NULL} : look_closely(start, end, limit);
}

struct cb_damage cb_zones_check_freed(const struct cb_record *record) {
    uintptr_t start = record->address, end = start + record->size;
    const uint8_t *at = first_other(start, end, CB_BYTE_FREED);
    if (at == NULL) {
        struct cb_damage around = cb_zones_check(record);
        at = around.what != NULL ? (const uint8_t *)around.at : NULL;
    }
    return at != NULL ? damage("write after free of", at) : (struct cb_damage){.what = NULL};
}
