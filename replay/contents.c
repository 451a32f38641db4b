/*
 * contents.c: what a replayed object holds. See replay.h.
 *
 * Layer: replay. Threads: whoever has the object.
 */
#include "replay.h"

#define END ((size_t)16)
#define STEP ((size_t)4096) /* of those in between */
#define WORD sizeof(uint64_t)

static uint64_t word_of(size_t index, uint64_t seed) {
    return (seed + index) * UINT64_C(0x9E3779B97F4A7C15) ^ seed;
}

uint8_t cb_contents_byte(size_t offset, uint64_t seed) {
    return (uint8_t)(word_of(offset / WORD, seed) >> offset % WORD * 8);
}

/* The next stretch [*from, *to) that counts, after *to; at first both are 0. False: there is none. */
static bool next_stretch(enum cb_check check, size_t size, size_t *from, size_t *to) {
    if (*to == size) {
        return false;
    }
    if (check == CB_CHECK_ALL || size <= 2 * END) {
        *to = size;
        return true;
    }
    if (check == CB_CHECK_NONE) { /* a byte of each page, so that it is there */
        *from = *to == 0 ? 0 : *from + STEP;
        *to = *from < size ? *from + 1 : size;
        return *from < size;
    }
    size_t next = *to == 0 ? 0 : (*from & ~(STEP - 1)) + STEP;
    if (next == 0) {
        *to = END;
    } else if (next + WORD <= size - END) {
        *from = next;
        *to = next + WORD;
    } else {
        *from = size - END;
        *to = size;
    }
    return true;
}

static void fill(uint8_t *object, size_t from, size_t to, uint64_t seed) {
    while (from < to && from % WORD != 0) {
        object[from] = cb_contents_byte(from, seed);
        from++;
    }
    for (; from + WORD <= to; from += WORD) {
        uint64_t word = word_of(from / WORD, seed);
        __builtin_memcpy(object + from, &word, WORD);
    }
    for (; from < to; from++) {
        object[from] = cb_contents_byte(from, seed);
    }
}

static ptrdiff_t find_wrong(const uint8_t *object, size_t from, size_t to, uint64_t seed) {
    while (from < to) {
        uint64_t word;
        if (from % WORD == 0 && from + WORD <= to) {
            __builtin_memcpy(&word, object + from, WORD);
            if (word == word_of(from / WORD, seed)) {
                from += WORD;
                continue;
            }
        }
        if (object[from] != cb_contents_byte(from, seed)) {
            return (ptrdiff_t)from;
        }
        from++;
    }
    return -1;
}

void cb_contents_fill(enum cb_check check, uint8_t *object, size_t size, uint64_t seed) {
    for (size_t from = 0, to = 0; next_stretch(check, size, &from, &to);) {
        fill(object, from, to, seed);
    }
}

ptrdiff_t cb_contents_find_wrong(enum cb_check check, const uint8_t *object, size_t size, size_t limit,
                                 uint64_t seed) {
    ptrdiff_t wrong = -1;
    for (size_t from = 0, to = 0;
         check != CB_CHECK_NONE && wrong < 0 && next_stretch(check, size, &from, &to) && from < limit;) {
        wrong = find_wrong(object, from, to < limit ? to : limit, seed);
    }
    return wrong;
}

ptrdiff_t cb_contents_find_nonzero(enum cb_check check, const uint8_t *object, size_t size) {
    for (size_t from = 0, to = 0; check != CB_CHECK_NONE && next_stretch(check, size, &from, &to);) {
        for (size_t at = from; at < to; at++) {
            if (object[at] != 0) {
                return (ptrdiff_t)at;
            }
        }
    }
    return -1;
}
