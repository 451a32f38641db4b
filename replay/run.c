/*
 * run.c: carries out a plan. See replay.h.
 *
 * Layer: replay. Threads: the first one does the first part; another one starts those of the other parts, each when
 * its first phase begins.
 *
 * All that is kept here was mapped and touched before the replay begins: none of it is counted.
 */
#include "replay.h"

#include "clock.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define ALIGN_LEAST 8
#define SPINS 64 /* before a thread sleeps */
#define NAP_NANOSECONDS 20000

/* An object of the program. */
struct slot {
    uint8_t *at;
    size_t size;
    uint64_t seed;
};

/* One replay. */
static struct {
    struct cb_plan *plan;
    enum cb_check check;
    struct slot *slots;
    _Atomic uint32_t open_phase; /* and those before; release when it rises */
    _Atomic uint32_t *left;      /* by phase: threads that have not ended their part of it */
} run;

static _Atomic bool failed; /* somebody is telling; the others stop */

static _Noreturn void give_up(void) {
    _exit(1);
}

/* False: another thread was first. */
static void begin_to_fail(void) {
    if (atomic_exchange(&failed, true)) {
        for (;;) {
            pause();
        }
    }
}

static _Noreturn void fail_content(const struct cb_step *step, const struct slot *slot, ptrdiff_t wrong,
                                   uint8_t expected) {
    begin_to_fail();
    cb_complain(
        "%s: an object of %zu bytes at %p has 0x%02x at offset %td, not 0x%02x: something else wrote there",
        cb_trace_function_name((enum cb_trace_function)step->function), slot->size, (void *)slot->at,
        slot->at[wrong], wrong, expected);
    give_up();
}

static _Noreturn void fail_result(const struct cb_step *step, const char *what, const void *p) {
    begin_to_fail();
    cb_complain("%s of %llu bytes, aligned to 2^%u, returned %p: %s",
                cb_trace_function_name((enum cb_trace_function)step->function),
                (unsigned long long)step->size, step->align, p, what);
    give_up();
}

/* ---- Waiting ---- */

static void wait_a_little(unsigned *turns) {
    if (++*turns < SPINS) {
        sched_yield();
    } else {
        nanosleep(&(struct timespec){0, NAP_NANOSECONDS}, NULL);
    }
}

static void wait_for_step(uint32_t part, size_t step) {
    const struct cb_part *other = (const struct cb_part *)run.plan->parts.start + part;
    for (unsigned turns = 0; atomic_load_explicit(&other->done, memory_order_acquire) < step;) {
        wait_a_little(&turns);
    }
}

static void wait_for_phase(uint32_t phase) {
    for (unsigned turns = 0; atomic_load_explicit(&run.open_phase, memory_order_acquire) < phase;) {
        wait_a_little(&turns);
    }
}

/* A thread has ended its part of this phase. Whoever is last opens the next one. */
static void end_phase(uint32_t phase) {
    /* acquire and release: the next phase's threads see all that was done in this one */
    if (atomic_fetch_sub_explicit(&run.left[phase], 1, memory_order_acq_rel) == 1) {
        atomic_store_explicit(&run.open_phase, phase + 1, memory_order_release);
    }
}

/* ---- Calls ---- */

/* Functions that a malloc may leave to the C library's are replaced by those that it does have. */
static void *allocate(const struct cb_step *step) {
    void *p = NULL;
    size_t size = (size_t)step->size, align = (size_t)1 << step->align;
    switch (step->function) {
    case CB_FUNCTION_CALLOC:
        return calloc(1, size);
    case CB_FUNCTION_REALLOC:
    case CB_FUNCTION_REALLOCARRAY:
        return realloc(NULL, size);
    case CB_FUNCTION_POSIX_MEMALIGN:
        return posix_memalign(&p, align < sizeof(void *) ? sizeof(void *) : align, size) == 0 ? p : NULL;
    case CB_FUNCTION_ALIGNED_ALLOC:
        return aligned_alloc(align, size);
    case CB_FUNCTION_MEMALIGN:
    case CB_FUNCTION_VALLOC:
    case CB_FUNCTION_PVALLOC:
        return memalign(align, size);
    default:
        return malloc(size);
    }
}

static void check_result(const struct cb_step *step, const void *p) {
    size_t align = (size_t)1 << step->align;
    if (p == NULL) {
        fail_result(step, "no memory", p);
    }
    align = align > ALIGN_LEAST ? align : ALIGN_LEAST;
    if (step->size >= ALIGN_LEAST && ((uintptr_t)p & (align - 1)) != 0) {
        fail_result(step, "not aligned", p);
    }
}

static void check_contents(const struct cb_step *step, const struct slot *slot, size_t limit) {
    ptrdiff_t wrong = cb_contents_find_wrong(run.check, slot->at, slot->size, limit, slot->seed);
    if (wrong >= 0) {
        fail_content(step, slot, wrong, cb_contents_byte((size_t)wrong, slot->seed));
    }
}

/* The seed differs from that of the object that had the slot before. */
static void keep(struct slot *slot, void *p, size_t size) {
    slot->at = p;
    slot->size = size;
    slot->seed += UINT64_C(0xD1B54A32D192ED03);
    cb_contents_fill(run.check, slot->at, size, slot->seed);
}

static void do_new(const struct cb_step *step) {
    struct slot *slot = &run.slots[step->slot];
    void *p = allocate(step);
    check_result(step, p);
    if (step->function == CB_FUNCTION_CALLOC) {
        ptrdiff_t wrong = cb_contents_find_nonzero(run.check, p, (size_t)step->size);
        if (wrong >= 0) {
            slot->at = p;
            slot->size = (size_t)step->size;
            fail_content(step, slot, wrong, 0);
        }
    }
    keep(slot, p, (size_t)step->size);
}

static void do_resize(const struct cb_step *step) {
    struct slot *slot = &run.slots[step->slot];
    size_t size = (size_t)step->size;
    void *p = realloc(slot->at, size);
    check_result(step, p);
    slot->at = p;
    check_contents(step, slot, slot->size < size ? slot->size : size);
    keep(slot, p, size);
}

static void do_free(const struct cb_step *step) {
    struct slot *slot = &run.slots[step->slot];
    check_contents(step, slot, slot->size);
    if (step->function == CB_FUNCTION_REALLOC || step->function == CB_FUNCTION_REALLOCARRAY) {
        void *p = realloc(slot->at, (size_t)step->size); /* 0 */
        if (p != NULL) {
            free(p); /* a malloc that gives an object of no bytes */
        }
    } else {
        free(slot->at);
    }
    slot->at = NULL;
}

static void do_use(const struct cb_step *step) {
    const struct slot *slot = &run.slots[step->slot];
    size_t usable = malloc_usable_size(slot->at);
    if (usable < slot->size) {
        begin_to_fail();
        cb_complain("malloc_usable_size: an object of %zu bytes at %p has only %zu", slot->size,
                    (void *)slot->at, usable);
        give_up();
    }
}

/* It failed when it was recorded: there may be more memory now. */
static void do_failed(const struct cb_step *step) {
    free(allocate(step));
}

static void do_sample(const struct cb_step *step) {
    ((struct cb_sample *)run.plan->samples.start)[step->slot].resident = cb_resident_now();
}

static void do_call(const struct cb_step *step) {
    switch (step->kind) {
    case CB_STEP_NEW:
        do_new(step);
        break;
    case CB_STEP_RESIZE:
        do_resize(step);
        break;
    case CB_STEP_FREE:
        do_free(step);
        break;
    case CB_STEP_USE:
        do_use(step);
        break;
    case CB_STEP_FREE_NULL:
        free(NULL);
        break;
    case CB_STEP_FAILED:
        do_failed(step);
        break;
    case CB_STEP_TRIM:
        malloc_trim(0);
        break;
    case CB_STEP_WAIT:
        wait_for_step(step->slot, (size_t)step->size);
        break;
    default:
        do_sample(step);
    }
}

static void *do_part(void *argument) {
    struct cb_part *part = argument;
    const struct cb_step *steps = part->steps.start;
    uint32_t phase = part->first_phase;
    for (size_t i = 0; i < part->count; i++) {
        const struct cb_step *step = steps + i;
        if (step->kind == CB_STEP_PHASE) {
            if (i > 0) {
                end_phase(phase);
            }
            phase = step->slot;
            wait_for_phase(phase);
        } else {
            do_call(step);
        }
        if (step->awaited) {
            atomic_store_explicit(&part->done, i + 1, memory_order_release);
        }
    }
    end_phase(phase);
    return NULL;
}

/* ---- Threads ---- */

/* Threads that have ended are joined now and then: what a malloc keeps for a thread is to come back. */
static uint32_t join_ended(pthread_t *threads, uint32_t count) {
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (pthread_tryjoin_np(threads[i], NULL) != 0) {
            threads[left++] = threads[i];
        }
    }
    return left;
}

static void *start_threads(void *argument) {
    pthread_t *threads = argument;
    uint32_t running = 0;
    for (uint32_t i = 1; i < run.plan->part_count; i++) {
        struct cb_part *part = (struct cb_part *)run.plan->parts.start + i;
        wait_for_phase(part->first_phase);
        running = join_ended(threads, running);
        if (pthread_create(&threads[running], NULL, do_part, part) != 0) {
            begin_to_fail();
            cb_complain("a thread cannot be started: %s", strerror(errno));
            give_up();
        }
        running++;
    }
    for (uint32_t i = 0; i < running; i++) {
        pthread_join(threads[i], NULL);
    }
    return NULL;
}

static double seconds_of(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static void *own_memory(size_t bytes) {
    void *memory = cb_memory_map(bytes != 0 ? bytes : 1, true);
    if (memory == NULL) {
        cb_complain("out of memory: the trace is too long to be replayed here");
        give_up();
    }
    return memory;
}

/* Frees what the program never freed, after it was looked at. */
static void end(void) {
    const struct cb_step last = {.function = CB_FUNCTION_FREE};
    for (uint32_t i = 0; i < run.plan->slot_count; i++) {
        if (run.slots[i].at != NULL) {
            check_contents(&last, &run.slots[i], run.slots[i].size);
            free(run.slots[i].at);
        }
    }
}

struct cb_replay_result cb_replay_run(struct cb_plan *plan, enum cb_check check) {
    struct cb_replay_result result;
    struct rusage before, after;
    pthread_t starter, *threads = own_memory((plan->part_count + 1) * sizeof *threads);
    run.plan = plan;
    run.check = check;
    run.slots = own_memory(plan->slot_count * sizeof *run.slots);
    for (uint32_t i = 0; i < plan->slot_count; i++) {
        run.slots[i].seed = (uint64_t)i << 32;
    }
    run.left = own_memory(plan->phase_count * sizeof *run.left);
    for (uint32_t i = 0; i < plan->phase_count; i++) {
        atomic_store_explicit(&run.left[i], ((const uint32_t *)plan->segments.start)[i],
                              memory_order_relaxed);
    }
    cb_resident_reset();
    result.base = cb_resident_now();
    getrusage(RUSAGE_SELF, &before);
    double start = cb_clock_seconds();
    if (plan->part_count > 1 && pthread_create(&starter, NULL, start_threads, threads) != 0) {
        cb_complain("a thread cannot be started: %s", strerror(errno));
        give_up();
    }
    if (plan->part_count > 0) {
        do_part(plan->parts.start);
    }
    if (plan->part_count > 1) {
        pthread_join(starter, NULL);
    }
    result.seconds = cb_clock_seconds() - start;
    getrusage(RUSAGE_SELF, &after);
    result.user = seconds_of(after.ru_utime) - seconds_of(before.ru_utime);
    result.system = seconds_of(after.ru_stime) - seconds_of(before.ru_stime);
    result.minor_faults = (uint64_t)(after.ru_minflt - before.ru_minflt);
    result.major_faults = (uint64_t)(after.ru_majflt - before.ru_majflt);
    result.at_end = cb_resident_now();
    result.peak = cb_resident_peak();
    end();
    return result;
}
