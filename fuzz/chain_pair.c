/*
 * A chain and its model side by side: see chain_pair.h.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "chain_pair.h"

#include <string.h>

#include "arena/chain_check.h"

/* Leaves the calling check with a message when the chain is not as specified. */
#define CHAIN_DEMAND(condition, message)                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return (message);                                                                                \
    } while (0)

static const unsigned char chain_guard = 0xA5;

/* Slots that an arena of this build takes for each block: two if it is to be wide from the first byte. */
static const size_t chain_slots = CB_RING_WIDE == 1 ? 2 : 1;

/* ---- the source of the chain under test ---- */

static void *chain_supply(void *context, size_t *size) {
    struct chain_pair *pair = context;
    size_t place = places_supply(&pair->places, size);
    if (place == PLACES)
        return NULL;
    unsigned char *chunk = pair->bytes + (places_at(&pair->places, place) - pair->places.memory);
    memset(chunk - PLACE_GUARD, chain_guard, PLACE_SIZE + 2 * PLACE_GUARD);
    return chunk;
}

static void chain_take(void *context, void *chunk, size_t size) {
    struct chain_pair *pair = context;
    for (size_t i = 0; i < PLACES; i++)
        if (places_at(&pair->places, i) == chunk) {
            if (pair->places.size[i] != size)
                pair->fault = "a chunk came back with another size, or twice";
            pair->places.size[i] = 0;
            memset(chunk, 0, size); /* nothing in it is used any more */
            return;
        }
    pair->fault = "something came back that is no chunk";
}

static void *chain_spare_supply(void *context, size_t *size) {
    struct chain_pair *pair = context;
    if (*size > sizeof pair->spare)
        return NULL;
    *size = sizeof pair->spare;
    return pair->spare;
}

static void chain_spare_take(void *context, void *chunk, size_t size) {
    struct chain_pair *pair = context;
    if (chunk != pair->spare || size != sizeof pair->spare)
        pair->fault = "another chunk came back than was supplied";
}

/* ---- content ---- */

static unsigned char *chain_byte(const struct chain_pair *pair, const struct model *m, size_t start) {
    size_t offset = m->address + start - (uintptr_t)pair->bytes;
    return (unsigned char *)pair->bytes + offset;
}

static void chain_fill(struct chain_pair *pair, const struct model *m, struct model_block *block) {
    block->serial = ++pair->serial;
    for (size_t i = 0; i < block->size; i++)
        chain_byte(pair, m, block->start)[i] = (unsigned char)(block->serial * 37 + i * 11 + (i >> 8));
}

static bool chain_intact(const struct chain_pair *pair, const struct model *m, size_t start, size_t size,
                         unsigned serial) {
    for (size_t i = 0; i < size; i++)
        if (chain_byte(pair, m, start)[i] != (unsigned char)(serial * 37 + i * 11 + (i >> 8)))
            return false;
    return true;
}

/* ---- comparison ---- */

static const char *chain_check_stats(const struct chain_pair *pair) {
    cutback_chain_stats got = cutback_chain_get_stats(&pair->chain);
    cutback_chain_stats want = chain_model_stats(&pair->model);
    CHAIN_DEMAND(got.used == want.used, "the cursors are not where they should be");
    CHAIN_DEMAND(cutback_chain_used(&pair->chain) == got.used, "cutback_chain_used is another sum");
    CHAIN_DEMAND(got.peak == want.peak, "wrong peak");
    CHAIN_DEMAND(got.live_blocks == want.live_blocks, "wrong number of live blocks");
    CHAIN_DEMAND(got.rewinds == want.rewinds, "wrong number of rewinds");
    CHAIN_DEMAND(got.forgotten_frees == want.forgotten_frees, "wrong number of forgotten frees");
    CHAIN_DEMAND(got.double_frees == want.double_frees, "wrong number of double frees");
    CHAIN_DEMAND(got.failed_requests == want.failed_requests, "wrong number of failed requests");
    CHAIN_DEMAND(got.chunks == want.chunks, "wrong number of chunks");
    CHAIN_DEMAND(got.held == want.held, "wrong size of the chunks");
    CHAIN_DEMAND(got.held_peak == want.held_peak, "wrong peak of the chunks");
    return NULL;
}

static const char *chain_check_place(const struct chain_pair *pair, size_t place) {
    const struct model *m = &pair->model.chunks[place];
    const unsigned char *chunk = places_at(&pair->places, place);
    CHAIN_DEMAND(pair->places.refuse == pair->model.places.refuse,
                 "the source was asked when it need not be");
    CHAIN_DEMAND(pair->places.size[place] == pair->model.places.size[place],
                 "a chunk is out that should not be, or the other way round");
    if (pair->places.size[place] == 0)
        return NULL;
    for (size_t i = 0; i < m->count; i++)
        if (m->blocks[i].live)
            CHAIN_DEMAND(chain_intact(pair, m, m->blocks[i].start, m->blocks[i].size, m->blocks[i].serial),
                         "a block has changed");
    for (size_t i = 1; i <= PLACE_GUARD; i++) {
        CHAIN_DEMAND(*(chunk - i) == chain_guard, "written below a chunk");
        CHAIN_DEMAND(chunk[pair->places.size[place] + i - 1] == chain_guard, "written above a chunk");
    }
    return NULL;
}

static const char *chain_check(const struct chain_pair *pair) {
    const char *fault = pair->fault != NULL ? pair->fault : cb_chain_check(&pair->chain);
    if (fault == NULL)
        fault = chain_check_stats(pair);
    for (size_t i = 0; i < PLACES && fault == NULL; i++)
        fault = chain_check_place(pair, i);
    return fault;
}

/* ---- arguments ---- */

/* Mostly small, sometimes larger than a chunk, and once in a while absurd. */
static size_t chain_size(uint8_t low, uint8_t high) {
    if (high < 0xC0)
        return low & 0x7Fu;
    if (high < 0xFC)
        return low | (size_t)(high & 0x0Fu) << 8;
    return SIZE_MAX >> (high & 3u) << (low & 1u);
}

/* A power of two up to 256, and once in a while none, or a huge one. */
static size_t chain_align(uint8_t byte) {
    if (byte >= 0xFD)
        return byte == 0xFF ? 0 : byte == 0xFE ? 24 : SIZE_MAX / 2 + 1;
    return (size_t)1 << (byte % (byte < 0xE0 ? 5u : 9u));
}

/* A live block of the chain, counted from the newest, and the place of its chunk. False if there is none. */
static bool chain_pick(const struct chain_pair *pair, uint8_t which, struct model_block *picked,
                       size_t *place) {
    size_t live = (size_t)chain_model_stats(&pair->model).live_blocks;
    size_t skip = live != 0 ? which % live : 0;
    for (size_t i = pair->model.count; i-- != 0;) {
        const struct model *m = &pair->model.chunks[pair->model.order[i]];
        for (size_t k = m->count; k-- != 0;)
            if (m->blocks[k].live && skip-- == 0) {
                *picked = m->blocks[k];
                *place = pair->model.order[i];
                return true;
            }
    }
    return false;
}

/* ---- operations ---- */

/* An allocation must look as the model says. */
static const char *chain_check_block(struct chain_pair *pair, const unsigned char *ptr, size_t size,
                                     size_t align, const struct model *m, const struct model_block *block) {
    if (block == NULL && size == 0 && model_valid_align(align)) {
        CHAIN_DEMAND(ptr != NULL && (uintptr_t)ptr % align == 0, "an empty block is NULL or not aligned");
        return NULL;
    }
    if (block == NULL) {
        CHAIN_DEMAND(ptr == NULL, "a request was met that should have been refused");
        return NULL;
    }
    CHAIN_DEMAND(ptr != NULL, "a request was refused that should have been met");
    CHAIN_DEMAND((uintptr_t)ptr % align == 0, "a block is not aligned");
    CHAIN_DEMAND(ptr == chain_byte(pair, m, block->start), "a block is not where it should be");
    CHAIN_DEMAND(cutback_chain_owns(&pair->chain, ptr), "a block is not the chain's");
    return NULL;
}

static const char *chain_alloc(struct chain_pair *pair, const uint8_t step[CHAIN_STEP]) {
    size_t size = chain_size(step[1], step[2]);
    size_t align = chain_align(step[3]);
    struct model *m = NULL;
    struct model_block *block = chain_model_alloc(&pair->model, size, align, &m);
    const char *fault =
        chain_check_block(pair, cutback_chain_alloc(&pair->chain, size, align), size, align, m, block);
    if (fault == NULL && block != NULL)
        chain_fill(pair, m, block);
    return fault;
}

static const char *chain_calloc(struct chain_pair *pair, const uint8_t step[CHAIN_STEP]) {
    size_t count = step[2] < 0xF8 ? step[2] & 15u : SIZE_MAX >> (step[2] & 7u);
    size_t size = step[1] & 0x1Fu;
    size_t align = chain_align(step[3]);
    struct model *m = NULL;
    const unsigned char *ptr = cutback_chain_calloc(&pair->chain, count, size, align);
    if (size != 0 && count > SIZE_MAX / size) {
        pair->model.stats.failed_requests++;
        CHAIN_DEMAND(ptr == NULL, "an overflowing product was met");
        return NULL;
    }
    struct model_block *block = chain_model_alloc(&pair->model, count * size, align, &m);
    const char *fault = chain_check_block(pair, ptr, count * size, align, m, block);
    if (fault != NULL || block == NULL)
        return fault;
    for (size_t i = 0; i < block->size; i++)
        CHAIN_DEMAND(ptr[i] == 0, "calloc did not clear");
    chain_fill(pair, m, block);
    return NULL;
}

static void chain_free_at(struct chain_pair *pair, size_t place, size_t start, size_t size) {
    struct model *m = &pair->model.chunks[place];
    unsigned char *ptr = chain_byte(pair, m, start);
    if (!model_free_defined(m, start, size))
        return;
    chain_model_free(&pair->model, place, start, size);
    cutback_chain_free(&pair->chain, ptr, size);
}

static const char *chain_free(struct chain_pair *pair, const uint8_t step[CHAIN_STEP]) {
    struct model_block block;
    size_t place = 0;
    if (chain_pick(pair, step[1], &block, &place))
        chain_free_at(pair, place, block.start, block.size);
    return NULL;
}

/* Frees the newest blocks, one after the other: the chain shrinks over the borders of its chunks. */
static const char *chain_free_many(struct chain_pair *pair, const uint8_t step[CHAIN_STEP]) {
    struct model_block block;
    size_t place = 0;
    for (unsigned i = step[1] & 31u; i != 0 && chain_pick(pair, 0, &block, &place); i--) {
        chain_free_at(pair, place, block.start, block.size);
        const char *fault = chain_check(pair);
        if (fault != NULL)
            return fault;
    }
    return NULL;
}

/* Frees what may be anything: dead, inside a block, free memory, of another size, outside all chunks. */
static const char *chain_free_wrong(struct chain_pair *pair, const uint8_t step[CHAIN_STEP]) {
    if ((step[3] & 3) == 0 || pair->model.count == 0) {
        cutback_chain_free(&pair->chain, NULL, step[1]);
        cutback_chain_free(&pair->chain, pair, 1);
        cutback_chain_free(&pair->chain, pair->bytes, 1);
        return NULL;
    }
    size_t place = pair->model.order[step[1] % pair->model.count];
    const struct model *m = &pair->model.chunks[place];
    if ((step[3] & 3) == 1 && m->count != 0)
        chain_free_at(pair, place, m->blocks[step[2] % m->count].start, (size_t)(step[3] >> 2) + 1);
    else if (m->capacity != 0)
        chain_free_at(pair, place, (step[2] * 7u + step[1]) % m->capacity, (size_t)(step[3] >> 2));
    return NULL;
}

static const char *chain_realloc(struct chain_pair *pair, const uint8_t step[CHAIN_STEP]) {
    struct model_block old;
    struct model *m = NULL;
    size_t place = 0;
    size_t size = chain_size((uint8_t)(step[2] * 5u), step[2]);
    size_t align = chain_align(step[3]);
    if (!chain_pick(pair, step[1], &old, &place))
        return chain_alloc(pair, step);
    unsigned char *ptr = cutback_chain_realloc(
        &pair->chain, chain_byte(pair, &pair->model.chunks[place], old.start), old.size, size, align);
    if (size == 0 && model_valid_align(align)) {
        chain_model_free(&pair->model, place, old.start, old.size);
        return chain_check_block(pair, ptr, 0, align, NULL, NULL);
    }
    struct model_block *block =
        chain_model_realloc(&pair->model, place, old.start, old.size, size, align, &m);
    const char *fault = chain_check_block(pair, ptr, size, align, m, block);
    if (fault != NULL || block == NULL)
        return fault;
    CHAIN_DEMAND(chain_intact(pair, m, block->start, old.size < size ? old.size : size, old.serial),
                 "realloc lost the content");
    chain_fill(pair, m, block);
    return NULL;
}

/* Resizes NULL, and what is in no chunk. */
static const char *chain_realloc_wrong(struct chain_pair *pair, const uint8_t step[CHAIN_STEP]) {
    struct model *m = NULL;
    if ((step[3] & 1) != 0) {
        pair->model.stats.failed_requests++;
        CHAIN_DEMAND(cutback_chain_realloc(&pair->chain, pair, 1, 8, 1) == NULL, "realloc of no block");
        return NULL;
    }
    struct model_block *fresh = chain_model_alloc(&pair->model, step[2], 1, &m);
    const char *fault = chain_check_block(
        pair, cutback_chain_realloc(&pair->chain, NULL, step[1], step[2], 1), step[2], 1, m, fresh);
    if (fault == NULL && fresh != NULL)
        chain_fill(pair, m, fresh);
    return fault;
}

/* Opens a scope, or many, to get beyond those that an arena has a place for. */
static const char *chain_mark(struct chain_pair *pair, const uint8_t step[CHAIN_STEP]) {
    for (size_t rest = step[1] < 0xF0 ? 1 : 20; rest != 0; rest--) {
        size_t slot = pair->mark_count++ % CHAIN_MARKS;
        pair->marks[slot] = cutback_chain_mark_set(&pair->chain);
        pair->ids[slot] = chain_model_mark(&pair->model);
        CHAIN_DEMAND((pair->marks[slot].chain != NULL) == (pair->ids[slot] != 0),
                     "a mark was opened that should not have been, or the other way round");
    }
    return NULL;
}

/* Ends a scope that was opened not long ago, or any, or tries one that has ended or is another chain's. */
static const char *chain_end_scope(struct chain_pair *pair, const uint8_t step[CHAIN_STEP]) {
    size_t known = pair->mark_count < CHAIN_MARKS ? pair->mark_count : CHAIN_MARKS;
    cutback_chain_mark mark = {.chain = NULL};
    uint64_t id = 0;
    if (known != 0) {
        size_t back = (step[1] & 2) != 0 ? step[2] % known : step[2] % (known < 4 ? known : 4);
        size_t slot = (pair->mark_count - 1 - back) % CHAIN_MARKS;
        mark = pair->marks[slot];
        id = pair->ids[slot];
    }
    if (step[3] >= 0xF8 && known != 0) {
        mark.chain = &pair->other;
        id = 0;
        CHAIN_DEMAND(!cutback_chain_reset(&pair->other, mark), "another chain's mark was taken");
    }
    if ((step[1] & 1) != 0)
        CHAIN_DEMAND(cutback_chain_commit(&pair->chain, mark) == chain_model_commit(&pair->model, id),
                     "wrong commit");
    else
        CHAIN_DEMAND(cutback_chain_reset(&pair->chain, mark) == chain_model_reset(&pair->model, id),
                     "wrong reset");
    return NULL;
}

/* The source becomes mean, or generous. */
static const char *chain_turn(struct chain_pair *pair, const uint8_t step[CHAIN_STEP]) {
    pair->places.refuse = step[1] < 0x40 ? step[2] & 3u : 0;
    pair->places.extra = step[1] < 0xC0 ? 0 : (size_t)step[2] * 4;
    pair->model.places.refuse = pair->places.refuse;
    pair->model.places.extra = pair->places.extra;
    return NULL;
}

/* Clears it, gives everything back, or starts over: all blocks and marks of before are void. */
static const char *chain_again(struct chain_pair *pair, const uint8_t step[CHAIN_STEP]) {
    if (step[1] > 24)
        return NULL;
    if (step[1] > 8) {
        cutback_chain_clear(&pair->chain);
        chain_model_cut(&pair->model, 0);
        return NULL;
    }
    cutback_chain_release(&pair->chain);
    chain_model_release(&pair->model);
    if (step[1] > 2)
        return NULL;
    CHAIN_DEMAND(cutback_chain_init(&pair->chain, pair->chain.source, pair->model.chunk,
                                    pair->model.slots * chain_slots, pair->model.keep),
                 "init was refused");
    chain_model_init(&pair->model, pair->model.chunk, pair->model.slots, pair->model.ring, pair->model.keep);
    return NULL;
}

/* ---- scripts ---- */

static const char *(*const chain_operations[32])(struct chain_pair *, const uint8_t *) = {
    chain_alloc,   chain_alloc,         chain_alloc,      chain_alloc,     chain_alloc,     chain_alloc,
    chain_alloc,   chain_alloc,         chain_alloc,      chain_alloc,     chain_calloc,    chain_free,
    chain_free,    chain_free,          chain_free,       chain_free,      chain_free,      chain_free,
    chain_free,    chain_free_many,     chain_free_wrong, chain_realloc,   chain_realloc,   chain_realloc,
    chain_realloc, chain_mark,          chain_mark,       chain_end_scope, chain_end_scope, chain_again,
    chain_turn,    chain_realloc_wrong,
};

const char *chain_pair_start(struct chain_pair *pair, const uint8_t head[CHAIN_HEAD]) {
    static const size_t chunks[] = {0, 1, 64, 200, 256, 500, 1000, 2000};
    static const size_t lengths[] = {4, 0, 1, 2, 7, 16, 64, 33};
    cutback_source source = {chain_supply, chain_take, pair};
    cutback_source spare = {chain_spare_supply, chain_spare_take, pair};
    size_t chunk = chunks[head[0] % (sizeof chunks / sizeof *chunks)];
    size_t slots = lengths[head[1] % (sizeof lengths / sizeof *lengths)];
    bool keep = (head[2] & 1) != 0;
    memset(&pair->chain, 0, sizeof pair->chain);
    memset(&pair->other, 0, sizeof pair->other);
    memset(&pair->places, 0, sizeof pair->places);
    pair->places.memory = pair->bytes;
    pair->model.places = pair->places;
    pair->model.marks = 0;
    pair->fault = NULL;
    pair->mark_count = 0;
    pair->serial = 0;
    chain_model_init(&pair->model, chunk, slots, slots * chain_slots * sizeof(cutback_slot), keep);
    CHAIN_DEMAND(cutback_chain_init(&pair->chain, source, chunk, slots * chain_slots, keep),
                 "init was refused");
    CHAIN_DEMAND(cutback_chain_init(&pair->other, spare, 16, 1, false), "init of another chain was refused");
    CHAIN_DEMAND(cutback_chain_mark_set(&pair->other).chain == &pair->other, "the other chain has no mark");
    return chain_check(pair);
}

const char *chain_pair_step(struct chain_pair *pair, const uint8_t step[CHAIN_STEP]) {
    const char *fault = chain_operations[step[0] % 32](pair, step);
    return fault != NULL ? fault : chain_check(pair);
}

const char *chain_pair_end(struct chain_pair *pair) {
    cutback_chain_release(&pair->chain);
    cutback_chain_release(&pair->other);
    for (size_t i = 0; i < PLACES; i++)
        CHAIN_DEMAND(pair->places.size[i] == 0, "a chunk did not come back at the end");
    CHAIN_DEMAND(cutback_chain_get_stats(&pair->chain).held == 0, "something is held at the end");
    return pair->fault;
}

const char *chain_pair_run(struct chain_pair *pair, const uint8_t *script, size_t size, size_t *where) {
    const char *fault = NULL;
    *where = 0;
    if (size < CHAIN_HEAD)
        return NULL;
    fault = chain_pair_start(pair, script);
    for (size_t i = CHAIN_HEAD; fault == NULL && i + CHAIN_STEP <= size && *where < CHAIN_STEPS;
         i += CHAIN_STEP) {
        ++*where;
        fault = chain_pair_step(pair, script + i);
    }
    return fault != NULL ? fault : chain_pair_end(pair);
}
