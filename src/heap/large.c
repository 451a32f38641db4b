/*
 * large.c: see large.h.
 *
 * Layer: heap. Threads: any. A live large object belongs to whoever has its address; its tag in the map is
 * changed with a compare-and-swap, so that of two threads that free it one is told that it was not live.
 */
#include "heap/large.h"

#include "heap/map.h"
#include "heap/pages.h"

#include <string.h>

/* From this size on pages are moved rather than copied. */
#define MOVE_FROM ((size_t)4 << 20)

/*
 * A moved stretch is a mapping of its own to the kernel (its pages remember where they came from), so their
 * number is bounded, and each is mapped anew when it is freed.
 */
#define MOVED_MAX 32
static _Atomic int moved_count; /* relaxed: a bound, approximate */

static struct cb_large *node_of(uintptr_t p) {
    return (struct cb_large *)(void *)cb_map_at(p);
}

static size_t to_pages(size_t size) {
    return (size + cb_page_size - 1) & ~(cb_page_size - 1);
}

static void *begin(uintptr_t p, size_t size, bool moved) {
    struct cb_large *node = node_of(p);
    node->size = size;
    node->moved = moved;
    cb_map_set(&node->tag, CB_LIVE);
    return (void *)p;
}

void *cb_large_alloc(size_t size, size_t align, bool zero) {
    struct cb_dirty dirty;
    if (size > PTRDIFF_MAX - align - cb_page_size) {
        return NULL;
    }
    size = to_pages(size);
    uintptr_t p = cb_pages_take(size, align > cb_page_size ? align : cb_page_size, &dirty);
    if (p == 0) {
        return NULL;
    }
    if (zero && dirty.bytes != 0) {
        memset((void *)dirty.from, 0, dirty.to - dirty.from);
    }
    return begin(p, size, false);
}

size_t cb_large_size(uintptr_t p) {
    if ((p & (cb_page_size - 1)) != 0 || cb_map_get(cb_map_at(p)) != CB_LIVE) {
        return 0;
    }
    return node_of(p)->size;
}

/* Gives back an object whose tag is no longer live. */
static void release(uintptr_t p) {
    struct cb_large *node = node_of(p); /* the tag is zero already; the page allocator may be looking at it */
    size_t size = node->size;
    bool moved = node->moved;
    node->size = 0;
    node->moved = false;
    if (moved) {
        cb_os_renew((void *)p, size);
        atomic_fetch_sub_explicit(&moved_count, 1, memory_order_relaxed);
    }
    cb_pages_give(p, size);
}

bool cb_large_free(uintptr_t p) {
    uint8_t live = CB_LIVE;
    if ((p & (cb_page_size - 1)) != 0 || !__atomic_compare_exchange_n(&node_of(p)->tag, &live, CB_NONE, false,
                                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        return false;
    }
    release(p);
    return true;
}

/* Gives the pages from `size` on back. The end of a moved stretch stays a part of it until all of it goes. */
static void trim(uintptr_t p, size_t old, size_t size) {
    if (old != size && !node_of(p)->moved) {
        node_of(p)->size = size;
        cb_pages_give(p + size, old - size);
    }
}

static bool may_move(size_t size) {
    return size >= MOVE_FROM && atomic_load_explicit(&moved_count, memory_order_relaxed) < MOVED_MAX;
}

void *cb_large_resize(uintptr_t p, size_t old, size_t size) {
    struct cb_dirty dirty;
    if (size > PTRDIFF_MAX - cb_page_size) {
        return NULL;
    }
    size = to_pages(size);
    if (size <= old) {
        trim(p, old, size);
        return (void *)p;
    }
    if (!node_of(p)->moved && cb_pages_extend(p + old, size - old)) {
        node_of(p)->size = size;
        return (void *)p;
    }
    uintptr_t to = cb_pages_take(size, cb_page_size, &dirty);
    if (to == 0) {
        return NULL;
    }
    bool moved = may_move(old) && cb_os_move((void *)p, (void *)to, old);
    if (moved) {
        atomic_fetch_add_explicit(&moved_count, 1, memory_order_relaxed);
    } else {
        memcpy((void *)to, (void *)p, old);
    }
    begin(to, size, moved);
    cb_map_set(&node_of(p)->tag, CB_NONE);
    release(p);
    return (void *)to;
}
