/*
 * block.c: see block.h.
 *
 * Layer: heap. Threads: under the lock of the heap.
 */
#include "heap/block.h"

#include "heap/list.h"
#include "heap/pages.h"
#include "heap/purge.h"
#include "heap/room.h"

static void cache_owner(const struct cb_heap *heap, const struct cb_block *block) {
    size_t number = cb_block_number(block);
    uint64_t none = 0;
    if (heap->tag != CB_NO_TAG) {
        atomic_compare_exchange_strong_explicit(&cb_owner_cache[number % CB_OWNER_CACHE], &none,
                                                heap->tag + number, memory_order_relaxed,
                                                memory_order_relaxed);
    }
}

struct cb_block *cb_block_take(struct cb_heap *heap, enum cb_space_kind space) {
    struct cb_dirty dirty;
    uintptr_t start = cb_pages_take_block(heap, &dirty);
    if (start == 0 && cb_room_give_back()) {
        start = cb_pages_take_block(heap, &dirty);
    }
    if (start == 0) {
        return NULL;
    }
    struct cb_block *block = cb_block_of(start);
    cache_owner(heap, block);
    cb_purge_begin(block, dirty);
    block->dead = block->fresh = 0;
    cb_block_no_holes(block, 0);
    block->recheck_at = heap->tight ? 0 : CB_BLOCK_PART;
    block->space = (uint8_t)space;
    block->queue = 0;
    /* release: partner of the acquire in announce in remote.c, which finds the owner then */
    atomic_store_explicit(&block->remote, CB_REMOTE_OPEN, memory_order_release);
    cb_list_push(&heap->all, block, CB_LIST_ALL);
    heap->blocks++;
    return block;
}

bool cb_block_is_kept(const struct cb_heap *heap, const struct cb_block *block) {
    return cb_block_has_run(heap, block) ||
           (heap->space[block->space].fresh_block == block &&
            atomic_load_explicit(&heap->state, memory_order_relaxed) != CB_HEAP_PARKED); /* under the lock */
}

bool cb_block_shut_if_empty(struct cb_heap *heap, struct cb_block *block) {
    uint64_t open = CB_REMOTE_OPEN; /* nothing was freed remotely that has not been taken in */
    /* relaxed: whoever sets a bit knows the owner as long as there is one */
    return block->dead == block->fresh && !cb_block_is_kept(heap, block) && block->purging == 0 &&
           atomic_compare_exchange_strong_explicit(&block->remote, &open, 0, memory_order_relaxed,
                                                   memory_order_relaxed);
}

void cb_block_drop(struct cb_heap *heap, struct cb_block *block) {
    size_t clean = (size_t)__builtin_popcountll(block->purged_pages | block->untouched);
    struct cb_space *s = &heap->space[block->space];
    s->fresh_block = s->fresh_block != block ? s->fresh_block : NULL;
    cb_count(&heap->dead, (size_t)0 - block->dead);
    cb_purge_forget(heap, block);
    cb_list_remove(&heap->all, block, CB_LIST_ALL);
    heap->blocks--;
    cb_count(&heap->used, (size_t)0 - block->fresh);
    cb_owner_cache_drop(heap->tag, cb_block_number(block));
    /* release: partner of the acquire in cb_extent_outside_blocks: the map bytes are zero by now */
    atomic_store_explicit(&block->owner, NULL, memory_order_release);
    /* The map is dirty too; where something is purged its pages count as if they were the block's. */
    size_t map = CB_BLOCK_GRANULES >> cb_map_shift(block),
           dirty = ((CB_BLOCK_UNITS - clean) << CB_UNIT_SHIFT) + map;
    cb_pages_give_block(cb_block_start(block), cb_lower(dirty, CB_BLOCK_SIZE));
}

void cb_block_revive(struct cb_heap *heap, struct cb_block *block, size_t granule, size_t granules) {
    block->dead = (uint16_t)(block->dead - granules);
    cb_count(&heap->dead, 0 - granules);
    cb_purge_revive(heap, block, granule << CB_GRANULE_SHIFT, granules);
}

struct cb_run *cb_run_of(struct cb_thread *t, enum cb_space_kind space) {
    return space == CB_SMALL ? &t->run : &t->heap->space[space].run;
}
