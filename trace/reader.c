/*
 * reader.c: reads traces. See trace.h.
 *
 * Layer: trace, the top. Threads: one at a time for each reader.
 *
 * Every lane is looked at up to its next call: parsed, and not counted yet. A call that names an object of another
 * lane which is not there yet waits for that lane.
 */
#include "trace/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the header is read as it lies in the file"
#endif

#define NO_OBJECT UINT32_MAX
#define NO_CHUNK UINT32_MAX

/* A call that was parsed and has not been returned. */
struct call {
    uint8_t first; /* byte of its record */
    uint8_t function, align;
    bool names, names_other; /* an object; one by its lane */
    bool new_size;           /* `size` goes into the lane's table */
    uint32_t lane, site;     /* of the object named; of the allocation */
    uint64_t number, size;
};

struct lane {
    const uint8_t *at, *end;
    uint32_t chunk, last_chunk, parts;
    uint32_t thread, site;
    uint64_t ticks, objects, named, named_other;
    uint64_t slot[CB_TRACE_SLOTS];
    struct cb_vector
        numbers; /* by number of an object of this lane: 1 + its index in `objects`, 0: it is gone */
    struct call call;
    bool parsed, ended;
};

/* A live object, or a free entry. */
struct object {
    uint64_t size, number;
    uint32_t lane, next;
};

static const char *const function_names[] = {
#define NAME(name, text) text,
    CB_TRACE_FUNCTIONS(NAME)
#undef NAME
};

const char *cb_trace_function_name(enum cb_trace_function function) {
    return (unsigned)function < CB_FUNCTION_COUNT ? function_names[function] : "?";
}

/* Puts the error, in the words of printf, and is false. */
#define fail(reader, ...) (snprintf((reader)->error, sizeof(reader)->error, __VA_ARGS__), false)

static bool damaged(struct cb_trace_reader *reader, const uint8_t *at, const char *what) {
    return fail(reader, "damaged at byte %zu: %s", (size_t)(at - reader->data), what);
}

static struct lane *lane_at(const struct cb_trace_reader *reader, uint32_t number) {
    return (struct lane *)reader->lanes.start + number;
}

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

static bool take_size(const struct lane *lane, const uint8_t **at, const uint8_t *end, struct call *call) {
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

static bool name_own(const struct cb_trace_reader *reader, const struct lane *lane, uint64_t distance,
                     struct call *call) {
    call->names = true;
    call->lane = (uint32_t)(lane - lane_at(reader, 0));
    call->number = lane->objects - distance;
    return distance >= 1 && distance <= lane->objects;
}

static bool take_object(const struct cb_trace_reader *reader, const struct lane *lane, const uint8_t **at,
                        const uint8_t *end, struct call *call) {
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

static bool take_site(const struct cb_trace_reader *reader, const struct lane *lane, const uint8_t **at,
                      const uint8_t *end, struct call *call) {
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

/* *function: of the next call, when the record says so. */
static bool take_other_record(struct cb_trace_reader *reader, struct lane *lane, uint8_t first,
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

static bool is_call(uint8_t first) {
    return first < CB_RECORD_TIME || first == CB_RECORD_FORK || first > CB_RECORD_LAST_LONG;
}

/* ---- Calls ---- */

static bool take_free(const struct cb_trace_reader *reader, const struct lane *lane, const uint8_t **at,
                      const uint8_t *end, struct call *call) {
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

static bool take_malloc(const struct cb_trace_reader *reader, const struct lane *lane, const uint8_t **at,
                        const uint8_t *end, struct call *call) {
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

static bool take_call(const struct cb_trace_reader *reader, const struct lane *lane, const uint8_t **at,
                      const uint8_t *end, struct call *call) {
    switch (call->first) {
    case CB_RECORD_MALLOC:
        return take_malloc(reader, lane, at, end, call);
    case CB_RECORD_CALLOC:
    case CB_RECORD_REALLOC_NEW:
        call->function = call->first == CB_RECORD_CALLOC ? CB_FUNCTION_CALLOC : CB_FUNCTION_REALLOC;
        return take_size(lane, at, end, call) && take_site(reader, lane, at, end, call);
    case CB_RECORD_REALLOC:
        call->function = CB_FUNCTION_REALLOC;
        return take_object(reader, lane, at, end, call) && take_size(lane, at, end, call) &&
               take_site(reader, lane, at, end, call);
    case CB_RECORD_REALLOC_FREE:
        call->function = CB_FUNCTION_REALLOC;
        return take_object(reader, lane, at, end, call);
    case CB_RECORD_FREE_NULL:
        call->function = CB_FUNCTION_FREE;
        return true;
    case CB_RECORD_FREE:
        call->function = CB_FUNCTION_FREE;
        return take_object(reader, lane, at, end, call);
    case CB_RECORD_ALIGNED:
        return take_byte(at, end, &call->function) && is_aligned_function(call->function) &&
               take_byte(at, end, &call->align) && call->align < 64 && take_size(lane, at, end, call) &&
               take_site(reader, lane, at, end, call);
    case CB_RECORD_FAILED:
        return take_byte(at, end, &call->function) && is_allocating_function(call->function) &&
               take_byte(at, end, &call->align) && call->align < 64 && take_varint(at, end, &call->size);
    case CB_RECORD_REALLOC_FAILED:
        call->function = CB_FUNCTION_REALLOC;
        return take_object(reader, lane, at, end, call) && take_varint(at, end, &call->size);
    case CB_RECORD_USABLE:
        call->function = CB_FUNCTION_MALLOC_USABLE_SIZE;
        return take_object(reader, lane, at, end, call);
    case CB_RECORD_FREE_UNKNOWN:
        call->function = CB_FUNCTION_FREE;
        return take_varint(at, end, &call->size);
    case CB_RECORD_REALLOC_UNKNOWN:
        call->function = CB_FUNCTION_REALLOC;
        return take_varint(at, end, &call->number) && take_size(lane, at, end, call) &&
               take_site(reader, lane, at, end, call);
    case CB_RECORD_UNKNOWN:
        call->function = CB_FUNCTION_REALLOC;
        return take_varint(at, end, &call->size);
    case CB_RECORD_OTHER:
        return take_byte(at, end, &call->function) && call->function >= CB_FUNCTION_MALLOC_TRIM &&
               call->function < CB_FUNCTION_COUNT;
    case CB_RECORD_FORK:
        return take_varint(at, end, &call->size);
    default:
        return call->first >= CB_RECORD_FREE_NEAR ||
                       (call->first >= CB_RECORD_FREE_NAMED && call->first < CB_RECORD_MALLOC_SLOT)
                   ? take_free(reader, lane, at, end, call)
               : call->first >= CB_RECORD_MALLOC_SLOT ? take_malloc(reader, lane, at, end, call)
                                                      : false;
    }
}

/* Whether the function may stand in for the one that the tables say of this record. */
static bool function_fits(const struct call *call, uint8_t function) {
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

static bool makes_object(uint8_t first) {
    return first <= CB_RECORD_REALLOC || first == CB_RECORD_ALIGNED || first == CB_RECORD_REALLOC_UNKNOWN ||
           (first >= CB_RECORD_MALLOC_SLOT && first < CB_RECORD_FREE_NEAR);
}

/* ---- Chunks ---- */

/* Where the lane goes on. False: there is no more of it, or it is damaged. */
static bool next_chunk(struct cb_trace_reader *reader, struct lane *lane) {
    const uint32_t *next = reader->chunks.start;
    if (lane->chunk == NO_CHUNK) {
        return false;
    }
    size_t start = CB_TRACE_HEADER_BYTES + (size_t)lane->chunk * reader->header->chunk_bytes;
    size_t end = start + reader->header->chunk_bytes;
    const struct cb_trace_chunk *head = (const struct cb_trace_chunk *)(reader->data + start);
    if (head->part == 0) {
        lane->ticks = head->ticks;
        lane->thread = head->thread;
    }
    if (head->object != lane->objects || head->ticks != lane->ticks || head->thread != lane->thread ||
        head->thread >= CB_TRACE_THREADS_MOST) {
        return damaged(reader, (const uint8_t *)head,
                       "the chunk does not go on where the one before it ends");
    }
    lane->at = reader->data + start + sizeof *head;
    lane->end = reader->data + (end < reader->size ? end : reader->size);
    lane->chunk = next[lane->chunk];
    return true;
}

/* Looks at the lane up to its next call. False: the trace is damaged. */
static bool look_ahead(struct cb_trace_reader *reader, struct lane *lane) {
    uint8_t function = CB_FUNCTION_COUNT;
    while (!lane->parsed && !lane->ended) {
        if (lane->at == lane->end || *lane->at == CB_RECORD_NONE) {
            reader->error[0] = '\0';
            if (!next_chunk(reader, lane)) {
                lane->ended = true;
                return reader->error[0] == '\0';
            }
            continue;
        }
        const uint8_t *record = lane->at, *at = record + 1;
        struct call call = {.first = *record};
        if (!is_call(*record)) {
            if (!take_other_record(reader, lane, *record, &at, lane->end, &function)) {
                return damaged(reader, record, "not a record");
            }
        } else {
            if (!take_call(reader, lane, &at, lane->end, &call)) {
                return damaged(reader, record, "not a record");
            }
            if (function != CB_FUNCTION_COUNT && *record != CB_RECORD_FORK) {
                if (!function_fits(&call, function)) {
                    return damaged(reader, record, "not a record of this function");
                }
                call.function = function;
            }
            if (makes_object(*record) && call.size > CB_TRACE_SIZE_MOST) {
                return damaged(reader, record, "an object too large to be");
            }
            lane->call = call;
            lane->parsed = true;
        }
        lane->at = at;
    }
    return true;
}

/* ---- Objects ---- */

static uint32_t *number_entry(const struct cb_trace_reader *reader, uint32_t lane, uint64_t number) {
    return (uint32_t *)lane_at(reader, lane)->numbers.start + number;
}

static uint32_t take_object_index(struct cb_trace_reader *reader) {
    struct object *objects = reader->objects.start;
    if (reader->free_object != NO_OBJECT) {
        uint32_t index = reader->free_object;
        reader->free_object = objects[index].next;
        return index;
    }
    uint32_t index = objects == NULL ? 0 : objects[0].next;
    if (index == 0) {
        index = 1; /* the entry 0 holds how many there are */
    }
    if (index == NO_OBJECT - 1 ||
        !cb_vector_reserve(&reader->objects, (size_t)index + 1, sizeof(struct object))) {
        return NO_OBJECT;
    }
    objects = reader->objects.start;
    objects[0].next = index + 1;
    return index;
}

/*
 * The object that the call names. False: it is gone. Another thread may have freed it in the tick in which this
 * call only looks at it, and which was first is not known: then it is unknown.
 */
static bool find_object(struct cb_trace_reader *reader, const struct call *call,
                        struct cb_trace_event *event) {
    uint32_t index = *number_entry(reader, call->lane, call->number);
    if (index == 0) {
        if (event->kind == CB_CALL_USE || event->kind == CB_CALL_RESIZE_FAILED) {
            event->kind = event->kind == CB_CALL_USE ? CB_CALL_USE_UNKNOWN : CB_CALL_FAILED;
            return true;
        }
        return fail(reader, "damaged: call %llu names an object that is gone",
                    (unsigned long long)reader->events);
    }
    const struct object *object = (const struct object *)reader->objects.start + index;
    event->object = index - 1;
    event->owner = call->lane;
    event->old_size = object->size;
    event->age = lane_at(reader, call->lane)->objects - call->number;
    return true;
}

/* An object of this lane; `index`: the one it had before, or NO_OBJECT. */
static bool make_object(struct cb_trace_reader *reader, uint32_t number, uint64_t size, uint32_t index,
                        struct cb_trace_event *event) {
    struct lane *lane = lane_at(reader, number);
    if (index == NO_OBJECT) {
        index = take_object_index(reader);
    }
    if (index == NO_OBJECT || !cb_vector_reserve(&lane->numbers, lane->objects + 1, sizeof(uint32_t))) {
        return fail(reader, "out of memory");
    }
    struct object *objects = reader->objects.start;
    objects[index] = (struct object){.size = size, .number = lane->objects, .lane = number};
    *number_entry(reader, number, lane->objects) = index;
    lane->objects++;
    event->object = index - 1;
    event->site = lane->call.site;
    return true;
}

static void drop_object(struct cb_trace_reader *reader, const struct call *call) {
    uint32_t *entry = number_entry(reader, call->lane, call->number);
    struct object *objects = reader->objects.start;
    objects[*entry].next = reader->free_object;
    reader->free_object = *entry;
    *entry = 0;
}

/* ---- The next call ---- */

static enum cb_trace_kind kind_of(const struct call *call) {
    switch (call->first) {
    case CB_RECORD_REALLOC:
        return CB_CALL_RESIZE;
    case CB_RECORD_FREE_NULL:
        return CB_CALL_FREE_NULL;
    case CB_RECORD_FAILED:
        return CB_CALL_FAILED;
    case CB_RECORD_REALLOC_FAILED:
        return CB_CALL_RESIZE_FAILED;
    case CB_RECORD_USABLE:
        return CB_CALL_USE;
    case CB_RECORD_FREE_UNKNOWN:
        return CB_CALL_FREE_UNKNOWN;
    case CB_RECORD_REALLOC_UNKNOWN:
        return CB_CALL_RESIZE_UNKNOWN;
    case CB_RECORD_UNKNOWN:
        return call->function == CB_FUNCTION_MALLOC_USABLE_SIZE ? CB_CALL_USE_UNKNOWN : CB_CALL_FREE_UNKNOWN;
    case CB_RECORD_OTHER:
        return CB_CALL_OTHER;
    case CB_RECORD_FORK:
        return CB_CALL_FORK;
    default:
        return makes_object(call->first) ? CB_CALL_NEW : CB_CALL_FREE;
    }
}

/* The lane keeps this for its next records. */
static void advance(struct lane *lane, uint32_t number) {
    const struct call *call = &lane->call;
    if (call->new_size) {
        lane->slot[cb_trace_slot(call->size)] = call->size;
    }
    if (call->names_other) {
        lane->named_other = call->number;
    }
    if (call->names && call->lane == number && !call->names_other) {
        lane->named = call->number;
    }
    if (call->site != 0) {
        lane->site = call->site;
    }
    lane->parsed = false;
}

/* The call that the lane was looked at up to: it waits for nothing. */
static bool return_call(struct cb_trace_reader *reader, uint32_t number, struct cb_trace_event *event) {
    struct lane *lane = lane_at(reader, number);
    const struct call *call = &lane->call;
    *event = (struct cb_trace_event){.kind = kind_of(call),
                                     .function = (enum cb_trace_function)call->function,
                                     .lane = number,
                                     .thread = lane->thread,
                                     .ticks = lane->ticks,
                                     .call = reader->events,
                                     .owner = number,
                                     .align = call->align,
                                     .size = call->size};
    if (call->names && !find_object(reader, call, event)) {
        return false;
    }
    if (event->kind == CB_CALL_RESIZE) {
        uint32_t *old = number_entry(reader, call->lane, call->number), index = *old;
        *old = 0;
        if (!make_object(reader, number, call->size, index, event)) {
            return false;
        }
    } else if (event->kind == CB_CALL_FREE) {
        drop_object(reader, call);
    } else if (makes_object(call->first) && !make_object(reader, number, call->size, NO_OBJECT, event)) {
        return false;
    }
    advance(lane, number);
    reader->events++;
    return true;
}

/* The lane with the earliest call, and until when it is that. False: none has any. */
static bool choose(struct cb_trace_reader *reader) {
    bool found = false;
    uint64_t best = 0;
    reader->limit = UINT64_MAX;
    for (uint32_t i = 0; i < reader->lane_count; i++) {
        const struct lane *lane = lane_at(reader, i);
        if (lane->ended) {
            continue;
        }
        if (!found || lane->ticks < best) {
            reader->limit = found ? best : UINT64_MAX;
            best = lane->ticks;
            reader->current = i;
            found = true;
        } else if (lane->ticks < reader->limit) {
            reader->limit = lane->ticks;
        }
    }
    return found;
}

/* Of the lane and those it waits for, the first that waits for none. NO_OBJECT: the trace is damaged. */
static uint32_t runnable(struct cb_trace_reader *reader, uint32_t number) {
    for (uint32_t steps = 0; steps <= reader->lane_count; steps++) {
        const struct lane *lane = lane_at(reader, number);
        const struct call *call = &lane->call;
        if (lane->ended) {
            break;
        }
        if (!call->names || call->number < lane_at(reader, call->lane)->objects) {
            return number;
        }
        number = call->lane;
    }
    (void)fail(reader, "damaged: lane %lu names an object that is never allocated", (unsigned long)number);
    return NO_OBJECT;
}

int cb_trace_next(struct cb_trace_reader *reader, struct cb_trace_event *event) {
    if (reader->lane_count == 0) {
        return 0;
    }
    const struct lane *current = lane_at(reader, reader->current);
    if ((current->ended || current->ticks > reader->limit) && !choose(reader)) {
        return 0;
    }
    uint32_t number = runnable(reader, reader->current);
    if (number == NO_OBJECT || !return_call(reader, number, event) ||
        !look_ahead(reader, lane_at(reader, number))) {
        return -1;
    }
    return 1;
}

/* ---- Files ---- */

static bool check_header(struct cb_trace_reader *reader) {
    const struct cb_trace_header *header = (const struct cb_trace_header *)reader->data;
    size_t known = reader->size < CB_TRACE_MAGIC_BYTES ? reader->size : CB_TRACE_MAGIC_BYTES;
    if (reader->size == 0 || memcmp(reader->data, CB_TRACE_MAGIC, known) != 0) {
        return fail(reader, "not a trace of cutback");
    }
    if (reader->size < CB_TRACE_HEADER_BYTES) {
        return fail(reader, "truncated: %zu bytes, less than the header of a trace", reader->size);
    }
    if (header->version != CB_TRACE_VERSION) {
        return fail(reader, "a trace of version %u; this program reads version %u", header->version,
                    CB_TRACE_VERSION);
    }
    uint32_t chunk = header->chunk_bytes;
    if (header->header_bytes != CB_TRACE_HEADER_BYTES || chunk < CB_TRACE_CHUNK_LEAST ||
        chunk > CB_TRACE_CHUNK_MOST || (chunk & (chunk - 1)) != 0 ||
        (header->flags & ~CB_TRACE_FLAG_SITES) != 0 || header->tick == 0 ||
        header->command_bytes > CB_TRACE_COMMAND_MOST) {
        return fail(reader, "damaged: its header cannot be right");
    }
    if (header->length > reader->size) {
        return fail(reader, "truncated: %zu of %llu bytes", reader->size, (unsigned long long)header->length);
    }
    reader->header = header;
    return true;
}

/* Finds out which chunks are whose. */
static bool read_chunks(struct cb_trace_reader *reader) {
    size_t step = reader->header->chunk_bytes, body = reader->size - CB_TRACE_HEADER_BYTES;
    size_t count = (body + step - 1) / step;
    if (!cb_vector_reserve(&reader->chunks, count, sizeof(uint32_t)) ||
        !cb_vector_reserve(&reader->lanes, count, sizeof(struct lane))) {
        return fail(reader, "out of memory");
    }
    uint32_t *next = reader->chunks.start;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = reader->data + CB_TRACE_HEADER_BYTES + i * step;
        const struct cb_trace_chunk *head = (const struct cb_trace_chunk *)at;
        next[i] = NO_CHUNK;
        if ((size_t)(reader->data + reader->size - at) < sizeof *head || head->lane_plus_1 == 0) {
            continue;
        }
        if (head->lane_plus_1 > count) {
            return damaged(reader, at, "a lane too many");
        }
        struct lane *lane = lane_at(reader, head->lane_plus_1 - 1);
        if (head->part != lane->parts) {
            return damaged(reader, at, "a chunk is missing before this one");
        }
        if (lane->parts++ == 0) {
            lane->chunk = (uint32_t)i;
        } else {
            next[lane->last_chunk] = (uint32_t)i;
        }
        lane->last_chunk = (uint32_t)i;
        reader->lane_count = head->lane_plus_1 > reader->lane_count ? head->lane_plus_1 : reader->lane_count;
    }
    return true;
}

static bool start(struct cb_trace_reader *reader) {
    if (!check_header(reader) || !read_chunks(reader)) {
        return false;
    }
    for (uint32_t i = 0; i < reader->lane_count; i++) {
        struct lane *lane = lane_at(reader, i);
        lane->chunk = lane->parts == 0 ? NO_CHUNK : lane->chunk; /* its thread was killed as it began */
        if (!look_ahead(reader, lane)) {
            return false;
        }
    }
    choose(reader);
    return true;
}

bool cb_trace_open_memory(struct cb_trace_reader *reader, const void *data, size_t size) {
    *reader = (struct cb_trace_reader){.data = data, .size = size, .free_object = NO_OBJECT};
    return start(reader);
}

bool cb_trace_open(struct cb_trace_reader *reader, const char *path) {
    struct stat status;
    *reader = (struct cb_trace_reader){.free_object = NO_OBJECT};
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return fail(reader, "%s", strerror(errno));
    }
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(file);
        return fail(reader, "not a file");
    }
    reader->size = (size_t)status.st_size;
    if (reader->size != 0) {
        void *data = mmap(NULL, reader->size, PROT_READ, MAP_PRIVATE, file, 0);
        reader->mapped = data != MAP_FAILED;
        reader->data = reader->mapped ? data : NULL;
    }
    int error = errno;
    close(file);
    if (reader->size != 0 && !reader->mapped) {
        return fail(reader, "%s", strerror(error));
    }
    return start(reader);
}

void cb_trace_close(struct cb_trace_reader *reader) {
    for (uint32_t i = 0; i < reader->lane_count; i++) {
        cb_vector_free(&lane_at(reader, i)->numbers);
    }
    cb_vector_free(&reader->lanes);
    cb_vector_free(&reader->chunks);
    cb_vector_free(&reader->objects);
    cb_vector_free(&reader->sites);
    cb_vector_free(&reader->modules);
    if (reader->mapped) {
        munmap((void *)reader->data, reader->size);
    }
    reader->lane_count = 0;
    reader->mapped = false;
}

struct cb_trace_site cb_trace_site(const struct cb_trace_reader *reader, uint32_t site) {
    const struct cb_trace_site *sites = reader->sites.start;
    return site != 0 && site <= reader->site_count ? sites[site] : (struct cb_trace_site){.known = false};
}

struct cb_trace_module cb_trace_module(const struct cb_trace_reader *reader, uint32_t module) {
    const struct cb_trace_module *modules = reader->modules.start;
    return module != 0 && module <= reader->module_count ? modules[module]
                                                         : (struct cb_trace_module){NULL, 0};
}
