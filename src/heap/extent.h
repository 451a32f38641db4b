/*
 * extent.h: the free extents: stretches of whole pages that are nobody's, in lists by size and by age.
 *
 * Layer: heap, above the ranges. Threads: any, under cb_extents.lock (rank 4).
 * No system call is made under it.
 *
 * Free extents are coalesced at once. The node of one lies in the granule map, at the bytes of its first page (a
 * page has 256 of them and needs none while it is free); the map bytes of its last page point to it. Of each a dirty
 * part is known, outside of which every page is untouched or purged, hence zero.
 */
#ifndef CB_HEAP_EXTENT_H
#define CB_HEAP_EXTENT_H

#include "heap/types.h"

/* The part of a stretch of pages that may not be zero: [from, to), in which `bytes` are dirty; bytes 0: nothing. */
struct cb_dirty {
    uintptr_t from, to;
    size_t bytes;
};
#define CB_NOT_DIRTY ((struct cb_dirty){0, 0, 0})

/* The part of it in [from, to); how much of that is dirty is an estimate where purged pages lie between dirty ones. */
struct cb_dirty cb_dirty_part(struct cb_dirty dirty, uintptr_t from, uintptr_t to);

/* A free extent; lies in the map bytes of its first page. */
struct cb_extent {
    uint8_t tag;       /* CB_DEAD */
    bool table_purged; /* its part of the block table has gone back */
    uint8_t unused[2];
    uint16_t bin;
    uint16_t generation; /* of the lists that it is in */
    uintptr_t start;
    size_t size;
    struct cb_dirty dirty;
    struct cb_extent *next, *prev;   /* in its bin */
    struct cb_extent *newer, *older; /* in the order of freeing; only while something is dirty */
};

/* Where in it its start and its size are; for debuggers. */
#define CB_EXTENT_START 8
#define CB_EXTENT_SIZE 16

extern struct cb_extents {
    cb_lock lock;             /* rank 4 */
    struct cb_extent *oldest; /* of those with something dirty; guarded by lock, as all that follows */
    size_t free, dirty;       /* bytes */
} cb_extents CB_HIDDEN;

/* Takes the lock, in a process that needs no repair. */
void cb_extent_lock(void);
void cb_extent_unlock(void);

/*
 * Under the lock, as all that follows: makes [start, start+size), whose map bytes are zero, a free extent, and
 * returns it ...
 */
struct cb_extent *cb_extent_insert(uintptr_t start, size_t size, struct cb_dirty dirty);

/* ... merged with what is free on both sides. */
struct cb_extent *cb_extent_insert_merged(uintptr_t start, size_t size, struct cb_dirty dirty);

/* Takes a free extent out of everything; its map bytes are zero afterwards. Returns what it was. */
struct cb_extent cb_extent_take_out(struct cb_extent *e);

/* A place in a free extent, and how much of what would be taken is dirty. */
struct cb_extent_place {
    struct cb_extent *extent; /* NULL: there is none */
    uintptr_t at;
    size_t dirty;
};

/* The best place for `size` bytes at a multiple of `align`. */
struct cb_extent_place cb_extent_find(size_t size, size_t align);

/* Cuts [at, at+size) out of a free extent and puts the rest back. Returns what of it is dirty. */
struct cb_dirty cb_extent_cut(struct cb_extent *e, uintptr_t at, size_t size);

/* True when the address is ours and in no block. */
bool cb_extent_outside_blocks(uintptr_t p);

/* The free extent that begins there, or NULL. */
struct cb_extent *cb_extent_at(uintptr_t p);

/* One of at least so many bytes, about, for which `is_wanted` says so; NULL: there is none. */
struct cb_extent *cb_extent_search(size_t size,
                                   bool (*is_wanted)(const struct cb_extent *e, uintptr_t argument),
                                   uintptr_t argument);

/* The newest range ends here from now on. */
void cb_extent_move_end(uintptr_t end);

/* In a forked child: abandons the lists if another thread was changing them. */
void cb_extent_after_fork(void);

#ifdef CB_TESTING
/* True when all nodes, lists and counts agree. */
bool cb_extent_check(void);
#endif

/* Bytes per page; constant after cb_extent_init. */
extern size_t cb_page_size;
void cb_extent_init(void);

#endif
