/*
 * layout.h: where a debugger finds what: addresses of the heap's variables and offsets in its structures.
 *
 * Layer: heap, above all of it; nothing in the heap reads it. Threads: constant.
 *
 * Release builds have no debug information, and distributions strip the names of local symbols as well: so this is a
 * constant under an exported name, which every debugger finds, in a process and in its core file. gdb/cutback-gdb.py
 * reads it. CB_LAYOUT_VERSION changes whenever the order or the meaning of a member does.
 */
#ifndef CB_HEAP_LAYOUT_H
#define CB_HEAP_LAYOUT_H

#include "heap/names.h"

#include <stdint.h>

#define CB_LAYOUT_VERSION 2

/* X(member, value): all of 8 bytes; first the addresses of variables, then sizes, offsets and constants. */
#define CB_LAYOUT(ADDRESS, NUMBER)                                                                           \
    ADDRESS(map, &cb_map)                                                                                    \
    ADDRESS(blocks, &cb_blocks)                                                                              \
    ADDRESS(ranges, cb_ranges)                                                                               \
    ADDRESS(range_count, &cb_range_count)                                                                    \
    ADDRESS(heaps, &cb_heaps_list)                                                                           \
    ADDRESS(page_size, &cb_page_size)                                                                        \
    NUMBER(range_bytes, sizeof(struct cb_range))                                                             \
    NUMBER(range_start, offsetof(struct cb_range, start))                                                    \
    NUMBER(range_size, offsetof(struct cb_range, size))                                                      \
    NUMBER(granule_shift, CB_GRANULE_SHIFT)                                                                  \
    NUMBER(quad_shift, CB_QUAD_SHIFT) /* of granules: see map.h */                                           \
    NUMBER(block_shift, CB_BLOCK_SHIFT)                                                                      \
    NUMBER(block_bytes, sizeof(struct cb_block))                                                             \
    NUMBER(block_owner, offsetof(struct cb_block, owner))                                                    \
    NUMBER(block_dead, offsetof(struct cb_block, dead))           /* 2 bytes */                              \
    NUMBER(block_fresh, offsetof(struct cb_block, fresh))         /* 2 bytes */                              \
    NUMBER(block_space, offsetof(struct cb_block, space))         /* 1 byte: 0 small, 1 medium */            \
    NUMBER(block_purged, offsetof(struct cb_block, purged_pages)) /* a bit for each 4 KiB */                 \
    NUMBER(heap_bytes, sizeof(struct cb_heap))                                                               \
    NUMBER(heap_next, offsetof(struct cb_heap, next))                                                        \
    NUMBER(heap_state, offsetof(struct cb_heap, state)) /* 4 bytes: 0 parked, 1 running, 2 frozen */         \
    NUMBER(heap_tag, offsetof(struct cb_heap, tag))                                                          \
    NUMBER(heap_tag_shift, CB_TAG_SHIFT)                                                                     \
    NUMBER(heap_used, offsetof(struct cb_heap, used)) /* granules, as the next */                            \
    NUMBER(heap_dead, offsetof(struct cb_heap, dead))                                                        \
    NUMBER(heap_dead_pages, offsetof(struct cb_heap, dead_pages)) /* of 4 KiB */                             \
    NUMBER(heap_blocks, offsetof(struct cb_heap, blocks))                                                    \
    NUMBER(heap_thread, offsetof(struct cb_heap, alive)) /* glibc's robust mutex: 4 bytes, 30 bits */        \
    NUMBER(heap_run_block,                                                                                   \
           offsetof(struct cb_heap, space[CB_MEDIUM].run_block)) /* the entry of the block ... */            \
    NUMBER(heap_run_limit,                                                                                   \
           offsetof(struct cb_heap, space[CB_MEDIUM].run.limit)) /* ... in which a run ends here */          \
    NUMBER(large_extent, offsetof(struct cb_large, extent)) /* pages of room below, of the object above */   \
    NUMBER(large_room_bits, CB_ROOM_BITS)                                                                    \
    NUMBER(extent_start, CB_EXTENT_START)                                                                    \
    NUMBER(extent_size, CB_EXTENT_SIZE)

struct cb_layout {
    char magic[16];   /* "cutback layout" */
    uint64_t version; /* CB_LAYOUT_VERSION */
#define CB_LAYOUT_ADDRESS(member, value) const void *member;
#define CB_LAYOUT_NUMBER(member, value) uint64_t member;
    CB_LAYOUT(CB_LAYOUT_ADDRESS, CB_LAYOUT_NUMBER)
#undef CB_LAYOUT_ADDRESS
#undef CB_LAYOUT_NUMBER
};

extern const struct cb_layout cutback_layout CB_EXPORT;

#endif
