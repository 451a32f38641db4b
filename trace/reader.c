/*
 * reader.c: the next call of a trace. See trace.h.
 *
 * Layer: trace, the top. Threads: one at a time for each reader.
 *
 * Every lane is looked at up to its next call: parsed, and not counted yet. A call that names an object of another
 * lane which is not there yet waits for that lane.
 */
#include "trace/reader.h"

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

/* ---- Chunks ---- */

/* Where the lane goes on. False: there is no more of it, or it is damaged. */
static bool next_chunk(struct cb_trace_reader *reader, struct cb_trace_lane *lane) {
    const uint32_t *next = reader->chunks.start;
    if (lane->chunk == CB_NO_CHUNK) {
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
        return cb_reader_damaged(reader, (const uint8_t *)head,
                                 "the chunk does not go on where the one before it ends");
    }
    lane->at = reader->data + start + sizeof *head;
    lane->end = reader->data + (end < reader->size ? end : reader->size);
    lane->chunk = next[lane->chunk];
    return true;
}

bool cb_reader_look_ahead(struct cb_trace_reader *reader, struct cb_trace_lane *lane) {
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
        struct cb_trace_call call = {.first = *record};
        if (!cb_record_is_call(*record)) {
            if (!cb_record_take_other(reader, lane, *record, &at, lane->end, &function)) {
                return cb_reader_damaged(reader, record, "not a record");
            }
        } else {
            if (!cb_record_take_call(reader, lane, &at, lane->end, &call)) {
                return cb_reader_damaged(reader, record, "not a record");
            }
            if (function != CB_FUNCTION_COUNT && *record != CB_RECORD_FORK) {
                if (!cb_record_function_fits(&call, function)) {
                    return cb_reader_damaged(reader, record, "not a record of this function");
                }
                call.function = function;
            }
            if (cb_record_makes_object(*record) && call.size > CB_TRACE_SIZE_MOST) {
                return cb_reader_damaged(reader, record, "an object too large to be");
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
    return (uint32_t *)cb_lane_at(reader, lane)->numbers.start + number;
}

static uint32_t take_object_index(struct cb_trace_reader *reader) {
    struct object *objects = reader->objects.start;
    if (reader->free_object != CB_NO_OBJECT) {
        uint32_t index = reader->free_object;
        reader->free_object = objects[index].next;
        return index;
    }
    uint32_t index = objects == NULL ? 0 : objects[0].next;
    if (index == 0) {
        index = 1; /* the entry 0 holds how many there are */
    }
    if (index == CB_NO_OBJECT - 1 ||
        !cb_vector_reserve(&reader->objects, (size_t)index + 1, sizeof(struct object))) {
        return CB_NO_OBJECT;
    }
    objects = reader->objects.start;
    objects[0].next = index + 1;
    return index;
}

/*
 * The object that the call names. False: it is gone. Another thread may have freed it in the tick in which this
 * call only looks at it, and which was first is not known: then it is unknown.
 */
static bool find_object(struct cb_trace_reader *reader, const struct cb_trace_call *call,
                        struct cb_trace_event *event) {
    uint32_t index = *number_entry(reader, call->lane, call->number);
    if (index == 0) {
        if (event->kind == CB_CALL_USE || event->kind == CB_CALL_RESIZE_FAILED) {
            event->kind = event->kind == CB_CALL_USE ? CB_CALL_USE_UNKNOWN : CB_CALL_FAILED;
            return true;
        }
        return cb_reader_fail(reader, "damaged: call %llu names an object that is gone",
                              (unsigned long long)reader->events);
    }
    const struct object *object = (const struct object *)reader->objects.start + index;
    event->object = index - 1;
    event->owner = call->lane;
    event->old_size = object->size;
    event->age = cb_lane_at(reader, call->lane)->objects - call->number;
    return true;
}

/* An object of this lane; `index`: the one it had before, or CB_NO_OBJECT. */
static bool make_object(struct cb_trace_reader *reader, uint32_t number, uint64_t size, uint32_t index,
                        struct cb_trace_event *event) {
    struct cb_trace_lane *lane = cb_lane_at(reader, number);
    if (index == CB_NO_OBJECT) {
        index = take_object_index(reader);
    }
    if (index == CB_NO_OBJECT || !cb_vector_reserve(&lane->numbers, lane->objects + 1, sizeof(uint32_t))) {
        return cb_reader_fail(reader, "out of memory");
    }
    struct object *objects = reader->objects.start;
    objects[index] = (struct object){.size = size, .number = lane->objects, .lane = number};
    *number_entry(reader, number, lane->objects) = index;
    lane->objects++;
    event->object = index - 1;
    event->site = lane->call.site;
    return true;
}

static void drop_object(struct cb_trace_reader *reader, const struct cb_trace_call *call) {
    uint32_t *entry = number_entry(reader, call->lane, call->number);
    struct object *objects = reader->objects.start;
    objects[*entry].next = reader->free_object;
    reader->free_object = *entry;
    *entry = 0;
}

/* ---- The next call ---- */

static enum cb_trace_kind kind_of(const struct cb_trace_call *call) {
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
        return cb_record_makes_object(call->first) ? CB_CALL_NEW : CB_CALL_FREE;
    }
}

/* The lane keeps this for its next records. */
static void advance(struct cb_trace_lane *lane, uint32_t number) {
    const struct cb_trace_call *call = &lane->call;
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
    struct cb_trace_lane *lane = cb_lane_at(reader, number);
    const struct cb_trace_call *call = &lane->call;
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
    } else if (cb_record_makes_object(call->first) &&
               !make_object(reader, number, call->size, CB_NO_OBJECT, event)) {
        return false;
    }
    advance(lane, number);
    reader->events++;
    return true;
}

bool cb_reader_choose(struct cb_trace_reader *reader) {
    bool found = false;
    uint64_t best = 0;
    reader->limit = UINT64_MAX;
    for (uint32_t i = 0; i < reader->lane_count; i++) {
        const struct cb_trace_lane *lane = cb_lane_at(reader, i);
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

/* Of the lane and those it waits for, the first that waits for none. CB_NO_OBJECT: the trace is damaged. */
static uint32_t runnable(struct cb_trace_reader *reader, uint32_t number) {
    for (uint32_t steps = 0; steps <= reader->lane_count; steps++) {
        const struct cb_trace_lane *lane = cb_lane_at(reader, number);
        const struct cb_trace_call *call = &lane->call;
        if (lane->ended) {
            break;
        }
        if (!call->names || call->number < cb_lane_at(reader, call->lane)->objects) {
            return number;
        }
        number = call->lane;
    }
    (void)cb_reader_fail(reader, "damaged: lane %lu names an object that is never allocated",
                         (unsigned long)number);
    return CB_NO_OBJECT;
}

int cb_trace_next(struct cb_trace_reader *reader, struct cb_trace_event *event) {
    if (reader->lane_count == 0) {
        return 0;
    }
    const struct cb_trace_lane *current = cb_lane_at(reader, reader->current);
    if ((current->ended || current->ticks > reader->limit) && !cb_reader_choose(reader)) {
        return 0;
    }
    uint32_t number = runnable(reader, reader->current);
    if (number == CB_NO_OBJECT || !return_call(reader, number, event) ||
        !cb_reader_look_ahead(reader, cb_lane_at(reader, number))) {
        return -1;
    }
    return 1;
}

/* ---- Sites ---- */

struct cb_trace_site cb_trace_site(const struct cb_trace_reader *reader, uint32_t site) {
    const struct cb_trace_site *sites = reader->sites.start;
    return site != 0 && site <= reader->site_count ? sites[site] : (struct cb_trace_site){.known = false};
}

struct cb_trace_module cb_trace_module(const struct cb_trace_reader *reader, uint32_t module) {
    const struct cb_trace_module *modules = reader->modules.start;
    return module != 0 && module <= reader->module_count ? modules[module]
                                                         : (struct cb_trace_module){NULL, 0};
}
