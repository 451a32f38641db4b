/*
 * zones.c: the patterns in and around an object. See types.h.
 *
 * Layer: debug. Threads: whoever has the object to itself, or holds the lock.
 */
#include "debug/types.h"

#include <string.h>

/* The first byte of a range that is not `byte`; NULL when all are. */
static const uint8_t *first_other(uintptr_t start, uintptr_t end, uint8_t byte) {
    const uint8_t *p = (const uint8_t *)start, *limit = (const uint8_t *)end;
    if (p == limit || (*p == byte && memcmp(p, p + 1, (size_t)(limit - p) - 1) == 0)) {
        return NULL;
    }
    while (*p == byte) {
        p++;
    }
    return p;
}

static struct cb_damage damage(const char *what, const uint8_t *at) {
    return (struct cb_damage){.what = what, .at = (uintptr_t)at, .value = *at};
}

void cb_zones_paint(const struct cb_record *record) {
    uintptr_t end = record->address + record->size;
    memset((void *)(record->address - CB_RED), CB_BYTE_RED, CB_RED);
    memset((void *)end, CB_BYTE_RED, record->base + record->total - end);
}

void cb_zones_fill_freed(const struct cb_record *record) {
    memset((void *)record->address, CB_BYTE_FREED, record->size);
}

struct cb_damage cb_zones_check(const struct cb_record *record) {
    uintptr_t start = record->address, end = start + record->size;
    const uint8_t *at = first_other(end, record->base + record->total, CB_BYTE_RED);
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

struct cb_damage cb_zones_check_freed(const struct cb_record *record) {
    uintptr_t start = record->address, end = start + record->size;
    const uint8_t *at = first_other(start, end, CB_BYTE_FREED);
    if (at == NULL) {
        struct cb_damage around = cb_zones_check(record);
        at = around.what != NULL ? (const uint8_t *)around.at : NULL;
    }
    return at != NULL ? damage("write after free of", at) : (struct cb_damage){.what = NULL};
}
