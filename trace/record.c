/*
 * record.c: see record.h.
 *
 * Layer: trace. Threads: one at a time for each reader.
 */
#include "trace/record.h"

/* ---- Bytes ---- */

/* False: they end before, or are no number of 64 bits. */
static bool take_varint(const uint8_t **at, const uint8_t *end, uint64_t *number) {
    uint64_t n = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        if (shift == 63 && byte > 1) {
            return false;
        }
        n |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *number = n;
            return true;
        }
    }
    return false;
}

static bool take_byte(const uint8_t **at, const uint8_t *end, uint8_t *byte) {
    if (*at == end) {
        return false;
    }
    *byte = *(*at)++;
    return true;
}

static bool take_size(const struct cb_trace_lane *lane, const uint8_t **at, const uint8_t *end,
                      struct cb_trace_call *call) {
    uint8_t slot;
    if (!take_byte(at, end, &slot) || slot > CB_TRACE_SIZE_FOLLOWS) {
        return false;
    }
    if (slot == CB_TRACE_SIZE_FOLLOWS) {
        call->new_size = true;
        return take_varint(at, end, &call->size);
    }
    call->size = lane->slot[slot];
    return true;
}

static bool name_own(const struct cb_trace_reader *reader, const struct cb_trace_lane *lane,
                     uint64_t distance, struct cb_trace_call *call) {
    call->names = true;
    call->lane = (uint32_t)(lane - cb_lane_at(reader, 0));
    call->number = lane->objects - distance;
    return distance >= 1 && distance <= lane->objects;
}

static bool take_object(const struct cb_trace_reader *reader, const struct cb_trace_lane *lane,
                        const uint8_t **at, const uint8_t *end, struct cb_trace_call *call) {
    uint64_t v, zigzag;
    if (!take_varint(at, end, &v)) {
        return false;
    }
    if ((v & 1) == 0) {
        return name_own(reader, lane, v >> 1, call);
    }
    if (v >> 1 >= reader->lane_count || !take_varint(at, end, &zigzag)) {
        return false;
    }
    call->names = call->names_other = true;
    call->lane = (uint32_t)(v >> 1);
    call->number = lane->named_other + (uint64_t)cb_trace_unzigzag(zigzag);
    return true;
}

static bool take_site(const struct cb_trace_reader *reader, const struct cb_trace_lane *lane,
                      const uint8_t **at, const uint8_t *end, struct cb_trace_call *call) {
    uint64_t site = 0;
    if ((reader->header->flags & CB_TRACE_FLAG_SITES) == 0) {
        return true;
    }
    if (!take_varint(at, end, &site) || site >= CB_TRACE_SITES_MOST) {
        return false;
    }
    call->site = site != 0 ? (uint32_t)site : lane->site;
    return true;
}

/* ---- Records that are no calls ---- */

static bool take_site_record(struct cb_trace_reader *reader, const uint8_t **at, const uint8_t *end) {
    uint64_t site, module, offset;
    if (!take_varint(at, end, &site) || !take_varint(at, end, &module) || !take_varint(at, end, &offset) ||
        site == 0 || site >= CB_TRACE_SITES_MOST || module >= CB_TRACE_SITES_MOST ||
        !cb_vector_reserve(&reader->sites, site + 1, sizeof(struct cb_trace_site))) {
        return false;
    }
    struct cb_trace_site *sites = reader->sites.start;
    sites[site] = (struct cb_trace_site){.module = (uint32_t)module, .known = true, .offset = offset};
    reader->site_count = site > reader->site_count ? (uint32_t)site : reader->site_count;
    return true;
}

static bool take_module_record(struct cb_trace_reader *reader, const uint8_t **at, const uint8_t *end) {
    uint64_t module, length;
    if (!take_varint(at, end, &module) || !take_varint(at, end, &length) || module == 0 ||
        module >= CB_TRACE_SITES_MOST || length > (uint64_t)(end - *at) ||
        !cb_vector_reserve(&reader->modules, module + 1, sizeof(struct cb_trace_module))) {
        return false;
    }
    struct cb_trace_module *modules = reader->modules.start;
    modules[module] = (struct cb_trace_module){(const char *)*at, (size_t)length};
    reader->module_count = module > reader->module_count ? (uint32_t)module : reader->module_count;
    *at += length;
    return true;
}

bool cb_record_take_other(struct cb_trace_reader *reader, struct cb_trace_lane *lane, uint8_t first,
                          const uint8_t **at, const uint8_t *end, uint8_t *function) {
    uint64_t number;
    switch (first) {
    case CB_RECORD_TIME:
        if (!take_varint(at, end, &number) || __builtin_add_overflow(lane->ticks, number, &lane->ticks)) {
            return false;
        }
        return true;
    case CB_RECORD_THREAD:
        if (!take_varint(at, end, &number) || number >= CB_TRACE_THREADS_MOST) {
            return false;
        }
        lane->thread = (uint32_t)number;
        return true;
    case CB_RECORD_FUNCTION:
        return take_byte(at, end, function) && *function < CB_FUNCTION_COUNT;
    case CB_RECORD_SITE:
        return take_site_record(reader, at, end);
    default:
        return take_module_record(reader, at, end);
    }
}

bool cb_record_is_call(uint8_t first) {
    return first < CB_RECORD_TIME || first == CB_RECORD_FORK || first > CB_RECORD_LAST_LONG;
}

/* ---- Calls ---- */

static bool take_free(const struct cb_trace_reader *reader, const struct cb_trace_lane *lane,
                      const uint8_t **at, const uint8_t *end, struct cb_trace_call *call) {
    uint8_t low;
    call->function = CB_FUNCTION_FREE;
    if (call->first >= CB_RECORD_FREE_MIDDLE) {
        return take_byte(at, end, &low) &&
               name_own(reader, lane,
                        CB_TRACE_NEAR_COUNT + 1 +
                            ((uint64_t)(call->first - CB_RECORD_FREE_MIDDLE) << 8 | low),
                        call);
    }
    if (call->first >= CB_RECORD_FREE_NEAR) {
        return name_own(reader, lane, (uint64_t)(call->first - CB_RECORD_FREE_NEAR) + 1, call);
    }
    int64_t from_named = cb_trace_unzigzag((uint64_t)(call->first - CB_RECORD_FREE_NAMED));
    return name_own(reader, lane, lane->objects - (lane->named + (uint64_t)from_named), call);
}

static bool take_malloc(const struct cb_trace_reader *reader, const struct cb_trace_lane *lane,
                        const uint8_t **at, const uint8_t *end, struct cb_trace_call *call) {
    call->function = CB_FUNCTION_MALLOC;
    if (call->first == CB_RECORD_MALLOC) {
        call->new_size = true;
        if (!take_varint(at, end, &call->size)) {
            return false;
        }
    } else {
        call->size = lane->slot[call->first - CB_RECORD_MALLOC_SLOT];
    }
    return take_site(reader, lane, at, end, call);
}

static bool is_aligned_function(uint8_t function) {
    return function >= CB_FUNCTION_POSIX_MEMALIGN && function <= CB_FUNCTION_PVALLOC;
}

static bool is_allocating_function(uint8_t function) {
    return function <= CB_FUNCTION_REALLOCARRAY || is_aligned_function(function);
}

/* The records that name an object. */
static bool take_named(const struct cb_trace_reader *reader, const struct cb_trace_lane *lane,
                       const uint8_t **at, const uint8_t *end, struct cb_trace_call *call) {
    call->function = call->first == CB_RECORD_FREE     ? CB_FUNCTION_FREE
                     : call->first == CB_RECORD_USABLE ? CB_FUNCTION_MALLOC_USABLE_SIZE
                                                       : CB_FUNCTION_REALLOC;
    if (!take_object(reader, lane, at, end, call)) {
        return false;
    }
    switch (call->first) {
    case CB_RECORD_REALLOC:
        return take_size(lane, at, end, call) && take_site(reader, lane, at, end, call);
    case CB_RECORD_REALLOC_FAILED:
        return take_varint(at, end, &call->size);
    default:
        return true;
    }
}

/* The records of objects that the recorder did not know, and of free(NULL). */
static bool take_unknown(const struct cb_trace_reader *reader, const struct cb_trace_lane *lane,
                         const uint8_t **at, const uint8_t *end, struct cb_trace_call *call) {
    call->function = call->first == CB_RECORD_REALLOC_UNKNOWN || call->first == CB_RECORD_UNKNOWN
                         ? CB_FUNCTION_REALLOC
                         : CB_FUNCTION_FREE;
    switch (call->first) {
    case CB_RECORD_FREE_NULL:
        return true;
    case CB_RECORD_REALLOC_UNKNOWN:
        return take_varint(at, end, &call->number) && take_size(lane, at, end, call) &&
               take_site(reader, lane, at, end, call);
    default:
        return take_varint(at, end, &call->size);
    }
}

/* A record of one byte, or of one and what its bits leave out. */
static bool take_short(const struct cb_trace_reader *reader, const struct cb_trace_lane *lane,
                       const uint8_t **at, const uint8_t *end, struct cb_trace_call *call) {
    if (call->first >= CB_RECORD_MALLOC_SLOT && call->first < CB_RECORD_FREE_NEAR) {
        return take_malloc(reader, lane, at, end, call);
    }
    return call->first >= CB_RECORD_FREE_NAMED && take_free(reader, lane, at, end, call);
}

bool cb_record_take_call(const struct cb_trace_reader *reader, const struct cb_trace_lane *lane,
                         const uint8_t **at, const uint8_t *end, struct cb_trace_call *call) {
    switch (call->first) {
    case CB_RECORD_MALLOC:
        return take_malloc(reader, lane, at, end, call);
    case CB_RECORD_CALLOC:
    case CB_RECORD_REALLOC_NEW:
        call->function = call->first == CB_RECORD_CALLOC ? CB_FUNCTION_CALLOC : CB_FUNCTION_REALLOC;
        return take_size(lane, at, end, call) && take_site(reader, lane, at, end, call);
    case CB_RECORD_REALLOC:
    case CB_RECORD_REALLOC_FREE:
    case CB_RECORD_REALLOC_FAILED:
    case CB_RECORD_FREE:
    case CB_RECORD_USABLE:
        return take_named(reader, lane, at, end, call);
    case CB_RECORD_FREE_NULL:
    case CB_RECORD_FREE_UNKNOWN:
    case CB_RECORD_REALLOC_UNKNOWN:
    case CB_RECORD_UNKNOWN:
        return take_unknown(reader, lane, at, end, call);
    case CB_RECORD_ALIGNED:
        return take_byte(at, end, &call->function) && is_aligned_function(call->function) &&
               take_byte(at, end, &call->align) && call->align < 64 && take_size(lane, at, end, call) &&
               take_site(reader, lane, at, end, call);
    case CB_RECORD_FAILED:
        return take_byte(at, end, &call->function) && is_allocating_function(call->function) &&
               take_byte(at, end, &call->align) && call->align < 64 && take_varint(at, end, &call->size);
    case CB_RECORD_OTHER:
        return take_byte(at, end, &call->function) && call->function >= CB_FUNCTION_MALLOC_TRIM &&
               call->function < CB_FUNCTION_COUNT;
    case CB_RECORD_FORK:
        return take_varint(at, end, &call->size);
    default:
        return take_short(reader, lane, at, end, call);
    }
}

bool cb_record_function_fits(const struct cb_trace_call *call, uint8_t function) {
    switch (call->function) {
    case CB_FUNCTION_REALLOC:
        return function == CB_FUNCTION_REALLOCARRAY || function == CB_FUNCTION_REALLOC ||
               (function == CB_FUNCTION_MALLOC_USABLE_SIZE && call->first == CB_RECORD_UNKNOWN);
    case CB_FUNCTION_FREE:
        return function >= CB_FUNCTION_FREE && function <= CB_FUNCTION_FREE_ALIGNED_SIZED;
    default:
        return function == call->function;
    }
}

bool cb_record_makes_object(uint8_t first) {
    return first <= CB_RECORD_REALLOC || first == CB_RECORD_ALIGNED || first == CB_RECORD_REALLOC_UNKNOWN ||
           (first >= CB_RECORD_MALLOC_SLOT && first < CB_RECORD_FREE_NEAR);
}
