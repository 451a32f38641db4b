/*
 * An arena and its model side by side: see pair.h.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "pair.h"

#include <string.h>

#if defined(CUTBACK_MINIMAL)
#include "arena/hooks.h"
#else
#include "arena/check.h"
#endif

/* Leaves the calling check with a message when the arena is not as specified. */
#define PAIR_DEMAND(condition, message)                                                                      \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return (message);                                                                                \
    } while (0)

static const unsigned char pair_guard = 0xA5;

/* Slots that an arena of this build takes for each block: two if it is to be wide from the first byte. */
#if defined(CUTBACK_MINIMAL)
static const size_t pair_slots = 1;
#else
static const size_t pair_slots = CB_RING_WIDE == 1 ? 2 : 1;
#endif

/* ---- content ---- */

static unsigned char pair_byte(unsigned serial, size_t i) {
    return (unsigned char)(serial * 37 + i * 11 + (i >> 8));
}

static void pair_fill(struct pair *pair, struct model_block *block) {
    block->serial = ++pair->serial;
    for (size_t i = 0; i < block->size; i++)
        pair->memory[block->start + i] = pair_byte(block->serial, i);
}

static bool pair_intact(const struct pair *pair, size_t start, size_t size, unsigned serial) {
    for (size_t i = 0; i < size; i++)
        if (pair->memory[start + i] != pair_byte(serial, i))
            return false;
    return true;
}

/* ---- comparison ---- */

#if defined(CUTBACK_MINIMAL) /* which has no statistics, nor invariants that are checked elsewhere */
static const char *cb_arena_check(const cutback_arena *arena) {
    (void)arena;
    return NULL;
}

static const char *pair_check_stats(const struct pair *pair) {
    size_t live = 0;
    for (size_t i = 0; i <= pair->arena.depth; i++)
        live += pair->arena.scopes[i].live;
    PAIR_DEMAND(cutback_used(&pair->arena) == pair->model.stats.used, "the cursor is not where it should be");
    PAIR_DEMAND(cutback_remaining(&pair->arena) == pair->model.capacity - pair->model.stats.used,
                "wrong remaining");
    PAIR_DEMAND(live == model_live(&pair->model), "wrong number of live blocks");
    return NULL;
}

static const char *pair_check_usage(const struct pair *pair) {
    (void)pair;
    return NULL;
}
#else
static const char *pair_check_stats(const struct pair *pair) {
    cutback_stats got = cutback_get_stats(&pair->arena);
    const cutback_stats *want = &pair->model.stats;
    PAIR_DEMAND(got.used == want->used, "the cursor is not where it should be");
    PAIR_DEMAND(cutback_used(&pair->arena) == got.used, "cutback_used is not the cursor");
    PAIR_DEMAND(cutback_remaining(&pair->arena) == model_limit(&pair->model, pair->model.depth) - got.used,
                "wrong remaining");
    PAIR_DEMAND(got.peak == want->peak, "wrong peak");
    PAIR_DEMAND(got.live_blocks == model_live(&pair->model), "wrong number of live blocks");
    PAIR_DEMAND(got.rewinds == want->rewinds, "wrong number of rewinds");
    PAIR_DEMAND(got.forgotten_frees == want->forgotten_frees, "wrong number of forgotten frees");
    PAIR_DEMAND(got.double_frees == want->double_frees, "wrong number of double frees");
    PAIR_DEMAND(got.failed_requests == want->failed_requests, "wrong number of failed requests");
    return NULL;
}

static const char *pair_check_usage(const struct pair *pair) {
    cutback_usage got = cutback_get_usage(&pair->arena);
    cutback_usage want = model_usage(&pair->model);
    if (pair->arena.state == CB_ARENA_DECLARED)
        return NULL;
    PAIR_DEMAND(got.live == want.live, "wrong number of live bytes");
    PAIR_DEMAND(got.dead == want.dead, "wrong number of dead bytes");
    PAIR_DEMAND(got.padding == want.padding, "wrong number of bytes of padding");
    PAIR_DEMAND(got.forgotten == want.forgotten, "wrong number of forgotten bytes");
    for (size_t i = 0; i < MODEL_BUCKETS; i++)
        PAIR_DEMAND(pair->distances[i] == pair->model.distances[i],
                    "a free is counted at the wrong distance");
    return NULL;
}
#endif

static const char *pair_check_blocks(const struct pair *pair) {
    size_t end = 0;
    for (size_t i = 0; i < pair->model.count; i++) {
        const struct model_block *block = &pair->model.blocks[i];
        PAIR_DEMAND(block->start >= end && block->end >= block->start + block->size, "blocks overlap");
        PAIR_DEMAND(block->end <= pair->model.capacity, "a block is out of bounds");
        end = block->end;
        if (block->live)
            PAIR_DEMAND(pair_intact(pair, block->start, block->size, block->serial), "a block has changed");
    }
    for (size_t i = 0; i < PAIR_GUARD; i++) {
        PAIR_DEMAND(pair->memory[-1 - (ptrdiff_t)i] == pair_guard, "written below the memory");
        PAIR_DEMAND(pair->memory[pair->model.capacity + i] == pair_guard, "written above the memory");
    }
    return NULL;
}

static const char *pair_check(const struct pair *pair) {
    const char *fault = cb_arena_check(&pair->arena);
    if (fault == NULL)
        fault = pair_check_stats(pair);
    if (fault == NULL)
        fault = pair_check_usage(pair);
    if (fault == NULL)
        fault = pair_check_blocks(pair);
    return fault;
}

/* ---- arguments ---- */

/* Mostly small, sometimes as large as the arena, and once in a while absurd. */
static size_t pair_size(uint8_t low, uint8_t high) {
    if (high < 0xD0)
        return low & 0x3Fu;
    if (high < 0xFC)
        return low | (size_t)(high & 0x0Fu) << 8;
    return SIZE_MAX >> (high & 3u) << (low & 1u);
}

/* A power of two up to 256, and once in a while none, or a huge one. */
static size_t pair_align(uint8_t byte) {
    if (byte == 0xFF)
        return 0;
    if (byte == 0xFE)
        return 24;
    if (byte == 0xFD)
        return SIZE_MAX / 2 + 1;
    return (size_t)1 << (byte % (byte < 0xE0 ? 5u : 9u));
}

/* The offset of a live block: counted from the newest, or any. False if there is none. */
static bool pair_pick(const struct pair *pair, uint8_t which, struct model_block *picked) {
    size_t live = model_live(&pair->model);
    size_t skip = 0;
    if (live == 0)
        return false;
    skip = (size_t)which % live;
    for (size_t i = pair->model.count; i-- != 0;)
        if (pair->model.blocks[i].live && skip-- == 0) {
            *picked = pair->model.blocks[i];
            return true;
        }
    return false;
}

/* ---- operations ---- */

/* An allocation must look like this, given what the model made of it. */
static const char *pair_check_block(struct pair *pair, const unsigned char *ptr, size_t size, size_t align,
                                    const struct model_block *block) {
    if (block == NULL) {
        if (size == 0 && model_valid_align(align)) {
            PAIR_DEMAND(ptr != NULL && (uintptr_t)ptr % align == 0, "an empty block is NULL or not aligned");
            return NULL;
        }
        PAIR_DEMAND(ptr == NULL, "a request was met that should have been refused");
        return NULL;
    }
    PAIR_DEMAND(ptr != NULL, "a request was refused that should have been met");
    PAIR_DEMAND((uintptr_t)ptr % align == 0, "a block is not aligned");
    PAIR_DEMAND(ptr == pair->memory + block->start, "a block is not where it should be");
    PAIR_DEMAND(cutback_owns(&pair->arena, ptr), "a block is not the arena's");
    return NULL;
}

static const char *pair_alloc(struct pair *pair, const uint8_t step[PAIR_STEP]) {
    size_t size = pair_size(step[1], step[2]);
    size_t align = pair_align(step[3]);
    struct model_block *block = model_alloc(&pair->model, size, align);
    const char *fault = pair_check_block(pair, cutback_alloc(&pair->arena, size, align), size, align, block);
    if (fault == NULL && block != NULL)
        pair_fill(pair, block);
    return fault;
}

static const char *pair_calloc(struct pair *pair, const uint8_t step[PAIR_STEP]) {
    size_t count = step[2] < 0xF8 ? step[2] & 7u : SIZE_MAX >> (step[2] & 7u);
    size_t size = step[1] & 0x1Fu;
    size_t align = pair_align(step[3]);
    struct model_block *block = NULL;
    unsigned char *ptr = cutback_calloc(&pair->arena, count, size, align);
    const char *fault = NULL;
    if (size != 0 && count > SIZE_MAX / size) {
        pair->model.stats.failed_requests++;
        PAIR_DEMAND(ptr == NULL, "an overflowing product was met");
        return NULL;
    }
    block = model_alloc(&pair->model, count * size, align);
    fault = pair_check_block(pair, ptr, count * size, align, block);
    if (fault != NULL || block == NULL)
        return fault;
    for (size_t i = 0; i < block->size; i++)
        PAIR_DEMAND(ptr[i] == 0, "calloc did not clear");
    pair_fill(pair, block);
    return NULL;
}

static void pair_free_at(struct pair *pair, size_t start, size_t size) {
    if (!model_free_defined(&pair->model, start, size))
        return;
    model_free(&pair->model, start, size);
    cutback_free(&pair->arena, pair->memory + start, size);
}

static const char *pair_free(struct pair *pair, const uint8_t step[PAIR_STEP]) {
    struct model_block block;
    if (pair_pick(pair, step[1], &block))
        pair_free_at(pair, block.start, block.size);
    return NULL;
}

/* Frees what may be anything: dead, inside a block, in padding, free memory, of another size, not the
 * arena's. */
static const char *pair_free_wrong(struct pair *pair, const uint8_t step[PAIR_STEP]) {
    size_t anywhere = (step[1] | (size_t)step[2] << 8) % (pair->model.capacity + 1);
    unsigned char *outside = &pair->memory[pair->model.capacity];
    size_t pick = pair->model.count != 0 ? step[1] % pair->model.count : 0;
    switch (step[3] & 3) {
    case 0:
        pair_free_at(pair, anywhere, (size_t)step[3] + 1);
        break;
    case 1:
        if (pair->model.count != 0)
            pair_free_at(pair, pair->model.blocks[pick].start, (size_t)step[2] + 1);
        break;
    case 2:
        cutback_free(&pair->arena, outside, 1);
        cutback_free(&pair->arena, pair->memory - 1, 1);
        cutback_free(&pair->arena, pair, 1);
        break;
    default:
        cutback_free(&pair->arena, NULL, step[1]);
        cutback_free(&pair->arena, pair->memory + anywhere, 0);
        break;
    }
    return NULL;
}

static const char *pair_realloc(struct pair *pair, const uint8_t step[PAIR_STEP]) {
    struct model_block old;
    size_t size = pair_size((uint8_t)(step[2] * 5u), step[2]);
    size_t align = pair_align(step[3]);
    if (!pair_pick(pair, step[1], &old))
        return pair_alloc(pair, step);
    unsigned char *ptr = cutback_realloc(&pair->arena, pair->memory + old.start, old.size, size, align);
    if (size == 0 && model_valid_align(align)) {
        model_free(&pair->model, old.start, old.size);
        return pair_check_block(pair, ptr, 0, align, NULL);
    }
    struct model_block *block = model_realloc(&pair->model, old.start, old.size, size, align);
    const char *fault = pair_check_block(pair, ptr, size, align, block);
    if (fault != NULL || block == NULL)
        return fault;
    PAIR_DEMAND(pair_intact(pair, block->start, old.size < size ? old.size : size, old.serial),
                "realloc lost the content");
    pair_fill(pair, block);
    return NULL;
}

/* Resizes what may be dead, inside a block or not there at all, and what is no block yet. */
static const char *pair_realloc_wrong(struct pair *pair, const uint8_t step[PAIR_STEP]) {
    size_t start = step[1] % (pair->model.capacity + 1);
    const struct model_block *block = model_at(&pair->model, start);
    if ((step[3] & 1) != 0) {
        struct model_block *fresh = model_alloc(&pair->model, step[2], 1);
        unsigned char *ptr = (step[3] & 2) != 0 ? NULL : pair->memory + start;
        const char *fault =
            pair_check_block(pair, cutback_realloc(&pair->arena, ptr, ptr == NULL ? step[1] : 0, step[2], 1),
                             step[2], 1, fresh);
        if (fault == NULL && fresh != NULL)
            pair_fill(pair, fresh);
        return fault;
    }
    if ((block != NULL && block->live) || !model_free_defined(&pair->model, start, 1))
        return NULL;
    model_realloc(&pair->model, start, 1, 8, 1);
    PAIR_DEMAND(cutback_realloc(&pair->arena, pair->memory + start, 1, 8, 1) == NULL, "realloc of no block");
    return NULL;
}

/* Opens a scope, or many, to get beyond those that the arena has a place for. */
static const char *pair_mark(struct pair *pair, const uint8_t step[PAIR_STEP]) {
    for (size_t rest = step[1] < 0xF0 ? 1 : 16; rest != 0; rest--) {
        size_t slot = pair->mark_count++ % PAIR_MARKS;
        pair->marks[slot] = cutback_mark_set(&pair->arena);
        pair->ids[slot] = model_mark(&pair->model);
    }
    return NULL;
}

/* Ends the innermost scope, or any, or tries one that has ended or is another arena's. */
static const char *pair_end_scope(struct pair *pair, const uint8_t step[PAIR_STEP]) {
    bool commits = (step[1] & 1) != 0;
    size_t known = pair->mark_count < PAIR_MARKS ? pair->mark_count : PAIR_MARKS;
    cutback_mark mark = {.id = 0};
    uint64_t id = 0;
    for (size_t i = 0; i < known && (step[1] & 2) == 0; i++) /* the innermost, if still at hand */
        if (pair->ids[i] == pair->model.ids[pair->model.depth] && pair->model.depth != 0) {
            mark = pair->marks[i];
            id = pair->ids[i];
        }
    if ((step[1] & 2) != 0 && known != 0) {
        mark = pair->marks[step[2] % known];
        id = pair->ids[step[2] % known];
    }
#if !defined(CUTBACK_MINIMAL)
    if (step[3] >= 0xF8) {
        mark = cutback_mark_set(&pair->other);
        cutback_reset(&pair->other, mark);
        mark.id = cb_scope_innermost(&pair->arena)->id;
        mark.depth = pair->arena.depth;
        id = 0;
    }
#endif
    if (commits)
        PAIR_DEMAND(cutback_commit(&pair->arena, mark) == model_commit(&pair->model, id), "wrong commit");
    else
        PAIR_DEMAND(cutback_reset(&pair->arena, mark) == model_reset(&pair->model, id), "wrong reset");
    return NULL;
}

/* Starts over on the same memory, or clears it: all blocks and marks of before are void. Or has frees counted, or not
 * any more. */
static const char *pair_again(struct pair *pair, const uint8_t step[PAIR_STEP]) {
#if defined(CUTBACK_MINIMAL)
    if (step[1] > 8)
        return NULL;
#else
    if (step[1] > 8) {
        pair->model.watches = (step[1] & 7) == 0;
        PAIR_DEMAND(
            cutback_watch_frees(&pair->arena, pair->distances, pair->model.watches ? MODEL_BUCKETS : 0),
            "the arena does not count");
        return NULL;
    }
#endif
    if (step[1] != 0) {
        cutback_clear(&pair->arena);
        model_clear(&pair->model);
        return NULL;
    }
    PAIR_DEMAND(cutback_init(&pair->arena, pair->memory, pair->model.capacity, pair->ring,
                             pair->model.slots * pair_slots),
                "init was refused");
    model_init(&pair->model, (uintptr_t)pair->memory, pair->model.capacity, pair->model.slots);
    return NULL;
}

/* ---- scripts ---- */

static const char *(*const pair_operations[32])(struct pair *, const uint8_t *) = {
    pair_alloc,   pair_alloc,     pair_alloc,     pair_alloc,         pair_alloc, pair_alloc, pair_alloc,
    pair_alloc,   pair_alloc,     pair_calloc,    pair_free,          pair_free,  pair_free,  pair_free,
    pair_free,    pair_free,      pair_free,      pair_free,          pair_free,  pair_free,  pair_free_wrong,
    pair_realloc, pair_realloc,   pair_realloc,   pair_realloc,       pair_mark,  pair_mark,  pair_mark,
    pair_again,   pair_end_scope, pair_end_scope, pair_realloc_wrong,
};

/* An arena as CUTBACK_INIT makes it of arrays of these sizes. */
static void pair_declare(struct pair *pair, size_t capacity, size_t slots) {
    pair->arena.ring = pair->ring;
    pair->arena.slots = slots;
#if defined(CUTBACK_MINIMAL)
    pair->arena.cursor = pair->memory;
    pair->arena.scopes[0].start = pair->memory;
    pair->arena.end = pair->memory + capacity;
#else
    pair->arena.memory = pair->memory;
    pair->arena.capacity = capacity;
    pair->arena.size = sizeof pair->arena;
    pair->arena.state = CB_ARENA_DECLARED;
#endif
}

const char *pair_start(struct pair *pair, const uint8_t head[PAIR_HEAD]) {
    static const size_t capacities[] = {0, 1, 17, 64, 255, 256, 1000, 2048, PAIR_MEMORY};
    static const size_t lengths[] = {0, 1, 2, 7, 16, 64, 3, 33};
    size_t capacity = capacities[head[0] % (sizeof capacities / sizeof *capacities)];
    size_t slots = lengths[head[1] % (sizeof lengths / sizeof *lengths)];
    memset(&pair->arena, 0, sizeof pair->arena);
    memset(&pair->other, 0, sizeof pair->other);
    memset(pair->bytes, pair_guard, sizeof pair->bytes);
    pair->memory = pair->bytes + PAIR_GUARD + head[2] % 64;
    pair->mark_count = 0;
    pair->serial = 0;
    pair->lax = (head[3] & 2) != 0;
    pair->model.marks = 0;
    memset(pair->distances, 0, sizeof pair->distances);
    memset(pair->model.distances, 0, sizeof pair->model.distances);
    model_init(&pair->model, (uintptr_t)pair->memory, capacity, slots);
    PAIR_DEMAND(cutback_init(&pair->other, pair->memory, 0, NULL, 0), "init of an empty arena was refused");
    if ((head[3] & 1) != 0)
        pair_declare(pair, capacity, slots * pair_slots);
    else
        PAIR_DEMAND(cutback_init(&pair->arena, pair->memory, capacity, pair->ring, slots * pair_slots),
                    "init was refused");
    return pair_check(pair);
}

const char *pair_step(struct pair *pair, const uint8_t step[PAIR_STEP]) {
    const char *fault = pair_operations[step[0] % 32](pair, step);
    if (fault == NULL && pair->lax && pair_operations[step[0] % 32] == pair_free && (step[2] & 7) != 0)
        return cb_arena_check(&pair->arena);
    return fault != NULL ? fault : pair_check(pair);
}

void pair_end(struct pair *pair) {
    cb_hook_show(pair->bytes, sizeof pair->bytes);
}

const char *pair_run(struct pair *pair, const uint8_t *script, size_t size, size_t *where) {
    const char *fault = NULL;
    *where = 0;
    if (size < PAIR_HEAD)
        return NULL;
    fault = pair_start(pair, script);
    for (size_t i = PAIR_HEAD; fault == NULL && i + PAIR_STEP <= size; i += PAIR_STEP) {
        ++*where;
        fault = pair_step(pair, script + i);
    }
    pair_end(pair);
    return fault;
}
