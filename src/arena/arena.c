/*
 * The arena: set up, allocate, free.
 *
 * Layer:     arena. Freestanding; includes the arena's own headers only.
 * Threading: as the arena: one thread at a time.
 */
#include "arena/arena.h"

/* ---- set up ---- */

static bool cb_arena_overlap(uintptr_t a, size_t a_size, uintptr_t b, size_t b_size) {
    return a < b ? b - a < a_size : a - b < b_size;
}

static bool cb_arena_acceptable(const void *memory, size_t capacity, const cutback_slot *ring, size_t slots) {
    uintptr_t start = (uintptr_t)memory;
    uintptr_t ring_start = (uintptr_t)ring;
    if (memory == NULL || capacity > SIZE_MAX / 2 || capacity > UINTPTR_MAX - start)
        return false;
    if (slots == 0)
        return true;
    if (ring == NULL || slots > SIZE_MAX / 2 / sizeof *ring ||
        slots * sizeof *ring > UINTPTR_MAX - ring_start)
        return false;
    return !cb_arena_overlap(start, capacity, ring_start, slots * sizeof *ring);
}

void cb_arena_set_state(cutback_arena *arena) {
    arena->state = CB_ARENA_FAST;
    if (arena->slots == 0 || arena->buckets != 0 || cb_hook_active())
        arena->state = CB_ARENA_SLOW;
    if (cb_scope_bottom(arena) + arena->capacity >= CB_RING_WIDE)
        arena->state = CB_ARENA_WIDE;
    arena->end = arena->state == CB_ARENA_FAST ? arena->limit : 0;
    arena->shallow = arena->state == CB_ARENA_FAST ? CUTBACK_SCOPES : 0;
}

/* Makes an arena whose memory and ring are acceptable ready for use. */
static void cb_arena_start(cutback_arena *arena) {
    uintptr_t memory = (uintptr_t)arena->memory;
    arena->base = memory & ~(uintptr_t)(CUTBACK_GRAIN - 1);
    size_t bottom = cb_scope_bottom(arena);
    arena->limit = bottom + arena->capacity;
    cb_arena_set_state(arena);
    arena->length = arena->slots >> cb_ring_wide(arena);
    arena->slot = arena->ring;
    arena->floor = arena->ring;
    arena->last = arena->ring;
    if (arena->length != 0)
        arena->last += arena->length << cb_ring_wide(arena);
    arena->scopes[0].start = bottom;
    cb_ring_set_top(arena, cb_scope_beneath(&arena->scopes[0])); /* there is none: it starts at 0 */
    arena->peak = bottom;
    cb_hook_hide(arena->memory, arena->capacity);
}

bool cb_arena_ready(cutback_arena *arena) {
    if (arena->state == CB_ARENA_DECLARED && arena->size == sizeof *arena)
        cb_arena_start(arena);
    return arena->state > CB_ARENA_DECLARED;
}

bool cutback_cold_init(cutback_arena *arena, void *memory, size_t capacity, cutback_slot *ring, size_t slots,
                       size_t size) {
    uint64_t marks = arena->marks; /* carried over, so that marks of an earlier life are refused */
    memset(arena, 0, offsetof(cutback_arena, scopes));
    arena->marks = marks;
    if (size != sizeof *arena || !cb_arena_acceptable(memory, capacity, ring, slots))
        return false;
    memset(arena->scopes, 0, sizeof arena->scopes);
    arena->memory = memory;
    arena->capacity = capacity;
    arena->ring = slots != 0 ? ring : NULL;
    arena->slots = slots;
    cb_arena_start(arena);
    return true;
}

void cutback_clear(cutback_arena *arena) {
    if (!cb_arena_ready(arena))
        return;
    size_t before = cb_ring_cursor(arena);
    cb_arena_note_peak(arena);
    cb_ring_cut(arena, 0, cb_scope_beneath(&arena->scopes[0]));
    arena->scopes[0].dead = 0;
    cb_scope_set_depth(arena, 0);
    cb_arena_settle(arena, false);
    cb_hook_hide(arena->memory, before - cb_scope_bottom(arena));
}

/* ---- allocate ---- */

bool cb_arena_place(const cutback_arena *arena, size_t offset, size_t size, size_t align, size_t *place) {
    size_t room = arena->limit - offset;
    size_t padding = (size_t)(0 - (arena->base + offset)) & (align - 1);
    if (padding > room || size > room - padding)
        return false;
    *place = offset + padding;
    return true;
}

void *cutback_cold_alloc(cutback_arena *arena, size_t size, size_t align) {
    size_t start = 0;
    if (!cb_arena_ready(arena))
        return NULL;
    if (!cb_arena_valid_align(align))
        return cb_arena_fail(arena);
    if (size == 0)
        return cb_arena_empty(align);
    if (!cb_arena_place(arena, cb_ring_cursor(arena), size, align, &start))
        return cb_arena_fail(arena);
    size_t lapped = arena->lapped;
    cb_ring_push(arena, cb_span_of(start, start + size));
    if (arena->state != CB_ARENA_FAST)
        arena->floor = arena->slot;
    else if (arena->lapped != lapped)
        arena->floor = arena->ring;
    cb_hook_show(cb_scope_byte(arena, start), size);
    return cb_scope_byte(arena, start);
}

/* By doubling, because a division, and on the smallest machines a product, is a call into the compiler's library. */
bool cb_arena_product(size_t a, size_t b, size_t *product) {
    size_t sum = 0;
    size_t term = a > b ? a : b;
    for (size_t rest = a > b ? b : a; rest != 0; rest >>= 1) {
        if ((rest & 1) != 0 && term > SIZE_MAX - sum)
            return false;
        sum += (rest & 1) != 0 ? term : 0;
        if (rest > 1 && term > SIZE_MAX / 2)
            return false;
        term <<= 1;
    }
    *product = sum;
    return true;
}

void *cutback_calloc(cutback_arena *arena, size_t count, size_t size, size_t align) {
    size_t total = 0;
    if (!cb_arena_ready(arena))
        return NULL;
    if (!cb_arena_product(count, size, &total))
        return cb_arena_fail(arena);
    void *block = cutback_alloc(arena, total, align);
    if (block != NULL && total != 0)
        memset(block, 0, total);
    return block;
}

/* ---- free ---- */

/* The index of the scope that the block at `start` belongs to (A5): the innermost as a rule, else found by
 * bisection. */
static size_t cb_arena_scope_of(const cutback_arena *arena, size_t start) {
    size_t low = 0;
    size_t high = arena->depth;
    if (start >= cb_scope_start(cb_scope_at(arena, high)))
        return high;
    while (high - low > 1) { /* scope low starts at or below the block, scope high above it */
        size_t middle = low + (high - low) / 2;
        if (cb_scope_start(cb_scope_at(arena, middle)) <= start)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The number of the block that `start` lies in or in whose padding; SIZE_MAX if the ring knows none so low. Puts
 * into *horizon where the part of the memory begins that the ring knows. */
static size_t cb_arena_find(const cutback_arena *arena, size_t start, size_t *horizon) {
    size_t blocks = cb_ring_blocks(arena);
    size_t low = cb_arena_max(arena->lapped, arena->forgotten);
    if (low < blocks && arena->length != 0) {
        *horizon = cb_ring_before(arena, low);
        if (start >= *horizon)
            return cb_ring_find(arena, low, blocks, start);
    }
    size_t first = cb_ring_first(arena);
    *horizon = first < blocks ? cb_ring_before(arena, first) : cb_ring_cursor(arena);
    return start >= *horizon ? cb_ring_find(arena, first, arena->lapped, start) : SIZE_MAX;
}

/* Whether block `number`, known and in the scope, was freed. If it is the last before a mark, the record of that
 * mark's scope says so. */
static bool cb_arena_dead(const cutback_arena *arena, size_t number, struct cb_span span, size_t scope) {
    if (span.dead || scope == arena->depth)
        return span.dead;
    const cutback_scope *inner = cb_scope_at(arena, scope + 1);
    return inner->first == number + 1 && cb_scope_beneath(inner).dead;
}

struct cb_arena_block cb_arena_identify(const cutback_arena *arena, const void *ptr, size_t size) {
    size_t start = (size_t)((uintptr_t)ptr - arena->base); /* huge if ptr is below */
    struct cb_arena_block block = {CB_ARENA_NONE, start, 0, SIZE_MAX, 0};
    struct cb_span span = {start, 0, false};
    if (start >= cb_ring_cursor(arena) || start < cb_scope_bottom(arena))
        return block;
    block.number = cb_arena_find(arena, start, &span.end);
    bool known = block.number != SIZE_MAX;
    if (known)
        span = cb_ring_span(arena, block.number);
    block.end = span.end;
    if (span.start != start || size > span.end - start)
        return block;
    block.scope = cb_arena_scope_of(arena, start);
    if ((known && cb_arena_dead(arena, block.number, span, block.scope)) ||
        cb_scope_live(arena, block.scope) == 0)
        block.kind = CB_ARENA_DEAD;
    else
        block.kind = known ? CB_ARENA_KNOWN : CB_ARENA_FORGOTTEN;
    return block;
}

/*
 * Sets the floor as low as A8 allows; if blocks are dead, as low as is seen at once. The innermost scope is
 * settled.
 */
static void cb_arena_set_floor(cutback_arena *arena) {
    enum { LOOK = 8 };
    const cutback_scope *scope = cb_scope_innermost(arena);
    size_t blocks = cb_ring_blocks(arena);
    size_t floor = cb_arena_max(scope->first, cb_arena_max(arena->lapped, arena->forgotten));
    if (arena->state != CB_ARENA_FAST) {
        arena->floor = arena->slot;
        return;
    }
    if (scope->dead != 0) {
        size_t low = blocks - floor > LOOK ? blocks - LOOK : floor;
        size_t k = blocks;
        while (k > low + 1 && !cb_ring_beneath(arena, k - 1).dead)
            k--;
        floor = cb_arena_min(cb_arena_max(k, scope->first + scope->dead + 1), blocks);
    }
    arena->floor = arena->ring + (floor - arena->lapped);
}

size_t cb_arena_settle(cutback_arena *arena, bool dead) {
    cutback_scope *scope = cb_scope_innermost(arena);
    size_t before = cb_ring_blocks(arena);
    size_t blocks = before;
    while (dead && blocks > scope->first) {
        cb_ring_unlap(arena);
        if (blocks <= arena->forgotten)
            break; /* dead, but not known any more */
        struct cb_span beneath = cb_ring_beneath(arena, --blocks);
        cb_ring_cut(arena, blocks, beneath);
        scope->dead--;
        dead = beneath.dead;
    }
    if (blocks - scope->first == scope->dead) { /* nothing is live */
        blocks = scope->first;
        scope->dead = 0;
        cb_ring_cut(arena, blocks, cb_scope_beneath(scope));
    }
    cb_arena_set_floor(arena);
    return before - blocks;
}

/* Counts a block of an enclosing scope as dead, which changes nothing until the scopes inside have ended. */
static void cb_arena_free_outer(cutback_arena *arena, struct cb_arena_block block) {
    cutback_scope *scope = cb_scope_at(arena, block.scope);
    cutback_scope *inner = cb_scope_at(arena, block.scope + 1);
    size_t floor = 0;
    scope->dead++;
    if (block.kind == CB_ARENA_KNOWN) {
        floor = block.number + 2;
        if (block.number + 1 == inner->first) {
            size_t start = inner->newest;
            inner->newest = inner->start;
            inner->start = start;
        } else {
            cb_ring_kill(arena, block.number);
        }
    }
    floor = cb_arena_max(inner->floor, cb_arena_max(floor, scope->first + scope->dead + 1));
    inner->floor = floor <= inner->first ? floor : SIZE_MAX;
}

/* Frees a block of the innermost scope. */
static void cb_arena_free_inner(cutback_arena *arena, struct cb_arena_block block) {
    cutback_scope *scope = cb_scope_innermost(arena);
    size_t blocks = cb_ring_blocks(arena);
    size_t floor = 0;
    scope->dead++;
    if (block.kind == CB_ARENA_KNOWN && block.number + 1 == blocks) {
        arena->rewinds += cb_arena_settle(arena, true) > 1;
        return;
    }
    if (cb_scope_live(arena, arena->depth) == 0) {
        arena->rewinds += cb_arena_settle(arena, false) > 1;
        return;
    }
    if (block.kind == CB_ARENA_KNOWN) {
        cb_ring_kill(arena, block.number);
        floor = block.number + 2;
    }
    if (arena->state == CB_ARENA_FAST) {
        floor = cb_arena_max(floor, scope->first + scope->dead + 1);
        if (floor > arena->lapped + (size_t)(arena->floor - arena->ring))
            arena->floor = arena->ring + (floor - arena->lapped);
    }
}

/* Counts a free for cutback_watch_frees. */
static void cb_arena_count(const cutback_arena *arena, struct cb_arena_block block) {
    size_t above = cb_ring_blocks(arena) - 1 - block.number;
    size_t bucket = 0;
    for (; above != 0 && bucket + 1 < arena->buckets; above >>= 1)
        bucket++;
    if (bucket < arena->buckets)
        arena->distances[bucket]++;
}

/* Frees a block of any kind. */
static CB_ARENA_APART void cb_arena_free_any(cutback_arena *arena, void *ptr, size_t size) {
    if (ptr == NULL || size == 0 || !cb_arena_ready(arena))
        return;
    struct cb_arena_block block = cb_arena_identify(arena, ptr, size);
    if (block.kind == CB_ARENA_NONE)
        return;
    if (block.kind == CB_ARENA_DEAD) {
        arena->double_frees++;
        return;
    }
    size_t before = cb_ring_cursor(arena);
    cb_arena_note_peak(arena);
    cb_ring_unlap(arena);
    if (block.kind == CB_ARENA_KNOWN) {
        cb_arena_count(arena, block);
        cb_hook_hide(ptr, block.end - block.start);
    } else {
        arena->forgotten = cb_ring_first(arena); /* so that it is found sooner the next time */
        arena->forgotten_frees++;
        cb_hook_hide(ptr, size);
    }
    if (block.scope == arena->depth)
        cb_arena_free_inner(arena, block);
    else
        cb_arena_free_outer(arena, block);
    cb_hook_hide(cb_scope_byte(arena, cb_ring_cursor(arena)), before - cb_ring_cursor(arena));
}

#if defined(__OPTIMIZE_SIZE__)
void cutback_cold_free(cutback_arena *arena, void *ptr, size_t size) {
    cb_arena_free_any(arena, ptr, size);
}
#else
/*
 * The usual cases that the fast path leaves, in a few instructions each: of an arena that is fast, in a scope whose
 * record is in the arena. They end in a call of the general case, or of each other, and have nothing to save for
 * afterwards.
 */

static bool cb_arena_word_dead(uint64_t word) {
    return (uint32_t)word < (uint32_t)(word >> 32);
}

static size_t cb_arena_word_end(uint64_t word) {
    return cb_arena_max((size_t)(uint32_t)word, (size_t)(word >> 32));
}

/* Blocks below the cursor. */
static size_t cb_arena_blocks(const cutback_arena *arena) {
    return arena->lapped + (size_t)(arena->slot - arena->ring);
}

/* Raises the floor to block `floor`, if it is beneath that, and as high as the dead blocks of the scope demand. */
static void cb_arena_raise_floor(cutback_arena *arena, const cutback_scope *scope, size_t floor) {
    floor = cb_arena_max(floor, scope->first + scope->dead + 1);
    if (floor > arena->lapped + (size_t)(arena->floor - arena->ring))
        arena->floor = arena->ring + (floor - arena->lapped);
}

/* A forgotten block of the innermost scope, not the last live one: it is counted as dead. */
static CB_ARENA_WHOLE void cb_arena_free_forgotten(cutback_arena *arena, void *ptr, size_t size) {
    cutback_scope *scope = &arena->scopes[arena->depth];
    size_t start = (size_t)((uintptr_t)ptr - arena->base);
    size_t blocks = cb_arena_blocks(arena);
    size_t first = arena->forgotten;
    size_t horizon = (size_t)(uint32_t)arena->top;
    if (arena->slot == arena->ring && first < arena->lapped) { /* it is time to go back to the lap before */
        cb_arena_free_any(arena, ptr, size);
        return;
    }
    if (blocks - first > arena->length)
        first = blocks - arena->length;
    if (first < arena->lapped) { /* that many of the lap before are known, unless more were overwritten */
        size_t border = blocks > arena->lapped ? cb_arena_word_end(arena->ring->word) : horizon;
        horizon = cb_arena_word_end(arena->last[(ptrdiff_t)(first - arena->lapped)].word);
        if (horizon >= border) {
            cb_arena_free_any(arena, ptr, size);
            return;
        }
    } else if (first < blocks) {
        horizon = cb_arena_word_end(arena->ring[first - arena->lapped].word);
    }
    if (start < cb_arena_max(scope->newest, scope->start) || start >= horizon ||
        size - 1 >= horizon - start || blocks - scope->first <= scope->dead + 1) {
        cb_arena_free_any(arena, ptr, size);
        return;
    }
    scope->dead++;
    arena->forgotten_frees++;
    cb_arena_raise_floor(arena, scope, 0);
}

/*
 * One of the blocks beneath the newest, of which seven at the most are looked at. `position` slots are written in this
 * lap; of the blocks in them, the newest not counted, `reach` are known and of the innermost scope.
 */
static CB_ARENA_WHOLE void cb_arena_free_beneath(cutback_arena *arena, void *ptr, size_t size,
                                                 cutback_scope *scope, size_t reach, size_t position) {
    size_t start = (size_t)((uintptr_t)ptr - arena->base);
    cutback_slot *slot = arena->slot;
    size_t above = 0; /* blocks above this one, and itself: a branch for each would be guessed wrong */
    if (reach >= 7)
        for (ptrdiff_t i = 1; i <= 7; i++)
            above += (size_t)(uint32_t)slot[-i].word > start;
    else
        for (; reach != 0; reach--)
            above += (size_t)(uint32_t)slot[-(ptrdiff_t)reach].word > start;
    slot -= above;
    uint64_t word = slot->word;
    size_t dead = scope->dead + 1;
    size_t floor = position - above + 1;
    ptrdiff_t least =
        (ptrdiff_t)(scope->first + dead + 1 - arena->lapped); /* so many must stay, for one to be live */
    if (above == 0 || (size_t)(word >> 32) != start || size - 1 >= (size_t)(uint32_t)word - start ||
        least > (ptrdiff_t)position) {
        cb_arena_free_forgotten(arena, ptr, size);
        return;
    }
    slot->word = word << 32 | word >> 32;
    scope->dead = dead;
    floor = (ptrdiff_t)floor > least ? floor : (size_t)least;
    if (arena->ring + floor > arena->floor)
        arena->floor = arena->ring + floor;
}

/* The newest block, and the dead ones right beneath it, down to that of slot `low`: all are known, of this lap and of
 * the innermost scope. */
static CB_ARENA_WHOLE void cb_arena_free_newest(cutback_arena *arena, void *ptr, size_t size,
                                                cutback_scope *scope, cutback_slot *low) {
    cutback_slot *slot = arena->slot - 1;
    uint64_t word = slot->word;
    if (size - 1 >= (size_t)(uint32_t)arena->top - (size_t)(arena->top >> 32)) {
        cb_arena_free_any(arena, ptr, size);
        return;
    }
    while (cb_arena_word_dead(word) && slot > low)
        word = (--slot)->word;
    size_t popped = (size_t)(arena->slot - slot);
    size_t dead = scope->dead + 1 - popped;
    if (cb_arena_word_dead(word) ||
        (dead != 0 && arena->lapped + (size_t)(slot - arena->ring) - scope->first == dead)) {
        /* The block is known: any size that is possible will do. Neither pointer nor size is kept so far. */
        cb_arena_free_any(arena, cb_scope_byte(arena, (size_t)(arena->top >> 32)), 1);
        return;
    }
    arena->peak = cb_arena_max(arena->peak, (size_t)(uint32_t)arena->top);
    arena->top = word;
    arena->slot = slot;
    scope->dead = dead;
    arena->rewinds += popped > 1;
    if (dead == 0)
        arena->floor = low;
    else if (arena->floor > slot)
        arena->floor = slot;
}

void cutback_cold_free(cutback_arena *arena, void *ptr, size_t size) {
    if (arena->state != CB_ARENA_FAST || arena->depth > CUTBACK_SCOPES) {
        cb_arena_free_any(arena, ptr, size);
        return;
    }
    /* The lowest block of this lap and of the innermost scope that is known. */
    cutback_scope *scope = &arena->scopes[arena->depth];
    size_t known = cb_arena_max(scope->first, cb_arena_max(arena->lapped, arena->forgotten)) - arena->lapped;
    size_t position = (size_t)(arena->slot - arena->ring);
    if (position <= known)
        cb_arena_free_forgotten(arena, ptr, size);
    else if ((uintptr_t)ptr - arena->base == (uintptr_t)(arena->top >> 32))
        cb_arena_free_newest(arena, ptr, size, scope, arena->ring + known);
    else
        cb_arena_free_beneath(arena, ptr, size, scope, position - known - 1, position);
}
#endif
