/*
 * rings.h: arenas with rings of 1, 2, 4, ... 1,024 slots, which all get the same calls: what each remembers and holds.
 *
 * Each arena bumps. Its ring remembers the newest blocks, up to its slots. A free of a block that is remembered marks it
 * dead, and while the newest block that is remembered is dead the cursor falls back over it. A free of a forgotten block
 * gives nothing back. When no block is live the cursor falls back to the start, as that of cutback.h does.
 *
 * One array of the newest 1,024 blocks is enough for all: what a smaller ring remembers is the upper end of what a larger
 * one remembers.
 *
 * Layer: replay. Threads: one.
 */
#ifndef CB_REPLAY_RINGS_H
#define CB_REPLAY_RINGS_H

#include <stdbool.h>
#include <stdint.h>

#define CB_RINGS 11
#define CB_RING_MOST (1u << (CB_RINGS - 1)) /* slots of the largest; ring i has 1 << i */

/* All zero: empty. */
struct cb_rings {
    uint64_t height;             /* blocks under the cursor of the largest; the next block's number */
    uint64_t live;               /* blocks */
    uint64_t held[CB_RINGS];     /* bytes under the cursor of each */
    uint32_t known[CB_RINGS];    /* blocks that each remembers */
    uint64_t size[CB_RING_MOST]; /* by number, modulo the length; bytes */
    bool dead[CB_RING_MOST];
};

/* Allocates; returns the number of the block, for the next function. */
uint64_t cb_rings_push(struct cb_rings *rings, uint64_t size);

/* Frees a live block. The least ring that still remembered it; CB_RINGS: none. */
unsigned cb_rings_free(struct cb_rings *rings, uint64_t number);

#endif
