/*
 * record.h: what the bytes of a lane say: one record each, decoded with what the lane has kept of those before.
 *
 * Layer: trace, the reader's own. Threads: one at a time for each reader.
 */
#ifndef CB_TRACE_RECORD_H
#define CB_TRACE_RECORD_H

#include "trace/trace.h"

/* A call that was parsed and has not been returned. */
struct cb_trace_call {
    uint8_t first; /* byte of its record */
    uint8_t function, align;
    bool names, names_other; /* an object; one by its lane */
    bool new_size;           /* `size` goes into the lane's table */
    uint32_t lane, site;     /* of the object named; of the allocation */
    uint64_t number, size;
};

struct cb_trace_lane {
    const uint8_t *at, *end;
    uint32_t chunk, last_chunk, parts;
    uint32_t thread, site;
    uint64_t ticks, objects, named, named_other;
    uint64_t slot[CB_TRACE_SLOTS];
    struct cb_vector
        numbers; /* by number of an object of this lane: 1 + its index in `objects`, 0: it is gone */
    struct cb_trace_call call;
    bool parsed, ended;
};

static inline struct cb_trace_lane *cb_lane_at(const struct cb_trace_reader *reader, uint32_t number) {
    return (struct cb_trace_lane *)reader->lanes.start + number;
}

/* Whether a record with this first byte is a call, and whether that makes an object. */
bool cb_record_is_call(uint8_t first);
bool cb_record_makes_object(uint8_t first);

/*
 * Each takes a record, behind its first byte, from *at on, and moves *at behind it; the bytes end at `end`. False: it
 * is no record. Of one that is no call: *function is that of the next call, when the record says so.
 */
bool cb_record_take_other(struct cb_trace_reader *reader, struct cb_trace_lane *lane, uint8_t first,
                          const uint8_t **at, const uint8_t *end, uint8_t *function);
bool cb_record_take_call(const struct cb_trace_reader *reader, const struct cb_trace_lane *lane,
                         const uint8_t **at, const uint8_t *end, struct cb_trace_call *call);

/* Whether the function may stand in for the one that the tables say of this record. */
bool cb_record_function_fits(const struct cb_trace_call *call, uint8_t function);

#endif
