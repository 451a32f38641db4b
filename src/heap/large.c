/*
 * large.c: see large.h.
 *
 * Layer: heap. Threads: any. A live large object belongs to whoever has its address; its tag in the map is
 * changed with a compare-and-swap, so that of two threads that free it one is told that it was not live.
 */
#include "heap/large.h"

#include "heap/map.h"
#include "heap/options.h"
#include "heap/pages.h"
#include "heap/range.h"
#include "heap/release.h"
#include "heap/reserve.h"
#include "heap/room.h"

#include <string.h>

/*
 * A moved piece is a mapping of its own to the kernel (its pages remember where they came from), so the
 * number of pieces is bounded: there are few, or the object is so large that not many like it can exist.
 */
static _Atomic size_t moved_count; /* pieces; relaxed: a bound, approximate */

/* A block that shrinks by no more than one of CB_KEPT_PART, and by no more than this, keeps its pages. */
#define KEPT_MOST CB_MEDIUM_MAX /* bytes */

/* Room for an object in memory that the program has locked: all of it is resident. */
#define LOCKED_PART 8 /* of its size */

/* Requests from this size on are refused when the system would not grant them by themselves. */
static _Atomic size_t granted = CB_ASKED - 1; /* bytes that the system would grant; relaxed: a cache */

static struct cb_large *node_of(uintptr_t p) {
    return (struct cb_large *)(void *)cb_map_at(p);
}

static size_t to_pages(size_t size) {
    return cb_align_up(size, cb_page_size);
}

/* Bytes from the start of the object that its moved pieces cover. */
static size_t moved_size(const struct cb_large *node) {
    return node->pieces != 0 ? node->piece_end[node->pieces - 1] * cb_page_size : 0;
}

/*
 * Memory is mapped without being accounted for, so that large processes can fork; so whether there is as much
 * at all has to be asked for, once for each size that is the largest so far, and for an eighth more where that
 * may be: what grows is not asked for at each step, and not much more is mapped for a moment than is needed.
 */
static bool may_be_granted(size_t size) {
    if (CB_LIKELY(size <= atomic_load_explicit(&granted, memory_order_relaxed))) {
        return true;
    }
    size_t most = size + size / 8;
    enum cb_os_grant grant = most > size ? cb_os_grant(most) : CB_OS_UNKNOWN;
    if (grant != CB_OS_GRANTED) {
        most = size;
        grant = cb_os_grant(size);
    }
    if (grant == CB_OS_GRANTED) {
        atomic_store_explicit(&granted, most, memory_order_relaxed);
    }
    return grant != CB_OS_REFUSED;
}

/* The node is complete, and in the list, when the tag says so. */
static void begin(struct cb_large *node, size_t size, size_t room) {
    cb_room_set_extent(node, (struct cb_room_extent){size, room});
    if (room != 0) {
        cb_room_enter(node);
    }
    cb_map_set(&node->tag, CB_LIVE);
}

void *cb_large_alloc(size_t size, size_t align, bool zero) {
    struct cb_dirty dirty;
    if (size > PTRDIFF_MAX - align - cb_page_size || !may_be_granted(size)) {
        return NULL;
    }
    size = to_pages(size);
    align = align > cb_page_size ? align : cb_page_size;
    uintptr_t p = cb_pages_take(size, align, &dirty);
    if (p == 0 && cb_room_give_back()) {
        p = cb_pages_take(size, align, &dirty);
    }
    if (p == 0) {
        return NULL;
    }
    if (zero && dirty.bytes != 0) {
        memset((void *)dirty.from, 0, dirty.to - dirty.from);
    }
    begin(node_of(p), size, 0);
    return (void *)p;
}

void *cb_large_alloc_free(size_t size, size_t align) {
    struct cb_dirty dirty;
    size = to_pages(size);
    uintptr_t p = cb_pages_take_free(size, align > cb_page_size ? align : cb_page_size, &dirty);
    if (p == 0) {
        return NULL;
    }
    begin(node_of(p), size, 0);
    return (void *)p;
}

size_t cb_large_size(uintptr_t p) {
    if ((p & (cb_page_size - 1)) != 0 || cb_map_get(cb_map_at(p)) != CB_LIVE) {
        return 0;
    }
    return cb_room_extent(node_of(p)).size;
}

/*
 * Maps moved pages anew: they are plain memory again, and zero. Not in locked memory, where that would make
 * all of it resident, or not locked any more: there they stay as they are. True when it is done.
 */
static bool renew(uintptr_t start, size_t size) {
    if (cb_os_is_locked((void *)start) || !cb_os_renew((void *)start, size)) {
        return false;
    }
    if (cb_options.thp != CB_THP_DEFAULT) {
        cb_os_huge((void *)start, size, cb_options.thp == CB_THP_ALWAYS);
    }
    return true;
}

/*
 * Gives the pages of an object from `size` bytes on back, of which those before `clean` bytes are clean. The
 * room has gone back before.
 */
static void give_from(uintptr_t p, struct cb_room_extent extent, size_t size, size_t clean) {
    size_t passed = cb_reserve_look();
    clean = clean > size ? clean : size;
    if (clean != size) {
        cb_pages_give_partly(p + size, clean - size, 0);
    }
    if (extent.size != clean) {
        cb_pages_give(p + clean, extent.size - clean);
    }
    if (CB_UNLIKELY(passed != 0)) {
        cb_release_of_sleeping(passed);
    }
}

/* Makes the moved pages from `size` bytes on plain memory. Returns up to where from there they are clean. */
static size_t renew_from(uintptr_t p, struct cb_large *node, size_t size) {
    size_t moved = moved_size(node), pieces = node->pieces;
    if (moved <= size) {
        return 0;
    }
    while (node->pieces != 0 &&
           (node->pieces > 1 ? node->piece_end[node->pieces - 2] * cb_page_size : 0) >= size) {
        node->pieces--;
    }
    if (node->pieces != 0) {
        node->piece_end[node->pieces - 1] = (uint32_t)(size / cb_page_size);
    }
    atomic_fetch_sub_explicit(&moved_count, pieces - node->pieces, memory_order_relaxed);
    return renew(p + size, moved - size) ? moved : 0;
}

/* True for one thread of those that want to end the object, or to move it. */
static bool claim(struct cb_large *node) {
    uint8_t live = CB_LIVE;
    return __atomic_compare_exchange_n(&node->tag, &live, CB_NONE, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* The map bytes are zero again; others look at the tag, which is already, and at the extent. */
static void clear(struct cb_large *node) {
    node->pieces = 0;
    node->unclean = false;
    atomic_store_explicit(&node->listed, false, memory_order_relaxed);
    node->generation = 0;
    cb_room_set_extent(node, (struct cb_room_extent){0, 0});
    node->next = node->prev = NULL;
    memset(node->piece_end, 0, sizeof node->piece_end);
}

/* Gives back an object that was claimed, of which `clean` bytes from the start are clean. */
static void release(uintptr_t p, size_t clean) {
    struct cb_large *node = node_of(p);
    cb_room_leave(node);
    struct cb_room_extent extent = cb_room_extent(node);
    cb_room_end(p + extent.size, extent.room, node->unclean);
    size_t renewed = renew_from(p, node, 0);
    clear(node);
    give_from(p, extent, 0, renewed > clean ? renewed : clean);
}

bool cb_large_free(uintptr_t p) {
    if ((p & (cb_page_size - 1)) != 0 || !claim(node_of(p))) {
        return false;
    }
    release(p, 0);
    return true;
}

/* Gives the pages of a claimed object from `size` bytes on back. Its node is in no list. */
static void shrink(uintptr_t p, size_t size) {
    struct cb_large *node = node_of(p);
    struct cb_room_extent extent = cb_room_extent(node);
    cb_room_end(p + extent.size, extent.room, node->unclean);
    size_t clean = renew_from(p, node, size);
    cb_room_set_extent(node, (struct cb_room_extent){size, 0});
    give_from(p, extent, size, clean);
}

/* Takes what is free behind a claimed object, its room included. Its node is in no list. */
static bool extend(uintptr_t p, size_t size) {
    struct cb_room_extent extent = cb_room_extent(node_of(p));
    size_t have = extent.size + extent.room; /* is less than `size`, for a room only ever gets smaller */
    if (!cb_pages_extend(p + have, size - have)) {
        return false;
    }
    cb_room_set_extent(node_of(p), (struct cb_room_extent){size, 0});
    return true;
}

/* A place for an object, and as many bytes of room as can be had; perhaps not all of them zero. */
struct place {
    uintptr_t at;
    size_t room;
    bool unclean;
};

/*
 * Vectors grow by half at once, but for up to a page and a half that old and new size are rounded by. With room they would
 * leave the dirty pages that are free for the clean ones of their room.
 */
static bool grows_by_half(size_t old, size_t size) {
    return 2 * (size - old) + 3 * cb_page_size > old;
}

/*
 * The size that an object has with its room: none if it grows by half or more at once. Below CB_MOVE, where each move
 * copies, room is as far as CB_MOVE, if that is not too far.
 */
static size_t size_with_room(size_t old, size_t size) {
    size_t doubled = 2 * old, copied = cb_lower(CB_ROOM_TIMES * old, cb_higher(CB_MOVE, doubled));
    return grows_by_half(old, size) ? size : old < CB_MOVE ? copied : doubled;
}

/*
 * An object that grows in small steps gets room: then it moves once per doubling at most, whatever else grows beside
 * it. Room is addresses: what is dirty in it goes back.
 */
static struct place find_place(uintptr_t p, size_t old, size_t size) {
    struct cb_dirty dirty;
    size_t room = size_with_room(old, size) - size;
    if (room != 0 && cb_os_is_locked((void *)p)) {
        room = to_pages(room / LOCKED_PART);
    }
    if (room / cb_page_size > CB_ROOM_MOST || size > PTRDIFF_MAX - room) {
        room = 0;
    }
    struct place place = {cb_pages_take(size + room, cb_page_size, &dirty), room, false};
    if (place.at == 0 && room != 0) {
        place = (struct place){cb_pages_take(size, cb_page_size, &dirty), 0, false};
    }
    if (place.at == 0 && cb_room_give_back()) {
        place.at = cb_pages_take(size, cb_page_size, &dirty);
    }
    if (place.at != 0 && place.room != 0 && dirty.bytes != 0 && dirty.to > place.at + size) {
        uintptr_t from = dirty.from > place.at + size ? dirty.from : place.at + size;
        size_t clear = dirty.to - from;
        place.unclean = cb_options.purge == CB_PURGE_NEVER || !cb_excess_purge_part(from, clear, clear);
    }
    return place;
}

static bool may_move(const struct cb_large *node, size_t size) {
    return size >= CB_MOVE && node->pieces < CB_PIECES_MAX && size / cb_page_size <= UINT32_MAX &&
           (atomic_load_explicit(&moved_count, memory_order_relaxed) + node->pieces < CB_MOVED_MOST ||
            size >= cb_range_total() / CB_PART);
}

/*
 * Moves a stretch without copying, if neither place is locked: what the kernel moves, and what it leaves, is
 * not.
 */
static bool move_piece(uintptr_t from, uintptr_t to, size_t size) {
    return !cb_os_is_locked((void *)from) && !cb_os_is_locked((void *)to) &&
           cb_os_move((void *)from, (void *)to, size);
}

/*
 * Brings the `size` bytes of an object to another place, each of its pieces by itself, for the kernel moves one
 * mapping at a time. Returns how many of them from the start are clean where they were.
 */
static size_t carry(uintptr_t from, uintptr_t to, size_t size) {
    struct cb_large *node = node_of(from), *goal = node_of(to);
    size_t done = 0, clean = 0;
    bool moving = may_move(node, size);
    for (size_t i = 0; moving && done < size; i++) {
        size_t end = i < node->pieces ? node->piece_end[i] * cb_page_size : size;
        moving = move_piece(from + done, to + done, end - done);
        if (moving) {
            goal->piece_end[goal->pieces++] = (uint32_t)(end / cb_page_size);
            clean = done = end;
        }
    }
    memcpy((void *)(to + done), (void *)(from + done), size - done);
    atomic_fetch_add_explicit(&moved_count, goal->pieces, memory_order_relaxed);
    return clean;
}

bool cb_large_keeps(size_t old, size_t size) {
    return size > CB_MEDIUM_MAX / 2 || to_pages(size) == old ||
           (size <= old && size >= old - old / CB_KEPT_PART);
}

/* Brings a claimed object to a place where it has `size` bytes. NULL: no memory, it is as it was. */
static void *move(uintptr_t p, size_t old, size_t size) {
    struct place place = find_place(p, old, size);
    if (place.at == 0) {
        begin(node_of(p), old, cb_room_extent(node_of(p)).room);
        return NULL;
    }
    size_t clean = carry(p, place.at, old);
    node_of(place.at)->unclean = place.unclean;
    begin(node_of(place.at), size, place.room);
    release(p, clean);
    return (void *)place.at;
}

void *cb_large_resize(uintptr_t p, size_t size) {
    struct cb_large *node = node_of(p);
    size_t old = cb_room_extent(node).size;
    if (size > PTRDIFF_MAX - cb_page_size) {
        return NULL;
    }
    size = to_pages(size);
    if (size <= old && old - size <= old / CB_KEPT_PART && old - size <= KEPT_MOST) {
        return (void *)p;
    }
    if (size > old && !may_be_granted(size)) {
        return NULL;
    }
    if (size > old && cb_room_grow(node, size - old)) {
        return (void *)p;
    }
    if (!claim(node)) {
        return NULL; /* the program frees it meanwhile */
    }
    cb_room_leave(node);
    if (size <= old) {
        shrink(p, size);
    } else if (!extend(p, size)) {
        return move(p, old, size);
    }
    cb_map_set(&node->tag, CB_LIVE);
    return (void *)p;
}
