/*
 * Fuzz target: the reader of traces, the writer, and the plan of a replay. Whatever the file, nothing beyond its end is
 * read; what can be read can be written, and is the same calls when it is read again.
 *
 * Layer:     tests. Threading: none.
 *
 * An input that does not begin as a trace gets a header: its first byte says whether there are sites, the others are
 * the chunks.
 */
#include "replay/replay.h"

#include "trace/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds, const char *what) {
    if (!holds) {
        (void)fprintf(stderr, "%s\n", what);
        abort();
    }
}

/* The calls, counted and added up, whatever order those of several threads are in. */
struct sum {
    uint64_t calls, sum;
};

static void add(struct sum *sum, const struct cb_trace_event *event) {
    uint64_t hash = event->kind;
    hash = hash * 31 + event->function;
    hash = hash * 31 + event->thread;
    hash = hash * 31 + event->size;
    hash = hash * 31 + event->align;
    sum->calls++;
    sum->sum += hash * UINT64_C(0x9E3779B97F4A7C15);
}

/* False: the trace is damaged. With `writer`, writes what is read. */
static bool read_all(const void *file, size_t size, struct sum *sum, struct cb_trace_writer *writer) {
    struct cb_trace_reader reader;
    struct cb_trace_event event;
    *sum = (struct sum){0, 0};
    int more = cb_trace_open_memory(&reader, file, size) ? 1 : -1;
    bool writes = more > 0 && writer != NULL && cb_trace_write_begin(writer, reader.header);
    while (more > 0 && (more = cb_trace_next(&reader, &event)) > 0) {
        if (event.kind == CB_CALL_FREE_UNKNOWN || event.kind == CB_CALL_USE_UNKNOWN) {
            continue; /* two threads at one object in one tick: may be known when it is read again */
        }
        if (event.kind == CB_CALL_USE || event.kind == CB_CALL_RESIZE_FAILED ||
            event.kind == CB_CALL_FAILED) {
            continue;
        }
        add(sum, &event);
        demand(!writes || cb_trace_write(writer, &event), "a call cannot be written");
    }
    demand(more == 0 || reader.error[0] != '\0', "no error is told");
    cb_trace_close(&reader);
    return more == 0;
}

static void free_plan(struct cb_plan *plan) {
    for (uint32_t i = 0; i < plan->part_count; i++) {
        cb_vector_free(&((struct cb_part *)plan->parts.start)[i].steps);
    }
    cb_vector_free(&plan->parts);
    cb_vector_free(&plan->segments);
    cb_vector_free(&plan->samples);
}

static void plan(const void *file, size_t size) {
    struct cb_trace_reader reader;
    struct cb_plan plan;
    if (cb_trace_open_memory(&reader, file, size)) {
        cb_plan_make(&plan, &reader);
        free_plan(&plan);
    }
    cb_trace_close(&reader);
}

static void exercise(const uint8_t *file, size_t size) {
    struct cb_trace_writer writer = {.size = 0};
    struct sum first, second;
    if (read_all(file, size, &first, &writer)) {
        demand(read_all(writer.out.start, writer.size, &second, NULL), "what was written cannot be read");
        demand(first.calls == second.calls && first.sum == second.sum, "other calls than were written");
        plan(file, size);
    }
    cb_trace_write_end(&writer);
}

/* In memory of just this size, so that a sanitizer sees a byte too far. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t known = size < CB_TRACE_MAGIC_BYTES ? size : CB_TRACE_MAGIC_BYTES;
    bool whole = size == 0 || memcmp(data, CB_TRACE_MAGIC, known) == 0;
    size_t length = whole ? size : CB_TRACE_HEADER_BYTES + size - 1;
    uint8_t *file = malloc(length > 0 ? length : 1);
    if (file == NULL) {
        return 0;
    }
    if (whole) {
        memcpy(file, data, size);
    } else {
        struct cb_trace_header header = {.magic = CB_TRACE_MAGIC,
                                         .version = CB_TRACE_VERSION,
                                         .header_bytes = CB_TRACE_HEADER_BYTES,
                                         .chunk_bytes = CB_TRACE_CHUNK_LEAST,
                                         .flags = data[0] & CB_TRACE_FLAG_SITES,
                                         .tick = 1000000};
        memcpy(file, &header, sizeof header);
        memcpy(file + sizeof header, data + 1, size - 1);
    }
    exercise(file, length);
    free(file);
    return 0;
}
