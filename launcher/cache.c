/*
 * cache.c: see cache.h.
 *
 * Layer: launcher, above nothing. Threads: any.
 */
#include "cache.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MAGIC "glibc-ld.so.cache1.1"
#define OLD_MAGIC "ld.so-1.7.0" /* a list for libc 5 first, and behind it the list that counts */
#define OLD_HEADER 16           /* bytes: the magic, and how many entries there are */
#define OLD_ENTRY 12            /* bytes */

struct header {
    char magic[sizeof MAGIC - 1];
    uint32_t entries, string_bytes;
    uint32_t unused[5];
};

struct entry {
    int32_t flags;
    uint32_t name, path; /* offsets from the header */
    uint32_t unused;
    uint64_t processor; /* not 0: only for processors that have something */
};

_Static_assert(sizeof(struct header) == 48 && sizeof(struct entry) == 24,
               "they have their sizes in the file");

/* Where the header begins; `size`: there is none. */
static size_t find_header(const char *bytes, size_t size) {
    uint32_t entries;
    size_t at = 0;
    if (size >= OLD_HEADER && memcmp(bytes, OLD_MAGIC, sizeof OLD_MAGIC - 1) == 0) {
        memcpy(&entries, bytes + OLD_HEADER - sizeof entries, sizeof entries);
        at = (OLD_HEADER + (size_t)entries * OLD_ENTRY + 7) / 8 * 8;
    }
    bool good =
        at <= size && size - at >= sizeof(struct header) && memcmp(bytes + at, MAGIC, sizeof MAGIC - 1) == 0;
    return good ? at : size;
}

/* The string at this offset, if it ends in the file. */
static const char *string_at(const char *bytes, size_t size, uint32_t offset) {
    return offset < size && memchr(bytes + offset, '\0', size - offset) != NULL ? bytes + offset : NULL;
}

const char *cb_cache_find(const void *bytes, size_t size, const char *name, size_t n) {
    size_t start = find_header(bytes, size);
    const char *from = (const char *)bytes + start;
    struct header header;
    struct entry entry;
    size -= start;
    if (size == 0) {
        return NULL;
    }
    memcpy(&header, from, sizeof header);
    for (uint32_t i = 0; i < header.entries && (size - sizeof header) / sizeof entry > i; i++) {
        memcpy(&entry, from + sizeof header + i * sizeof entry, sizeof entry);
        const char *this = entry.processor == 0 ? string_at(from, size, entry.name) : NULL;
        if (this != NULL && strcmp(this, name) == 0 && n-- == 0) {
            return string_at(from, size, entry.path);
        }
    }
    return NULL;
}
