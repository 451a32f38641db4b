/*
 * The arena as a reference model: what cutback.h promises, with every block and scope in a plain list, each
 * question answered by looking at all of them. It is the specification that the fuzzers and the random test
 * hold the arena to.
 *
 * Layer:     tests. Knows offsets only, no memory; includes cutback.h for the limit of scopes and the
 * statistics, and nothing of the arena's inside. Threading: none.
 */
#ifndef CB_FUZZ_MODEL_H
#define CB_FUZZ_MODEL_H

#include <assert.h>

#include "cutback.h"

#define MODEL_BUCKETS 5  /* of the distances that are counted */
#define MODEL_SCOPES 512 /* nor holds more open scopes */
/* A block is a byte at least: no arena under test is larger. */
#ifndef MODEL_BLOCKS
#define MODEL_BLOCKS 8192
#endif

struct model_block {
    size_t before; /* cursor before its padding */
    size_t start;
    size_t end;      /* of the place that it takes up */
    size_t size;     /* what its owner may use, at most end - start */
    size_t scope;    /* number of scopes around it */
    unsigned serial; /* the owner's mark, for the content */
    bool live;
    bool known; /* the ring remembers it */
};

struct model {
    uintptr_t address; /* of the memory, for alignments */
    size_t slots;
    struct model_block blocks[MODEL_BLOCKS]; /* all that lie below the cursor, dead ones too, by address */
    size_t count;
    size_t starts[MODEL_SCOPES]; /* of the open scopes; [0] is the arena */
    uint64_t ids[MODEL_SCOPES];
    size_t depth;
    uint64_t marks; /* ever set */
    size_t capacity;
    cutback_stats stats; /* used is the cursor; live_blocks is not kept but counted */
    bool watches;        /* cutback_watch_frees is on */
    size_t distances[MODEL_BUCKETS];
};

static inline void model_init(struct model *m, uintptr_t address, size_t capacity, size_t slots) {
    m->address = address;
    m->capacity = capacity;
    m->slots = slots;
    m->count = 0;
    m->depth = 0;
    m->starts[0] = 0;
    m->ids[0] = 0; /* and marks go on counting: those of an earlier life stay stale */
    m->stats = (cutback_stats){0};
    m->watches = false;
}

/* Everything is given back; the statistics go on. */
static inline void model_clear(struct model *m) {
    m->count = 0;
    m->depth = 0;
    m->stats.used = 0;
}

/* ---- questions ---- */

static inline size_t model_live_in(const struct model *m, size_t scope) {
    size_t live = 0;
    for (size_t i = 0; i < m->count; i++)
        live += m->blocks[i].live && m->blocks[i].scope == scope;
    return live;
}

static inline size_t model_live(const struct model *m) {
    size_t live = 0;
    for (size_t i = 0; i < m->count; i++)
        live += m->blocks[i].live;
    return live;
}

/* Where the part of the memory begins in which the ring knows every block. */
static inline size_t model_horizon(const struct model *m) {
    for (size_t i = 0; i < m->count; i++)
        if (m->blocks[i].known)
            return m->blocks[i].before;
    return m->stats.used;
}

/* Every byte below the cursor, by what it is. */
static inline cutback_usage model_usage(const struct model *m) {
    cutback_usage usage = {.forgotten = model_horizon(m)};
    for (size_t i = 0; i < m->count; i++) {
        const struct model_block *block = &m->blocks[i];
        if (!block->known)
            continue;
        usage.padding += block->start - block->before;
        *(block->live ? &usage.live : &usage.dead) += block->end - block->start;
    }
    return usage;
}

static inline struct model_block *model_at(struct model *m, size_t start) {
    for (size_t i = 0; i < m->count; i++)
        if (m->blocks[i].start == start)
            return &m->blocks[i];
    return NULL;
}

/* The end of what can be handed out with `depth` open scopes; SIZE_MAX if they need more than there is. */
static inline size_t model_limit(const struct model *m, size_t depth) {
    size_t limit = m->capacity;
    if (depth <= CUTBACK_SCOPES)
        return limit;
#if defined(CUTBACK_MINIMAL)
    return SIZE_MAX; /* there are no deeper ones */
#else
    while ((m->address + limit) % _Alignof(cutback_scope) != 0)
        if (limit-- == 0)
            return SIZE_MAX;
    for (size_t i = CUTBACK_SCOPES; i < depth; i++) {
        if (limit < sizeof(cutback_scope))
            return SIZE_MAX;
        limit -= sizeof(cutback_scope);
    }
    return limit;
#endif
}

/* The first aligned offset from `from` on, found by trying, if `size` bytes fit there. */
static inline bool model_place(const struct model *m, size_t from, size_t size, size_t align, size_t *start) {
    size_t limit = model_limit(m, m->depth);
    for (*start = from; *start <= limit; ++*start)
        if ((m->address + *start) % align == 0)
            return size <= limit - *start;
    return false;
}

static inline bool model_valid_align(size_t align) {
    return align != 0 && (align & (align - 1)) == 0;
}

/* ---- the rules ---- */

/* Moves the cursor back: what lies above it is no more. */
static inline void model_cut(struct model *m, size_t to) {
    assert(to <= m->stats.used);
    m->stats.used = to;
    while (m->count != 0 && m->blocks[m->count - 1].start >= to)
        m->count--;
}

/* The two rules by which the cursor moves back in the innermost scope. */
static inline void model_settle(struct model *m) {
    while (m->count != 0) {
        const struct model_block *top = &m->blocks[m->count - 1];
        if (top->live || !top->known || top->scope != m->depth)
            break;
        model_cut(m, top->before);
    }
    if (model_live_in(m, m->depth) == 0)
        model_cut(m, m->starts[m->depth]);
}

static inline void model_remember(struct model *m, struct model_block *block) {
    size_t known = 0;
    if (m->slots == 0)
        return;
    for (size_t i = 0; i < m->count; i++)
        known += m->blocks[i].known;
    for (size_t i = 0; known == m->slots; i++) /* full: forget the oldest */
        if (m->blocks[i].known) {
            m->blocks[i].known = false;
            known--;
        }
    block->known = true;
}

/* The new block, or NULL if the request is refused or empty. */
static inline struct model_block *model_alloc(struct model *m, size_t size, size_t align) {
    size_t start = 0;
    if (model_valid_align(align) && size == 0)
        return NULL;
    if (!model_valid_align(align) || !model_place(m, m->stats.used, size, align, &start)) {
        m->stats.failed_requests++;
        return NULL;
    }
    struct model_block *block = &m->blocks[m->count];
    *block = (struct model_block){.before = m->stats.used,
                                  .start = start,
                                  .end = start + size,
                                  .size = size,
                                  .scope = m->depth,
                                  .live = true};
    model_remember(m, block);
    m->count++;
    m->stats.used = block->end;
    if (m->stats.peak < m->stats.used)
        m->stats.peak = m->stats.used;
    return block;
}

/* Whether cutback.h says what a free of this does: not so for what the ring forgot and is no live block. */
static inline bool model_free_defined(struct model *m, size_t start, size_t size) {
    const struct model_block *block = model_at(m, start);
    if (start >= model_horizon(m))
        return true;
    if (block == NULL)
        return false;
    return block->live ? size <= block->size : model_live_in(m, block->scope) == 0;
}

/* Whether the size is one that a block at this place may have. */
static inline bool model_size_possible(const struct model *m, const struct model_block *block, size_t size) {
    return size <= (block->known ? block->end : model_horizon(m)) - block->start;
}

/* Counts how far from the top the block is: by doubling, the last count for all that is further. */
static inline void model_watch(struct model *m, const struct model_block *block) {
    size_t above = m->count - 1 - (size_t)(block - m->blocks);
    size_t bucket = 0;
    for (size_t most = 0; most < above && bucket < MODEL_BUCKETS - 1; most = 2 * most + 1)
        bucket++;
    if (m->watches && block->known)
        m->distances[bucket]++;
}

static inline void model_free(struct model *m, size_t start, size_t size) {
    struct model_block *block = model_at(m, start);
    if (size == 0 || block == NULL || !model_size_possible(m, block, size))
        return;
    if (!block->live) {
        m->stats.double_frees++;
        return;
    }
    block->live = false;
    model_watch(m, block);
    if (!block->known)
        m->stats.forgotten_frees++;
    size_t before = m->count;
    model_settle(m);
    m->stats.rewinds += before - m->count > 1; /* others than this one */
}

/* On top: live, ends at the cursor, and in the innermost scope. */
static inline bool model_on_top(const struct model *m, const struct model_block *block, size_t old_size) {
    size_t end = block->known ? block->end : block->start + old_size;
    return end == m->stats.used && block->scope == m->depth;
}

/*
 * The block afterwards (where it was, slid or moved), or NULL if it is refused. Neither of the sizes is 0,
 * and the pointer is not NULL: these are allocations and frees.
 */
static inline struct model_block *model_realloc(struct model *m, size_t start, size_t old_size,
                                                size_t new_size, size_t align) {
    struct model_block *block = model_at(m, start);
    size_t place = 0;
    if (!model_valid_align(align) || block == NULL || !block->live ||
        !model_size_possible(m, block, old_size)) {
        m->stats.failed_requests++;
        return NULL;
    }
    if (!model_on_top(m, block, old_size)) {
        if (new_size <= old_size && (m->address + start) % align == 0) {
            block->size = new_size;
            return block;
        }
        unsigned serial = block->serial;
        struct model_block *moved = model_alloc(m, new_size, align);
        if (moved != NULL) {
            moved->serial = serial;
            model_free(m, start, old_size);
        }
        return moved;
    }
    if (!model_place(m, start, new_size, align, &place)) {
        m->stats.failed_requests++;
        return NULL;
    }
    block->start = place;
    block->size = new_size;
    block->end = place + new_size;
    m->stats.used = block->end;
    if (m->stats.peak < m->stats.used)
        m->stats.peak = m->stats.used;
    return block;
}

/* ---- scopes ---- */

/* The number of the mark, 0 if it is refused. */
static inline uint64_t model_mark(struct model *m) {
    size_t limit = model_limit(m, m->depth + 1);
    if (limit == SIZE_MAX || limit < m->stats.used) {
        m->stats.failed_requests++;
        return 0;
    }
    m->depth++;
    m->starts[m->depth] = m->stats.used;
    m->ids[m->depth] = ++m->marks;
    return m->marks;
}

/* The place of an open mark in the stack, 0 if it is none. */
static inline size_t model_open(const struct model *m, uint64_t id) {
    for (size_t i = 1; i <= m->depth; i++)
        if (m->ids[i] == id)
            return i;
    return 0;
}

static inline bool model_reset(struct model *m, uint64_t id) {
    size_t scope = model_open(m, id);
    if (scope == 0)
        return false;
    if (m->starts[scope] < m->stats.used)
        model_cut(m, m->starts[scope]);
    m->depth = scope - 1;
    size_t before = m->count;
    model_settle(m);
    m->stats.rewinds += m->count < before; /* older ones than the scope */
    return true;
}

static inline bool model_commit(struct model *m, uint64_t id) {
    size_t scope = model_open(m, id);
    size_t before = m->count;
    if (scope == 0)
        return false;
    m->depth = scope - 1;
    for (size_t i = 0; i < m->count; i++)
        if (m->blocks[i].scope > m->depth)
            m->blocks[i].scope = m->depth;
    model_settle(m);
    m->stats.rewinds += m->count < before;
    return true;
}

#endif
