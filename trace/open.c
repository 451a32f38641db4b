/*
 * open.c: opens traces: the header, and which chunks are whose. See trace.h.
 *
 * Layer: trace, the top. Threads: one at a time for each reader.
 */
#include "trace/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the header is read as it lies in the file"
#endif

static bool check_header(struct cb_trace_reader *reader) {
    const struct cb_trace_header *header = (const struct cb_trace_header *)reader->data;
    size_t known = reader->size < CB_TRACE_MAGIC_BYTES ? reader->size : CB_TRACE_MAGIC_BYTES;
    if (reader->size == 0 || memcmp(reader->data, CB_TRACE_MAGIC, known) != 0) {
        return cb_reader_fail(reader, "not a trace of cutback");
    }
    if (reader->size < CB_TRACE_HEADER_BYTES) {
        return cb_reader_fail(reader, "truncated: %zu bytes, less than the header of a trace", reader->size);
    }
    if (header->version != CB_TRACE_VERSION) {
        return cb_reader_fail(reader, "a trace of version %u; this program reads version %u", header->version,
                              CB_TRACE_VERSION);
    }
    uint32_t chunk = header->chunk_bytes;
    if (header->header_bytes != CB_TRACE_HEADER_BYTES || chunk < CB_TRACE_CHUNK_LEAST ||
        chunk > CB_TRACE_CHUNK_MOST || (chunk & (chunk - 1)) != 0 ||
        (header->flags & ~CB_TRACE_FLAG_SITES) != 0 || header->tick == 0 ||
        header->command_bytes > CB_TRACE_COMMAND_MOST) {
        return cb_reader_fail(reader, "damaged: its header cannot be right");
    }
    if (header->length > reader->size) {
        return cb_reader_fail(reader, "truncated: %zu of %llu bytes", reader->size,
                              (unsigned long long)header->length);
    }
    reader->header = header;
    return true;
}

/* Finds out which chunks are whose. */
static bool read_chunks(struct cb_trace_reader *reader) {
    size_t step = reader->header->chunk_bytes, body = reader->size - CB_TRACE_HEADER_BYTES;
    size_t count = (body + step - 1) / step;
    if (!cb_vector_reserve(&reader->chunks, count, sizeof(uint32_t)) ||
        !cb_vector_reserve(&reader->lanes, count, sizeof(struct cb_trace_lane))) {
        return cb_reader_fail(reader, "out of memory");
    }
    uint32_t *next = reader->chunks.start;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = reader->data + CB_TRACE_HEADER_BYTES + i * step;
        const struct cb_trace_chunk *head = (const struct cb_trace_chunk *)at;
        next[i] = CB_NO_CHUNK;
        if ((size_t)(reader->data + reader->size - at) < sizeof *head || head->lane_plus_1 == 0) {
            continue;
        }
        if (head->lane_plus_1 > count) {
            return cb_reader_damaged(reader, at, "a lane too many");
        }
        struct cb_trace_lane *lane = cb_lane_at(reader, head->lane_plus_1 - 1);
        if (head->part != lane->parts) {
            return cb_reader_damaged(reader, at, "a chunk is missing before this one");
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
        struct cb_trace_lane *lane = cb_lane_at(reader, i);
        lane->chunk = lane->parts == 0 ? CB_NO_CHUNK : lane->chunk; /* its thread was killed as it began */
        if (!cb_reader_look_ahead(reader, lane)) {
            return false;
        }
    }
    cb_reader_choose(reader);
    return true;
}

bool cb_trace_open_memory(struct cb_trace_reader *reader, const void *data, size_t size) {
    *reader = (struct cb_trace_reader){.data = data, .size = size, .free_object = CB_NO_OBJECT};
    return start(reader);
}

bool cb_trace_open(struct cb_trace_reader *reader, const char *path) {
    struct stat status;
    *reader = (struct cb_trace_reader){.free_object = CB_NO_OBJECT};
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return cb_reader_fail(reader, "%s", strerror(errno));
    }
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(file);
        return cb_reader_fail(reader, "not a file");
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
        return cb_reader_fail(reader, "%s", strerror(error));
    }
    return start(reader);
}

void cb_trace_close(struct cb_trace_reader *reader) {
    for (uint32_t i = 0; i < reader->lane_count; i++) {
        cb_vector_free(&cb_lane_at(reader, i)->numbers);
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
