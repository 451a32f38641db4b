/*
 * reader.h: what the two sources of the reader share.
 *
 * Layer: trace, the reader's own. Threads: one at a time for each reader.
 */
#ifndef CB_TRACE_READER_H
#define CB_TRACE_READER_H

#include "trace/record.h"

#include <stdio.h>

#define CB_NO_OBJECT UINT32_MAX
#define CB_NO_CHUNK UINT32_MAX

/* Puts the error, in the words of printf, and is false. */
#define cb_reader_fail(reader, ...) (snprintf((reader)->error, sizeof(reader)->error, __VA_ARGS__), false)

/* The same, of what lies there. */
static inline bool cb_reader_damaged(struct cb_trace_reader *reader, const uint8_t *at, const char *what) {
    return cb_reader_fail(reader, "damaged at byte %zu: %s", (size_t)(at - reader->data), what);
}

/* Looks at the lane up to its next call. False: the trace is damaged. */
bool cb_reader_look_ahead(struct cb_trace_reader *reader, struct cb_trace_lane *lane);

/* Chooses the lane with the earliest call, and until when it is that. False: none has any. */
bool cb_reader_choose(struct cb_trace_reader *reader);

#endif
