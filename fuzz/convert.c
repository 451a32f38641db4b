/*
 * Converts between inputs of fuzz_malloc and traces (doc/trace.md), so that a report of a fault, which is a trace, becomes
 * a test and a seed, and what the fuzzer has found can be replayed under any malloc.
 *
 *     fuzz_convert INPUT TRACE     runs the input, and writes the calls that it makes
 *     fuzz_convert TRACE INPUT     the other way; which of the two, the first bytes of the file say
 *
 * Where the heap fails, the trace ends with the call that failed. An input has no calls that failed, that ask for
 * figures, or that are of objects which the trace does not know. A size above 32 KiB is rounded up within its page.
 * Objects that the model of the heap has no room for are left out, and their calls counted.
 *
 * Exit status: 0; 1: it cannot be converted, and a line says why; 2: wrong usage.
 *
 * Layer:     tests.
 * Threading: the model's helpers.
 */
#define MODEL_BYTES ((size_t)4 << 20) /* as fuzz_malloc has it */
#include "heap_model.h"

#include "trace/writer.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *out; /* the file that is made */

static _Noreturn void fail(const char *what, const char *why) {
    (void)fprintf(stderr, "fuzz_convert: %s: %s\n", what, why);
    exit(1);
}

/* ---- From an input to a trace ---- */

static struct {
    struct cb_trace_writer writer;
    struct cb_trace_event event;  /* the call that is being made */
    void *objects[MODEL_OBJECTS]; /* by number in the trace */
    struct {
        uint32_t number;
        unsigned starts; /* of the helper when it got that number */
    } threads[MODEL_HELPERS];
    uint32_t thread_count;
    bool calls; /* the heap is called */
} trace;

/* The number of the live object there; NULL: of one that is vacant. */
static uint32_t object_at(const void *start) {
    for (uint32_t i = 0; i < MODEL_OBJECTS; i++) {
        if (trace.objects[i] == start) {
            return i;
        }
    }
    fail("the model", "has more objects than it may have");
}

static uint32_t thread_of(const struct model *model, const struct model_helper *helper) {
    if (helper == NULL) {
        return 0;
    }
    size_t i = (size_t)(helper - model->helper);
    if (trace.threads[i].starts != helper->starts) {
        trace.threads[i].starts = helper->starts;
        trace.threads[i].number = ++trace.thread_count;
    }
    return trace.threads[i].number;
}

static enum cb_trace_function function_of(const struct model_call *call) {
    static const enum cb_trace_function aligned[] = {CB_FUNCTION_POSIX_MEMALIGN, CB_FUNCTION_MEMALIGN,
                                                     CB_FUNCTION_ALIGNED_ALLOC};
    switch (call->what) {
    case MODEL_CALLOC:
        return CB_FUNCTION_CALLOC;
    case MODEL_REALLOC:
        return (call->flavour & 1) != 0 ? CB_FUNCTION_REALLOCARRAY : CB_FUNCTION_REALLOC;
    case MODEL_ALIGNED:
        return aligned[call->flavour % 3];
    case MODEL_FREE:
        return CB_FUNCTION_FREE;
    case MODEL_TRIM:
        return CB_FUNCTION_MALLOC_TRIM;
    default:
        return CB_FUNCTION_MALLOC;
    }
}

/* The kind of event, if the call succeeds. */
static enum cb_trace_kind kind_of(const struct model_call *call) {
    if (call->what == MODEL_TRIM) {
        return CB_CALL_OTHER;
    }
    if (call->what == MODEL_FREE || (call->what == MODEL_REALLOC && call->ptr != NULL && call->size == 0)) {
        return CB_CALL_FREE;
    }
    return call->what == MODEL_REALLOC && call->ptr != NULL ? CB_CALL_RESIZE : CB_CALL_NEW;
}

static void begin_call(const struct model *model, const struct model_call *call,
                       const struct model_helper *helper) {
    struct cb_trace_event *event = &trace.event;
    enum cb_trace_kind kind = kind_of(call);
    size_t size = call->size;
    if (call->what == MODEL_CALLOC && __builtin_mul_overflow(call->count, size, &size)) {
        size = SIZE_MAX;
    }
    *event = (struct cb_trace_event){.kind = kind,
                                     .function = function_of(call),
                                     .thread = thread_of(model, helper),
                                     .ticks = event->ticks + 1,
                                     .size = kind == CB_CALL_FREE ? 0 : size};
    event->align = call->what == MODEL_ALIGNED ? (unsigned)__builtin_ctzl(call->align) : 0;
    if (kind != CB_CALL_OTHER) {
        event->object = object_at(kind == CB_CALL_NEW ? NULL : call->ptr);
    }
    trace.calls = true;
}

static void write_event(void) {
    if (!cb_trace_write(&trace.writer, &trace.event)) {
        fail(out, "out of memory");
    }
}

static void end_call(const struct model_call *call) {
    struct cb_trace_event *event = &trace.event;
    trace.calls = false;
    if (event->kind == CB_CALL_NEW && call->result == NULL) {
        event->kind = CB_CALL_FAILED;
    } else if (event->kind == CB_CALL_RESIZE && call->result == NULL) {
        event->kind = CB_CALL_RESIZE_FAILED;
    } else if (event->kind == CB_CALL_NEW || event->kind == CB_CALL_RESIZE) {
        trace.objects[event->object] = call->result;
    } else if (event->kind == CB_CALL_FREE) {
        trace.objects[event->object] = NULL;
    }
    write_event();
}

static void note(const struct model *model, const struct model_call *call, const struct model_helper *helper,
                 bool made) {
    if (call->what == MODEL_CHECK) {
        return;
    }
    if (made) {
        end_call(call);
    } else {
        begin_call(model, call, helper);
    }
}

static void write_trace(void) {
    if (!cb_trace_write_file(&trace.writer, out)) {
        fail(out, strerror(errno));
    }
}

/* The heap has ended the process: the call that did so is the last of the trace. */
static void write_rest(int number) {
    if (trace.calls) {
        write_event();
        write_trace();
        static const char text[] = "fuzz_convert: the heap fails at the last call of the trace\n";
        (void)!write(STDERR_FILENO, text, sizeof text - 1);
        _exit(0);
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void make_trace(const uint8_t *script, size_t size) {
    static struct model model;
    const struct cb_trace_header header = {.magic = CB_TRACE_MAGIC,
                                           .version = CB_TRACE_VERSION,
                                           .header_bytes = CB_TRACE_HEADER_BYTES,
                                           .tick = 1000000,
                                           .end = CB_TRACE_COMPLETE,
                                           .page_bytes = 4096,
                                           .command = "fuzz_malloc",
                                           .command_bytes = sizeof "fuzz_malloc"};
    size_t steps = size / MODEL_STEP;
    const char *fault = NULL;
    if (!cb_trace_write_begin(&trace.writer, &header)) {
        fail(out, "out of memory");
    }
    signal(SIGABRT, write_rest);
    signal(SIGSEGV, write_rest);
    model_start(&model);
    model.inject = model.stand_in = true;
    model.note = note;
    for (size_t i = 0; i < steps && i < MODEL_STEPS && fault == NULL; i++) {
        fault = model_step(&model, script + i * MODEL_STEP);
    }
    fault = fault == NULL ? model_end(&model) : fault;
    write_trace();
    if (fault != NULL) {
        (void)fprintf(stderr, "fuzz_convert: the heap fails at the last call of the trace: %s\n", fault);
    }
}

/* ---- From a trace to an input ---- */

#define NOWHERE UINT32_MAX
#define LIVE_MOST (MODEL_BYTES * 3 / 4) /* bytes asked for: the heap needs a little more than these */

struct place {
    uint32_t at; /* in the model's table; NOWHERE: left out */
    size_t size;
};

/* A thread of the trace. */
struct performer {
    uint64_t last;   /* its last call */
    uint32_t helper; /* 1 + its number; 0: none yet; NOWHERE: thread 0, which is the model's own */
};

static struct {
    struct cb_vector events;     /* struct cb_trace_event */
    struct cb_vector places;     /* struct place, by object */
    struct cb_vector performers; /* struct performer, by thread */
    size_t event_count, step_count, left_out, bytes;
    uint32_t live, vacant; /* objects; where to look for a vacant place */
    bool taken[MODEL_OBJECTS], helps[MODEL_HELPERS];
    uint8_t steps[MODEL_STEPS][MODEL_STEP];
} script;

static void reserve(struct cb_vector *vector, size_t count, size_t bytes) {
    if (!cb_vector_reserve(vector, count, bytes)) {
        fail(out, "out of memory");
    }
}

static struct performer *performer_of(uint32_t thread) {
    reserve(&script.performers, (size_t)thread + 1, sizeof(struct performer));
    return (struct performer *)script.performers.start + thread;
}

static void read_events(const char *path) {
    struct cb_trace_reader reader;
    struct cb_trace_event event;
    int more = cb_trace_open(&reader, path) ? 1 : -1;
    while (more > 0 && (more = cb_trace_next(&reader, &event)) > 0) {
        reserve(&script.events, script.event_count + 1, sizeof event);
        ((struct cb_trace_event *)script.events.start)[script.event_count] = event;
        performer_of(event.thread)->last = script.event_count++;
    }
    if (more < 0) {
        fail(path, reader.error);
    }
    cb_trace_close(&reader);
    performer_of(0)->helper = NOWHERE;
}

/* A helper that stands for no thread; where all do, two threads are one. */
static uint32_t helper_for(uint32_t thread) {
    struct performer *performer = performer_of(thread);
    if (performer->helper == 0) {
        uint32_t i = 0;
        while (i < MODEL_HELPERS && script.helps[i]) {
            i++;
        }
        i = i < MODEL_HELPERS ? i : thread % MODEL_HELPERS;
        script.helps[i] = true;
        performer->helper = i + 1;
    }
    return performer->helper;
}

/* The size as a step has it: the kind, and two bytes. */
static void put_size(uint8_t *step, size_t size) {
    static const struct {
        uint8_t kind, unit;
        size_t most;
    } kinds[] = {{0, 1, 256},        {7, 1, 1008},         {10, 1, 32768},
                 {12, 4, 65535 * 4}, {13, 32, 65535 * 32}, {14, 128, 65535 * 128}};
    size_t i = 0;
    while (size > kinds[i].most) {
        i++;
    }
    size_t n = (size + kinds[i].unit - 1) / kinds[i].unit;
    step[3] = kinds[i].kind;
    step[4] = (uint8_t)n;
    step[5] = (uint8_t)(n >> 8);
}

static void add_step(uint8_t operation, uint32_t at, uint32_t helper, size_t size, uint8_t more) {
    if (script.step_count == MODEL_STEPS) {
        fail(out, "the trace has more calls than an input may have steps (4096): shorten it with "
                  "cutback-replay --shrink");
    }
    uint8_t *step = script.steps[script.step_count++];
    step[0] = operation;
    step[1] = (uint8_t)at;
    step[2] = (uint8_t)(at >> 8);
    if (helper != NOWHERE) {
        step[2] |= (uint8_t)(128 | (helper - 1) << 1);
    }
    put_size(step, size);
    step[6] = more;
}

/* Which alignment and function: the model takes 8 << more % 19 and, by more % 3, the function. */
static uint8_t aligned_byte(const struct cb_trace_event *event) {
    unsigned shift = event->align > 3 ? event->align - 3 : 0, more = shift;
    unsigned wanted = event->function == CB_FUNCTION_POSIX_MEMALIGN  ? 0
                      : event->function == CB_FUNCTION_ALIGNED_ALLOC ? 2
                                                                     : 1;
    while (more % 3 != wanted) {
        more += 19;
    }
    return (uint8_t)more;
}

static void add_new(const struct cb_trace_event *event, struct place *place) {
    uint32_t helper = helper_for(event->thread), at = script.vacant;
    bool fits = event->size <= LIVE_MOST && script.bytes + event->size <= LIVE_MOST && event->align <= 21;
    if (!fits || script.live == MODEL_OBJECTS - 1) {
        place->at = NOWHERE;
        script.left_out++;
        return;
    }
    while (script.taken[at]) {
        at = (at + 1) % MODEL_OBJECTS;
    }
    script.taken[at] = true;
    script.vacant = (at + 1) % MODEL_OBJECTS;
    script.live++;
    script.bytes += event->size;
    *place = (struct place){at, event->size};
    if (event->align != 0) {
        add_step(7, at, helper, event->size, aligned_byte(event));
    } else if (event->function == CB_FUNCTION_REALLOC || event->function == CB_FUNCTION_REALLOCARRAY) {
        add_step(13, at, helper, event->size, event->function == CB_FUNCTION_REALLOC ? 224 : 225);
    } else {
        add_step(event->function == CB_FUNCTION_CALLOC ? 5 : 0, at, helper, event->size, 0);
    }
}

static void add_free(const struct cb_trace_event *event, const struct place *place) {
    bool by_realloc = event->function == CB_FUNCTION_REALLOC || event->function == CB_FUNCTION_REALLOCARRAY;
    script.taken[place->at] = false;
    script.live--;
    script.bytes -= place->size;
    add_step(by_realloc ? 13 : 8, place->at, helper_for(event->thread), 0,
             event->function == CB_FUNCTION_REALLOCARRAY);
}

static void add_resize(const struct cb_trace_event *event, struct place *place) {
    if (event->size > LIVE_MOST || script.bytes - place->size + event->size > LIVE_MOST) {
        script.left_out++;
        return;
    }
    script.bytes += event->size - place->size;
    place->size = event->size;
    add_step(13, place->at, helper_for(event->thread), event->size,
             event->function == CB_FUNCTION_REALLOCARRAY);
}

static void add_event(const struct cb_trace_event *event) {
    bool makes = event->kind == CB_CALL_NEW || event->kind == CB_CALL_RESIZE_UNKNOWN;
    bool names = event->kind == CB_CALL_FREE || event->kind == CB_CALL_RESIZE;
    if (makes || names) {
        reserve(&script.places, (size_t)event->object + 1, sizeof(struct place));
    }
    struct place *place = (struct place *)script.places.start + event->object;
    if (makes) {
        add_new(event, place);
    } else if (names && place->at == NOWHERE) {
        script.left_out++;
    } else if (event->kind == CB_CALL_FREE) {
        add_free(event, place);
    } else if (event->kind == CB_CALL_RESIZE) {
        add_resize(event, place);
    } else if (event->kind == CB_CALL_OTHER && event->function == CB_FUNCTION_MALLOC_TRIM) {
        add_step(22, 0, helper_for(event->thread), 0, 0);
    }
}

/* A thread that makes no more calls has ended. */
static void end_thread(uint32_t thread) {
    uint32_t helper = performer_of(thread)->helper;
    if (helper != 0 && helper != NOWHERE) {
        script.helps[helper - 1] = false;
        add_step(21, (helper - 1) << 9, NOWHERE, 0, 0);
    }
}

static void make_script(const char *path) {
    read_events(path);
    const struct cb_trace_event *events = script.events.start;
    for (size_t i = 0; i < script.event_count; i++) {
        add_event(&events[i]);
        if (performer_of(events[i].thread)->last == i) {
            end_thread(events[i].thread);
        }
    }
    FILE *file = fopen(out, "wb");
    bool good =
        file != NULL && fwrite(script.steps, MODEL_STEP, script.step_count, file) == script.step_count;
    if (file == NULL || fclose(file) != 0 || !good) {
        fail(out, strerror(errno));
    }
    if (script.left_out > 0) {
        (void)fprintf(
            stderr,
            "fuzz_convert: calls that are left out: %zu (the model has room for %d objects and %zu bytes)\n",
            script.left_out, MODEL_OBJECTS - 1, LIVE_MOST);
    }
}

int main(int count, char **words) {
    static uint8_t start[MODEL_STEPS * MODEL_STEP];
    if (count != 3) {
        (void)fputs("usage: fuzz_convert INPUT TRACE, or fuzz_convert TRACE INPUT\n", stderr);
        return 2;
    }
    out = words[2];
    int file = open(words[1], O_RDONLY | O_CLOEXEC);
    ssize_t size = file >= 0 ? read(file, start, sizeof start) : -1;
    if (size < 0) {
        fail(words[1], strerror(errno));
    }
    close(file);
    if (size >= CB_TRACE_MAGIC_BYTES && memcmp(start, CB_TRACE_MAGIC, CB_TRACE_MAGIC_BYTES) == 0) {
        make_script(words[1]);
    } else {
        make_trace(start, (size_t)size);
    }
    return 0;
}
