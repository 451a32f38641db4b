/*
 * list.h: lists of a heap's blocks, linked both ways by the numbers of blocks. A block may be in one of each kind.
 *
 * Layer: heap, above the granule map. Threads: under the lock of the heap.
 */
#ifndef CB_HEAP_LIST_H
#define CB_HEAP_LIST_H

#include "heap/map.h"
#include "heap/types.h"

static inline struct cb_block *cb_list_next(const struct cb_block *block, enum cb_list_kind kind) {
    return cb_block_numbered(block->list[kind].next);
}

/* Makes the block the first of a list; it is in none of that kind. */
static inline void cb_list_push(struct cb_block **head, struct cb_block *block, enum cb_list_kind kind) {
    block->list[kind] = (struct cb_links){0, 0};
    if (*head != NULL) {
        block->list[kind].next = (uint32_t)cb_block_number(*head);
        (*head)->list[kind].prev = (uint32_t)cb_block_number(block);
    }
    *head = block;
}

/* Takes the block out of the list that it is in. */
static inline void cb_list_remove(struct cb_block **head, struct cb_block *block, enum cb_list_kind kind) {
    struct cb_block *next = cb_list_next(block, kind), *prev = cb_block_numbered(block->list[kind].prev);
    if (next != NULL) {
        next->list[kind].prev = block->list[kind].prev;
    }
    if (prev != NULL) {
        prev->list[kind].next = block->list[kind].next;
    } else {
        *head = next;
    }
}

#endif
