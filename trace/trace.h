/*
 * trace.h: reads traces. The format is in doc/trace.md.
 *
 * Layer: trace, above format.h and memory.h. Threads: one at a time for each reader.
 *
 * Nothing here calls malloc: a program that replays a trace can read it without changing the heap it measures.
 * Whatever the file holds, nothing outside of it is read, and every call returns.
 */
#ifndef CB_TRACE_H
#define CB_TRACE_H

#include "trace/format.h"
#include "trace/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CB_TRACE_SIZE_MOST (UINT64_C(1) << 56) /* bytes of an object */
#define CB_TRACE_THREADS_MOST (1u << 20)
#define CB_TRACE_SITES_MOST (1u << 20)

enum cb_trace_kind {
    CB_CALL_NEW,       /* an allocation that succeeded: `object` is there now */
    CB_CALL_RESIZE,    /* a realloc that succeeded: `object` has another size, and maybe another address */
    CB_CALL_FREE,      /* `object` is gone; also a realloc to size 0 */
    CB_CALL_USE,       /* malloc_usable_size */
    CB_CALL_FREE_NULL, /* free(NULL) */
    CB_CALL_FAILED,    /* an allocation that failed; a realloc of an unknown object, too */
    CB_CALL_RESIZE_FAILED,  /* a realloc that failed: `object` is as it was */
    CB_CALL_FREE_UNKNOWN,   /* of an object that the trace does not know */
    CB_CALL_RESIZE_UNKNOWN, /* the same for realloc: `object` is new */
    CB_CALL_USE_UNKNOWN,    /* the same for malloc_usable_size */
    CB_CALL_OTHER,          /* a function that concerns no object: malloc_trim and so on */
    CB_CALL_FORK,           /* no call: the process forks */
};

struct cb_trace_event {
    enum cb_trace_kind kind;
    enum cb_trace_function function;
    uint32_t lane, thread;
    uint64_t ticks;    /* since recording began */
    uint64_t call;     /* events before this one */
    uint32_t object;   /* a number that no other live object has; they are used again, so they stay small */
    uint32_t site;     /* of an allocation: from 1; 0: not known */
    unsigned align;    /* log2; 0: as usual */
    uint32_t owner;    /* the lane that allocated the object, or resized it last, before this call */
    uint64_t size;     /* asked for, or of an unknown object */
    uint64_t old_size; /* before this call; of the object that goes, is used or is resized */
    uint64_t age;      /* allocations by `owner` since the object's, its own included; at least 1 */
};

struct cb_trace_site {
    uint32_t module; /* 0: not known, and the offset is an address */
    bool known;
    uint64_t offset;
};

struct cb_trace_module {
    const char *path; /* in the file, without an end; NULL: not known */
    size_t length;
};

struct cb_trace_reader {
    const struct cb_trace_header *header; /* as in the file; already checked */
    const uint8_t *data;
    size_t size;
    uint64_t events;     /* that were returned */
    uint32_t lane_count; /* lanes are numbered from 0 */
    uint32_t site_count, module_count;
    char error[256]; /* one line, when a function has failed */

    /* The reader's own. */
    bool mapped;
    struct cb_vector lanes, chunks, objects, sites, modules;
    uint32_t current, free_object;
    uint64_t limit;
};

/* Maps a file. False, with an error: it cannot be read, or is no trace, or a damaged one. */
bool cb_trace_open(struct cb_trace_reader *reader, const char *path);

/* The same of a file that is in memory already, aligned to 8 bytes, and stays there. */
bool cb_trace_open_memory(struct cb_trace_reader *reader, const void *data, size_t size);

/*
 * The next call, in an order in which every object is allocated before it is used: by time, as far as that is known,
 * and each thread's calls in theirs. 1: there is one. 0: there are no more. -1: the trace is damaged, and
 * `error` says where.
 */
int cb_trace_next(struct cb_trace_reader *reader, struct cb_trace_event *event);

/* Frees what the reader has; also after a failure. */
void cb_trace_close(struct cb_trace_reader *reader);

/* The sites that have been read so far; all of them when cb_trace_next has returned 0. */
struct cb_trace_site cb_trace_site(const struct cb_trace_reader *reader, uint32_t site);
struct cb_trace_module cb_trace_module(const struct cb_trace_reader *reader, uint32_t module);

const char *cb_trace_function_name(enum cb_trace_function function);

#endif
