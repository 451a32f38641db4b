/*
 * order.c: see order.h.
 *
 * Layer: replay. Threads: one.
 */
#include "order.h"

#define WORD 64u
#define LEAST 1024u /* places */
#define MOST (UINT32_C(1) << 31)

static uint64_t *word_at(const struct cb_order *order, uint32_t index) {
    return (uint64_t *)order->bits.start + index;
}

/* Node 1 is the first; the tree has as many nodes as there are words. */
static uint32_t *node_at(const struct cb_order *order, uint32_t index) {
    return (uint32_t *)order->tree.start + index;
}

static uint32_t *place_at(struct cb_order_places places, uint32_t object) {
    return (uint32_t *)(void *)(places.first + (size_t)object * places.stride);
}

static void add(const struct cb_order *order, uint32_t word, uint32_t change) {
    for (uint32_t node = word + 1; node <= order->capacity / WORD; node += node & -node) {
        *node_at(order, node) += change;
    }
}

/* The live blocks in the words before this one. */
static uint32_t count_before(const struct cb_order *order, uint32_t word) {
    uint32_t count = 0;
    for (uint32_t node = word; node > 0; node -= node & -node) {
        count += *node_at(order, node);
    }
    return count;
}

/* The same order without places of dead blocks. */
static void compact(struct cb_order *order, struct cb_order_places places) {
    uint32_t *objects = order->objects.start, to = 0;
    for (uint32_t from = 0; from < order->places; from++) {
        if ((*word_at(order, from / WORD) >> from % WORD & 1) != 0) {
            objects[to] = objects[from];
            *place_at(places, objects[to]) = to;
            to++;
        }
    }
    order->places = to;
    for (uint32_t word = 0; word < order->capacity / WORD; word++) {
        uint32_t left = to > word * WORD ? to - word * WORD : 0;
        *word_at(order, word) = left >= WORD ? UINT64_MAX : (UINT64_C(1) << left) - 1;
    }
}

static void rebuild_tree(struct cb_order *order) {
    uint32_t words = order->capacity / WORD;
    for (uint32_t node = 1; node <= words; node++) {
        *node_at(order, node) = 0;
    }
    for (uint32_t node = 1; node <= words; node++) {
        uint32_t parent = node + (node & -node);
        *node_at(order, node) += (uint32_t)__builtin_popcountll(*word_at(order, node - 1));
        if (parent <= words) {
            *node_at(order, parent) += *node_at(order, node);
        }
    }
}

static bool make_room(struct cb_order *order, struct cb_order_places places) {
    if (order->live <= order->capacity / 2 && order->capacity > 0) {
        compact(order, places);
    } else {
        uint32_t capacity = order->capacity > 0 ? order->capacity * 2 : LEAST;
        if (capacity > MOST || !cb_vector_reserve(&order->bits, capacity / WORD, sizeof(uint64_t)) ||
            !cb_vector_reserve(&order->tree, capacity / WORD + 1, sizeof(uint32_t)) ||
            !cb_vector_reserve(&order->objects, capacity, sizeof(uint32_t))) {
            return false;
        }
        order->capacity = capacity;
    }
    rebuild_tree(order);
    return true;
}

bool cb_order_push(struct cb_order *order, uint32_t object, struct cb_order_places places) {
    if (order->places == order->capacity && !make_room(order, places)) {
        return false;
    }
    uint32_t place = order->places++;
    *word_at(order, place / WORD) |= UINT64_C(1) << place % WORD;
    add(order, place / WORD, 1);
    ((uint32_t *)order->objects.start)[place] = object;
    *place_at(places, object) = place;
    order->live++;
    return true;
}

uint32_t cb_order_above(const struct cb_order *order, uint32_t place) {
    uint64_t up_to = *word_at(order, place / WORD) & (UINT64_MAX >> (WORD - 1 - place % WORD));
    if (place / WORD == (order->places - 1) / WORD) {
        return (uint32_t)__builtin_popcountll(*word_at(order, place / WORD) ^ up_to);
    }
    return order->live - count_before(order, place / WORD) - (uint32_t)__builtin_popcountll(up_to);
}

void cb_order_remove(struct cb_order *order, uint32_t place) {
    *word_at(order, place / WORD) &= ~(UINT64_C(1) << place % WORD);
    add(order, place / WORD, (uint32_t)-1);
    order->live--;
    while (order->places > 0) {
        uint32_t word = (order->places - 1) / WORD;
        uint64_t bits = *word_at(order, word);
        if (bits != 0) {
            order->places = word * WORD + WORD - (uint32_t)__builtin_clzll(bits);
            return;
        }
        order->places = word * WORD;
    }
}

void cb_order_free(struct cb_order *order) {
    cb_vector_free(&order->bits);
    cb_vector_free(&order->tree);
    cb_vector_free(&order->objects);
    *order = (struct cb_order){.live = 0};
}
