/*
 * scan.h: the dead stretches of a block of the small space, and remote frees, found 64 map bytes at a time.
 *
 * Layer: heap. Threads: under the lock of the heap that owns the block. Another thread may change the byte of a live
 * object meanwhile, which begins an object before and after.
 *
 * In the small space the map bytes inside an object or a dead run are zero. So a stretch of dead runs side by side
 * begins at the first byte whose state is dead, and ends before the next byte that is neither zero nor dead.
 */
#ifndef CB_HEAP_SCAN_H
#define CB_HEAP_SCAN_H

#include "heap/map.h"

#if defined(__SSE2__) && !defined(CB_THREAD_SANITIZER)
#define CB_SCAN_SSE2 1
#include <emmintrin.h>
#endif

#define CB_SCAN_BYTES 64 /* of the map, as aligned: a bit of a word for each, the lowest for the first */

/* Of the eight bytes in a word, in memory order: their highest bits. */
static inline uint64_t cb_scan_gather(uint64_t eight) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    eight = __builtin_bswap64(eight);
#endif
    return (eight >> 7 & 0x0101010101010101) * 0x0102040810204080 >> 56;
}

static inline uint64_t cb_scan_eight(const uint8_t *m) {
    return __atomic_load_n((const uint64_t *)(const void *)m, __ATOMIC_RELAXED);
}

/* Which of the 64 bytes at m are the first or the last of a dead run: for any machine. */
static inline uint64_t cb_scan_dead_plain(const uint8_t *m) {
    uint64_t bits = 0;
    for (unsigned i = 0; i < CB_SCAN_BYTES; i += 8) {
        uint64_t eight = cb_scan_eight(m + i);
        bits |= cb_scan_gather(eight & eight << 1) << i;
    }
    return bits;
}

/* Which of the 64 bytes at m are those of objects that were freed remotely. */
static inline uint64_t cb_scan_remote_plain(const uint8_t *m) {
    uint64_t bits = 0;
    for (unsigned i = 0; i < CB_SCAN_BYTES; i += 8) {
        uint64_t eight = cb_scan_eight(m + i);
        bits |= cb_scan_gather(eight & ~(eight << 1)) << i;
    }
    return bits;
}

/* Which of the 64 bytes at m are not zero. */
static inline uint64_t cb_scan_used_plain(const uint8_t *m) {
    const uint64_t low = 0x7F7F7F7F7F7F7F7F;
    uint64_t bits = 0;
    for (unsigned i = 0; i < CB_SCAN_BYTES; i += 8) {
        uint64_t eight = cb_scan_eight(m + i);
        bits |= cb_scan_gather(((eight & low) + low) | eight) << i;
    }
    return bits;
}

#ifdef CB_SCAN_SSE2
static inline __m128i cb_scan_sixteen(const uint8_t *m) {
    return *(const volatile __m128i *)(const volatile void *)m;
}

static inline uint64_t cb_scan_dead(const uint8_t *m) {
    uint64_t bits = 0;
    for (unsigned i = 0; i < CB_SCAN_BYTES; i += 16) {
        __m128i bytes = cb_scan_sixteen(m + i), next_bit = _mm_add_epi8(bytes, bytes);
        bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_and_si128(bytes, next_bit)) << i;
    }
    return bits;
}

static inline uint64_t cb_scan_remote(const uint8_t *m) {
    uint64_t bits = 0;
    for (unsigned i = 0; i < CB_SCAN_BYTES; i += 16) {
        __m128i bytes = cb_scan_sixteen(m + i), next_bit = _mm_add_epi8(bytes, bytes);
        bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_andnot_si128(next_bit, bytes)) << i;
    }
    return bits;
}

static inline uint64_t cb_scan_used(const uint8_t *m) {
    uint64_t zero = 0;
    for (unsigned i = 0; i < CB_SCAN_BYTES; i += 16) {
        __m128i is_zero = _mm_cmpeq_epi8(cb_scan_sixteen(m + i), _mm_setzero_si128());
        zero |= (uint64_t)(uint32_t)_mm_movemask_epi8(is_zero) << i;
    }
    return ~zero;
}
#else
static inline uint64_t cb_scan_dead(const uint8_t *m) {
    return cb_scan_dead_plain(m);
}

static inline uint64_t cb_scan_remote(const uint8_t *m) {
    return cb_scan_remote_plain(m);
}

static inline uint64_t cb_scan_used(const uint8_t *m) {
    return cb_scan_used_plain(m);
}
#endif

/*
 * A scan of a block's map bytes for dead stretches that begin before `end`. No object begins at `limit` or behind it.
 */
struct cb_scan {
    const uint8_t *word, *end, *limit;
    uint64_t
        dead; /* of the 64 bytes at word: the first and the last of dead runs, without those that are passed */
    uint64_t objects; /* and the first of objects */
};

struct cb_scan_bits {
    uint64_t dead, objects;
};

/* One copy of the code: the caller's loops need several, and sweeps are too seldom for that to stay in the cache. */
static CB_NOINLINE struct cb_scan_bits cb_scan_bits(const uint8_t *word) {
    uint64_t dead = cb_scan_dead(word);
    return (struct cb_scan_bits){dead, cb_scan_used(word) & ~dead};
}

static inline void cb_scan_read(struct cb_scan *scan) {
    struct cb_scan_bits bits = cb_scan_bits(scan->word);
    scan->dead = bits.dead;
    scan->objects = bits.objects;
}

/* Begins at `from`, which is not inside a dead run. */
static inline struct cb_scan cb_scan_begin(const uint8_t *from, const uint8_t *end, const uint8_t *limit) {
    unsigned passed = (unsigned)((uintptr_t)from % CB_SCAN_BYTES);
    struct cb_scan scan = {from - passed, end, limit, 0, 0};
    cb_scan_read(&scan);
    scan.dead = scan.dead >> passed << passed;
    return scan;
}

/*
 * The first byte of the next dead stretch, and its length in granules; NULL: there is none. Where a stretch has more
 * than `most`, the length is any number above that, and the scan is over, as it is after NULL.
 */
static inline const uint8_t *cb_scan_next(struct cb_scan *scan, size_t most, size_t *granules) {
    while (scan->dead == 0) {
        scan->word += CB_SCAN_BYTES;
        if (scan->word >= scan->end) {
            return NULL;
        }
        cb_scan_read(scan);
    }
    uint64_t first = scan->dead & (0 - scan->dead), objects = scan->objects & (0 - first);
    const uint8_t *start = scan->word + __builtin_ctzll(first);
    if (start >= scan->end) {
        return NULL;
    }
    while (objects == 0) {
        scan->word += CB_SCAN_BYTES;
        if (scan->word >= scan->limit || (size_t)(scan->word - start) > most) {
            scan->dead = 0;
            *granules = (size_t)((scan->word < scan->limit ? scan->word : scan->limit) - start);
            return start;
        }
        cb_scan_read(scan);
        objects = scan->objects;
    }
    *granules = (size_t)(scan->word + __builtin_ctzll(objects) - start);
    scan->dead &= 0 - (objects & (0 - objects));
    return start;
}

#endif
