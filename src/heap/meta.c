/*
 * meta.c: a bump through mapped chunks, and a list of empty batches. See meta.h.
 *
 * Layer: heap. Threads: any. Lock: cb_meta.lock (rank 4).
 */
#include "heap/meta.h"

#include "heap/fork.h"

#define CHUNK ((size_t)256 << 10)
#define HUGE ((size_t)2 << 20) /* bytes, that may become one page to the system */

static struct {
    cb_lock lock;             /* rank 4 */
    uintptr_t cursor, limit;  /* guarded by lock, as is all that follows */
    struct cb_batch *batches; /* lists of empty ones */
    size_t total;
} meta;

/* In the child of a fork without handlers, the lock may be held by a thread that exists no more: that comes
 * first. */
static void enter(void) {
    cb_fork_notice();
    cb_lock_take(&meta.lock);
}

static bool refill(size_t size) {
    size_t chunk = CHUNK + (meta.total / 4 & ~(CHUNK - 1));
    if (chunk < size) {
        chunk = (size + CHUNK - 1) & ~(CHUNK - 1);
    }
    uintptr_t start = (uintptr_t)cb_os_map(0, chunk);
    if (start == 0 && chunk > size) {
        chunk = (size + CHUNK - 1) & ~(CHUNK - 1);
        start = (uintptr_t)cb_os_map(0, chunk);
    }
    if (start == 0) {
        return false;
    }
    if (chunk >= HUGE) {
        cb_os_huge((void *)start, chunk, false); /* little of it may ever be touched */
    }
    meta.total += chunk;
    meta.cursor = start;
    meta.limit = start + chunk;
    return true;
}

void *cb_meta_take(size_t size) {
    void *memory = NULL;
    size = (size + 63) & ~(size_t)63;
    enter();
    if (meta.limit - meta.cursor >= size || refill(size)) {
        memory = (void *)meta.cursor; /* fresh from the system: zero */
        meta.cursor += size;
    }
    cb_lock_drop(&meta.lock);
    return memory;
}

void *cb_meta_take_page(void) {
    return cb_os_map(0, cb_os_page_size());
}

struct cb_batch *cb_meta_take_batches(void) {
    enter();
    struct cb_batch *list = meta.batches;
    if (list != NULL) {
        meta.batches = list->next_list;
    }
    cb_lock_drop(&meta.lock);
    return list != NULL ? list : cb_meta_take(sizeof *list);
}

void cb_meta_give_batches(struct cb_batch *list) {
    enter();
    list->next_list = meta.batches;
    meta.batches = list;
    cb_lock_drop(&meta.lock);
}

size_t cb_meta_total(void) {
    enter();
    size_t total = meta.total;
    cb_lock_drop(&meta.lock);
    return total;
}

void cb_meta_after_fork(void) {
    if (cb_lock_reset(&meta.lock)) {
        /* Another thread was taking or giving: forget the rest of the chunk and what was given. */
        meta.cursor = meta.limit = 0;
        meta.batches = NULL;
    }
}
