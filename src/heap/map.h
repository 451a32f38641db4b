/*
 * map.h: the granule map: one byte per granule, out of band.
 *
 * Layer: heap. Threads: a byte is written by the owner of the block alone, but for the first byte of a live
 * object, which a thread that frees it remotely claims by compare-and-swap. All access is relaxed atomic: an owner
 * may look at the byte of a neighbouring object just while another thread frees that one, and either value is good.
 *
 * The upper two bits are the state, the lower six a length in granules, or 0 for a length above 63, which
 * then follows in three bytes of six bits each (lowest first). Bytes inside an object or a dead run are below
 * 64, so only a first byte (or the last of a dead run) can look like one.
 *
 *   00 none    inside something, or never used; as the first byte of an object: parked in a bin
 *   01 live
 *   10 remote  freed by a thread that does not own the block; the owner has not seen it yet
 *   11 dead    first and last byte of a dead run; the last is preceded by the length where that is above 63
 *
 * In the small space every length fits its byte: what is longer and dead is several runs side by side. Inside
 * a dead run of the medium space, behind the length, are the links of the list that the run is in.
 *
 * Blocks of the medium space have one byte per quad, and their lengths are in quads: the map of such a block is the
 * first quarter of the map of any other, and the rest of it is zero. So what is resident of it is a page for 256 KiB.
 * Objects there always have their length in the three bytes behind the first: no byte of such a map is that of a live
 * small object, so whoever takes one for the byte of a granule finds that it is none, and looks at the block.
 */
#ifndef CB_HEAP_MAP_H
#define CB_HEAP_MAP_H

#include "heap/types.h"

#include <string.h>

/* The thread sanitizer sees no more than what the compiler makes. */
#if defined(__SANITIZE_THREAD__)
#define CB_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CB_THREAD_SANITIZER 1
#endif
#endif

enum { CB_NONE = 0x00, CB_LIVE = 0x40, CB_REMOTE = 0x80, CB_DEAD = 0xC0, CB_STATE = 0xC0, CB_LENGTH = 0x3F };
#define CB_PARKED CB_NONE /* with a length, which nothing but a first byte has in this state */

/* Set once, before the first heap exists. */
extern uint8_t *cb_map CB_HIDDEN;
extern struct cb_block *cb_blocks CB_HIDDEN;

/*
 * The blocks that their owners know at once: by the lowest bits of a block's number, that number plus the tag
 * of the heap that owns it. Tags are multiples of more than any block's number, so no other number and tag
 * have the same sum. Where two blocks share an entry, the first has it; the other is found in cb_blocks.
 *
 * Relaxed: only the owner of a tag looks for it, and it has written what it looks for, or got the heap under
 * a lock from the thread that has.
 */
extern _Atomic uint64_t cb_owner_cache[CB_OWNER_CACHE] CB_HIDDEN;

static inline bool cb_owner_cache_is(uint64_t tag, size_t number) {
    return atomic_load_explicit(&cb_owner_cache[number % CB_OWNER_CACHE], memory_order_relaxed) - number ==
           tag;
}

/* The block is nobody's from now on. */
static inline void cb_owner_cache_drop(uint64_t tag, size_t number) {
    if (cb_owner_cache_is(tag, number)) {
        atomic_store_explicit(&cb_owner_cache[number % CB_OWNER_CACHE], 0, memory_order_relaxed);
    }
}

static inline uint8_t *cb_map_at(uintptr_t p) {
    return cb_map + (p >> CB_GRANULE_SHIFT);
}

/*
 * The number of the granule at p: the address rotated, so that whatever is not a multiple of a granule is in
 * the highest bits, where no cursor and no block's number reaches.
 */
static inline size_t cb_granule_of(uintptr_t p) {
    return p >> CB_GRANULE_SHIFT | p << (64 - CB_GRANULE_SHIFT);
}

/* And back: the pointer, whatever it is. */
static inline void *cb_granule_pointer(size_t granule) {
    return (void *)(granule << CB_GRANULE_SHIFT | granule >> (64 - CB_GRANULE_SHIFT));
}

static inline uintptr_t cb_map_address(const uint8_t *m) {
    return (uintptr_t)(m - cb_map) << CB_GRANULE_SHIFT;
}

static inline struct cb_block *cb_block_of(uintptr_t p) {
    return cb_blocks + (p >> CB_BLOCK_SHIFT);
}

/* The map byte of the quad that a granule of the medium space is in, and back: the first granule of the quad. */
static inline uint8_t *cb_map_at_quad(size_t granule) {
    size_t inside = granule & (CB_BLOCK_GRANULES - 1);
    return cb_map + (granule - inside) + (inside >> CB_QUAD_SHIFT);
}

static inline size_t cb_map_quad_granule(const uint8_t *m) {
    size_t at = (size_t)(m - cb_map), inside = at & (CB_BLOCK_GRANULES - 1);
    return at - inside + (inside << CB_QUAD_SHIFT);
}

/* The number of the block that a granule is in. */
static inline size_t cb_block_number_of(size_t granule) {
    return granule >> (CB_BLOCK_SHIFT - CB_GRANULE_SHIFT);
}

static inline struct cb_block *cb_block_of_granule(size_t granule) {
    return cb_blocks + cb_block_number_of(granule);
}

static inline size_t cb_block_number(const struct cb_block *block) {
    return (size_t)(block - cb_blocks);
}

/* The block of that number; 0: none. */
static inline struct cb_block *cb_block_numbered(uint32_t number) {
    return number != 0 ? cb_blocks + number : NULL;
}

/* Its first granule, and its address. */
static inline size_t cb_block_first(const struct cb_block *block) {
    return cb_block_number(block) << (CB_BLOCK_SHIFT - CB_GRANULE_SHIFT);
}

static inline uintptr_t cb_block_start(const struct cb_block *block) {
    return cb_block_number(block) << CB_BLOCK_SHIFT;
}

/* How much coarser than granules the map of the block is, as a power of two: its bytes, and the lengths in it. */
static inline unsigned cb_map_shift(const struct cb_block *block) {
    return block->space == CB_SMALL ? 0 : CB_QUAD_SHIFT;
}

/* The map byte of what a granule of the block is in or begins, and the granule that a byte is of, or the first of them.
 */
static inline uint8_t *cb_map_in(const struct cb_block *block, size_t granule) {
    return block->space == CB_SMALL ? cb_map + granule : cb_map_at_quad(granule);
}

static inline size_t cb_map_granule_in(const struct cb_block *block, const uint8_t *m) {
    return block->space == CB_SMALL ? (size_t)(m - cb_map) : cb_map_quad_granule(m);
}

/* The first map byte of an object of a block, if one begins at p; NULL where none can, at no multiple of the unit. */
static inline uint8_t *cb_map_of_object(uintptr_t p) {
    const struct cb_block *block = cb_block_of(p);
    size_t unit = CB_GRANULE << cb_map_shift(block);
    return CB_LIKELY((p & (unit - 1)) == 0) ? cb_map_in(block, p >> CB_GRANULE_SHIFT) : NULL;
}

static inline uint8_t cb_map_get(const uint8_t *m) {
    return __atomic_load_n(m, __ATOMIC_RELAXED);
}

static inline void cb_map_set(uint8_t *m, size_t value) {
    __atomic_store_n(m, (uint8_t)value, __ATOMIC_RELAXED);
}

/*
 * Whether the byte is this one; and: the object of up to 63 granules, which is live, is parked from now on. Each is one instruction on the byte where it is: of atomic accesses compilers make several.
 */
#if defined(__x86_64__) && defined(__GCC_ASM_FLAG_OUTPUTS__) && !defined(CB_THREAD_SANITIZER)
static inline __attribute__((always_inline)) bool cb_map_is(const uint8_t *m, uint8_t value) {
    bool is;
    __asm__ volatile("cmpb %2, %1" : "=@cce"(is) : "m"(*m), "qi"(value));
    return is;
}

static inline __attribute__((always_inline)) void cb_map_park(uint8_t *m) {
    __asm__ volatile("andb %1, %0" : "+m"(*m) : "i"(CB_LENGTH) : "cc");
}
#else
static inline bool cb_map_is(const uint8_t *m, uint8_t value) {
    return cb_map_get(m) == value;
}

static inline void cb_map_park(uint8_t *m) {
    cb_map_set(m, cb_map_get(m) & CB_LENGTH);
}
#endif

/* The three bytes of a length above 63; `m` is the lowest of them. */
static inline size_t cb_map_digits(const uint8_t *m) {
    return (size_t)cb_map_get(m) | (size_t)cb_map_get(m + 1) << 6 | (size_t)cb_map_get(m + 2) << 12;
}

static inline void cb_map_set_digits(uint8_t *m, size_t granules) {
    cb_map_set(m, granules & 63);
    cb_map_set(m + 1, granules >> 6 & 63);
    cb_map_set(m + 2, granules >> 12 & 63);
}

/* The length of what starts at m. */
static inline size_t cb_map_length(const uint8_t *m) {
    size_t length = cb_map_get(m) & CB_LENGTH;
    return CB_LIKELY(length != 0) ? length : cb_map_digits(m + 1);
}

/* The length of the dead run whose last byte is m. */
static inline size_t cb_map_dead_before(const uint8_t *m) {
    size_t length = cb_map_get(m) & CB_LENGTH;
    return CB_LIKELY(length != 0) ? length : cb_map_digits(m - 3);
}

/* Writes the first bytes of an object of the medium space, which has its length behind the first; or clears them. */
static inline void cb_map_begin_medium(uint8_t *m, size_t state, size_t quads) {
    cb_map_set(m, state);
    cb_map_set_digits(m + 1, quads);
}

static inline void cb_map_erase_medium(uint8_t *m) {
    cb_map_set(m, 0);
    cb_map_set_digits(m + 1, 0);
}

/* A live object of so many granules begins at this one. */
static inline void cb_map_begin(size_t granule, size_t granules) {
    if (granules <= CB_SMALL_GRANULES) {
        cb_map_set(cb_map + granule, CB_LIVE | granules);
    } else {
        cb_map_begin_medium(cb_map_at_quad(granule), CB_LIVE, granules >> CB_QUAD_SHIFT);
    }
}

/* Granules of the object of the medium space whose first byte is m. */
static inline size_t cb_map_medium_granules(const uint8_t *m) {
    return cb_map_digits(m + 1) << CB_QUAD_SHIFT;
}

/* Granules of the object or dead run of the block that begins at m. */
static inline size_t cb_map_granules_in(const struct cb_block *block, const uint8_t *m) {
    return cb_map_length(m) << cb_map_shift(block);
}

static inline void cb_map_dead_tag(uint8_t *m, size_t granules) {
    if (CB_LIKELY(granules <= CB_LENGTH)) {
        cb_map_set(m, CB_DEAD | granules);
        cb_map_set(m + granules - 1, CB_DEAD | granules);
    } else {
        cb_map_set(m, CB_DEAD);
        cb_map_set_digits(m + 1, granules);
        cb_map_set_digits(m + granules - 4, granules);
        cb_map_set(m + granules - 1, CB_DEAD);
    }
}

/* The same for the small space: in pieces short enough for the length to fit the byte. */
static inline void cb_map_dead_tag_short(uint8_t *m, size_t granules) {
    while (granules != 0) {
        size_t piece = CB_LIKELY(granules <= CB_LENGTH) ? granules : CB_LENGTH;
        cb_map_set(m + piece - 1, CB_DEAD | piece);
        cb_map_set(m, CB_DEAD | piece);
        m += piece;
        granules -= piece;
    }
}

/*
 * The end of the stretch of dead runs, short ones all, that starts at m; or of its first so many that have at
 * least `most` granules together. The byte behind a block is zero.
 */
static inline const uint8_t *cb_map_dead_end(const uint8_t *m, size_t most) {
    const uint8_t *enough = m + most;
    do {
        m += cb_map_get(m) & CB_LENGTH;
    } while (m < enough && cb_map_get(m) >= CB_DEAD);
    return m;
}

static inline void cb_map_dead_untag(uint8_t *m, size_t granules) {
    cb_map_set(m, 0);
    cb_map_set(m + granules - 1, 0);
    if (granules > CB_LENGTH) {
        cb_map_set_digits(m + 1, 0);
        cb_map_set_digits(m + granules - 4, 0);
    }
}

/*
 * The links of the lists of long dead runs (medium.c): a run's first quad, whose number has 42 bits, spread over seven
 * bytes, six bits in each, so that they too look like the inside of something. They lie behind the length.
 */
#define CB_LINK_BYTES 7
_Static_assert(1 + 2 * CB_LINK_BYTES + 1 <= CB_RUN_LEAST,
               "length, links and length fit the shortest listed run");

static inline uint64_t cb_map_spread(uint64_t n) {
    n = (n & 0xFFFFFF) | n >> 24 << 32;
    n = (n & 0x00000FFF00000FFF) | (n & 0x00FFF00000FFF000) << 4;
    return (n & 0x003F003F003F003F) | (n & 0x0FC00FC00FC00FC0) << 2;
}

static inline uint64_t cb_map_gather(uint64_t n) {
    n = (n & 0x003F003F003F003F) | (n & 0x3F003F003F003F00) >> 2;
    n = (n & 0x00000FFF00000FFF) | (n & 0x0FFF00000FFF0000) >> 4;
    return (n & 0xFFFFFF) | n >> 32 << 24;
}

/* With the lowest byte first. */
static inline uint64_t cb_map_little_endian(uint64_t n) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(n);
#else
    return n;
#endif
}

/* Where the link to the next run is in the run at m, or, which is 1, to the one before. */
static inline uint8_t *cb_map_links(uint8_t *m, int which) {
    return m + ((cb_map_get(m) & CB_LENGTH) != 0 ? 1 : 4) + which * CB_LINK_BYTES;
}

static inline void cb_map_set_link(uint8_t *at, const uint8_t *to) {
    uint64_t spread = to != NULL ? cb_map_spread(cb_map_quad_granule(to) >> CB_QUAD_SHIFT) : 0;
    spread = cb_map_little_endian(spread);
    memcpy(at, &spread, CB_LINK_BYTES);
}

static inline uint8_t *cb_map_link(const uint8_t *at) {
    uint64_t spread = 0;
    memcpy(&spread, at, CB_LINK_BYTES);
    return spread != 0 ? cb_map_at_quad(cb_map_gather(cb_map_little_endian(spread)) << CB_QUAD_SHIFT) : NULL;
}

/*
 * The live object whose first byte is `byte` is freed remotely from now on. False when it is not live any more:
 * of several threads that free it at once this is true for one.
 *
 * seq_cst: partner of the fence in open_block in remote.c; it also releases the last use of the object to the
 * acquire in take_object there.
 */
static inline bool cb_map_claim(uint8_t *m, uint8_t byte) {
    return __atomic_compare_exchange_n(m, &byte, (uint8_t)(byte - CB_LIVE + CB_REMOTE), false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

#endif
