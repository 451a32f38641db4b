/*
 * dump.c: prints a trace as text, one call a line. See replay.h.
 *
 * Layer: replay. Threads: one.
 */
#include "replay.h"

#include <stdio.h>

static void print_site(const struct cb_trace_event *event) {
    if (event->site != 0) {
        printf(" @%u", event->site);
    }
}

/* A call that makes an object, or gives it another size. */
static void print_made(const char *name, const struct cb_trace_event *event) {
    unsigned long long size = event->size;
    if (event->kind == CB_CALL_RESIZE) {
        printf("%s #%u %llu (%llu)", name, event->object, size, (unsigned long long)event->old_size);
    } else if (event->kind == CB_CALL_RESIZE_UNKNOWN) {
        printf("%s unknown %llu = #%u", name, size, event->object);
    } else if (event->align != 0) {
        printf("%s %llu align %llu = #%u", name, size, 1ULL << event->align, event->object);
    } else {
        printf("%s %llu = #%u", name, size, event->object);
    }
    print_site(event);
}

static void print_other(const char *name, const struct cb_trace_event *event) {
    unsigned long long size = event->size;
    unsigned object = event->object;
    switch (event->kind) {
    case CB_CALL_FREE:
        printf("%s #%u (%llu)", name, object, (unsigned long long)event->old_size);
        break;
    case CB_CALL_USE:
        printf("%s #%u", name, object);
        break;
    case CB_CALL_FREE_NULL:
        printf("%s NULL", name);
        break;
    case CB_CALL_FAILED:
        printf("%s %llu failed", name, size);
        break;
    case CB_CALL_RESIZE_FAILED:
        printf("%s #%u %llu failed", name, object, size);
        break;
    case CB_CALL_FREE_UNKNOWN:
        printf("%s unknown (%llu)", name, size);
        break;
    case CB_CALL_USE_UNKNOWN:
        printf("%s unknown", name);
        break;
    case CB_CALL_FORK:
        printf("fork");
        break;
    default:
        printf("%s", name);
    }
}

static void print_call(const struct cb_trace_reader *reader, const struct cb_trace_event *event) {
    const char *name = cb_trace_function_name(event->function);
    printf("%.3f %u ", (double)event->ticks * reader->header->tick * 1e-9, event->thread);
    if (event->kind == CB_CALL_NEW || event->kind == CB_CALL_RESIZE ||
        event->kind == CB_CALL_RESIZE_UNKNOWN) {
        print_made(name, event);
    } else {
        print_other(name, event);
    }
    putchar('\n');
}

static void print_sites(const struct cb_trace_reader *reader) {
    for (uint32_t i = 1; i <= reader->site_count; i++) {
        struct cb_trace_site site = cb_trace_site(reader, i);
        struct cb_trace_module module = cb_trace_module(reader, site.module);
        if (site.known) {
            printf("@%u = %.*s+0x%llx\n", i, module.path != NULL ? (int)module.length : 1,
                   module.path != NULL ? module.path : "?", (unsigned long long)site.offset);
        }
    }
}

int cb_dump_text(const char *path) {
    struct cb_trace_reader reader;
    struct cb_trace_event event;
    int more = cb_trace_open(&reader, path) ? 1 : -1;
    while (more > 0 && (more = cb_trace_next(&reader, &event)) > 0) {
        print_call(&reader, &event);
    }
    if (more == 0) {
        print_sites(&reader);
    }
    int status = fflush(stdout) == 0 && !ferror(stdout) ? 0 : CB_UNREADABLE;
    if (more < 0) {
        cb_complain("%s: %s", path, reader.error);
        status = CB_UNREADABLE;
    } else if (status != 0) {
        cb_complain("standard output cannot be written to");
    }
    cb_trace_close(&reader);
    return status;
}
