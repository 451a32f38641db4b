/*
 * object.c: objects: how they are made, looked up and freed. See types.h.
 *
 * Layer: debug. Threads: any.
 */
#include "debug/types.h"

#include "heap/options.h"
#include "heap/range.h"

#include <errno.h>
#include <string.h>

#define OVERHEAD_MOST ((size_t)1 << 20)   /* beyond the alignment */
#define SIZE_MOST (((size_t)1 << 48) - 1) /* as long as the address space; the table has room for no more */

static void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

/* The number of the trace of a call. */
static uint32_t trace_of(const struct cb_call *call) {
    return cb_options.traces ? cb_trace_number(call) : 0;
}

void *cb_object_new(const struct cb_call *call, size_t size, size_t align, bool zero) {
    align = align < CB_GRANULE ? CB_GRANULE : align;
    if (size > SIZE_MOST || align > PTRDIFF_MAX - OVERHEAD_MOST - size) {
        return no_memory();
    }
    struct cb_record record = {
        .size = size, .align_shift = (uint8_t)__builtin_ctzl(align), .state = CB_RECORD_LIVE};
    if (!cb_place_take(&record, zero)) {
        return no_memory();
    }
    cb_zones_paint(&record);
    if (!zero && size <= CB_FILL_MOST) {
        memset((void *)record.address, CB_BYTE_NEW, size);
    }
    record.allocated = trace_of(call);
    if (!cb_table_insert(&record)) {
        cb_place_give_back(&record);
        return no_memory();
    }
    return (void *)record.address;
}

/* A pointer into our memory at which no object starts. */
static void tell_bad_pointer(const char *where, bool freeing, uintptr_t p) {
    struct cb_record around;
    cb_mutex_take();
    bool found = cb_table_around(p, &around);
    cb_mutex_drop();
    const char *what = freeing ? "double free of" : "use after free of";
    if ((p & (CB_GRANULE - 1)) != 0) {
        what = "unaligned pointer";
    } else if (found) {
        what = around.state == CB_RECORD_LIVE ? "pointer into the middle of an object:"
                                              : "pointer into the middle of a freed object:";
    }
    cb_tell(&(struct cb_finding){
        .where = where, .what = what, .address = p, .object = found ? &around : NULL, .place = "called at"});
}

/* The pointer by the record that was looked for, and perhaps found. An object that is not live is reported. */
static enum cb_object_kind judge(const char *where, bool freeing, uintptr_t p, bool found,
                                 const struct cb_record *record) {
    if (found && record->state == CB_RECORD_LIVE) {
        return CB_OBJECT_OURS;
    }
    if (found) {
        cb_tell(&(struct cb_finding){.where = where,
                                     .what = freeing ? "double free of" : "use after free of",
                                     .address = p,
                                     .bytes = record->size,
                                     .object = record,
                                     .place = "called at"});
        return CB_OBJECT_BAD;
    }
    if (!cb_range_owns(p)) {
        return CB_OBJECT_FOREIGN;
    }
    tell_bad_pointer(where, freeing, p);
    return CB_OBJECT_BAD;
}

enum cb_object_kind cb_object_look(const char *where, const void *ptr, struct cb_record *record) {
    bool found = cb_table_find((uintptr_t)ptr, record);
    return judge(where, false, (uintptr_t)ptr, found, record);
}

/* Not while somebody looks at live objects. */
static bool shut(struct cb_record *record) {
    cb_mutex_take();
    record->shut = cb_guard_shut(record);
    cb_table_set(record);
    cb_mutex_drop();
    return record->shut;
}

enum cb_object_kind cb_object_free(const struct cb_call *call, void *ptr) {
    struct cb_record record;
    __builtin_prefetch((const char *)ptr - CB_RED); /* while the record is fetched */
    __builtin_prefetch((const char *)ptr + CB_RED);
    bool found = cb_table_claim((uintptr_t)ptr, &record);
    enum cb_object_kind kind = judge(call->where, true, (uintptr_t)ptr, found, &record);
    if (kind != CB_OBJECT_OURS) {
        return kind;
    }
    record.freed = trace_of(call);
    if (record.freed != 0) {
        cb_table_set_freed(record.address, record.freed);
    }
    struct cb_damage damage = cb_zones_check(&record);
    if (damage.what != NULL) {
        cb_tell_damage(call->where, &record, damage, "called at");
        cb_zones_paint(&record); /* told once */
    }
    record.state = CB_RECORD_FREEING;
    if (!record.guarded) {
        cb_zones_fill_freed(&record);
    } else if (!shut(&record)) {
        cb_zones_paint(&record); /* the attempt may have cleared it */
        cb_zones_fill_freed(&record);
    }
    cb_quarantine_put(call->where, &record);
    return CB_OBJECT_OURS;
}
