/*
 * writer.c: writes traces. See writer.h.
 *
 * Layer: trace, the top. Threads: one at a time for each writer.
 *
 * The records are the long ones: these traces are short.
 */
#include "trace/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CHUNK ((size_t)CB_TRACE_CHUNK_LEAST)
#define RECORD_MOST 96 /* bytes of a call, with its time and function */

struct lane {
    size_t at, end; /* in the file; both 0 before the first chunk */
    uint64_t ticks, objects, named_other;
    uint32_t part, thread;
};

struct object {
    uint32_t lane;
    uint64_t number;
};

static struct lane *lane_at(const struct cb_trace_writer *writer, uint32_t index) {
    return (struct lane *)writer->lanes.start + index;
}

static uint8_t *byte_at(const struct cb_trace_writer *writer, size_t at) {
    return (uint8_t *)writer->out.start + at;
}

static void put(const struct cb_trace_writer *writer, struct lane *lane, uint8_t byte) {
    *byte_at(writer, lane->at++) = byte;
}

static void put_varint(const struct cb_trace_writer *writer, struct lane *lane, uint64_t n) {
    const uint8_t *from = byte_at(writer, lane->at);
    lane->at += (size_t)(cb_trace_put_varint(byte_at(writer, lane->at), n) - from);
}

bool cb_trace_write_begin(struct cb_trace_writer *writer, const struct cb_trace_header *header) {
    *writer = (struct cb_trace_writer){.size = CB_TRACE_HEADER_BYTES};
    if (!cb_vector_reserve(&writer->out, CB_TRACE_HEADER_BYTES, 1)) {
        return false;
    }
    struct cb_trace_header *own = writer->out.start;
    *own = *header;
    own->chunk_bytes = CHUNK;
    own->flags = 0;
    return true;
}

static bool add_chunk(struct cb_trace_writer *writer, uint32_t index) {
    struct lane *lane = lane_at(writer, index);
    if (!cb_vector_reserve(&writer->out, writer->size + CHUNK, 1)) {
        return false;
    }
    struct cb_trace_chunk head = {.lane_plus_1 = index + 1,
                                  .part = lane->part++,
                                  .object = lane->objects,
                                  .ticks = lane->ticks,
                                  .thread = lane->thread};
    memcpy(byte_at(writer, writer->size), &head, sizeof head);
    lane->at = writer->size + sizeof head;
    writer->size += CHUNK;
    lane->end = writer->size;
    return true;
}

/* The index of the thread's lane, with room for a record. UINT32_MAX: no memory. */
static uint32_t lane_for(struct cb_trace_writer *writer, const struct cb_trace_event *event) {
    if (!cb_vector_reserve(&writer->threads, (size_t)event->thread + 1, sizeof(uint32_t))) {
        return UINT32_MAX;
    }
    uint32_t *known = (uint32_t *)writer->threads.start + event->thread;
    if (*known == 0) {
        if (!cb_vector_reserve(&writer->lanes, (size_t)writer->lane_count + 1, sizeof(struct lane))) {
            return UINT32_MAX;
        }
        *lane_at(writer, writer->lane_count) = (struct lane){.ticks = event->ticks, .thread = event->thread};
        *known = ++writer->lane_count;
    }
    const struct lane *lane = lane_at(writer, *known - 1);
    return lane->end - lane->at >= RECORD_MOST || add_chunk(writer, *known - 1) ? *known - 1 : UINT32_MAX;
}

static void put_object(const struct cb_trace_writer *writer, uint32_t index, uint32_t number) {
    struct lane *lane = lane_at(writer, index);
    const struct object *object = (const struct object *)writer->objects.start + number;
    if (object->lane == index) {
        put_varint(writer, lane, (lane->objects - object->number) << 1);
    } else {
        put_varint(writer, lane, (uint64_t)object->lane << 1 | 1);
        put_varint(writer, lane, cb_trace_zigzag((int64_t)(object->number - lane->named_other)));
        lane->named_other = object->number;
    }
}

static void put_size(const struct cb_trace_writer *writer, struct lane *lane, uint64_t size) {
    put(writer, lane, CB_TRACE_SIZE_FOLLOWS);
    put_varint(writer, lane, size);
}

static bool is_of_realloc(enum cb_trace_function function) {
    return function == CB_FUNCTION_REALLOC || function == CB_FUNCTION_REALLOCARRAY;
}

/* The first byte, behind a record of the function where that is not the usual one. */
static void put_first(const struct cb_trace_writer *writer, struct lane *lane, uint8_t first,
                      enum cb_trace_function function, enum cb_trace_function usual) {
    if (function != usual) {
        put(writer, lane, CB_RECORD_FUNCTION);
        put(writer, lane, (uint8_t)function);
    }
    put(writer, lane, first);
}

static void put_new(const struct cb_trace_writer *writer, struct lane *lane,
                    const struct cb_trace_event *event) {
    switch (event->function) {
    case CB_FUNCTION_MALLOC:
        put(writer, lane, CB_RECORD_MALLOC);
        put_varint(writer, lane, event->size);
        return;
    case CB_FUNCTION_CALLOC:
        put(writer, lane, CB_RECORD_CALLOC);
        break;
    case CB_FUNCTION_REALLOC:
    case CB_FUNCTION_REALLOCARRAY:
        put_first(writer, lane, CB_RECORD_REALLOC_NEW, event->function, CB_FUNCTION_REALLOC);
        break;
    default:
        put(writer, lane, CB_RECORD_ALIGNED);
        put(writer, lane, (uint8_t)event->function);
        put(writer, lane, (uint8_t)event->align);
    }
    put_size(writer, lane, event->size);
}

/* A call that names an object of the trace. */
static void put_named(const struct cb_trace_writer *writer, uint32_t index,
                      const struct cb_trace_event *event) {
    struct lane *lane = lane_at(writer, index);
    bool resized = is_of_realloc(event->function);
    if (event->kind == CB_CALL_RESIZE) {
        put_first(writer, lane, CB_RECORD_REALLOC, event->function, CB_FUNCTION_REALLOC);
    } else if (event->kind == CB_CALL_RESIZE_FAILED) {
        put_first(writer, lane, CB_RECORD_REALLOC_FAILED, event->function, CB_FUNCTION_REALLOC);
    } else if (event->kind == CB_CALL_FREE) {
        put_first(writer, lane, resized ? CB_RECORD_REALLOC_FREE : CB_RECORD_FREE, event->function,
                  resized ? CB_FUNCTION_REALLOC : CB_FUNCTION_FREE);
    } else {
        put(writer, lane, CB_RECORD_USABLE);
    }
    put_object(writer, index, event->object);
    if (event->kind == CB_CALL_RESIZE) {
        put_size(writer, lane, event->size);
    } else if (event->kind == CB_CALL_RESIZE_FAILED) {
        put_varint(writer, lane, event->size);
    }
}

/* A call that names an object which the trace does not know. */
static void put_unknown(const struct cb_trace_writer *writer, struct lane *lane,
                        const struct cb_trace_event *event) {
    bool resized = is_of_realloc(event->function);
    if (event->kind == CB_CALL_FREE_UNKNOWN) {
        put_first(writer, lane, resized ? CB_RECORD_UNKNOWN : CB_RECORD_FREE_UNKNOWN, event->function,
                  resized ? CB_FUNCTION_REALLOC : CB_FUNCTION_FREE);
        put_varint(writer, lane, event->size);
    } else if (event->kind == CB_CALL_RESIZE_UNKNOWN) {
        put_first(writer, lane, CB_RECORD_REALLOC_UNKNOWN, event->function, CB_FUNCTION_REALLOC);
        put_varint(writer, lane, 0);
        put_size(writer, lane, event->size);
    } else {
        put_first(writer, lane, CB_RECORD_UNKNOWN, event->function, CB_FUNCTION_REALLOC);
        put_varint(writer, lane, 0);
    }
}

static void put_call(const struct cb_trace_writer *writer, uint32_t index,
                     const struct cb_trace_event *event) {
    struct lane *lane = lane_at(writer, index);
    switch (event->kind) {
    case CB_CALL_NEW:
        put_new(writer, lane, event);
        break;
    case CB_CALL_RESIZE:
    case CB_CALL_RESIZE_FAILED:
    case CB_CALL_FREE:
    case CB_CALL_USE:
        put_named(writer, index, event);
        break;
    case CB_CALL_FREE_UNKNOWN:
    case CB_CALL_RESIZE_UNKNOWN:
    case CB_CALL_USE_UNKNOWN:
        put_unknown(writer, lane, event);
        break;
    case CB_CALL_FREE_NULL:
        put_first(writer, lane, CB_RECORD_FREE_NULL, event->function, CB_FUNCTION_FREE);
        break;
    case CB_CALL_FAILED:
        put(writer, lane, CB_RECORD_FAILED);
        put(writer, lane, (uint8_t)event->function);
        put(writer, lane, (uint8_t)event->align);
        put_varint(writer, lane, event->size);
        break;
    case CB_CALL_OTHER:
        put(writer, lane, CB_RECORD_OTHER);
        put(writer, lane, (uint8_t)event->function);
        break;
    case CB_CALL_FORK:
        put(writer, lane, CB_RECORD_FORK);
        put_varint(writer, lane, event->size);
        break;
    }
}

bool cb_trace_write(struct cb_trace_writer *writer, const struct cb_trace_event *event) {
    bool makes =
        event->kind == CB_CALL_NEW || event->kind == CB_CALL_RESIZE || event->kind == CB_CALL_RESIZE_UNKNOWN;
    uint32_t index = lane_for(writer, event);
    if (index == UINT32_MAX ||
        (makes && !cb_vector_reserve(&writer->objects, (size_t)event->object + 1, sizeof(struct object)))) {
        return false;
    }
    struct lane *lane = lane_at(writer, index);
    if (event->ticks > lane->ticks) {
        put(writer, lane, CB_RECORD_TIME);
        put_varint(writer, lane, event->ticks - lane->ticks);
        lane->ticks = event->ticks;
    }
    put_call(writer, index, event);
    if (makes) {
        ((struct object *)writer->objects.start)[event->object] = (struct object){index, lane->objects++};
    }
    return true;
}

bool cb_trace_write_file(struct cb_trace_writer *writer, const char *path) {
    ((struct cb_trace_header *)writer->out.start)->length = writer->size;
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    size_t done = 0;
    while (file >= 0 && done < writer->size) {
        ssize_t written = write(file, byte_at(writer, done), writer->size - done);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            int error = errno;
            close(file);
            errno = error;
            return false;
        }
        done += (size_t)written;
    }
    return file >= 0 && close(file) == 0;
}

void cb_trace_write_end(struct cb_trace_writer *writer) {
    cb_vector_free(&writer->out);
    cb_vector_free(&writer->lanes);
    cb_vector_free(&writer->objects);
    cb_vector_free(&writer->threads);
}
