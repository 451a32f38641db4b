/*
 * meta.c: a bump through mapped chunks. See meta.h.
 *
 * Layer: heap. Threads: any. Lock: meta.lock (rank 5).
 */
#include "heap/meta.h"

#include "heap/fork.h"
#include "os/os.h"

#define META_ALIGN ((size_t)64)
#define CHUNK ((size_t)256 << 10)
#define HUGE ((size_t)2 << 20) /* bytes, that may become one page to the system */

static struct {
    cb_lock lock;            /* rank 5 */
    uintptr_t cursor, limit; /* guarded by lock, as is all that follows */
    size_t total;
} meta = {.lock = CB_LOCK_INIT("meta.lock", CB_RANK_META)};

/* In the child of a fork without handlers, the lock may be held by a thread that exists no more: that comes
 * first. */
static void lock_meta(void) {
    cb_fork_repair_if_child();
    cb_lock_take(&meta.lock);
}

static bool refill(size_t size) {
    size_t chunk = CHUNK + (meta.total / 4 & ~(CHUNK - 1));
    if (chunk < size) {
        chunk = cb_align_up(size, CHUNK);
    }
    uintptr_t start = (uintptr_t)cb_os_map(0, chunk);
    if (start == 0 && chunk > size) {
        chunk = cb_align_up(size, CHUNK);
        start = (uintptr_t)cb_os_map(0, chunk);
    }
    if (start == 0) {
        return false;
    }
    if (chunk >= HUGE) {
        cb_os_huge((void *)start, chunk, false); /* little of it may ever be touched */
    }
    __atomic_store_n(&meta.total, meta.total + chunk, __ATOMIC_RELAXED);
    meta.cursor = start;
    meta.limit = start + chunk;
    return true;
}

/* Small pieces from the start of the chunk, whole pages from its end: so neither wastes a part of a page. */
static void *take(size_t size, bool pages) {
    void *memory = NULL;
    lock_meta();
    if (meta.limit - meta.cursor >= size || refill(size)) {
        memory = (void *)(pages ? meta.limit - size : meta.cursor); /* fresh from the system: zero */
        *(pages ? &meta.limit : &meta.cursor) += pages ? 0 - size : size;
    }
    cb_lock_drop(&meta.lock);
    return memory;
}

void *cb_meta_take(size_t size) {
    return take(cb_align_up(size, META_ALIGN), false);
}

void *cb_meta_take_pages(size_t size) {
    return take(cb_align_up(size, cb_os_page_size()), true);
}

size_t cb_meta_total(void) {
    return __atomic_load_n(&meta.total, __ATOMIC_RELAXED); /* a figure for people */
}

void cb_meta_after_fork(void) {
    if (cb_lock_is_held(&meta.lock)) {
        meta.cursor = meta.limit = 0; /* another thread was taking: forget the rest of the chunk */
        cb_lock_reset(&meta.lock);
    }
}
