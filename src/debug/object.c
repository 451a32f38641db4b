/*
 * object.c: objects: how they are made, looked up and freed. See types.h.
 *
 * Layer: debug. Threads: any.
 */
#include "debug/types.h"

#include "heap/range.h"

#include <errno.h>
#include <string.h>

#define OVERHEAD_MOST ((size_t)1 << 20) /* beyond the alignment */

static void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

void *cb_object_new(size_t size, size_t align, bool zero) {
    align = align < CB_GRANULE ? CB_GRANULE : align;
    if (size > PTRDIFF_MAX - OVERHEAD_MOST || align > PTRDIFF_MAX - OVERHEAD_MOST - size) {
        return no_memory();
    }
    struct cb_record record = {.size = size, .state = CB_RECORD_LIVE};
    if (!cb_place_take(&record, align, zero)) {
        return no_memory();
    }
    cb_zones_paint(&record);
    if (!zero && size <= CB_FILL_MOST) {
        memset((void *)record.address, CB_BYTE_NEW, size);
    }
    struct cb_trace now;
    cb_trace_take(&now);
    cb_table_lock();
    record.allocated = cb_depot_keep(&now);
    bool done = cb_table_insert(&record);
    cb_table_unlock();
    if (!done) {
        cb_place_give_back(&record);
        return no_memory();
    }
    return (void *)record.address;
}

/* A pointer into our memory at which no object starts. */
static void tell_bad_pointer(const char *where, bool freeing, uintptr_t p) {
    struct cb_record copy;
    cb_table_lock();
    struct cb_record *found = cb_table_around(p);
    if (found != NULL) {
        copy = *found;
    }
    cb_table_unlock();
    const char *what = freeing ? "double free of" : "use after free of";
    if ((p & (CB_GRANULE - 1)) != 0) {
        what = "unaligned pointer";
    } else if (found != NULL) {
        what = copy.state == CB_RECORD_LIVE ? "pointer into the middle of an object:"
                                            : "pointer into the middle of a freed object:";
    }
    cb_tell(&(struct cb_finding){.where = where,
                                 .what = what,
                                 .address = p,
                                 .object = found != NULL ? &copy : NULL,
                                 .place = "called at"});
}

/* Copies the record, and with `by` makes it that of an object being freed; reports what is not live. */
static enum cb_object_kind look(const char *where, uintptr_t p, struct cb_record *copy,
                                const struct cb_trace *by) {
    cb_table_lock();
    struct cb_record *found = cb_table_find(p);
    if (found != NULL) {
        *copy = *found;
        if (by != NULL && found->state == CB_RECORD_LIVE) {
            found->freed = cb_depot_keep(by);
            found->state = CB_RECORD_FREEING;
        }
    }
    cb_table_unlock();
    if (found != NULL && copy->state == CB_RECORD_LIVE) {
        return CB_OBJECT_OURS;
    }
    if (found != NULL) {
        cb_tell(&(struct cb_finding){.where = where,
                                     .what = by != NULL ? "double free of" : "use after free of",
                                     .address = p,
                                     .bytes = copy->size,
                                     .object = copy,
                                     .place = "called at"});
        return CB_OBJECT_BAD;
    }
    if (!cb_range_owns(p)) {
        return CB_OBJECT_FOREIGN;
    }
    tell_bad_pointer(where, by != NULL, p);
    return CB_OBJECT_BAD;
}

enum cb_object_kind cb_object_look(const char *where, const void *ptr, struct cb_record *record) {
    return look(where, (uintptr_t)ptr, record, NULL);
}

/* The record of an object that is being freed is this thread's to change, but moves. */
static void note_shut(uintptr_t p) {
    cb_table_lock();
    struct cb_record *record = cb_table_find(p);
    if (record != NULL) {
        record->shut = true;
    }
    cb_table_unlock();
}

enum cb_object_kind cb_object_free(const char *where, void *ptr) {
    struct cb_trace now;
    struct cb_record record;
    cb_trace_take(&now);
    enum cb_object_kind kind = look(where, (uintptr_t)ptr, &record, &now);
    if (kind != CB_OBJECT_OURS) {
        return kind;
    }
    struct cb_damage damage = cb_zones_check(&record);
    if (damage.what != NULL) {
        cb_tell_damage(where, &record, damage, "called at");
        cb_zones_paint(&record); /* told once */
    }
    if (record.guarded && cb_guard_shut(&record)) {
        note_shut(record.address);
    } else {
        if (record.guarded) {
            cb_zones_paint(&record); /* the attempt to shut it may have cleared it */
        }
        cb_zones_fill_freed(&record);
    }
    cb_quarantine_put(where, record.address);
    return CB_OBJECT_OURS;
}
