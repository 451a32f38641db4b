/*
 * objects.c: which object is at an address. See record.h.
 *
 * Layer: record. Threads: any. Lock: none. An entry is written and read by whoever has the object; a part of the
 * table is added by compare-and-swap.
 *
 * A table of 8 bytes for each granule, in parts of 64 MiB of addresses, which the system fills with pages as
 * they are used.
 */
#include "record.h"

#include "os/os.h"

#define PART_SHIFT 26
#define PART_BYTES (((size_t)1 << PART_SHIFT >> CB_GRANULE_SHIFT) * sizeof(uint64_t))

typedef _Atomic uint64_t entry; /* relaxed: the program passes the object on by means of its own */
typedef entry *_Atomic part;    /* release when it is added, acquire when it is used */

static part *_Atomic parts;

uint32_t cb_first_lane;

static part *get_parts(void) {
    part *known = atomic_load_explicit(&parts, memory_order_acquire);
    if (CB_LIKELY(known != NULL)) {
        return known;
    }
    size_t bytes = (cb_os_address_end() >> PART_SHIFT) * sizeof *known;
    part *fresh = cb_os_map(0, bytes);
    if (fresh != NULL && !atomic_compare_exchange_strong_explicit(&parts, &known, fresh, memory_order_acq_rel,
                                                                  memory_order_acquire)) {
        cb_os_unmap(fresh, bytes);
        return known;
    }
    return fresh;
}

static CB_NOINLINE entry *add_part(part *at) {
    entry *known = NULL, *fresh = cb_os_map(0, PART_BYTES);
    if (fresh != NULL && !atomic_compare_exchange_strong_explicit(at, &known, fresh, memory_order_acq_rel,
                                                                  memory_order_acquire)) {
        cb_os_unmap(fresh, PART_BYTES);
        return known;
    }
    return fresh;
}

/* NULL: there is none, and with `add`, no memory for it. */
static entry *find(uintptr_t address, bool add) {
    part *all = get_parts();
    if (CB_UNLIKELY(all == NULL)) {
        return NULL;
    }
    entry *in = atomic_load_explicit(&all[address >> PART_SHIFT], memory_order_acquire);
    if (CB_UNLIKELY(in == NULL)) {
        in = add ? add_part(&all[address >> PART_SHIFT]) : NULL;
    }
    size_t index = (address & (((uintptr_t)1 << PART_SHIFT) - 1)) >> CB_GRANULE_SHIFT;
    return in != NULL ? in + index : NULL;
}

uint64_t cb_object_get(uintptr_t address) {
    const entry *at = find(address, false);
    return at != NULL && (address & (CB_GRANULE - 1)) == 0 ? atomic_load_explicit(at, memory_order_relaxed)
                                                           : 0;
}

void cb_object_set(uintptr_t address, uint64_t object) {
    entry *at = find(address, object != 0);
    if (at != NULL && (address & (CB_GRANULE - 1)) == 0) {
        atomic_store_explicit(at, object, memory_order_relaxed);
    }
}
