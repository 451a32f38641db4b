/*
 * meta.c: a bump through mapped chunks, and a list of returned pieces per power of two. See meta.h.
 *
 * Layer: heap. Threads: any. Lock: cb_meta.lock (rank 4).
 */
#include "heap/meta.h"

#include "heap/fork.h"

#include <string.h>

#define CHUNK ((size_t)256 << 10)
#define SMALLEST_LOG 6 /* 64 bytes */

struct piece {
    struct piece *next;
};

static struct {
    cb_lock lock;               /* rank 4 */
    uintptr_t cursor, limit;    /* guarded by lock, as is all that follows */
    struct piece *returned[64]; /* by log2 of the size */
    struct cb_batch *batches;   /* lists of empty ones */
    size_t total;
} meta;

/* In the child of a fork without handlers, the lock may be held by a thread that exists no more: that comes
 * first. */
static void enter(void) {
    cb_fork_notice();
    cb_lock_take(&meta.lock);
}

static unsigned log_of(size_t size) {
    return size <= (size_t)1 << SMALLEST_LOG ? SMALLEST_LOG : 64 - (unsigned)__builtin_clzl(size - 1);
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
    meta.total += chunk;
    meta.cursor = start;
    meta.limit = start + chunk;
    return true;
}

void *cb_meta_take(size_t size) {
    unsigned log = log_of(size);
    size = (size + 63) & ~(size_t)63;
    enter();
    struct piece *piece = meta.returned[log];
    if (piece != NULL) {
        meta.returned[log] = piece->next;
    } else if (meta.limit - meta.cursor >= size || refill(size)) {
        piece = (struct piece *)meta.cursor;
        meta.cursor += size;
        cb_lock_drop(&meta.lock);
        return piece; /* fresh from the system: zero */
    }
    cb_lock_drop(&meta.lock);
    return piece != NULL ? memset(piece, 0, size) : NULL;
}

void cb_meta_give(void *memory, size_t size) {
    struct piece *piece = memory;
    unsigned log = 63 - (unsigned)__builtin_clzl((size + 63) & ~(size_t)63);
    uintptr_t page = cb_os_page_size(), from = ((uintptr_t)(piece + 1) + page - 1) & ~(page - 1);
    uintptr_t to = ((uintptr_t)memory + size) & ~(page - 1);
    if (from < to) {
        cb_os_purge((void *)from, to - from);
    }
    enter();
    piece->next = meta.returned[log];
    meta.returned[log] = piece;
    cb_lock_drop(&meta.lock);
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
        /* Another thread was taking or giving: forget the rest of the chunk and what was returned. */
        meta.cursor = meta.limit = 0;
        memset(meta.returned, 0, sizeof meta.returned);
        meta.batches = NULL;
    }
}
