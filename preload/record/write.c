/*
 * write.c: puts records into a lane. See record.h, and doc/trace.md for the records.
 *
 * Layer: record. Threads: the one that has the lane.
 *
 * The first byte of a record is stored after the others: whenever the process is killed, a record is there as
 * a whole or not at all.
 */
#include "record.h"

#include "os/os.h"

#include <string.h>

/* A record with this first byte, whose other bytes end before `end`. */
static void finish(struct cb_lane *lane, uint8_t *end, uint8_t first) {
    atomic_signal_fence(memory_order_seq_cst);
    /* release: whoever reads the file has the rest of the record, too */
    __atomic_store_n(lane->at, first, __ATOMIC_RELEASE);
    lane->at = end;
}

bool cb_write_room(struct cb_lane *lane, size_t bytes) {
    if (CB_UNLIKELY(lane->at + bytes > lane->end)) {
        return cb_trace_extend(lane);
    }
    return true;
}

/* Before any call: room for all that one can need, and the time. */
static bool prepare(struct cb_lane *lane, enum cb_trace_function function, enum cb_trace_function implied) {
    enum { MOST = 96 };
    if (!cb_write_room(lane, MOST)) {
        return false;
    }
    uint64_t now = cb_os_milliseconds();
    if (CB_UNLIKELY(now != lane->ticks)) {
        if (now > lane->ticks) {
            finish(lane, cb_trace_put_varint(lane->at + 1, now - lane->ticks), CB_RECORD_TIME);
            lane->ticks = now;
        }
    }
    if (CB_UNLIKELY(function != implied)) {
        lane->at[1] = (uint8_t)function;
        finish(lane, lane->at + 2, CB_RECORD_FUNCTION);
    }
    return true;
}

static bool in_slot(struct cb_lane *lane, size_t size, unsigned *slot) {
    *slot = cb_trace_slot(size);
    if (CB_LIKELY(lane->slot[*slot] == size)) {
        return true;
    }
    lane->slot[*slot] = size;
    return false;
}

static uint8_t *put_size(struct cb_lane *lane, uint8_t *at, size_t size) {
    unsigned slot;
    if (in_slot(lane, size, &slot)) {
        *at++ = (uint8_t)slot;
        return at;
    }
    *at++ = CB_TRACE_SIZE_FOLLOWS;
    return cb_trace_put_varint(at, size);
}

static uint8_t *put_object(struct cb_lane *lane, uint8_t *at, uint64_t object) {
    uint32_t of;
    uint64_t number = cb_object_number(object);
    cb_object_is_ours(object, &of);
    if (of == lane->number) {
        lane->named = number;
        return cb_trace_put_varint(at, (lane->objects - number) << 1);
    }
    at = cb_trace_put_varint(at, (uint64_t)of << 1 | 1);
    at = cb_trace_put_varint(at, cb_trace_zigzag((int64_t)(number - lane->named_other)));
    lane->named_other = number;
    return at;
}

/* The number of a site, which may have to be written first: before there is anything of the record. */
static uint32_t site_of(struct cb_lane *lane, uintptr_t site) {
    return (cb_trace_head()->flags & CB_TRACE_FLAG_SITES) != 0 ? cb_site_number(lane, site) : 0;
}

static uint8_t *put_site(struct cb_lane *lane, uint8_t *at, uint32_t site) {
    if (site == 0) {
        return at; /* this trace has none */
    }
    at = cb_trace_put_varint(at, site == lane->site ? 0 : site);
    lane->site = site;
    return at;
}

/* The allocation is written: p is its object. */
static void name_new(struct cb_lane *lane, void *p) {
    cb_object_set((uintptr_t)p, cb_object_make(lane->number, lane->objects++));
}

void cb_write_new(struct cb_lane *lane, enum cb_trace_function function, size_t size, unsigned align, void *p,
                  uintptr_t site) {
    enum cb_trace_function implied = function == CB_FUNCTION_REALLOCARRAY ? CB_FUNCTION_REALLOC : function;
    uint32_t place = site_of(lane, site);
    if (!prepare(lane, function, implied)) {
        return;
    }
    uint8_t *at = lane->at + 1, first;
    unsigned slot;
    if (function == CB_FUNCTION_MALLOC) {
        first = (uint8_t)CB_RECORD_MALLOC;
        if (in_slot(lane, size, &slot)) {
            first = (uint8_t)(CB_RECORD_MALLOC_SLOT + slot);
        } else {
            at = cb_trace_put_varint(at, size);
        }
    } else if (function == CB_FUNCTION_CALLOC) {
        first = CB_RECORD_CALLOC;
        at = put_size(lane, at, size);
    } else if (implied == CB_FUNCTION_REALLOC) {
        first = CB_RECORD_REALLOC_NEW;
        at = put_size(lane, at, size);
    } else {
        first = CB_RECORD_ALIGNED;
        *at++ = (uint8_t)function;
        *at++ = (uint8_t)align;
        at = put_size(lane, at, size);
    }
    at = put_site(lane, at, place);
    name_new(lane, p);
    finish(lane, at, first);
}

void cb_write_failed(struct cb_lane *lane, enum cb_trace_function function, size_t size, unsigned align) {
    if (prepare(lane, function, function)) {
        lane->at[1] = (uint8_t)function;
        lane->at[2] = (uint8_t)align;
        finish(lane, cb_trace_put_varint(lane->at + 3, size), CB_RECORD_FAILED);
    }
}

static bool is_realloc(enum cb_trace_function function) {
    return function == CB_FUNCTION_REALLOC || function == CB_FUNCTION_REALLOCARRAY;
}

/* free, of an object of this lane: in as few bytes as can be. */
static void write_free_of_own(struct cb_lane *lane, uint64_t number) {
    uint64_t distance = lane->objects - number, from_named = cb_trace_zigzag((int64_t)(number - lane->named));
    uint8_t *at = lane->at;
    lane->named = number;
    if (distance <= CB_TRACE_NEAR_COUNT) {
        finish(lane, at + 1, (uint8_t)(CB_RECORD_FREE_NEAR + distance - 1));
    } else if (from_named < CB_TRACE_NAMED_COUNT) {
        finish(lane, at + 1, (uint8_t)(CB_RECORD_FREE_NAMED + from_named));
    } else if (distance <= CB_TRACE_NEAR_COUNT + CB_TRACE_MIDDLE_COUNT) {
        distance -= CB_TRACE_NEAR_COUNT + 1;
        at[1] = (uint8_t)distance;
        finish(lane, at + 2, (uint8_t)(CB_RECORD_FREE_MIDDLE + (distance >> 8)));
    } else {
        finish(lane, cb_trace_put_varint(at + 1, distance << 1), CB_RECORD_FREE);
    }
}

void cb_write_free(struct cb_lane *lane, enum cb_trace_function function, uint64_t object, size_t bytes) {
    uint32_t of;
    bool resized = is_realloc(function);
    if (!prepare(lane, function, resized ? CB_FUNCTION_REALLOC : CB_FUNCTION_FREE)) {
        return;
    }
    if (object == 0) {
        finish(lane, cb_trace_put_varint(lane->at + 1, bytes),
               resized ? CB_RECORD_UNKNOWN : CB_RECORD_FREE_UNKNOWN);
    } else if (resized) {
        finish(lane, put_object(lane, lane->at + 1, object), CB_RECORD_REALLOC_FREE);
    } else if (cb_object_is_ours(object, &of) && of == lane->number) {
        write_free_of_own(lane, cb_object_number(object));
    } else {
        finish(lane, put_object(lane, lane->at + 1, object), CB_RECORD_FREE);
    }
}

void cb_write_resized(struct cb_lane *lane, enum cb_trace_function function, uint64_t object, size_t bytes,
                      size_t size, void *p, uintptr_t site) {
    uint32_t place = site_of(lane, site);
    if (!prepare(lane, function, CB_FUNCTION_REALLOC)) {
        return;
    }
    uint8_t *at = lane->at + 1;
    at = object != 0 ? put_object(lane, at, object) : cb_trace_put_varint(at, bytes);
    at = put_size(lane, at, size);
    at = put_site(lane, at, place);
    name_new(lane, p);
    finish(lane, at, object != 0 ? CB_RECORD_REALLOC : CB_RECORD_REALLOC_UNKNOWN);
}

void cb_write_not_resized(struct cb_lane *lane, enum cb_trace_function function, uint64_t object,
                          size_t size) {
    if (object == 0) {
        cb_write_failed(lane, function, size, 0);
    } else if (prepare(lane, function, CB_FUNCTION_REALLOC)) {
        uint8_t *at = put_object(lane, lane->at + 1, object);
        finish(lane, cb_trace_put_varint(at, size), CB_RECORD_REALLOC_FAILED);
    }
}

void cb_write_usable(struct cb_lane *lane, uint64_t object) {
    if (object == 0) {
        if (prepare(lane, CB_FUNCTION_MALLOC_USABLE_SIZE, CB_FUNCTION_REALLOC)) {
            finish(lane, cb_trace_put_varint(lane->at + 1, 0), CB_RECORD_UNKNOWN);
        }
    } else if (prepare(lane, CB_FUNCTION_MALLOC_USABLE_SIZE, CB_FUNCTION_MALLOC_USABLE_SIZE)) {
        finish(lane, put_object(lane, lane->at + 1, object), CB_RECORD_USABLE);
    }
}

void cb_write_free_null(struct cb_lane *lane, enum cb_trace_function function) {
    if (prepare(lane, function, CB_FUNCTION_FREE)) {
        finish(lane, lane->at + 1, CB_RECORD_FREE_NULL);
    }
}

void cb_write_other(struct cb_lane *lane, enum cb_trace_function function) {
    if (prepare(lane, function, function)) {
        lane->at[1] = (uint8_t)function;
        finish(lane, lane->at + 2, CB_RECORD_OTHER);
    }
}

void cb_write_thread(struct cb_lane *lane, uint32_t thread) {
    if (prepare(lane, CB_FUNCTION_MALLOC, CB_FUNCTION_MALLOC)) {
        finish(lane, cb_trace_put_varint(lane->at + 1, thread), CB_RECORD_THREAD);
        lane->thread = thread;
    }
}

void cb_write_fork(struct cb_lane *lane) {
    if (prepare(lane, CB_FUNCTION_MALLOC, CB_FUNCTION_MALLOC)) {
        finish(lane, cb_trace_put_varint(lane->at + 1, 0), CB_RECORD_FORK);
    }
}

void cb_write_site(struct cb_lane *lane, uint32_t site, uint32_t module, uint64_t offset) {
    if (prepare(lane, CB_FUNCTION_MALLOC, CB_FUNCTION_MALLOC)) {
        uint8_t *at = cb_trace_put_varint(lane->at + 1, site);
        at = cb_trace_put_varint(at, module);
        finish(lane, cb_trace_put_varint(at, offset), CB_RECORD_SITE);
    }
}

void cb_write_module(struct cb_lane *lane, uint32_t module, const char *path) {
    enum { LONGEST = 2048, NUMBERS = 32 };
    size_t length = strnlen(path, LONGEST);
    if (cb_write_room(lane, length + NUMBERS)) {
        uint8_t *at = cb_trace_put_varint(lane->at + 1, module);
        at = cb_trace_put_varint(at, length);
        memcpy(at, path, length);
        finish(lane, at + length, CB_RECORD_MODULE);
    }
}
