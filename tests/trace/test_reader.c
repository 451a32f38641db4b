/*
 * The reader and the writer of traces: what is written is read, and damaged files are refused.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "trace/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/random.h"

#define CALLS 1000
#define OBJECTS 200
#define THREADS 3
#define MUTATIONS 4000

/* The same sequence everywhere. */
static uint64_t state;
static uint32_t random_below(uint32_t limit) {
    return (uint32_t)fixture_random(&state) % limit;
}

static struct cb_trace_event calls[CALLS];

/* Calls of every kind, by several threads, that pass objects to each other. */
static void make_calls(void) {
    uint64_t size[OBJECTS] = {0};
    bool live[OBJECTS] = {false};
    state = 1;
    for (size_t i = 0; i < CALLS; i++) {
        uint32_t object = random_below(OBJECTS), thread = random_below(THREADS);
        struct cb_trace_event event = {.thread = thread, .ticks = i / 100, .object = object};
        if (!live[object]) {
            static const enum cb_trace_function makers[] = {
                CB_FUNCTION_MALLOC,       CB_FUNCTION_CALLOC,        CB_FUNCTION_REALLOC,
                CB_FUNCTION_REALLOCARRAY, CB_FUNCTION_ALIGNED_ALLOC, CB_FUNCTION_MEMALIGN,
                CB_FUNCTION_VALLOC};
            event.function = makers[random_below(7)];
            event.kind = event.function == CB_FUNCTION_REALLOC && random_below(2) == 0
                             ? CB_CALL_RESIZE_UNKNOWN
                             : CB_CALL_NEW;
            event.align = event.function >= CB_FUNCTION_POSIX_MEMALIGN ? 4 + random_below(9) : 0;
            event.size = size[object] = random_below(100000);
            live[object] = true;
        } else {
            static const struct {
                enum cb_trace_kind kind;
                enum cb_trace_function function;
            } users[] = {{CB_CALL_RESIZE, CB_FUNCTION_REALLOC},
                         {CB_CALL_RESIZE, CB_FUNCTION_REALLOCARRAY},
                         {CB_CALL_FREE, CB_FUNCTION_FREE},
                         {CB_CALL_FREE, CB_FUNCTION_FREE_SIZED},
                         {CB_CALL_FREE, CB_FUNCTION_REALLOC},
                         {CB_CALL_USE, CB_FUNCTION_MALLOC_USABLE_SIZE},
                         {CB_CALL_RESIZE_FAILED, CB_FUNCTION_REALLOC},
                         {CB_CALL_FREE_NULL, CB_FUNCTION_FREE},
                         {CB_CALL_FAILED, CB_FUNCTION_CALLOC},
                         {CB_CALL_FREE_UNKNOWN, CB_FUNCTION_CFREE},
                         {CB_CALL_USE_UNKNOWN, CB_FUNCTION_MALLOC_USABLE_SIZE},
                         {CB_CALL_OTHER, CB_FUNCTION_MALLOPT}};
            uint32_t which = random_below(12);
            event.kind = users[which].kind;
            event.function = users[which].function;
            event.old_size = size[object];
            if (event.kind == CB_CALL_RESIZE) {
                event.size = size[object] = 1 + random_below(100000);
            }
            live[object] = event.kind != CB_CALL_FREE;
        }
        calls[i] = event;
    }
}

static const struct cb_trace_header head = {.magic = CB_TRACE_MAGIC,
                                            .version = CB_TRACE_VERSION,
                                            .header_bytes = CB_TRACE_HEADER_BYTES,
                                            .tick = 1000};

/* The file that these calls are; aligned, since malloc gave it. */
static uint8_t *write_calls(size_t *size) {
    struct cb_trace_writer writer;
    assert_true(cb_trace_write_begin(&writer, &head));
    for (size_t i = 0; i < CALLS; i++) {
        assert_true(cb_trace_write(&writer, &calls[i]));
    }
    ((struct cb_trace_header *)writer.out.start)->length = *size = writer.size;
    uint8_t *file = malloc(writer.size);
    assert_non_null(file);
    memcpy(file, writer.out.start, writer.size);
    cb_trace_write_end(&writer);
    return file;
}

/* Reads all of it: how many calls; -1: the trace is refused, in one line. */
static long read_all(const uint8_t *file, size_t size) {
    struct cb_trace_reader reader;
    struct cb_trace_event event;
    int more = cb_trace_open_memory(&reader, file, size) ? 1 : -1;
    long count = 0;
    while (more > 0 && (more = cb_trace_next(&reader, &event)) > 0) {
        count++;
    }
    assert_true(more == 0 || (reader.error[0] != '\0' && strchr(reader.error, '\n') == NULL));
    cb_trace_close(&reader);
    return more == 0 ? count : -1;
}

/* Whatever order the threads' calls come in, those of one thread and of one object come in theirs. */
static void test_what_is_written_is_read(void **unused) {
    struct cb_trace_reader reader;
    struct cb_trace_event event;
    size_t size, at[THREADS] = {0}, read = 0;
    uint8_t *file = write_calls(&size);
    (void)unused;
    assert_true(cb_trace_open_memory(&reader, file, size));
    while (cb_trace_next(&reader, &event) > 0) {
        size_t *next = &at[event.thread];
        while (calls[*next].thread != event.thread) {
            (*next)++;
        }
        const struct cb_trace_event *written = &calls[(*next)++];
        if ((event.kind == CB_CALL_USE_UNKNOWN && written->kind == CB_CALL_USE) ||
            (event.kind == CB_CALL_FAILED && written->kind == CB_CALL_RESIZE_FAILED)) {
            event.kind = written->kind; /* within one tick another thread has freed it */
            event.old_size = written->old_size;
        }
        assert_int_equal(event.kind, written->kind);
        assert_int_equal(event.function, written->function);
        assert_int_equal(event.ticks, written->ticks);
        assert_int_equal(event.size, written->size);
        assert_int_equal(event.align, written->align);
        if (event.kind == CB_CALL_RESIZE || event.kind == CB_CALL_FREE || event.kind == CB_CALL_USE) {
            assert_int_equal(event.old_size, written->old_size);
        }
        read++;
    }
    assert_string_equal(reader.error, "");
    assert_int_equal(read, CALLS);
    cb_trace_close(&reader);
    free(file);
}

/* In memory of its own, so that a sanitizer sees a byte too far. */
static long read_copy(const uint8_t *file, size_t size) {
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, file, size);
    long count = read_all(copy, size);
    free(copy);
    return count;
}

static void test_truncated_files_are_refused(void **unused) {
    size_t size;
    uint8_t *file = write_calls(&size);
    (void)unused;
    for (size_t length = 0; length < size; length += 127) {
        assert_int_equal(read_copy(file, length), -1);
    }
    /* and where the header does not say how long it was, what is there is read, or refused */
    ((struct cb_trace_header *)file)->length = 0;
    for (size_t length = CB_TRACE_HEADER_BYTES; length < size; length += 127) {
        assert_true(read_copy(file, length) <= CALLS);
    }
    free(file);
}

static void test_mutated_files_are_read_or_refused(void **unused) {
    size_t size;
    uint8_t *file = write_calls(&size);
    long refused = 0;
    (void)unused;
    for (uint32_t i = 0; i < MUTATIONS; i++) {
        size_t at = i % 8 == 0 ? random_below(80)
                               : CB_TRACE_HEADER_BYTES + random_below((uint32_t)size - CB_TRACE_HEADER_BYTES);
        uint8_t was = file[at];
        file[at] = (uint8_t)random_below(256);
        refused += read_all(file, size) < 0;
        file[at] = was;
    }
    assert_true(refused > MUTATIONS / 10);
    assert_int_equal(read_all(file, size), CALLS);
    free(file);
}

/* Two lanes, each of which frees the other's first object before it has one. */
static void test_calls_that_wait_for_each_other_are_refused(void **unused) {
    _Alignas(8) static uint8_t file[CB_TRACE_HEADER_BYTES + 2 * CB_TRACE_CHUNK_LEAST];
    struct cb_trace_reader reader;
    struct cb_trace_event event;
    struct cb_trace_header own = head;
    (void)unused;
    own.chunk_bytes = CB_TRACE_CHUNK_LEAST;
    memcpy(file, &own, sizeof own);
    for (uint8_t lane = 0; lane < 2; lane++) {
        uint8_t *chunk = file + CB_TRACE_HEADER_BYTES + lane * CB_TRACE_CHUNK_LEAST;
        const uint8_t records[] = {CB_RECORD_FREE, (uint8_t)((1 - lane) << 1 | 1), 0, CB_RECORD_MALLOC, 5};
        memcpy(chunk, &(struct cb_trace_chunk){.lane_plus_1 = lane + 1u}, sizeof(struct cb_trace_chunk));
        memcpy(chunk + sizeof(struct cb_trace_chunk), records, sizeof records);
    }
    assert_true(cb_trace_open_memory(&reader, file, sizeof file));
    assert_int_equal(cb_trace_next(&reader, &event), -1);
    assert_non_null(strstr(reader.error, "never allocated"));
    cb_trace_close(&reader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_truncated_files_are_refused),
        cmocka_unit_test(test_mutated_files_are_read_or_refused),
        cmocka_unit_test(test_calls_that_wait_for_each_other_are_refused),
    };
    make_calls();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
