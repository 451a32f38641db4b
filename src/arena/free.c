/*
 * The arena: free, in the usual cases; settle.c has the general one.
 *
 * Layer:     arena. Freestanding; includes the arena's own headers only.
 * Threading: as the arena: one thread at a time.
 */
#include "arena/arena.h"

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

static uint64_t cb_arena_word_turned(uint64_t word) {
    return word << 32 | word >> 32;
}

/* How many of the lowest bits are set in a row. */
static size_t cb_arena_ones(uint32_t bits) {
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__aarch64__))
    return (size_t)__builtin_ctzll(~(uint64_t)bits);
#else /* without an instruction for it, this is a call of the compiler's library */
    size_t ones = 0;
    for (; (bits & 1) != 0; bits >>= 1)
        ones++;
    return ones;
#endif
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

/* Whether the innermost scope is one that these functions are for. */
static bool cb_arena_usual(const cutback_arena *arena) {
    return cb_ring_fast(arena) && arena->depth <= CUTBACK_SCOPES;
}

/* Whether a forgotten block may be counted as dead, and nothing else: it is of the innermost scope, and not the last live
 * one. */
static bool cb_arena_countable(const cutback_arena *arena, const cutback_scope *scope, size_t start,
                               size_t size) {
    return start < arena->lost && size - 1 < arena->lost - start && start >= scope->start &&
           start >= scope->newest && cb_arena_blocks(arena) - scope->first > scope->dead + 1;
}

/* A forgotten block. */
static CB_ARENA_WHOLE void cb_arena_free_forgotten(cutback_arena *arena, void *ptr, size_t size) {
    size_t start = (size_t)((uintptr_t)ptr - arena->base);
    if (!cb_arena_usual(arena) || !cb_arena_countable(arena, &arena->scopes[arena->depth], start, size)) {
        cb_arena_free_any(arena, ptr, size);
        return;
    }
    cutback_scope *scope = &arena->scopes[arena->depth];
    scope->dead++;
    arena->forgotten_frees++;
    if (arena->floor != arena->slot)
        cb_arena_raise_floor(arena, scope, 0);
}

/* One of the last blocks of the lap before, at the border to this one; else any block. */
static CB_ARENA_WHOLE void cb_arena_free_behind(cutback_arena *arena, void *ptr, size_t size) {
    size_t start = (size_t)((uintptr_t)ptr - arena->base);
    cutback_scope *scope = &arena->scopes[arena->depth];
    cutback_slot *own =
        arena->last - 1; /* has the span of the block; that of the one beneath is in the slot before */
    size_t oldest = cb_arena_max(scope->first, arena->forgotten);
    size_t reach = arena->lapped > oldest ? cb_arena_min(arena->lapped - oldest, 8) : 0;
    for (; reach > 1 && own > arena->slot; reach--, own--) {
        uint64_t word = own->word;
        if ((size_t)(word >> 32) != start)
            continue;
        own--;
        if ((size_t)(uint32_t)word <= start || size - 1 >= (size_t)(uint32_t)word - start ||
            cb_arena_word_end(own->word) >= cb_arena_word_end(arena->ring->word) || /* R4: of this lap */
            cb_arena_blocks(arena) - scope->first <= scope->dead + 1)
            break;
        own[1].word = cb_arena_word_turned(word);
        scope->dead++;
        cb_arena_raise_floor(arena, scope, 0);
        return;
    }
    cb_arena_free_any(arena, ptr, size);
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
        cb_arena_free_behind(arena, ptr, size);
        return;
    }
    slot->word = cb_arena_word_turned(word);
    scope->dead = dead;
    floor = (ptrdiff_t)floor > least ? floor : (size_t)least;
    if (arena->ring + floor > arena->floor)
        arena->floor = arena->ring + floor;
    arena->streak = arena->slot;
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
    if (cb_arena_word_dead(word) || (dead != 0 && cb_arena_blocks(arena) - popped - scope->first == dead)) {
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

/*
 * Near the top, put off: blocks that die in no order are freed one after the other, and each that lands on top would
 * take some with it, which nobody can guess. So from the second one on only the bit of the block is set, until something
 * else is asked for. Which block it is, is found without a branch that depends on it.
 */

enum { CB_ARENA_NEAR = 8 }; /* blocks that are near the top */

/* Whether more than one block comes back by a free: it ends the row of dead ones from the top on, and another begins
 * there. */
static bool cb_arena_joins(uint32_t before, uint32_t after) {
    return (after & (after + 1)) < (before & (before + 1));
}

/* False if the block is none of those, or its size another than it was. */
static inline bool cb_arena_put_off(cutback_arena *arena, const void *ptr, size_t size) {
    size_t start = (size_t)((uintptr_t)ptr - arena->base);
    const cutback_slot *slot = arena->slot;
    const cutback_slot *at = slot;
    uint32_t before = arena->put_off;
    at = (uint32_t)at[-4].word > (uint32_t)start ? at - 4 : at;
    at = (uint32_t)at[-2].word > (uint32_t)start ? at - 2 : at;
    at = (uint32_t)at[-1].word > (uint32_t)start ? at - 1 : at;
    uint64_t word = at->word;
    uint32_t bit = (uint32_t)1 << (slot - at);
    if ((size_t)(word >> 32) != start || (size_t)(uint32_t)word != start + size || (before & bit) != 0)
        return false;
    arena->was = before;
    arena->put_off = before | bit;
    arena->rewinds += cb_arena_joins(before, before | bit);
    return true;
}

/* Blocks from slot[-first] on that were freed before frees were put off count as put off too. */
static void cb_arena_adopt(cutback_arena *arena, cutback_scope *scope, size_t first) {
    cutback_slot *at = arena->slot - first;
    for (uint32_t bit = (uint32_t)1 << first; bit < 1 << CB_ARENA_NEAR && at > arena->low; bit <<= 1, at--)
        if (cb_arena_word_dead(at->word)) {
            at->word = cb_arena_word_turned(at->word);
            scope->dead--;
            arena->put_off |= bit;
        }
}

/* Gives the slot back that was lent. */
static inline void cb_arena_return_slot(cutback_arena *arena) {
    if (arena->lent != NULL)
        arena->lent->word = arena->word;
    arena->lent = NULL;
}

/* Whether there are dead blocks below the one of this slot, and no live one, in the innermost scope. */
static bool cb_arena_all_dead(const cutback_arena *arena, const cutback_slot *slot) {
    const cutback_scope *scope = &arena->scopes[arena->depth];
    return scope->dead != 0 && arena->lapped + (size_t)(slot - arena->ring) - scope->first == scope->dead;
}

/* Gives back the blocks on top of those that were put off. False if that is not all that comes back. */
static inline bool cb_arena_pop_put_off(cutback_arena *arena) {
    size_t popped = cb_arena_ones(arena->put_off);
    cutback_slot *next = arena->slot - popped;
    if (popped == 0)
        return true;
    if (cb_arena_word_dead(next->word) || (next <= arena->low && cb_arena_all_dead(arena, next)))
        return false;
    cb_arena_return_slot(arena);
    cb_arena_note_peak(arena);
    arena->slot = next;
    arena->floor = next;
    arena->top = next->word;
    arena->put_off >>= popped;
    if (arena->scopes[arena->depth].dead != 0)
        cb_arena_adopt(arena, &arena->scopes[arena->depth], CB_ARENA_NEAR - popped);
    return true;
}

void cb_arena_perform(cutback_arena *arena) {
    bool popped = cb_arena_pop_put_off(arena);
    cb_arena_return_slot(arena);
    cutback_scope *scope = &arena->scopes[arena->depth];
    cutback_slot *slot = arena->slot;
    uint32_t freed = arena->put_off;
    arena->put_off = 0;
    arena->end = arena->limit;
    arena->shallow = CUTBACK_SCOPES;
    scope->dead += freed & 1;
    for (uint32_t rest = freed >> 1; rest != 0; rest >>= 1) {
        slot--;
        if ((rest & 1) != 0) {
            slot->word = cb_arena_word_turned(slot->word);
            scope->dead++;
        }
    }
    if (!popped) {
        cb_arena_note_peak(arena);
        if (cb_arena_settle(arena, true) > cb_arena_ones(freed) && !cb_arena_joins(arena->was, freed))
            arena->rewinds++; /* the last free took blocks with it that are further down */
    } else if (scope->dead == 0) {
        arena->floor = (cutback_slot *)(uintptr_t)arena->low;
    } else if (freed == 0) {
        cb_arena_set_floor(arena);
    }
    arena->streak = arena->slot;
}

/* Frees are put off from here on, and those near the top that were not are so now as well. */
static void cb_arena_begin_put_off(cutback_arena *arena, cutback_scope *scope, const cutback_slot *low) {
    arena->lent = arena->slot;
    arena->word = arena->slot->word;
    arena->slot->word = arena->top;
    arena->low = low;
    arena->end = 0;
    arena->shallow = 0;
    arena->floor = arena->slot;
    cb_arena_adopt(arena, scope, 1);
}

/* The first one near the top, and whatever is not there. */
static CB_ARENA_WHOLE void cb_arena_free_first(cutback_arena *arena, void *ptr, size_t size) {
    if (!cb_arena_usual(arena)) {
        cb_arena_free_any(arena, ptr, size);
        return;
    }
    /* The lowest block of this lap and of the innermost scope that is known. */
    size_t start = (size_t)((uintptr_t)ptr - arena->base);
    cutback_scope *scope = &arena->scopes[arena->depth];
    size_t known = cb_arena_max(scope->first, cb_arena_max(arena->lapped, arena->forgotten)) - arena->lapped;
    size_t position = (size_t)(arena->slot - arena->ring);
    if (position <= known) {
        cb_arena_free_forgotten(arena, ptr, size);
        return;
    }
    if (arena->slot == arena->streak && position - known >= CB_ARENA_NEAR && arena->slot != arena->last) {
        cb_arena_begin_put_off(arena, scope, arena->ring + known);
        if (cb_arena_put_off(arena, ptr, size))
            return;
        cb_arena_perform(arena);
        arena->streak = NULL;
    }
    if (start == (size_t)(arena->top >> 32))
        cb_arena_free_newest(arena, ptr, size, scope, arena->ring + known);
    else
        cb_arena_free_beneath(arena, ptr, size, scope, position - known - 1, position);
}

/* A block that is not near the top, or not any more once those have come back that were put off. */
static CB_ARENA_WHOLE void cb_arena_free_next(cutback_arena *arena, void *ptr, size_t size) {
    const cutback_slot *slot = arena->slot;
    if (cb_arena_pop_put_off(arena) && slot != arena->slot && arena->slot - arena->low >= CB_ARENA_NEAR &&
        cb_arena_put_off(arena, ptr, size))
        return;
    cb_arena_perform(arena);
    cutback_free(arena, ptr, size);
}

void cutback_cold_free(cutback_arena *arena, void *ptr, size_t size) {
    if (arena->put_off == 0 && (size_t)((uintptr_t)ptr - arena->base) < arena->lost)
        cb_arena_free_forgotten(arena, ptr, size);
    else if (arena->put_off == 0)
        cb_arena_free_first(arena, ptr, size);
    else if (!cb_arena_put_off(arena, ptr, size))
        cb_arena_free_next(arena, ptr, size);
}
#endif
