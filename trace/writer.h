/*
 * writer.h: writes traces from calls that were read, a part of them or changed ones.
 *
 * Layer: trace, above trace.h. Threads: one at a time for each writer. Nothing here calls malloc.
 */
#ifndef CB_TRACE_WRITER_H
#define CB_TRACE_WRITER_H

#include "trace/trace.h"

struct cb_trace_writer {
    struct cb_vector out;     /* the file */
    struct cb_vector lanes;   /* one for each thread that has come */
    struct cb_vector objects; /* by number in the events: which one it is in the file */
    struct cb_vector threads; /* by number: 1 + its lane */
    size_t size;
    uint32_t lane_count;
};

/* `header`: what process it was, and when; the rest of it is made anew. False: no memory. */
bool cb_trace_write_begin(struct cb_trace_writer *writer, const struct cb_trace_header *header);

/*
 * Adds a call. Those that name an object come after the one that made it; sites are left out. False: no memory.
 */
bool cb_trace_write(struct cb_trace_writer *writer, const struct cb_trace_event *event);

/* Puts the trace into a file, which it replaces. False: errno says why. */
bool cb_trace_write_file(struct cb_trace_writer *writer, const char *path);

void cb_trace_write_end(struct cb_trace_writer *writer);

#endif
