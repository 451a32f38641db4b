/*
 * room.h: rooms: addresses behind large objects that keep growing, into which they grow.
 *
 * Layer: heap, above the page allocator, below the large objects. Threads: any. Lock: rooms.lock (rank 4) guards the
 * list of the large objects that have a room. An object grows into its room without the lock, by a
 * compare-and-swap on its extent, which is also how another thread takes the room away when memory is short.
 */
#ifndef CB_HEAP_ROOM_H
#define CB_HEAP_ROOM_H

#include "heap/types.h"

/*
 * The most moved pieces that an object remembers: as many doublings from 4 MiB on are more than there are
 * addresses.
 */
#define CB_PIECES_MAX 30

/* The node of a large object: what the map bytes of its first page hold. The last byte of them stays zero. */
struct cb_large {
    uint8_t tag;                  /* CB_LIVE */
    uint8_t pieces;               /* stretches whose pages came from other addresses, from the start on */
    bool unclean;                 /* the room may not be zero: what was there could not be given back */
    _Atomic bool listed;          /* release by whoever took it out of the list, acquire by cb_room_leave */
    uint32_t generation;          /* of the list */
    _Atomic uint64_t extent;      /* pages of the object, and of its room: see below; relaxed */
    struct cb_large *next, *prev; /* in the list; guarded by rooms.lock */
    uint32_t piece_end[CB_PIECES_MAX]; /* pages from the start of the object */
};
_Static_assert(sizeof(struct cb_large) <= 240,
               "the map bytes of one page, but for the tail of a free extent");

/* The extent: pages of the room in the lower bits, of the object in the upper. Addresses have 48 bits. */
#define CB_ROOM_BITS 28
#define CB_ROOM_MOST (((uint64_t)1 << CB_ROOM_BITS) - 1) /* pages */

struct cb_room_extent {
    size_t size, room; /* bytes */
};

struct cb_room_extent cb_room_extent(const struct cb_large *node);
void cb_room_set_extent(struct cb_large *node, struct cb_room_extent extent);

/* The object is `more` bytes larger from now on, if it has the room for it. */
bool cb_room_grow(struct cb_large *node, size_t more);

/* Gives a room, which nobody else knows of any more, back to the page allocator. */
void cb_room_end(uintptr_t start, size_t size, bool unclean);

/* Puts a node that has a room into the list. */
void cb_room_enter(struct cb_large *node);

/* Takes it out; nobody but the caller changes its extent from now on. */
void cb_room_leave(struct cb_large *node);

/* Gives the rooms of all objects back to the page allocator. True when there was one. */
bool cb_room_give_back(void);

/*
 * Bytes in the rooms of all objects, in a process that needs no repair, if the lock is to be had until then (see
 * cb_lock_until).
 */
bool cb_room_total_until(size_t *total, uint64_t milliseconds);

/* In a forked child: forgets the list when another thread was changing it. */
void cb_room_after_fork(void);

#endif
