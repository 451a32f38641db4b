/*
 * summary.c: what is in a trace, in figures, as JSON. See replay.h, and doc/trace.md for the fields.
 *
 * Layer: replay. Threads: one.
 */
#include "replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1 /* of the summary */
#define POINTS 2000
#define SITES_SHOWN 100
#define CLASSES 260  /* of sizes: four to a doubling */
#define LIFETIMES 65 /* a class to each doubling */
#define BURST 10e-3  /* seconds: calls of one tick are taken to be spread over no more than this */

struct object {
    uint64_t size;
    uint32_t site;
};

struct group {
    uint64_t allocations, bytes, live, peak;
};

struct thread {
    uint64_t calls, first, last;
};

struct point {
    uint64_t ticks, bytes, objects, most;
    uint64_t calls; /* that it stands for */
};

struct summary {
    struct cb_trace_reader *reader;
    uint64_t calls[CB_FUNCTION_COUNT], all, failed, unknown, allocations, frees, bytes;
    uint64_t live, objects, first, last;
    uint64_t peak, peak_objects, peak_ticks;
    struct group sizes[CLASSES];
    struct {
        uint64_t objects, bytes;
    } lifetimes[LIFETIMES];
    struct cb_vector by_object, sites, threads; /* struct object, struct group, struct thread */
    uint32_t thread_count;
    struct point points[POINTS];
    uint64_t point_count, stride; /* calls of a point */
};

/* ---- Reading ---- */

static unsigned class_of(uint64_t size) {
    if (size < 8) {
        return (unsigned)size;
    }
    unsigned log = 63 - (unsigned)__builtin_clzll(size);
    return (log - 1) * 4 + (unsigned)(size >> (log - 2) & 3);
}

/* The least size of a class. */
static uint64_t class_start(unsigned number) {
    return number < 8 ? number : (uint64_t)(4 + number % 4) << (number / 4 - 1);
}

static void group_add(struct group *group, uint64_t bytes) {
    group->allocations++;
    group->bytes += bytes;
    group->live += bytes;
    group->peak = group->live > group->peak ? group->live : group->peak;
}

static struct group *site_of(struct summary *summary, uint32_t site) {
    return cb_vector_reserve(&summary->sites, (size_t)site + 1, sizeof(struct group))
               ? (struct group *)summary->sites.start + site
               : NULL;
}

static bool object_comes(struct summary *summary, const struct cb_trace_event *event) {
    struct group *site = site_of(summary, event->site);
    if (site == NULL ||
        !cb_vector_reserve(&summary->by_object, (size_t)event->object + 1, sizeof(struct object))) {
        return false;
    }
    ((struct object *)summary->by_object.start)[event->object] = (struct object){event->size, event->site};
    group_add(&summary->sizes[class_of(event->size)], event->size);
    group_add(site, event->size);
    summary->allocations++;
    summary->bytes += event->size;
    summary->live += event->size;
    summary->objects++;
    return true;
}

static void object_goes(struct summary *summary, const struct cb_trace_event *event) {
    const struct object *objects = summary->by_object.start;
    if (objects == NULL) {
        return; /* no call made one: the reader does not let this be */
    }
    const struct object *object = objects + event->object;
    unsigned lifetime = 63 - (unsigned)__builtin_clzll(event->age);
    summary->sizes[class_of(object->size)].live -= object->size;
    site_of(summary, object->site)->live -= object->size;
    summary->lifetimes[lifetime].objects++;
    summary->lifetimes[lifetime].bytes += object->size;
    summary->frees++;
    summary->live -= object->size;
    summary->objects--;
}

static bool count_thread(struct summary *summary, const struct cb_trace_event *event) {
    if (!cb_vector_reserve(&summary->threads, (size_t)event->thread + 1, sizeof(struct thread))) {
        return false;
    }
    struct thread *thread = (struct thread *)summary->threads.start + event->thread;
    if (thread->calls++ == 0) {
        thread->first = event->ticks;
    }
    thread->last = event->ticks;
    summary->thread_count =
        event->thread >= summary->thread_count ? event->thread + 1 : summary->thread_count;
    return true;
}

static void halve_points(struct summary *summary) {
    for (size_t i = 0; i < POINTS / 2; i++) {
        const struct point *a = &summary->points[2 * i], *b = a + 1;
        uint64_t most = a->most > b->most ? a->most : b->most;
        summary->points[i] = *b;
        summary->points[i].most = most;
        summary->points[i].calls = a->calls + b->calls;
    }
    summary->point_count = POINTS / 2;
    summary->stride *= 2;
}

static void add_to_points(struct summary *summary, uint64_t ticks) {
    struct point *last = summary->point_count > 0 ? &summary->points[summary->point_count - 1] : NULL;
    if (last == NULL || last->calls == summary->stride) {
        if (summary->point_count == POINTS) {
            halve_points(summary);
        }
        last = &summary->points[summary->point_count++];
        *last = (struct point){.calls = 0};
    }
    last->ticks = ticks;
    last->bytes = summary->live;
    last->objects = summary->objects;
    last->most = summary->live > last->most ? summary->live : last->most;
    last->calls++;
}

static bool count(struct summary *summary, const struct cb_trace_event *event) {
    if (event->kind == CB_CALL_FORK) {
        return true;
    }
    if (summary->all++ == 0) {
        summary->first = event->ticks;
    }
    summary->last = event->ticks > summary->last ? event->ticks : summary->last;
    summary->calls[event->function]++;
    summary->failed += event->kind == CB_CALL_FAILED || event->kind == CB_CALL_RESIZE_FAILED;
    summary->unknown += event->kind == CB_CALL_FREE_UNKNOWN || event->kind == CB_CALL_RESIZE_UNKNOWN;
    if (event->kind == CB_CALL_FREE || event->kind == CB_CALL_RESIZE) {
        object_goes(summary, event);
    }
    bool comes =
        event->kind == CB_CALL_NEW || event->kind == CB_CALL_RESIZE || event->kind == CB_CALL_RESIZE_UNKNOWN;
    if ((comes && !object_comes(summary, event)) || !count_thread(summary, event)) {
        return false;
    }
    if (summary->live > summary->peak) {
        summary->peak = summary->live;
        summary->peak_objects = summary->objects;
        summary->peak_ticks = event->ticks;
    }
    add_to_points(summary, event->ticks);
    return true;
}

/* ---- Printing ---- */

typedef unsigned long long number;

static double seconds(const struct summary *summary, uint64_t ticks) {
    return (double)(ticks - summary->first) * summary->reader->header->tick * 1e-9;
}

static void print_head(const struct summary *summary, const char *path) {
    const struct cb_trace_header *header = summary->reader->header;
    printf("{\n  \"version\": %d,\n  \"file\": ", VERSION);
    cb_json_text(path, strlen(path));
    printf(",\n");
    cb_json_command(header);
    printf("  \"process\": %u,\n  \"parent\": %u,\n  \"start\": %.3f,\n  \"seconds\": %.3f,\n",
           header->process, header->parent, (double)header->start * 1e-9, seconds(summary, summary->last));
    printf("  \"complete\": %s,\n  \"bytes\": %zu,\n  \"records\": %llu,\n  \"lost\": %llu,\n",
           header->end == CB_TRACE_COMPLETE ? "true" : "false", summary->reader->size, (number)summary->all,
           (number)header->lost);
}

static void print_threads(const struct summary *summary) {
    const char *separator = "";
    printf("  \"threads\": [");
    for (uint32_t i = 0; i < summary->thread_count; i++) {
        const struct thread *thread = (const struct thread *)summary->threads.start + i;
        if (thread->calls > 0) {
            printf("%s\n    {\"thread\": %u, \"calls\": %llu, \"first\": %.3f, \"last\": %.3f}", separator, i,
                   (number)thread->calls, seconds(summary, thread->first), seconds(summary, thread->last));
            separator = ",";
        }
    }
    printf("\n  ],\n");
}

static void print_calls(const struct summary *summary) {
    const char *separator = "";
    printf("  \"calls\": {");
    for (unsigned i = 0; i < CB_FUNCTION_COUNT; i++) {
        if (summary->calls[i] > 0) {
            printf("%s\"%s\": %llu", separator, cb_trace_function_name((enum cb_trace_function)i),
                   (number)summary->calls[i]);
            separator = ", ";
        }
    }
    printf("},\n  \"failed\": %llu,\n  \"unknown\": %llu,\n  \"allocations\": %llu,\n  \"frees\": %llu,\n",
           (number)summary->failed, (number)summary->unknown, (number)summary->allocations,
           (number)summary->frees);
    printf("  \"allocated_bytes\": %llu,\n", (number)summary->bytes);
    printf("  \"peak\": {\"bytes\": %llu, \"objects\": %llu, \"seconds\": %.3f},\n", (number)summary->peak,
           (number)summary->peak_objects, summary->peak > 0 ? seconds(summary, summary->peak_ticks) : 0.0);
    printf("  \"end\": {\"bytes\": %llu, \"objects\": %llu},\n", (number)summary->live,
           (number)summary->objects);
}

static void print_sizes(const struct summary *summary) {
    const char *separator = "";
    printf("  \"sizes\": [");
    for (unsigned i = 0; i < CLASSES - 1; i++) {
        const struct group *group = &summary->sizes[i];
        if (group->allocations > 0) {
            printf("%s\n    {\"from\": %llu, \"to\": %llu, \"allocations\": %llu, \"bytes\": %llu, "
                   "\"peak_bytes\": %llu}",
                   separator, (number)class_start(i), (number)(class_start(i + 1) - 1),
                   (number)group->allocations, (number)group->bytes, (number)group->peak);
            separator = ",";
        }
    }
    printf("\n  ],\n  \"lifetimes\": [");
    separator = "";
    for (unsigned i = 0; i < LIFETIMES - 1; i++) {
        if (summary->lifetimes[i].objects > 0) {
            printf("%s\n    {\"from\": %llu, \"to\": %llu, \"objects\": %llu, \"bytes\": %llu}", separator,
                   (number)1 << i, ((number)2 << i) - 1, (number)summary->lifetimes[i].objects,
                   (number)summary->lifetimes[i].bytes);
            separator = ",";
        }
    }
    printf("\n  ],\n");
}

/* Points of one tick are spread evenly up to the next tick. */
static void print_points(const struct summary *summary) {
    printf("  \"live\": [");
    for (uint64_t i = 0; i < summary->point_count;) {
        uint64_t end = i + 1;
        while (end < summary->point_count && summary->points[end].ticks <= summary->points[i].ticks) {
            end++;
        }
        double from = seconds(summary, summary->points[i].ticks), room = 0;
        if (end < summary->point_count) {
            room = seconds(summary, summary->points[end].ticks) - from;
            room = room < BURST ? room : BURST;
        }
        for (uint64_t k = i; k < end; k++) {
            const struct point *point = &summary->points[k];
            printf("%s\n    [%.6f, %llu, %llu, %llu]", k > 0 ? "," : "",
                   from + room * (double)(k - i) / (double)(end - i), (number)point->bytes,
                   (number)point->objects, (number)point->most);
        }
        i = end;
    }
    printf("\n  ]");
}

static const struct group *compared; /* by qsort, which takes no context */

static int by_bytes(const void *a, const void *b) {
    uint64_t left = compared[*(const uint32_t *)a].bytes, right = compared[*(const uint32_t *)b].bytes;
    return left < right ? 1 : left > right ? -1 : 0;
}

static void print_sites(struct summary *summary) {
    uint32_t count = 0, *order = calloc((size_t)summary->reader->site_count + 1, sizeof *order);
    const char *separator = "";
    for (uint32_t i = 1; order != NULL && i <= summary->reader->site_count; i++) {
        const struct group *group = site_of(summary, i);
        if (group != NULL && group->allocations > 0) {
            order[count++] = i;
        }
    }
    compared = summary->sites.start;
    if (count > 0 && compared != NULL) {
        qsort(order, count, sizeof *order, by_bytes);
        printf(",\n  \"sites\": [");
        for (uint32_t i = 0; i < count && i < SITES_SHOWN; i++) {
            const struct group *group = compared + order[i];
            struct cb_trace_site site = cb_trace_site(summary->reader, order[i]);
            struct cb_trace_module module = cb_trace_module(summary->reader, site.module);
            printf("%s\n    {\"module\": ", separator);
            cb_json_text(module.path != NULL ? module.path : "", module.length);
            printf(", \"offset\": %llu, \"allocations\": %llu, \"bytes\": %llu, \"peak_bytes\": %llu}",
                   (number)site.offset, (number)group->allocations, (number)group->bytes,
                   (number)group->peak);
            separator = ",";
        }
        printf("\n  ]");
    }
    printf("\n}\n");
    free(order);
}

static void print(struct summary *summary, const char *path) {
    print_head(summary, path);
    print_threads(summary);
    print_calls(summary);
    print_sizes(summary);
    print_points(summary);
    print_sites(summary);
}

int cb_dump_json(const char *path) {
    static struct summary summary;
    struct cb_trace_reader reader;
    struct cb_trace_event event;
    summary = (struct summary){.reader = &reader, .stride = 1};
    int more = cb_trace_open(&reader, path) ? 1 : -1, status = 0;
    while (more > 0 && (more = cb_trace_next(&reader, &event)) > 0) {
        if (!count(&summary, &event)) {
            strcpy(reader.error, "out of memory");
            more = -1;
        }
    }
    if (more == 0) {
        print(&summary, path);
        status = fflush(stdout) == 0 && !ferror(stdout) ? 0 : CB_UNREADABLE;
    }
    if (more < 0 || status != 0) {
        cb_complain("%s: %s", more < 0 ? path : "standard output",
                    more < 0 ? reader.error : "cannot be written to");
        status = CB_UNREADABLE;
    }
    cb_vector_free(&summary.by_object);
    cb_vector_free(&summary.sites);
    cb_vector_free(&summary.threads);
    cb_trace_close(&reader);
    return status;
}
