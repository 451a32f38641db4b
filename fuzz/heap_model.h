/*
 * A model of the heap: what is live, where it lies and what it holds. A step of eight bytes is one operation
 * on the heap with prefixed names and on the model; whatever the heap does that the model does not allow is a
 * fault.
 *
 * Other threads with heaps of their own, the helpers, take part: a step says which of the threads makes the
 * call. They run in turn, never at the same time, so a script does the same each time that it is run.
 * To the heap a thread is its cb_thread. Where switching threads would be most of the work, the calls of a
 * helper are made by the model's own thread with the helper's cb_thread in the place of its own; the helper
 * has it only when it begins and when it ends.
 *
 * Layer:     tests. Includes the heap's public functions and check.h.
 * Threading: one model belongs to one thread; a helper works only while that thread waits for it.
 */
#ifndef CB_FUZZ_HEAP_MODEL_H
#define CB_FUZZ_HEAP_MODEL_H

#include "heap/check.h"
#include "heap/malloc.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    MODEL_OBJECTS = 512,
    MODEL_HELPERS = 8,
    MODEL_STEP = 8,     /* bytes of a script per step */
    MODEL_STEPS = 4096, /* of an input of the fuzzer at most */
    MODEL_BULK = 256,   /* objects that one step may allocate at most */
    MODEL_EDGE = 96,    /* so many bytes at either end of an object are written and checked, */
    MODEL_STRIDE = 2039 /* and between them one in so many */
};
#ifndef MODEL_BYTES
#define MODEL_BYTES ((size_t)16 << 20) /* live bytes; beyond that only small objects are made */
#endif

/* The fuzzer need not learn its way through the model, only through the heap. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("coverage", "address"))), apply_to = function)
#endif

struct model_object {
    uint8_t *start;
    size_t size, usable, align;
    uint8_t pattern;
};

/* One call of the heap: what is asked and what came of it. */
struct model_call {
    enum {
        MODEL_MALLOC,
        MODEL_CALLOC,
        MODEL_REALLOC,
        MODEL_ALIGNED,
        MODEL_FREE,
        MODEL_TRIM,
        MODEL_CHECK
    } what;
    void *ptr, *result;
    size_t size, count, align;
    int flavour, error;
    const char *fault;
};

/* A thread with a heap of its own. */
struct model_helper {
    struct model *model;
    pthread_t thread; /* only while `helping` */
    bool helping;
    unsigned starts;        /* how often it has begun */
    struct model_call *job; /* guarded by the model's lock, as is `quit`; NULL: nothing to do */
    bool quit;
    pthread_cond_t changed; /* job or quit */
    struct cb_thread lent;  /* its own, while the model's thread stands in for it; guarded by the lock */
};

struct model {
    struct model_object object[MODEL_OBJECTS];
    size_t bytes, live;
    uint8_t next_pattern;
    bool check_each_step;
    bool inject;                         /* scripts may make system calls fail */
    bool limited;                        /* all of them do until a step says otherwise */
    bool stand_in;                       /* the model's thread makes the helpers' calls */
    unsigned order[MODEL_BULK], ordered; /* the objects made last, newest at the end, for LIFO frees */
    unsigned short_for;                  /* so many more steps memory is short: see model_arm */
    uint32_t luck;                       /* which calls of the system are refused meanwhile */
    /* Unless NULL: told of each call of the heap, before and when it is made; helper: NULL, or who makes it. */
    void (*note)(const struct model *model, const struct model_call *call, const struct model_helper *helper,
                 bool made);

    pthread_mutex_t lock;
    struct model_helper helper[MODEL_HELPERS];
};

static inline void model_make_call(struct model_call *call) {
    errno = 0;
    switch (call->what) {
    case MODEL_MALLOC:
        call->result = cb_malloc(call->size);
        break;
    case MODEL_CALLOC:
        call->result = cb_calloc(call->count, call->size);
        break;
    case MODEL_REALLOC:
        call->result = (call->flavour & 1) != 0 ? cb_reallocarray(call->ptr, 1, call->size)
                                                : cb_realloc(call->ptr, call->size);
        break;
    case MODEL_ALIGNED:
        if (call->flavour % 3 == 0) {
            int error = cb_posix_memalign(&call->result, call->align, call->size);
            call->fault = errno != 0 ? "posix_memalign changed errno" : NULL;
            errno = error;
        } else {
            call->result = call->flavour % 3 == 1 ? cb_memalign(call->align, call->size)
                                                  : cb_aligned_alloc(call->align, call->size);
        }
        break;
    case MODEL_FREE:
        errno = 77;
        cb_free(call->ptr);
        call->fault = errno != 77 ? "free changed errno" : NULL;
        return;
    case MODEL_TRIM:
        cb_malloc_trim(call->size);
        break;
    case MODEL_CHECK:
        break;
    }
    call->error = errno;
}

/*
 * While memory is short, each call of the heap starts by chance with the system refusing everything, or
 * everything after its first few calls, or nothing: one request fails and the next is served, as in a process
 * at its limit when others come and go.
 */
static inline void model_arm(struct model *model) {
    if (model->short_for == 0) {
        return;
    }
    model->luck = model->luck * 1664525 + 1013904223;
    unsigned chance = model->luck >> 28;
    cb_os_inject(chance < 8 ? 0 : chance < 12 ? (int)(chance - 7) : -1);
}

static inline void model_make_checked_call(struct model *model, struct model_call *call) {
    model_arm(model);
    model_make_call(call);
    if (call->fault == NULL && (model->check_each_step || call->what == MODEL_CHECK)) {
        call->fault = cb_heap_check();
    }
}

/* A helper: makes the calls that it is given until it is told to go. */
static inline void *model_help(void *argument) {
    struct model_helper *helper = argument;
    struct model *model = helper->model;
    pthread_mutex_lock(&model->lock);
    if (model->stand_in) {
        cb_free(cb_malloc(1)); /* so that its end is the end of a thread that had a heap */
        helper->lent = cb_thread;
    }
    while (!helper->quit) {
        if (helper->job == NULL) {
            pthread_cond_wait(&helper->changed, &model->lock);
            continue;
        }
        model_make_checked_call(model, helper->job);
        helper->job = NULL;
        pthread_cond_broadcast(&helper->changed);
    }
    if (model->stand_in) {
        cb_thread = helper->lent;
    }
    pthread_mutex_unlock(&model->lock);
    return NULL;
}

/* The model's thread makes a call of a helper's. */
static inline void model_stand_in(struct model *model, struct model_helper *helper, struct model_call *call) {
    struct cb_thread own = cb_thread;
    cb_thread = helper->lent;
    model_make_checked_call(model, call);
    helper->lent = cb_thread;
    cb_thread = own;
}

static inline void model_start(struct model *model) {
    memset(model, 0, sizeof *model);
    pthread_mutex_init(&model->lock, NULL);
    for (size_t i = 0; i < MODEL_HELPERS; i++) {
        model->helper[i].model = model;
        pthread_cond_init(&model->helper[i].changed, NULL);
    }
}

/* Ends a helper; the next call that wants it starts another, which takes over a heap that was left. */
static inline void model_end_helper(struct model *model, struct model_helper *helper) {
    if (!helper->helping) {
        return;
    }
    pthread_mutex_lock(&model->lock);
    helper->quit = true;
    pthread_cond_broadcast(&helper->changed);
    pthread_mutex_unlock(&model->lock);
    pthread_join(helper->thread, NULL);
    helper->helping = helper->quit = false;
}

static inline void model_end_helpers(struct model *model) {
    for (size_t i = 0; i < MODEL_HELPERS; i++) {
        model_end_helper(model, &model->helper[i]);
    }
}

/* Hands the call to the helper and waits until it is made. */
static inline void model_ask_helper(struct model *model, struct model_helper *helper,
                                    struct model_call *call) {
    pthread_mutex_lock(&model->lock);
    helper->job = call;
    pthread_cond_broadcast(&helper->changed);
    while (helper->job != NULL) {
        pthread_cond_wait(&helper->changed, &model->lock);
    }
    pthread_mutex_unlock(&model->lock);
}

static inline void model_start_helper(struct model *model, struct model_helper *helper) {
    helper->helping = pthread_create(&helper->thread, NULL, model_help, helper) == 0;
    helper->starts += helper->helping;
    if (helper->helping && model->stand_in) {
        struct model_call begin = {.what = MODEL_CHECK};
        model_ask_helper(model, helper, &begin);
    }
}

/* Makes the call in this thread, or, if there is one, in the helper, and lets that thread's heap be checked.
 * Returns the fault. */
static inline const char *model_call(struct model *model, struct model_call *call,
                                     struct model_helper *helper) {
    if (helper != NULL && !helper->helping) {
        model_start_helper(model, helper);
    }
    if (helper != NULL && !helper->helping) {
        helper = NULL;
    }
    if (model->note != NULL) {
        model->note(model, call, helper, false);
    }
    if (helper == NULL) {
        model_make_checked_call(model, call);
    } else if (model->stand_in) {
        model_stand_in(model, helper, call);
    } else {
        model_ask_helper(model, helper, call);
    }
    if (model->note != NULL) {
        model->note(model, call, helper, true);
    }
    return call->fault;
}

/* The byte at an offset depends on the offset, so that contents that moved by a little are noticed. */
static inline uint8_t model_byte(uint8_t pattern, size_t offset) {
    return (uint8_t)(pattern + offset * 7 + (offset >> 8));
}

/* The next offset after `i` that is written and checked in an object of so many bytes. */
static inline size_t model_next(size_t i, size_t usable) {
    if (i + 1 < MODEL_EDGE || usable < MODEL_EDGE || i + 1 >= usable - MODEL_EDGE) {
        return i + 1;
    }
    return i + MODEL_STRIDE < usable - MODEL_EDGE ? i + MODEL_STRIDE : usable - MODEL_EDGE;
}

static inline bool model_intact(const struct model_object *o, const uint8_t *at, size_t limit) {
    for (size_t i = 0; i < o->usable && i < limit; i = model_next(i, o->usable)) {
        if (at[i] != model_byte(o->pattern, i)) {
            return false;
        }
    }
    return true;
}

static inline bool model_zero(const uint8_t *at, size_t size) {
    for (size_t i = 0; i < size; i = model_next(i, size)) {
        if (at[i] != 0) {
            return false;
        }
    }
    return true;
}

static inline void model_forget(struct model *model, struct model_object *o) {
    model->bytes -= o->usable;
    model->live--;
    o->start = NULL;
}

/* Enters what the heap returned; NULL if it may return that. */
static inline const char *model_enter(struct model *model, struct model_object *o, uint8_t *start,
                                      size_t size, size_t align) {
    size_t usable = cb_malloc_usable_size(start);
    if (((uintptr_t)start & (align - 1)) != 0 || ((uintptr_t)start & 15) != 0) {
        return "not aligned";
    }
    if (usable < size || usable == 0) {
        return "fewer usable bytes than asked for";
    }
    for (const struct model_object *other = model->object; other < model->object + MODEL_OBJECTS; other++) {
        if (other != o && other->start != NULL && start < other->start + other->usable &&
            other->start < start + usable) {
            return "two objects overlap";
        }
    }
    if (o->start == NULL) {
        model->live++;
        model->bytes += usable;
    } else {
        model->bytes += usable - o->usable;
    }
    *o = (struct model_object){start, size, usable, align, model->next_pattern++};
    for (size_t i = 0; i < usable; i = model_next(i, usable)) {
        start[i] = model_byte(o->pattern, i);
    }
    model->order[model->ordered++ % MODEL_BULK] = (unsigned)(o - model->object);
    return NULL;
}

static inline const char *model_free(struct model *model, struct model_object *o,
                                     struct model_helper *helper) {
    if (o->start == NULL) {
        return NULL;
    }
    if (!model_intact(o, o->start, o->usable)) {
        return "the contents of an object have changed";
    }
    if (cb_malloc_usable_size(o->start) != o->usable) {
        return "the usable size of an object has changed";
    }
    struct model_call call = {.what = MODEL_FREE, .ptr = o->start};
    model_forget(model, o);
    return model_call(model, &call, helper);
}

/* NULL came back: whether it may. */
static inline const char *model_refused(const struct model_call *call, bool may_fail, size_t bytes) {
    if (call->error != ENOMEM) {
        return "NULL without ENOMEM";
    }
    return may_fail || bytes > (size_t)1 << 40 ? NULL : "no memory, though there was some";
}

static inline const char *model_allocate(struct model *model, struct model_object *o, struct model_call *call,
                                         struct model_helper *helper, bool may_fail) {
    size_t bytes = call->size;
    if (call->what == MODEL_CALLOC && __builtin_mul_overflow(call->count, call->size, &bytes)) {
        bytes = SIZE_MAX;
    }
    const char *fault = model_call(model, call, helper);
    if (fault != NULL) {
        return fault;
    }
    if (call->result == NULL) {
        return model_refused(call, may_fail, bytes);
    }
    if (bytes > PTRDIFF_MAX) {
        return "an object of more than PTRDIFF_MAX bytes";
    }
    if (call->what == MODEL_CALLOC && !model_zero(call->result, cb_malloc_usable_size(call->result))) {
        return "calloc did not clear all of it";
    }
    return model_enter(model, o, call->result, bytes, call->what == MODEL_ALIGNED ? call->align : 16);
}

static inline const char *model_realloc(struct model *model, struct model_object *o, struct model_call *call,
                                        struct model_helper *helper, bool may_fail) {
    if (o->start != NULL && !model_intact(o, o->start, o->usable)) {
        return "the contents of an object have changed before realloc";
    }
    call->ptr = o->start;
    const char *fault = model_call(model, call, helper);
    if (fault != NULL) {
        return fault;
    }
    if (call->result == NULL) {
        if (o->start != NULL && call->size == 0) {
            model_forget(model, o);
            return NULL;
        }
        if (o->start != NULL && !model_intact(o, o->start, o->usable)) {
            return "a failed realloc changed the object";
        }
        return model_refused(call, may_fail, call->size);
    }
    if (o->start != NULL && !model_intact(o, call->result, call->size)) {
        return "realloc lost contents";
    }
    return model_enter(model, o, call->result, call->size, 16);
}

/* A size from two bytes: what kind, and which of the kind. */
static inline size_t model_size(const struct model *model, uint8_t kind, uint8_t low, uint8_t high) {
    size_t n = (size_t)high << 8 | low, size;
    switch (kind % 16) {
    case 7:
    case 8:
        size = n % 1009;
        break;
    case 9:
        size = ((size_t)512 << low % 7) + high % 40 - 20; /* around the sizes where something changes */
        break;
    case 10:
    case 11:
        size = n % 32769;
        break;
    case 12:
        size = n * 4; /* to 256 KiB */
        break;
    case 13:
        size = n * 32; /* to 2 MiB */
        break;
    case 14:
        size = n * 128; /* to 8 MiB */
        break;
    case 15:
        if (high > 250) {
            return low < 128 ? SIZE_MAX - low * (size_t)16 : (size_t)PTRDIFF_MAX - 4096 + low * (size_t)32;
        }
        size = low;
        break;
    default:
        size = n % 257;
    }
    return model->bytes + size > MODEL_BYTES ? size % 1024 : size;
}

static inline struct model_object *model_vacant(struct model *model, size_t from) {
    for (size_t i = 0; i < MODEL_OBJECTS; i++) {
        struct model_object *o = &model->object[(from + i) % MODEL_OBJECTS];
        if (o->start == NULL) {
            return o;
        }
    }
    return NULL;
}

/* The object at the place that is asked for, or the next one. */
static inline struct model_object *model_taken(struct model *model, size_t from) {
    for (size_t i = 0; i < MODEL_OBJECTS; i++) {
        struct model_object *o = &model->object[(from + i) % MODEL_OBJECTS];
        if (o->start != NULL) {
            return o;
        }
    }
    return &model->object[from % MODEL_OBJECTS];
}

/* Many objects of one size. */
static inline const char *model_bulk(struct model *model, size_t from, size_t size, size_t count,
                                     struct model_helper *helper, bool may_fail) {
    const char *fault = NULL;
    for (size_t i = 0; i < count && fault == NULL && model->live < MODEL_OBJECTS; i++) {
        struct model_call call = {.what = MODEL_MALLOC, .size = size % 4096};
        fault = model_allocate(model, model_vacant(model, from + i), &call, helper, may_fail);
    }
    return fault;
}

/* Frees of many: the newest first, or a stretch of the table, or every other one of it. */
static inline const char *model_free_many(struct model *model, size_t from, size_t count, int how,
                                          struct model_helper *helper) {
    const char *fault = NULL;
    for (size_t i = 0; i < count && fault == NULL; i++) {
        size_t at = how == 1 ? from + i : from + 2 * i;
        if (how == 0) {
            at = model->ordered != 0 ? model->order[--model->ordered % MODEL_BULK] : from;
        }
        fault = model_free(model, &model->object[at % MODEL_OBJECTS], helper);
    }
    return fault;
}

static inline const char *model_check_all(struct model *model, struct model_helper *helper) {
    for (struct model_object *o = model->object; o < model->object + MODEL_OBJECTS; o++) {
        if (o->start != NULL && !model_intact(o, o->start, o->usable)) {
            return "the contents of an object have changed";
        }
    }
    struct model_call call = {.what = MODEL_CHECK};
    return model_call(model, &call, helper);
}

/* Whether system calls may fail in this step, and arranges that they do. */
static inline bool model_refuse(struct model *model, const uint8_t bytes[MODEL_STEP]) {
    if (!model->inject) {
        return false;
    }
    if (bytes[7] >= 0xC0) {
        cb_os_inject(bytes[7] & 7);
    } else if (bytes[7] == 0x80 || bytes[7] == 0x81) {
        model->short_for = bytes[7] == 0x80 ? 16 : 64; /* steps */
        model->luck = bytes[6];
    }
    return bytes[7] >= 0xC0 || model->short_for > 0;
}

/*
 * One step. Bytes: operation; object (two bytes, of which the top bit says that a helper does it, and the six
 * below the last which helper); size (three); alignment or count; and, with the top bits set, which of the
 * system calls in this step fails; 0x80 and 0x81: memory is short from here on for a while; while the model is
 * limited, all do.
 */
static inline const char *model_step(struct model *model, const uint8_t bytes[MODEL_STEP]) {
    size_t at = ((size_t)bytes[2] << 8 | bytes[1]) % MODEL_OBJECTS, more = bytes[6];
    struct model_helper *helper = bytes[2] >= 128 ? &model->helper[bytes[2] / 2 % MODEL_HELPERS] : NULL;
    size_t size = model_size(model, bytes[3], bytes[4], bytes[5]);
    struct model_call call = {.size = size, .flavour = (int)more};
    struct model_object *o = model_vacant(model, at), *old = model_taken(model, at);
    const char *fault = NULL;
    if (helper != NULL && model->stand_in && !helper->helping) {
        unsigned short_for = model->short_for;
        model->short_for = 0;
        model_start_helper(model, helper); /* where nothing fails: it must get its heap */
        model->short_for = short_for;
    }
    bool may_fail = model_refuse(model, bytes);
    switch (o == NULL ? 8 : bytes[0] % 24) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        call.what = MODEL_MALLOC;
        fault = model_allocate(model, o, &call, helper, may_fail);
        break;
    case 5:
    case 6:
        call.what = MODEL_CALLOC;
        call.count = 1 + more % 3;
        call.size = size / call.count;
        fault = model_allocate(model, o, &call, helper, may_fail);
        break;
    case 7:
        call.what = MODEL_ALIGNED;
        call.align = (size_t)8 << more % 19; /* to 2 MiB */
        fault = model_allocate(model, o, &call, helper, may_fail);
        break;
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
        fault = model_free(model, old, helper);
        break;
    case 13:
    case 14:
    case 15:
    case 16:
        call.what = MODEL_REALLOC;
        fault = model_realloc(model, more < 224 ? old : o, &call, helper, may_fail);
        break;
    case 17:
        fault = model_bulk(model, at, size, 1 + more % MODEL_BULK, helper, may_fail);
        break;
    case 18:
    case 19:
    case 20:
        fault = model_free_many(model, at, 1 + more % MODEL_BULK, bytes[0] % 24 - 18, helper);
        break;
    case 21:
        if (more < 16) {
            model_end_helper(model, &model->helper[bytes[2] / 2 % MODEL_HELPERS]);
        } else if (more < 64) {
            model->limited = !model->limited;
        }
        break;
    case 22:
        call.what = MODEL_TRIM;
        fault = model_call(model, &call, helper);
        break;
    default:
        fault = model_check_all(model, helper);
    }
    if (may_fail) {
        cb_os_inject(-1);
        model->short_for -= model->short_for > 0;
    }
    return fault;
}

/* Checks and frees what is left, and ends the helpers. */
static inline const char *model_end(struct model *model) {
    const char *fault = NULL;
    model->short_for = 0;
    for (size_t i = 0; i < MODEL_HELPERS && fault == NULL; i++) {
        fault = model->helper[i].helping ? model_check_all(model, &model->helper[i]) : NULL;
    }
    for (size_t i = 0; i < MODEL_OBJECTS && fault == NULL; i++) {
        struct model_helper *helper = &model->helper[i / 3 % MODEL_HELPERS];
        fault = model_free(model, &model->object[i], i % 3 == 0 && helper->helping ? helper : NULL);
    }
    if (fault == NULL) {
        fault = model_check_all(model, NULL);
    }
    model_end_helpers(model);
    return fault;
}

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
