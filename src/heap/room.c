/*
 * room.c: see room.h.
 *
 * Layer: heap. Threads: any. Lock: rooms.lock (rank 4). The page allocator's lock is taken while it is not held.
 */
#include "heap/room.h"

#include "heap/fork.h"
#include "heap/map.h"
#include "heap/pages.h"

static struct {
    cb_lock lock;         /* rank 4 */
    struct cb_large *all; /* guarded by lock, as is what follows */
    uint32_t generation;  /* of the list; rises when a forked child abandons it */
} rooms = {.lock = CB_LOCK_INIT("rooms.lock", CB_RANK_PAGES)};

/* In the child of a fork without handlers, the lock may be held by a thread that exists no more: that comes
 * first. */
static void lock_rooms(void) {
    cb_fork_repair_if_child();
    cb_lock_take(&rooms.lock);
}

static uint64_t pack(struct cb_room_extent extent) {
    return (uint64_t)(extent.size / cb_page_size) << CB_ROOM_BITS | extent.room / cb_page_size;
}

static struct cb_room_extent unpack(uint64_t word) {
    return (struct cb_room_extent){(word >> CB_ROOM_BITS) * cb_page_size,
                                   (word & CB_ROOM_MOST) * cb_page_size};
}

struct cb_room_extent cb_room_extent(const struct cb_large *node) {
    return unpack(atomic_load_explicit(&node->extent, memory_order_relaxed));
}

void cb_room_set_extent(struct cb_large *node, struct cb_room_extent extent) {
    atomic_store_explicit(&node->extent, pack(extent), memory_order_relaxed);
}

bool cb_room_grow(struct cb_large *node, size_t more) {
    uint64_t word = atomic_load_explicit(&node->extent, memory_order_relaxed), grown;
    do {
        struct cb_room_extent extent = unpack(word);
        if (extent.room < more) {
            return false;
        }
        grown = pack((struct cb_room_extent){extent.size + more, extent.room - more});
        /*
         * relaxed: the pages of the room are the object's until this word says otherwise, and nothing else is
         */
    } while (!atomic_compare_exchange_weak_explicit(&node->extent, &word, grown, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

void cb_room_enter(struct cb_large *node) {
    lock_rooms();
    node->generation = rooms.generation;
    node->prev = NULL;
    node->next = rooms.all;
    if (rooms.all != NULL) {
        rooms.all->prev = node;
    }
    rooms.all = node;
    atomic_store_explicit(&node->listed, true, memory_order_relaxed); /* under the lock */
    cb_lock_drop(&rooms.lock);
}

/* Under the lock. Whoever sees that a node is not listed may do with it as he likes. */
static void unlink_node(struct cb_large *node) {
    if (node->generation == rooms.generation) {
        if (node->next != NULL) {
            node->next->prev = node->prev;
        }
        *(node->prev != NULL ? &node->prev->next : &rooms.all) = node->next;
    }
    node->next = node->prev = NULL;
    node->generation = 0;
    /* release: partner of the acquire in cb_room_leave */
    atomic_store_explicit(&node->listed, false, memory_order_release);
}

void cb_room_leave(struct cb_large *node) {
    /* acquire: partner of the release in unlink_node */
    if (atomic_load_explicit(&node->listed, memory_order_acquire)) {
        lock_rooms();
        if (atomic_load_explicit(&node->listed, memory_order_relaxed)) {
            unlink_node(node);
        }
        cb_lock_drop(&rooms.lock);
    }
}

/* Takes the first node out of the list, and its room from it. False: there is none. */
static bool take_room(uintptr_t *start, size_t *size, bool *unclean) {
    lock_rooms();
    struct cb_large *node = rooms.all;
    if (node != NULL) {
        uint64_t word = atomic_load_explicit(&node->extent, memory_order_relaxed);
        /* relaxed: see cb_room_grow */
        while (!atomic_compare_exchange_weak_explicit(&node->extent, &word, word & ~CB_ROOM_MOST,
                                                      memory_order_relaxed, memory_order_relaxed)) {
        }
        struct cb_room_extent extent = unpack(word);
        *start = cb_map_address((const uint8_t *)node) + extent.size;
        *size = extent.room;
        *unclean = node->unclean;
        unlink_node(node);
    }
    cb_lock_drop(&rooms.lock);
    return node != NULL;
}

void cb_room_end(uintptr_t start, size_t size, bool unclean) {
    if (size != 0) {
        cb_pages_give_partly(start, size, unclean ? size : 0);
    }
}

bool cb_room_give_back(void) {
    uintptr_t start;
    size_t size;
    bool any = false, unclean;
    while (take_room(&start, &size, &unclean)) {
        cb_room_end(start, size, unclean);
        any = any || size != 0;
    }
    return any;
}

bool cb_room_total_until(size_t *total, uint64_t milliseconds) {
    *total = 0;
    if (!cb_lock_until(&rooms.lock, milliseconds)) {
        return false;
    }
    for (const struct cb_large *node = rooms.all; node != NULL; node = node->next) {
        *total += cb_room_extent(node).room;
    }
    cb_lock_drop(&rooms.lock);
    return true;
}

void cb_room_after_fork(void) {
    if (cb_lock_is_held(&rooms.lock)) {
        /* Another thread was changing the list: objects keep their rooms, but nobody takes them back. */
        rooms.all = NULL;
        rooms.generation++;
        cb_lock_reset(&rooms.lock);
    }
}
