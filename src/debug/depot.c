/*
 * depot.c: every different trace once. See types.h.
 *
 * Layer: debug. Threads: under the lock of table.c; what was kept never changes or moves.
 *
 * The traces lie in segments, in the order of their numbers; an open hash of numbers finds them. A child of
 * fork that was made in the midst of a change finds a trace twice at worst: numbers are counted before they
 * are used, and a larger index is complete before it is put in place.
 */
#include "debug/types.h"

#include "os/os.h"

#include <string.h>

#define SEGMENT ((uint32_t)4096) /* traces */
#define SEGMENTS 1024
#define INDEX_FIRST ((size_t)16384)

struct index {
    size_t slots; /* a power of two */
    uint32_t number[];
};

static struct cb_trace *segment[SEGMENTS]; /* guarded by the lock, as is the rest; slots are written once */
static struct index *index_of_numbers;
static uint32_t end = 1; /* 0 is no number */

const struct cb_trace *cb_depot_get(uint32_t number) {
    return number != 0 ? &segment[number / SEGMENT][number % SEGMENT] : NULL;
}

uint32_t cb_depot_end(void) {
    return end;
}

static size_t index_bytes(size_t slots) {
    return sizeof(struct index) + slots * sizeof(uint32_t);
}

/* The slot of the trace, or the empty one where it belongs. */
static uint32_t *slot_for(struct index *index, const struct cb_trace *trace) {
    for (size_t i = trace->hash;; i++) {
        uint32_t *slot = &index->number[i & (index->slots - 1)];
        const struct cb_trace *other = cb_depot_get(*slot);
        if (other == NULL || (other->hash == trace->hash && memcmp(other, trace, sizeof *trace) == 0)) {
            return slot;
        }
    }
}

static bool grow(void) {
    struct index *old = index_of_numbers;
    size_t slots = old != NULL ? old->slots * 2 : INDEX_FIRST;
    struct index *new = cb_os_map(0, index_bytes(slots));
    if (new == NULL) {
        return false;
    }
    new->slots = slots;
    for (uint32_t number = 1; number < end; number++) {
        *slot_for(new, cb_depot_get(number)) = number;
    }
    index_of_numbers = new;
    if (old != NULL) {
        cb_os_unmap(old, index_bytes(old->slots));
    }
    return true;
}

uint32_t cb_depot_keep(const struct cb_trace *trace) {
    if (trace->count == 0) {
        return 0;
    }
    if ((index_of_numbers == NULL || end >= index_of_numbers->slots / 2) && !grow()) {
        return 0;
    }
    uint32_t *slot = slot_for(index_of_numbers, trace);
    if (*slot != 0) {
        return *slot;
    }
    uint32_t number = end;
    if (number / SEGMENT >= SEGMENTS) {
        return 0;
    }
    struct cb_trace **in = &segment[number / SEGMENT];
    if (*in == NULL) {
        *in = cb_os_map(0, SEGMENT * sizeof **in);
        if (*in == NULL) {
            return 0;
        }
    }
    (*in)[number % SEGMENT] = *trace;
    end = number + 1;
    atomic_signal_fence(memory_order_seq_cst);
    *slot = number;
    return number;
}
