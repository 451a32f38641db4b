/*
 * plan.c: turns a trace into the steps of its replay. See replay.h.
 *
 * Layer: replay. Threads: one. Memory is the system's, not malloc's.
 */
#include "replay.h"

#define SAMPLES 100
#define NOBODY UINT32_MAX

/* Of an object while the plan is made. */
struct planned {
    uint32_t slot;
    uint32_t toucher; /* index of the part with the last step that uses it */
    size_t step;      /* of that part, counted from 1 */
};

/* Of a part while the plan is made. */
struct making {
    uint32_t free_slot; /* 1 + the first that is free; 0: none */
    uint32_t phase;     /* that its last step is in */
    uint32_t waited_for;
    size_t waited_step; /* the last wait: for this step of that part */
};

struct maker {
    struct cb_plan *plan;
    struct cb_trace_reader *reader;
    struct cb_vector objects;   /* struct planned, by the reader's numbers */
    struct cb_vector making;    /* struct making, as the parts */
    struct cb_vector by_number; /* uint32_t: 1 + index of the part of a thread */
    struct cb_vector next_free; /* uint32_t, by slot */
    uint64_t live, live_objects, ticks, first_ticks;
    uint32_t phase;
};

static bool no_memory(struct maker *maker) {
    static const char text[] = "out of memory: the trace is too long to be replayed here";
    __builtin_memcpy(maker->reader->error, text, sizeof text);
    return false;
}

static struct cb_part *part_at(const struct cb_plan *plan, uint32_t index) {
    return (struct cb_part *)plan->parts.start + index;
}

static struct making *making_at(const struct maker *maker, uint32_t index) {
    return (struct making *)maker->making.start + index;
}

static bool add_step(struct maker *maker, uint32_t index, struct cb_step step) {
    struct cb_part *part = part_at(maker->plan, index);
    if (!cb_vector_reserve(&part->steps, part->count + 1, sizeof step)) {
        return no_memory(maker);
    }
    ((struct cb_step *)part->steps.start)[part->count++] = step;
    return true;
}

/* The part of a thread; a new one where there is none. NOBODY: no memory. */
static uint32_t part_of(struct maker *maker, uint32_t thread) {
    struct cb_plan *plan = maker->plan;
    if (!cb_vector_reserve(&maker->by_number, (size_t)thread + 1, sizeof(uint32_t))) {
        return NOBODY;
    }
    uint32_t *entry = (uint32_t *)maker->by_number.start + thread;
    if (*entry == 0) {
        if (!cb_vector_reserve(&plan->parts, (size_t)plan->part_count + 1, sizeof(struct cb_part)) ||
            !cb_vector_reserve(&maker->making, (size_t)plan->part_count + 1, sizeof(struct making))) {
            return NOBODY;
        }
        struct cb_part *part = part_at(plan, plan->part_count);
        part->number = thread;
        part->first_phase = maker->phase;
        making_at(maker, plan->part_count)->phase = NOBODY;
        *entry = ++plan->part_count;
    }
    return *entry - 1;
}

/* The part has something to do in the present phase. */
static bool enter_phase(struct maker *maker, uint32_t index) {
    struct making *making = making_at(maker, index);
    if (making->phase == maker->phase) {
        return true;
    }
    making->phase = maker->phase;
    ((uint32_t *)maker->plan->segments.start)[maker->phase]++;
    return add_step(maker, index, (struct cb_step){.kind = CB_STEP_PHASE, .slot = maker->phase});
}

static bool note_time(struct maker *maker, uint64_t ticks) {
    struct cb_plan *plan = maker->plan;
    if (plan->phase_count == 0) {
        maker->first_ticks = ticks;
    }
    if (plan->phase_count == 0 || ticks > maker->ticks) {
        if (plan->phase_count == NOBODY ||
            !cb_vector_reserve(&plan->segments, (size_t)plan->phase_count + 1, sizeof(uint32_t))) {
            return no_memory(maker);
        }
        maker->ticks = ticks;
        maker->phase = plan->phase_count++;
    }
    return true;
}

/* Waits for the last one that used the object, if that was another thread. */
static bool await_toucher(struct maker *maker, uint32_t index, const struct planned *object) {
    struct making *making = making_at(maker, index);
    if (object->toucher == index ||
        (making->waited_for == object->toucher && making->waited_step >= object->step)) {
        return true;
    }
    making->waited_for = object->toucher;
    making->waited_step = object->step;
    struct cb_part *other = part_at(maker->plan, object->toucher);
    ((struct cb_step *)other->steps.start)[object->step - 1].awaited = true;
    return add_step(maker, index,
                    (struct cb_step){.kind = CB_STEP_WAIT, .slot = object->toucher, .size = object->step});
}

static void touch(struct maker *maker, uint32_t index, struct planned *object) {
    object->toucher = index;
    object->step = part_at(maker->plan, index)->count;
}

static bool new_object(struct maker *maker, uint32_t index, uint32_t number) {
    struct making *making = making_at(maker, index);
    if (!cb_vector_reserve(&maker->objects, (size_t)number + 1, sizeof(struct planned))) {
        return no_memory(maker);
    }
    uint32_t *next_free = maker->next_free.start, slot;
    if (making->free_slot != 0) {
        slot = making->free_slot - 1;
        making->free_slot = next_free[slot];
    } else {
        slot = maker->plan->slot_count++;
        if (slot == NOBODY - 1 || !cb_vector_reserve(&maker->next_free, (size_t)slot + 1, sizeof(uint32_t))) {
            return no_memory(maker);
        }
    }
    ((struct planned *)maker->objects.start)[number] = (struct planned){.slot = slot, .toucher = index};
    return true;
}

static void free_slot(struct maker *maker, uint32_t index, uint32_t slot) {
    struct making *making = making_at(maker, index);
    ((uint32_t *)maker->next_free.start)[slot] = making->free_slot;
    making->free_slot = slot + 1;
}

static void count_live(struct maker *maker, uint64_t more, uint64_t less, int objects) {
    struct cb_plan *plan = maker->plan;
    maker->live += more - less;
    maker->live_objects += (uint64_t)(int64_t)objects;
    plan->peak_live = maker->live > plan->peak_live ? maker->live : plan->peak_live;
    plan->peak_objects = maker->live_objects > plan->peak_objects ? maker->live_objects : plan->peak_objects;
}

static int kind_of_step(const struct cb_trace_event *event) {
    switch (event->kind) {
    case CB_CALL_NEW:
    case CB_CALL_RESIZE_UNKNOWN:
        return CB_STEP_NEW;
    case CB_CALL_RESIZE:
        return CB_STEP_RESIZE;
    case CB_CALL_FREE:
        return CB_STEP_FREE;
    case CB_CALL_USE:
        return CB_STEP_USE;
    case CB_CALL_FREE_NULL:
        return CB_STEP_FREE_NULL;
    case CB_CALL_FAILED:
        return CB_STEP_FAILED;
    case CB_CALL_OTHER:
        return event->function == CB_FUNCTION_MALLOC_TRIM ? CB_STEP_TRIM : -1;
    default:
        return -1;
    }
}

static bool uses_object(int kind) {
    return kind == CB_STEP_RESIZE || kind == CB_STEP_FREE || kind == CB_STEP_USE;
}

static void count_call(struct maker *maker, int kind, const struct cb_trace_event *event) {
    maker->plan->calls++;
    if (kind == CB_STEP_NEW) {
        count_live(maker, event->size, 0, 1);
    } else if (kind == CB_STEP_RESIZE) {
        count_live(maker, event->size, event->old_size, 0);
    } else if (kind == CB_STEP_FREE) {
        count_live(maker, 0, event->old_size, -1);
    }
}

static bool plan_call(struct maker *maker, const struct cb_trace_event *event) {
    int kind = kind_of_step(event);
    if (kind < 0) {
        maker->plan->skipped += event->kind != CB_CALL_FORK;
        return true;
    }
    uint32_t index = note_time(maker, event->ticks) ? part_of(maker, event->thread) : NOBODY;
    if (index == NOBODY) {
        return no_memory(maker);
    }
    if (!enter_phase(maker, index) || (kind == CB_STEP_NEW && !new_object(maker, index, event->object))) {
        return false;
    }
    struct cb_step step = {.kind = (uint8_t)kind,
                           .function = (uint8_t)event->function,
                           .align = (uint8_t)event->align,
                           .size = event->size};
    struct planned *object = NULL;
    if (kind == CB_STEP_NEW || uses_object(kind)) {
        object = (struct planned *)maker->objects.start + event->object;
        step.slot = object->slot;
    }
    if ((uses_object(kind) && !await_toucher(maker, index, object)) || !add_step(maker, index, step)) {
        return false;
    }
    if (object != NULL) {
        touch(maker, index, object);
    }
    if (kind == CB_STEP_FREE) {
        free_slot(maker, index, object->slot);
    }
    count_call(maker, kind, event);
    return true;
}

/* After the call that was planned last, where the plan has one then. */
static bool plan_sample(struct maker *maker, uint32_t thread) {
    struct cb_plan *plan = maker->plan;
    uint32_t index = part_of(maker, thread);
    if (!cb_vector_reserve(&plan->samples, (size_t)plan->sample_count + 1, sizeof(struct cb_sample)) ||
        index == NOBODY) {
        return no_memory(maker);
    }
    ((struct cb_sample *)plan->samples.start)[plan->sample_count] = (struct cb_sample){.live = maker->live};
    return add_step(maker, index, (struct cb_step){.kind = CB_STEP_SAMPLE, .slot = plan->sample_count++});
}

static bool make(struct maker *maker, uint64_t peak_call, uint64_t calls) {
    struct cb_trace_event event;
    struct cb_plan *plan = maker->plan;
    uint64_t every = calls / SAMPLES + 1, planned = 0;
    int more;
    while ((more = cb_trace_next(maker->reader, &event)) > 0) {
        if (!plan_call(maker, &event)) {
            return false;
        }
        if (plan->calls != planned) {
            planned = plan->calls;
            if (calls != 0 && (planned == peak_call || planned % every == 0) &&
                !plan_sample(maker, event.thread)) {
                return false;
            }
        }
    }
    plan->end_live = maker->live;
    plan->end_objects = maker->live_objects;
    plan->nanoseconds = (maker->ticks - maker->first_ticks) * maker->reader->header->tick;
    return more == 0;
}

static void release(struct maker *maker) {
    cb_vector_free(&maker->objects);
    cb_vector_free(&maker->making);
    cb_vector_free(&maker->by_number);
    cb_vector_free(&maker->next_free);
}

/* The live bytes alone, to know where the peak is. */
static bool look_for_peak(struct cb_trace_reader *reader, uint64_t *peak_call, uint64_t *calls) {
    struct cb_trace_event event;
    uint64_t live = 0, most = 0;
    int more;
    *peak_call = *calls = 0;
    while ((more = cb_trace_next(reader, &event)) > 0) {
        int kind = kind_of_step(&event);
        *calls += kind >= 0;
        if (kind == CB_STEP_NEW || kind == CB_STEP_RESIZE) {
            live += event.size;
        }
        if (kind == CB_STEP_RESIZE || kind == CB_STEP_FREE) {
            live -= event.old_size;
        }
        if (live > most) {
            most = live;
            *peak_call = *calls;
        }
    }
    return more == 0;
}

bool cb_plan_make(struct cb_plan *plan, struct cb_trace_reader *reader) {
    struct cb_trace_reader first;
    uint64_t peak_call, calls;
    struct maker maker = {.plan = plan, .reader = reader};
    *plan = (struct cb_plan){.part_count = 0};
    bool made =
        cb_trace_open_memory(&first, reader->data, reader->size) && look_for_peak(&first, &peak_call, &calls);
    if (!made) {
        __builtin_memcpy(reader->error, first.error, sizeof reader->error);
    }
    cb_trace_close(&first);
    made = made && make(&maker, peak_call, calls);
    release(&maker);
    return made;
}
