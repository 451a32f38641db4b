/*
 * format.h: the numbers of the trace format, version 1. doc/trace.md says what they mean.
 *
 * Layer: trace, the lowest; also included by the recorder. Threads: none. Includes nothing of the project.
 */
#ifndef CB_TRACE_FORMAT_H
#define CB_TRACE_FORMAT_H

#include <stdint.h>

#define CB_TRACE_MAGIC "CBTRACE\n"
#define CB_TRACE_MAGIC_BYTES 8
#define CB_TRACE_VERSION 1
#define CB_TRACE_HEADER_BYTES 4096
#define CB_TRACE_CHUNK_LEAST 4096
#define CB_TRACE_CHUNK_MOST (16 << 20)
#define CB_TRACE_COMMAND_AT 128
#define CB_TRACE_COMMAND_MOST (CB_TRACE_HEADER_BYTES - CB_TRACE_COMMAND_AT)
#define CB_TRACE_FLAG_SITES 1u

/* How recording ended, as far as the header knows. */
enum cb_trace_end { CB_TRACE_OPEN = 0, CB_TRACE_COMPLETE = 1, CB_TRACE_STOPPED = 2 };

/* The header of the file as it lies there, on a little-endian machine. */
struct cb_trace_header {
    char magic[CB_TRACE_MAGIC_BYTES];
    uint32_t version, header_bytes, chunk_bytes, flags;
    uint64_t length;
    uint64_t start; /* nanoseconds since 1970 */
    uint32_t tick;  /* nanoseconds */
    uint32_t process, parent, end;
    uint64_t lost;
    uint32_t page_bytes, command_bytes;
    uint8_t unused[CB_TRACE_COMMAND_AT - 72];
    char command[CB_TRACE_COMMAND_MOST];
};

struct cb_trace_chunk {
    uint32_t lane_plus_1, part;
    uint64_t object, ticks;
    uint32_t thread, unused;
};

_Static_assert(sizeof(struct cb_trace_header) == CB_TRACE_HEADER_BYTES, "the header has its size");
_Static_assert(sizeof(struct cb_trace_chunk) == 32, "the head of a chunk has its size");

/* The functions, in the order of their numbers. */
#define CB_TRACE_FUNCTIONS(X)                                                                                \
    X(MALLOC, "malloc")                                                                                      \
    X(CALLOC, "calloc")                                                                                      \
    X(REALLOC, "realloc")                                                                                    \
    X(REALLOCARRAY, "reallocarray")                                                                          \
    X(FREE, "free")                                                                                          \
    X(CFREE, "cfree")                                                                                        \
    X(FREE_SIZED, "free_sized")                                                                              \
    X(FREE_ALIGNED_SIZED, "free_aligned_sized")                                                              \
    X(POSIX_MEMALIGN, "posix_memalign")                                                                      \
    X(ALIGNED_ALLOC, "aligned_alloc")                                                                        \
    X(MEMALIGN, "memalign")                                                                                  \
    X(VALLOC, "valloc")                                                                                      \
    X(PVALLOC, "pvalloc")                                                                                    \
    X(MALLOC_USABLE_SIZE, "malloc_usable_size")                                                              \
    X(MALLOC_TRIM, "malloc_trim")                                                                            \
    X(MALLOC_STATS, "malloc_stats")                                                                          \
    X(MALLOC_INFO, "malloc_info")                                                                            \
    X(MALLINFO, "mallinfo")                                                                                  \
    X(MALLINFO2, "mallinfo2")                                                                                \
    X(MALLOPT, "mallopt")

enum cb_trace_function {
#define CB_TRACE_FUNCTION(name, text) CB_FUNCTION_##name,
    CB_TRACE_FUNCTIONS(CB_TRACE_FUNCTION)
#undef CB_TRACE_FUNCTION
        CB_FUNCTION_COUNT
};

/* First bytes of records. */
enum {
    CB_RECORD_NONE = 0x00,
    CB_RECORD_MALLOC = 0x01,
    CB_RECORD_CALLOC = 0x02,
    CB_RECORD_REALLOC_NEW = 0x03,
    CB_RECORD_REALLOC = 0x04,
    CB_RECORD_REALLOC_FREE = 0x05,
    CB_RECORD_FREE_NULL = 0x06,
    CB_RECORD_FREE = 0x07,
    CB_RECORD_ALIGNED = 0x08,
    CB_RECORD_FAILED = 0x09,
    CB_RECORD_REALLOC_FAILED = 0x0a,
    CB_RECORD_USABLE = 0x0b,
    CB_RECORD_FREE_UNKNOWN = 0x0c,
    CB_RECORD_REALLOC_UNKNOWN = 0x0d,
    CB_RECORD_UNKNOWN = 0x0e,
    CB_RECORD_OTHER = 0x0f,
    CB_RECORD_TIME = 0x10,
    CB_RECORD_THREAD = 0x11,
    CB_RECORD_FORK = 0x12,
    CB_RECORD_FUNCTION = 0x13,
    CB_RECORD_SITE = 0x14,
    CB_RECORD_MODULE = 0x15,
    CB_RECORD_LAST_LONG = CB_RECORD_MODULE,
    CB_RECORD_FREE_NAMED = 0x60,  /* to 0x7f: with a zigzag of 5 bits */
    CB_RECORD_MALLOC_SLOT = 0x80, /* to 0xbf: with a slot */
    CB_RECORD_FREE_NEAR = 0xc0,   /* to 0xef: with a distance from 1 to 48 */
    CB_RECORD_FREE_MIDDLE = 0xf0, /* to 0xff: with 4 bits of a distance, and 8 more in a byte */
};

#define CB_TRACE_NAMED_COUNT 32
#define CB_TRACE_NEAR_COUNT 48
#define CB_TRACE_MIDDLE_COUNT (16 * 256)

#define CB_TRACE_SLOTS 64
#define CB_TRACE_SIZE_FOLLOWS 64 /* in place of a slot */

static inline unsigned cb_trace_slot(uint64_t size) {
    return ((uint32_t)size * UINT32_C(2654435769)) >> 26;
}

/* Writes a number, seven bits a byte, the lowest first: at most 10 bytes. Returns where it ends. */
static inline uint8_t *cb_trace_put_varint(uint8_t *at, uint64_t n) {
    for (; n >= 0x80; n >>= 7) {
        *at++ = (uint8_t)(n | 0x80);
    }
    *at++ = (uint8_t)n;
    return at;
}

static inline uint64_t cb_trace_zigzag(int64_t n) {
    return (uint64_t)n << 1 ^ (uint64_t)(n >> 63);
}

static inline int64_t cb_trace_unzigzag(uint64_t z) {
    return (int64_t)(z >> 1 ^ (0 - (z & 1)));
}

#endif
