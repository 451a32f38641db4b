/*
 * chunks.c: the trace as a file: its header, its chunks, its name. See record.h.
 *
 * Layer: record. Threads: any, once the trace has been created. Lock: none; chunks are counted by an atomic.
 *
 * Chunks are mapped and shared with the file: what is stored there is the file's at once, however the process ends.
 */
#include "record.h"

#include "heap/options.h"
#include "heap/line.h"
#include "os/file.h"
#include "os/os.h"

#include <errno.h>
#include <string.h>

#define TRIES 1000   /* of names */
#define TICK 1000000 /* nanoseconds: cb_os_milliseconds */

static struct cb_file file = {.descriptor = -1};
static struct cb_trace_header *header; /* mapped; in a forked child the parent's until cb_trace_create */
static _Atomic uint64_t chunks;        /* taken so far; relaxed */
static uint64_t began;                 /* milliseconds; written under the lock `start` */

struct cb_trace_header *cb_trace_head(void) {
    return header;
}

static void say(const char *what, int error) {
    struct cb_line line = {.length = 0};
    cb_line_string(&line, "cutback: record: ");
    cb_line_string(&line, file.path);
    cb_line_string(&line, ": ");
    cb_line_string(&line, what);
    cb_line_string(&line, " (");
    cb_line_string(&line, error == EFBIG                        ? "file too large"
                          : error == ENOSPC                     ? "no space left"
                          : error == EDQUOT                     ? "disk quota exceeded"
                          : error == EACCES                     ? "permission denied"
                          : error == EROFS                      ? "read-only file system"
                          : error == ENOENT || error == ENOTDIR ? "no such folder"
                          : error == ENODEV                     ? "this file system cannot map files"
                          : error == ENOMEM                     ? "out of memory"
                          : error == EMFILE                     ? "too many open files"
                          : error == EISDIR                     ? "it is a folder"
                                                                : "errno ");
    if (line.text[line.length - 1] == ' ') {
        cb_line_number(&line, (size_t)error);
    }
    cb_line_string(&line, ")");
    cb_line_write(&line);
}

/* ---- Names ---- */

struct name {
    char text[CB_FILE_PATH];
    size_t length; /* that of `text`: it has not fitted */
};

static void add(struct name *name, const char *text, size_t length) {
    if (length >= sizeof name->text - name->length) {
        name->length = sizeof name->text;
        return;
    }
    memcpy(name->text + name->length, text, length);
    name->length += length;
    name->text[name->length] = '\0';
}

static void add_number(struct name *name, size_t number) {
    struct cb_line line = {.length = 0};
    cb_line_number(&line, number);
    add(name, line.text, line.length);
}

/* Creates a file of a name that nobody has: the pattern's, else with the process's number, else with one more. */
static int create(const char *pattern) {
    struct name name;
    int error = EEXIST;
    for (unsigned tries = 0; tries < TRIES && error == EEXIST; tries++) {
        name.length = cb_options_expand(pattern, name.text, sizeof name.text);
        if (tries > 0) {
            add(&name, ".", 1);
            add_number(&name, cb_os_process());
        }
        if (tries > 1) {
            add(&name, ".", 1);
            add_number(&name, tries - 1);
        }
        if (name.length == sizeof name.text || !cb_file_absolute(name.text, sizeof name.text)) {
            memcpy(file.path, pattern, strnlen(pattern, sizeof file.path - 1));
            return ENAMETOOLONG;
        }
        memcpy(file.path, name.text, sizeof name.text);
        error = cb_file_create(&file);
    }
    return error;
}

/* ---- The file ---- */

bool cb_trace_create(const char *pattern, bool sites, uint32_t parent) {
    void *mapped = NULL;
    int error = create(pattern);
    if (error == 0) {
        error = cb_file_map(&file, 0, CB_TRACE_HEADER_BYTES, &mapped);
    }
    if (error != 0) {
        say("nothing is recorded", error);
        return false;
    }
    header = mapped;
    atomic_store_explicit(&chunks, 0, memory_order_relaxed);
    began = cb_os_milliseconds();
    memcpy(header->magic, CB_TRACE_MAGIC, CB_TRACE_MAGIC_BYTES);
    header->version = CB_TRACE_VERSION;
    header->header_bytes = CB_TRACE_HEADER_BYTES;
    header->chunk_bytes = CB_CHUNK;
    header->flags = sites ? CB_TRACE_FLAG_SITES : 0;
    header->length = CB_TRACE_HEADER_BYTES;
    header->start = cb_file_now();
    header->tick = TICK;
    header->process = (uint32_t)cb_os_process();
    header->parent = parent;
    header->page_bytes = (uint32_t)cb_os_page_size();
    header->command_bytes =
        (uint32_t)cb_os_load("/proc/self/cmdline", header->command, sizeof header->command);
    if (header->command_bytes > 0) {
        header->command[header->command_bytes - 1] = '\0'; /* where it was cut */
    }
    return true;
}

void cb_trace_forget(void) {
    if (header != NULL) {
        cb_os_unmap(header, CB_TRACE_HEADER_BYTES);
        header = NULL;
    }
    cb_file_close(&file); /* the child's descriptor, not the parent's */
}

void cb_trace_leave(struct cb_lane *lane) {
    if (lane->chunk != NULL) {
        cb_os_unmap(lane->chunk, CB_CHUNK);
        lane->chunk = NULL;
    }
}

/* The file has at least this length. */
static void raise_length(uint64_t to) {
    uint64_t now = __atomic_load_n(&header->length, __ATOMIC_RELAXED);
    while (now < to && !__atomic_compare_exchange_n(&header->length, &now, to, true, __ATOMIC_RELAXED,
                                                    __ATOMIC_RELAXED)) {
    }
}

/* From now on nothing is recorded; says so once. */
static void stop(int error) {
    if (atomic_exchange_explicit(&cb_record_shared->epoch, CB_EPOCH_OFF, memory_order_relaxed) !=
        CB_EPOCH_OFF) {
        __atomic_store_n(&header->end, CB_TRACE_STOPPED, __ATOMIC_RELAXED);
        say("recording stops: the file cannot grow", error);
    }
}

bool cb_trace_extend(struct cb_lane *lane) {
    void *mapped = NULL;
    uint64_t offset =
        CB_TRACE_HEADER_BYTES + CB_CHUNK * atomic_fetch_add_explicit(&chunks, 1, memory_order_relaxed);
    int error = cb_file_map(&file, offset, CB_CHUNK, &mapped);
    if (error != 0) {
        stop(error);
        return false;
    }
    raise_length(offset + CB_CHUNK);
    if (lane->chunk == NULL) {
        lane->ticks = cb_os_milliseconds();
    } else {
        cb_os_unmap(lane->chunk, CB_CHUNK);
    }
    struct cb_trace_chunk *chunk = mapped;
    chunk->part = lane->part++;
    chunk->object = lane->objects;
    chunk->ticks = lane->ticks - began;
    chunk->thread = lane->thread;
    __atomic_store_n(&chunk->lane_plus_1, lane->number + 1, __ATOMIC_RELEASE);
    lane->chunk = mapped;
    lane->at = lane->chunk + sizeof *chunk;
    lane->end = lane->chunk + CB_CHUNK;
    return true;
}
