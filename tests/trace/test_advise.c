/*
 * test_advise.c: the advisor against a simple model that keeps whole arrays and looks through them, on random traces of
 * several threads.
 */
#include "advise.h"

#include "trace/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 3u
#define LIVE_MOST 4000u
#define CALLS 12000u

struct entry {
    uint32_t object;
    uint64_t size;
    bool dead;
};

/* An arena as rings.h describes it, kept as a list of all blocks under its cursor. */
struct arena {
    struct entry *entries;
    size_t count, known, slots;
    uint64_t live;
};

struct object {
    uint32_t thread, place; /* its index among the live ones of its thread */
    uint64_t size, born;
};

struct model {
    struct arena arenas[THREADS][CB_RINGS];
    uint32_t *stacks[THREADS]; /* live objects, the newest last */
    size_t live[THREADS];
    uint64_t born[THREADS]; /* allocations */
    struct object objects[LIVE_MOST];
    uint32_t unused[LIVE_MOST];
    size_t unused_count;
    uint64_t distances[CB_DISTANCES], remembered[CB_RINGS], most[CB_RINGS];
    uint64_t most_of[THREADS][CB_RINGS];
    uint64_t bytes, now, peak, allocations, frees, lifetimes[CB_LOGS][CB_LOGS];
};

static uint64_t state;

static uint64_t rnd(uint64_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

static unsigned digits(uint64_t number) {
    unsigned count = 0;
    for (; number > 0; number >>= 1) {
        count++;
    }
    return count;
}

static uint64_t held(const struct arena *arena) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < arena->count; i++) {
        bytes += arena->entries[i].size;
    }
    return bytes;
}

static void note_most(struct model *model) {
    for (unsigned r = 0; r < CB_RINGS; r++) {
        uint64_t bytes = 0;
        for (unsigned t = 0; t < THREADS; t++) {
            uint64_t here = held(&model->arenas[t][r]);
            bytes += here;
            model->most_of[t][r] = here > model->most_of[t][r] ? here : model->most_of[t][r];
        }
        model->most[r] = bytes > model->most[r] ? bytes : model->most[r];
    }
}

static void arena_free(struct arena *arena, uint32_t object, uint64_t *remembered) {
    for (size_t i = arena->count; i-- > 0;) {
        if (arena->entries[i].object == object && !arena->entries[i].dead) {
            if (i >= arena->count - arena->known) {
                ++*remembered;
            }
            arena->entries[i].dead = true;
            break;
        }
    }
    while (arena->known > 0 && arena->entries[arena->count - 1].dead) {
        arena->count--;
        arena->known--;
    }
    if (--arena->live == 0) {
        arena->count = arena->known = 0;
    }
}

static uint32_t allocate(struct model *model, uint32_t thread, uint64_t size) {
    uint32_t object = model->unused[--model->unused_count];
    model->objects[object] = (struct object){.thread = thread, .size = size, .born = model->born[thread]++};
    model->stacks[thread][model->live[thread]++] = object;
    for (unsigned r = 0; r < CB_RINGS; r++) {
        struct arena *arena = &model->arenas[thread][r];
        arena->entries[arena->count++] = (struct entry){object, size, false};
        arena->known += arena->known < arena->slots;
        arena->live++;
    }
    model->allocations++;
    model->bytes += size;
    model->now += size;
    model->peak = model->now > model->peak ? model->now : model->peak;
    return object;
}

static void release(struct model *model, uint32_t number) {
    const struct object *object = &model->objects[number];
    uint32_t thread = object->thread, *stack = model->stacks[thread];
    size_t at = model->live[thread], above = 0;
    while (stack[--at] != number) {
        above++;
    }
    memmove(stack + at, stack + at + 1, above * sizeof *stack);
    model->live[thread]--;
    model->distances[digits(above)]++;
    model->lifetimes[digits(object->size)][digits(model->born[thread] - object->born)]++;
    for (unsigned r = 0; r < CB_RINGS; r++) {
        arena_free(&model->arenas[thread][r], number, &model->remembered[r]);
    }
    model->frees++;
    model->now -= object->size;
    model->unused[model->unused_count++] = number;
}

/* One that lives, near the top, anywhere, or at the bottom, as `habit` says. */
static uint32_t pick(const struct model *model, uint32_t thread, unsigned habit) {
    size_t live = model->live[thread], from = 0;
    if (habit == 0 || (habit == 1 && rnd(8) > 0)) {
        size_t near = habit == 0 ? 1 : 12;
        from = rnd(near < live ? near : live);
        return model->stacks[thread][live - 1 - from];
    }
    return model->stacks[thread][habit == 3 ? 0 : rnd(live)];
}

static void write_event(struct cb_trace_writer *writer, struct cb_trace_event event) {
    assert_true(cb_trace_write(writer, &event));
}

static void make(struct model *model, struct cb_trace_writer *writer, unsigned habit) {
    for (unsigned call = 0; call < CALLS; call++) {
        uint32_t thread = (uint32_t)rnd(THREADS),
                 owner = (uint32_t)rnd(8) > 0 ? thread : (uint32_t)rnd(THREADS);
        uint64_t size = rnd(5) > 0 ? rnd(200) : rnd(100000), ticks = call; /* so that the order is known */
        bool grows = call < CALLS / 2 ? rnd(100) < 55 : rnd(100) < 45;
        if (model->live[owner] == 0 || (grows && model->unused_count > 0)) {
            uint32_t object = allocate(model, thread, size);
            write_event(
                writer,
                (struct cb_trace_event){
                    .kind = CB_CALL_NEW, .thread = thread, .ticks = ticks, .object = object, .size = size});
        } else if (rnd(10) == 0) {
            uint32_t object = pick(model, owner, habit);
            release(model, object);
            assert_int_equal(allocate(model, thread, size), object);
            write_event(writer, (struct cb_trace_event){.kind = CB_CALL_RESIZE,
                                                        .function = CB_FUNCTION_REALLOC,
                                                        .thread = thread,
                                                        .ticks = ticks,
                                                        .object = object,
                                                        .size = size});
        } else {
            uint32_t object = pick(model, owner, habit);
            release(model, object);
            write_event(writer, (struct cb_trace_event){.kind = CB_CALL_FREE,
                                                        .function = CB_FUNCTION_FREE,
                                                        .thread = thread,
                                                        .ticks = ticks,
                                                        .object = object});
        }
        note_most(model);
    }
}

static void begin(struct model *model) {
    memset(model, 0, sizeof *model);
    for (unsigned t = 0; t < THREADS; t++) {
        model->stacks[t] = calloc(LIVE_MOST, sizeof *model->stacks[t]);
        for (unsigned r = 0; r < CB_RINGS; r++) {
            model->arenas[t][r].entries = calloc(CALLS, sizeof(struct entry));
            model->arenas[t][r].slots = (size_t)1 << r;
        }
    }
    for (uint32_t i = 0; i < LIVE_MOST; i++) {
        model->unused[model->unused_count++] = i;
    }
}

static void end(struct model *model) {
    for (unsigned t = 0; t < THREADS; t++) {
        free(model->stacks[t]);
        for (unsigned r = 0; r < CB_RINGS; r++) {
            free(model->arenas[t][r].entries);
        }
    }
}

static void check_skyline(const struct cb_advice *advice, const struct model *model) {
    const struct cb_skyline *skyline = &advice->skyline;
    assert_true(skyline->count > 0 && skyline->close_count == CB_SKYLINE_CLOSE);
    assert_int_equal(skyline->points[skyline->count - 1].calls, skyline->calls);
    uint64_t most = 0;
    for (uint32_t i = 0; i < skyline->count; i++) {
        assert_true(skyline->points[i].least <= skyline->points[i].most);
        assert_true(i == 0 || skyline->points[i].calls > skyline->points[i - 1].calls);
        most = skyline->points[i].most > most ? skyline->points[i].most : most;
    }
    unsigned ring = digits(advice->slots) - 1;
    bool found = false;
    for (unsigned t = 0; t < THREADS; t++) {
        found |= most == model->most_of[t][ring];
    }
    assert_true(found);
    for (uint32_t i = 0; i < skyline->close_count; i++) {
        assert_true(skyline->close[i].held <= most && skyline->close[i].live <= skyline->close[i].held);
    }
}

static void compare(const struct cb_advice *advice, const struct model *model) {
    const struct cb_advice_part *all = &advice->all;
    assert_int_equal(all->allocations, model->allocations);
    assert_int_equal(all->frees, model->frees);
    assert_int_equal(all->bytes, model->bytes);
    assert_int_equal(all->peak, model->peak);
    assert_int_equal(all->live, model->now);
    assert_int_equal(advice->lanes, THREADS);
    assert_memory_equal(advice->distances, model->distances, sizeof model->distances);
    assert_memory_equal(advice->lifetimes, model->lifetimes, sizeof model->lifetimes);
    uint64_t never = 0;
    for (unsigned i = 0; i < CB_LOGS; i++) {
        never += advice->never_freed[i];
    }
    assert_int_equal(never, model->allocations - model->frees);
    for (unsigned r = 0; r < CB_RINGS; r++) {
        uint64_t bytes = 0;
        for (unsigned t = 0; t < THREADS; t++) {
            bytes += held(&model->arenas[t][r]);
        }
        assert_int_equal(all->held[r], bytes);
        assert_int_equal(all->most[r], model->most[r]);
        assert_int_equal(all->remembered[r], model->remembered[r]);
    }
    check_skyline(advice, model);
}

/* The habits: from the top; near it; anywhere; the oldest first. */
static void test_random_traces(void **context) {
    static struct model model;
    static struct cb_advice advice;
    (void)context;
    for (unsigned habit = 0; habit < 4; habit++) {
        struct cb_trace_header header = {.magic = CB_TRACE_MAGIC,
                                         .version = CB_TRACE_VERSION,
                                         .header_bytes = CB_TRACE_HEADER_BYTES,
                                         .tick = 1000000,
                                         .page_bytes = 4096};
        struct cb_trace_writer writer;
        struct cb_trace_reader reader;
        state = 88172645463325252u + habit;
        begin(&model);
        assert_true(cb_trace_write_begin(&writer, &header));
        make(&model, &writer, habit);
        ((struct cb_trace_header *)writer.out.start)->length = writer.size;
        assert_true(cb_trace_open_memory(&reader, writer.out.start, writer.size));
        assert_true(cb_advise(&advice, &reader));
        compare(&advice, &model);
        cb_trace_close(&reader);
        cb_trace_write_end(&writer);
        end(&model);
    }
}

/* The advice for a stack in order, for a queue, and for one that frees nothing. */
static void test_verdicts(void **context) {
    static struct cb_advice advice;
    (void)context;
    for (unsigned kind = 0; kind < 3; kind++) {
        struct cb_trace_header header = {.magic = CB_TRACE_MAGIC,
                                         .version = CB_TRACE_VERSION,
                                         .header_bytes = CB_TRACE_HEADER_BYTES,
                                         .tick = 1000000,
                                         .page_bytes = 4096};
        struct cb_trace_writer writer;
        struct cb_trace_reader reader;
        assert_true(cb_trace_write_begin(&writer, &header));
        for (uint32_t i = 0; i < 5000; i++) {
            uint32_t object = kind == 2 ? i : i % 16;
            if (kind == 0 && i % 16 == 0 && i > 0) {
                for (uint32_t k = 16; k-- > 0;) {
                    write_event(&writer, (struct cb_trace_event){.kind = CB_CALL_FREE,
                                                                 .function = CB_FUNCTION_FREE,
                                                                 .object = k});
                }
            } else if (kind == 1 && i >= 16) {
                write_event(&writer, (struct cb_trace_event){.kind = CB_CALL_FREE,
                                                             .function = CB_FUNCTION_FREE,
                                                             .object = object});
            }
            write_event(&writer, (struct cb_trace_event){.kind = CB_CALL_NEW, .object = object, .size = 64});
        }
        ((struct cb_trace_header *)writer.out.start)->length = writer.size;
        assert_true(cb_trace_open_memory(&reader, writer.out.start, writer.size));
        assert_true(cb_advise(&advice, &reader));
        assert_int_equal(advice.suits, kind != 1);
        assert_int_equal(cb_advice_plain(&advice.all), kind == 2);
        if (kind == 0) {
            assert_int_equal(advice.slots, 1); /* the last to go gives all back */
            assert_int_equal(advice.all.remembered[4], advice.all.frees);
            assert_int_equal(advice.all.remembered[0] * 16, advice.all.frees);
        } else if (kind == 1) {
            assert_int_equal(advice.all.remembered[3], 0); /* 15 lie above */
            assert_int_equal(advice.all.remembered[4], advice.all.frees);
            assert_int_equal(advice.all.most[10], advice.all.bytes);
        }
        cb_trace_close(&reader);
        cb_trace_write_end(&writer);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_traces),
        cmocka_unit_test(test_verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
