/*
 * depot.c: every different trace once. See types.h.
 *
 * Layer: debug. Threads: any; what was kept never changes or moves, and is found without a lock. Lock: that of
 * mutex.c, to add.
 *
 * Traces lie one after the other in segments, each as long as it must be, and their number says where: a unit is 8
 * bytes. Those with the same bits of their hash are a list, newest first, which is complete at any time. A child of
 * fork that was made in the midst of a change finds a trace twice at worst.
 */
#include "debug/types.h"

#include "os/os.h"

#include <string.h>

#define UNIT sizeof(uint64_t)
#define SEGMENT ((uint32_t)1 << 15) /* units */
#define SEGMENTS 4096               /* 1 GiB of traces; what comes later has none */
#define LISTS ((uint32_t)1 << 16)
#define ADDRESS 6 /* bytes; no address of code has more */

struct kept {
    uint32_t next; /* of the list; 0: none */
    uint32_t count : 4, hash : 28;
    uint8_t address[]; /* of `count` frames */
};

static uint64_t *_Atomic segment[SEGMENTS]; /* written once; release with the list that leads there */
static _Atomic uint32_t list[LISTS];        /* numbers; release in add, acquire in find */
static uint32_t end = 1;                    /* guarded by the lock; 0 is no number */

static struct kept *at(uint32_t number) {
    uint64_t *units = atomic_load_explicit(&segment[number / SEGMENT], memory_order_relaxed);
    return (struct kept *)&units[number % SEGMENT];
}

static uintptr_t address_of(const struct kept *kept, uint32_t i) {
    uint64_t address = 0;
    memcpy(&address, kept->address + (size_t)i * ADDRESS, ADDRESS); /* little-endian */
    return address;
}

bool cb_depot_get(uint32_t number, struct cb_trace *trace) {
    trace->count = 0;
    if (number != 0) {
        const struct kept *kept = at(number);
        trace->count = kept->count;
        for (uint32_t i = 0; i < trace->count; i++) {
            trace->frame[i] = address_of(kept, i);
        }
    }
    return number != 0;
}

uint32_t cb_depot_end(void) {
    cb_mutex_take();
    uint32_t now = end;
    cb_mutex_drop();
    return now;
}

static uint32_t hash_of(const struct cb_trace *trace) {
    uint64_t hash = trace->count;
    for (uint32_t i = 0; i < trace->count; i++) {
        hash = (hash ^ trace->frame[i]) * 0x9e3779b97f4a7c15ULL;
        hash ^= hash >> 32;
    }
    return (uint32_t)hash & 0xfffffff;
}

static bool is(const struct kept *kept, uint32_t hash, const struct cb_trace *trace) {
    bool same = kept->hash == hash && kept->count == trace->count;
    for (uint32_t i = 0; same && i < trace->count; i++) {
        same = address_of(kept, i) == trace->frame[i];
    }
    return same;
}

static uint32_t find(uint32_t hash, const struct cb_trace *trace) {
    /* acquire: partner of the release in add */
    uint32_t number = atomic_load_explicit(&list[hash % LISTS], memory_order_acquire);
    while (number != 0 && !is(at(number), hash, trace)) {
        number = at(number)->next;
    }
    return number;
}

/* Under the lock. 0: no room. */
static uint32_t room_for(uint32_t units) {
    uint32_t number = end;
    if (number % SEGMENT + units > SEGMENT) {
        number += SEGMENT - number % SEGMENT;
    }
    if (number / SEGMENT >= SEGMENTS) {
        return 0;
    }
    _Atomic(uint64_t *) *in = &segment[number / SEGMENT];
    if (atomic_load_explicit(in, memory_order_relaxed) == NULL) {
        uint64_t *new = cb_os_map(0, SEGMENT * UNIT);
        if (new == NULL) {
            return 0;
        }
        atomic_store_explicit(in, new, memory_order_relaxed);
    }
    end = number + units;
    return number;
}

/* Under the lock. */
static uint32_t add(uint32_t hash, const struct cb_trace *trace) {
    size_t bytes = sizeof(struct kept) + (size_t)trace->count * ADDRESS;
    uint32_t number = room_for((uint32_t)((bytes + UNIT - 1) / UNIT));
    if (number != 0) {
        struct kept *kept = at(number);
        _Atomic uint32_t *first = &list[hash % LISTS];
        kept->next = atomic_load_explicit(first, memory_order_relaxed);
        kept->count = trace->count & 0xf;
        kept->hash = hash & 0xfffffff;
        for (uint32_t i = 0; i < trace->count; i++) {
            memcpy(kept->address + (size_t)i * ADDRESS, &trace->frame[i], ADDRESS);
        }
        /* release: publishes the trace to find */
        atomic_store_explicit(first, number, memory_order_release);
    }
    return number;
}

uint32_t cb_depot_keep(const struct cb_trace *trace) {
    if (trace->count == 0) {
        return 0;
    }
    uint32_t hash = hash_of(trace), number = find(hash, trace);
    if (number == 0) {
        cb_mutex_take();
        number = find(hash, trace);
        if (number == 0) {
            number = add(hash, trace);
        }
        cb_mutex_drop();
    }
    return number;
}
