/*
 * A chain of chunks as a reference model: what cutback_chain.h promises. Each chunk is a model of an arena; what the
 * chain adds is a list of them. The source of the chunks is simulated: the chain under test and the model have one
 * each, which do the same as long as they are asked the same.
 *
 * Layer:     tests. Includes model.h and cutback_chain.h, for the sizes of what stands before the memory of a chunk.
 * Threading: none.
 */
#ifndef CB_FUZZ_CHAIN_MODEL_H
#define CB_FUZZ_CHAIN_MODEL_H

#define MODEL_BLOCKS 4096
#include "model.h"

#include "cutback_chain.h"

enum {
    PLACES = 12,
    PLACE_SIZE = 8192,
    PLACE_GUARD = 32,
    PLACE_STRIDE = PLACE_SIZE + 2 * PLACE_GUARD + 1, /* odd: chunks at every alignment */
};

/* ---- the source ---- */

struct places {
    const unsigned char *memory; /* PLACES times PLACE_STRIDE bytes */
    size_t size[PLACES];         /* of the chunk that is at this place; 0: none */
    unsigned refuse;             /* so many requests */
    size_t extra;                /* bytes more than asked for */
};

static inline const unsigned char *places_at(const struct places *places, size_t place) {
    return places->memory + place * PLACE_STRIDE + PLACE_GUARD;
}

/* The first free place, or PLACES if the request is refused. */
static inline size_t places_supply(struct places *places, size_t *size) {
    size_t place = 0;
    if (places->refuse != 0) {
        places->refuse--;
        return PLACES;
    }
    while (place < PLACES && places->size[place] != 0)
        place++;
    if (*size > PLACE_SIZE || place == PLACES)
        return PLACES;
    if (*size + places->extra <= PLACE_SIZE)
        *size += places->extra;
    places->size[place] = *size;
    return place;
}

/* ---- the chain ---- */

struct chain_model {
    struct places places;
    struct model chunks[PLACES]; /* by place */
    size_t order[PLACES];        /* the places of the chunks in the chain, oldest first */
    size_t count;
    size_t kept; /* the place of the kept one, or PLACES */
    size_t chunk;
    size_t slots;
    size_t ring; /* bytes of it */
    bool keep;
    uint64_t marks;            /* ever set */
    cutback_chain_stats stats; /* peaks, failures, and what gone chunks counted; the rest is summed up */
};

static inline void chain_model_init(struct chain_model *c, size_t chunk, size_t slots, size_t ring,
                                    bool keep) {
    c->count = 0;
    c->kept = PLACES;
    c->chunk = chunk;
    c->slots = slots;
    c->ring = ring;
    c->keep = keep;
    c->stats = (cutback_chain_stats){0};
}

static inline struct model *chain_model_newest(struct chain_model *c) {
    return c->count != 0 ? &c->chunks[c->order[c->count - 1]] : NULL;
}

static inline bool chain_model_empty(const struct model *m) {
    return m->depth == 0 && model_live(m) == 0;
}

static inline size_t chain_model_used(const struct chain_model *c) {
    size_t used = 0;
    for (size_t i = 0; i < c->count; i++)
        used += c->chunks[c->order[i]].stats.used;
    return used;
}

static inline void chain_model_note_peak(struct chain_model *c) {
    if (c->stats.peak < chain_model_used(c))
        c->stats.peak = chain_model_used(c);
}

static inline size_t chain_model_held(const struct chain_model *c) {
    size_t held = 0;
    for (size_t i = 0; i < PLACES; i++)
        held += c->places.size[i];
    return held;
}

static inline cutback_chain_stats chain_model_stats(const struct chain_model *c) {
    cutback_chain_stats stats = c->stats;
    stats.used = chain_model_used(c);
    for (size_t i = 0; i < PLACES; i++)
        if (c->places.size[i] != 0) {
            stats.chunks++;
            stats.held += c->places.size[i];
            stats.live_blocks += model_live(&c->chunks[i]);
            stats.rewinds += c->chunks[i].stats.rewinds;
            stats.forgotten_frees += c->chunks[i].stats.forgotten_frees;
            stats.double_frees += c->chunks[i].stats.double_frees;
        }
    return stats;
}

/* ---- chunks ---- */

/* The place of the chunk of the chain that the address is in, or PLACES. */
static inline size_t chain_model_find(const struct chain_model *c, uintptr_t address) {
    for (size_t i = 0; i < c->count; i++) {
        const struct model *m = &c->chunks[c->order[i]];
        if (address >= m->address && address < m->address + m->capacity)
            return c->order[i];
    }
    return PLACES;
}

static inline bool chain_model_grow(struct chain_model *c, size_t need) {
    size_t before = sizeof(cutback_chunk) + c->ring;
    size_t place = c->kept;
    if (place == PLACES || c->chunks[place].capacity < need) {
        size_t memory = need > c->chunk ? need : c->chunk;
        size_t size = before + _Alignof(cutback_chunk) - 1 + memory;
        place = places_supply(&c->places, &size);
        if (place == PLACES)
            return false;
        uintptr_t start = (uintptr_t)places_at(&c->places, place);
        uintptr_t address = start;
        while (address % _Alignof(cutback_chunk) != 0)
            address++;
        address += before;
        c->chunks[place].marks = 0;
        model_init(&c->chunks[place], address, start + size - address, c->slots);
        if (c->stats.held_peak < chain_model_held(c))
            c->stats.held_peak = chain_model_held(c);
    } else {
        c->kept = PLACES;
    }
    c->order[c->count++] = place;
    return true;
}

static inline void chain_model_give_back(struct chain_model *c, size_t place) {
    if (place == PLACES)
        return;
    c->places.size[place] = 0;
    c->stats.rewinds += c->chunks[place].stats.rewinds;
    c->stats.forgotten_frees += c->chunks[place].stats.forgotten_frees;
    c->stats.double_frees += c->chunks[place].stats.double_frees;
}

/* Takes a chunk that is empty out of the chain. */
static inline void chain_model_drop(struct chain_model *c, size_t place) {
    size_t at = 0;
    if (!chain_model_empty(&c->chunks[place]))
        return;
    if (c->keep && c->count == 1) {
        chain_model_give_back(c, c->kept);
        c->kept = PLACES;
        return;
    }
    while (c->order[at] != place)
        at++;
    for (c->count--; at < c->count; at++)
        c->order[at] = c->order[at + 1];
    if (c->keep) {
        chain_model_give_back(c, c->kept);
        c->kept = place;
    } else {
        chain_model_give_back(c, place);
    }
}

/* Gives back all chunks but the oldest `rest`. */
static inline void chain_model_cut(struct chain_model *c, size_t rest) {
    for (size_t i = c->count; i-- > rest;) {
        model_clear(&c->chunks[c->order[i]]);
        chain_model_drop(c, c->order[i]);
    }
}

static inline void chain_model_release(struct chain_model *c) {
    chain_model_cut(c, 0);
    chain_model_give_back(c, c->kept);
    c->kept = PLACES;
    if (c->count != 0)
        chain_model_give_back(c, c->order[0]);
    c->count = 0;
}

/* ---- blocks ---- */

/* The new block, with its chunk in *in, or NULL if the request is refused or empty. */
static inline struct model_block *chain_model_alloc(struct chain_model *c, size_t size, size_t align,
                                                    struct model **in) {
    size_t start = 0;
    if (model_valid_align(align) && size == 0)
        return NULL;
    if (!model_valid_align(align) || size > SIZE_MAX / 4 || align > SIZE_MAX / 4) {
        c->stats.failed_requests++;
        return NULL;
    }
    *in = chain_model_newest(c);
    if (*in == NULL || !model_place(*in, (*in)->stats.used, size, align, &start)) {
        if (*in != NULL && chain_model_empty(*in)) {
            c->kept = c->order[0];
            c->count = 0;
        }
        if (!chain_model_grow(c, size + align - 1)) {
            c->stats.failed_requests++;
            return NULL;
        }
        *in = chain_model_newest(c);
    }
    struct model_block *block = model_alloc(*in, size, align);
    chain_model_note_peak(c);
    return block;
}

static inline void chain_model_free(struct chain_model *c, size_t place, size_t start, size_t size) {
    model_free(&c->chunks[place], start, size);
    chain_model_drop(c, place);
}

/* As model_realloc, of a block in the chunk at `place`; *in is the chunk afterwards. */
static inline struct model_block *chain_model_realloc(struct chain_model *c, size_t place, size_t start,
                                                      size_t old_size, size_t new_size, size_t align,
                                                      struct model **in) {
    struct model *m = &c->chunks[place];
    struct model_block *block = model_at(m, start);
    size_t slid = 0;
    *in = m;
    if (!model_valid_align(align) || block == NULL || !block->live ||
        !model_size_possible(m, block, old_size)) {
        c->stats.failed_requests++;
        return NULL;
    }
    if (model_on_top(m, block, old_size) ? model_place(m, start, new_size, align, &slid)
                                         : new_size <= old_size && (m->address + start) % align == 0) {
        block = model_realloc(m, start, old_size, new_size, align);
        chain_model_note_peak(c);
        return block;
    }
    unsigned serial = block->serial;
    struct model_block *moved = chain_model_alloc(c, new_size, align, in);
    if (moved != NULL) {
        moved->serial = serial;
        chain_model_free(c, place, start, old_size);
    }
    return moved;
}

/* ---- scopes ---- */

static inline uint64_t chain_model_mark_newest(struct chain_model *c) {
    struct model *m = chain_model_newest(c);
    m->marks = c->marks;
    return model_mark(m);
}

/* The number of the mark, 0 if it is refused. */
static inline uint64_t chain_model_mark(struct chain_model *c) {
    uint64_t id = c->count != 0 ? chain_model_mark_newest(c) : 0;
    if (id == 0 && chain_model_grow(c, 0))
        id = chain_model_mark_newest(c);
    if (id == 0)
        c->stats.failed_requests++;
    else
        c->marks = id;
    return id;
}

/* How many chunks there are up to that in which the mark is open; 0 if it is not. */
static inline size_t chain_model_open(const struct chain_model *c, uint64_t id) {
    for (size_t i = 0; i < c->count; i++)
        if (model_open(&c->chunks[c->order[i]], id) != 0)
            return i + 1;
    return 0;
}

static inline bool chain_model_reset(struct chain_model *c, uint64_t id) {
    size_t count = chain_model_open(c, id);
    if (count == 0)
        return false;
    chain_model_cut(c, count);
    model_reset(&c->chunks[c->order[count - 1]], id);
    chain_model_drop(c, c->order[count - 1]);
    return true;
}

static inline bool chain_model_commit(struct chain_model *c, uint64_t id) {
    size_t count = chain_model_open(c, id);
    if (count == 0)
        return false;
    for (size_t i = c->count; i-- >= count;) {
        struct model *m = &c->chunks[c->order[i]];
        if (i + 1 == count)
            model_commit(m, id);
        else if (m->depth != 0)
            model_commit(m, m->ids[1]);
        chain_model_drop(c, c->order[i]);
        if (i == 0)
            break;
    }
    return true;
}

#endif
