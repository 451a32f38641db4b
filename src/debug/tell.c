/*
 * tell.c: reports. See types.h.
 *
 * Layer: debug. Threads: any, without the lock: naming a frame asks the loader, which has locks of its own.
 * Nothing here allocates.
 */
#include "debug/types.h"

#include "heap/line.h"
#include "heap/misuse.h"
#include "heap/options.h"
#include "os/os.h"

#include <dlfcn.h>
#include <string.h>

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void frame(struct cb_line *line, uintptr_t address) {
    Dl_info info;
    cb_line_address(line, address);
    if (dladdr((void *)address, &info) == 0 || info.dli_fname == NULL) {
        return;
    }
    cb_line_string(line, " ");
    cb_line_string(line, last_part(info.dli_fname));
    cb_line_string(line, "+");
    cb_line_address(line, address - (uintptr_t)info.dli_fbase);
    if (info.dli_sname != NULL) {
        cb_line_string(line, " (");
        cb_line_string(line, info.dli_sname);
        cb_line_string(line, ")");
    }
}

void cb_tell_trace(const char *title, const struct cb_trace *trace) {
    struct cb_line line = {.length = 0};
    for (uint32_t i = 0; i < trace->count; i++) {
        cb_line_text(&line, "                        ", i == 0 ? 2 : strlen(title) + 4);
        if (i == 0) {
            cb_line_string(&line, title);
            cb_line_string(&line, ": ");
        }
        frame(&line, trace->frame[i]);
        cb_line_write(&line);
    }
}

void cb_tell_kept(const char *title, uint32_t number) {
    struct cb_trace trace;
    if (cb_depot_get(number, &trace)) {
        cb_tell_trace(title, &trace);
    }
}

static void first_line(const struct cb_finding *finding) {
    struct cb_line line = {.length = 0};
    cb_line_string(&line, "cutback: ");
    cb_line_string(&line, finding->where);
    cb_line_string(&line, ": ");
    cb_line_string(&line, finding->what);
    cb_line_string(&line, " ");
    cb_line_address(&line, finding->address);
    if (finding->bytes != 0) {
        cb_line_string(&line, " (");
        cb_line_number(&line, finding->bytes);
        cb_line_string(&line, " bytes)");
    }
    cb_line_write(&line);
    cb_tally_fault(finding->what);
}

/* Of an address at or near an object: how far it is from its first byte. */
static void offset(struct cb_line *line, uintptr_t at, const struct cb_record *object) {
    cb_line_string(line, at < object->address ? " at offset -" : " at offset ");
    cb_line_number(line, at < object->address ? object->address - at : at - object->address);
}

static void object_lines(const struct cb_finding *finding) {
    struct cb_line line = {.length = 0};
    const struct cb_record *object = finding->object;
    if (finding->damage != NULL) {
        cb_line_string(&line, finding->damage->what != NULL ? "  byte " : "  access");
        if (finding->damage->what != NULL) {
            cb_line_address(&line, finding->damage->value);
        }
        offset(&line, finding->damage->at, object);
        cb_line_write(&line);
    } else if (finding->address != object->address) {
        cb_line_string(&line, "  object ");
        cb_line_address(&line, object->address);
        cb_line_string(&line, " (");
        cb_line_number(&line, object->size);
        cb_line_string(&line, " bytes), pointer");
        offset(&line, finding->address, object);
        cb_line_write(&line);
    }
    cb_tell_kept("allocated at", object->allocated);
    cb_tell_kept("freed at", object->freed);
}

void cb_tell_only(const struct cb_finding *finding) {
    if (cb_options.on_error == CB_ERROR_IGNORE) {
        return;
    }
    first_line(finding);
    if (finding->object != NULL) {
        object_lines(finding);
    }
    if (finding->place != NULL) {
        struct cb_trace now;
        cb_trace_slowly(&now);
        cb_tell_trace(finding->place, &now);
    }
}

void cb_tell(const struct cb_finding *finding) {
    cb_tell_only(finding);
    if (cb_options.on_error == CB_ERROR_ABORT) {
        cb_os_abort();
    }
}

void cb_tell_damage(const char *where, const struct cb_record *object, struct cb_damage damage,
                    const char *place) {
    if (damage.what != NULL) {
        cb_tell(&(struct cb_finding){.where = where,
                                     .what = damage.what,
                                     .address = object->address,
                                     .bytes = object->size,
                                     .object = object,
                                     .damage = &damage,
                                     .place = place});
    }
}

/* In place of the heap's. */
void cb_misuse_report(const char *function, const char *what, uintptr_t address, size_t bytes) {
    char where[32];
    size_t length = strnlen(function, sizeof where - 3);
    memcpy(where, function, length);
    memcpy(where + length, "()", 3);
    cb_tell(&(struct cb_finding){
        .where = where, .what = what, .address = address, .bytes = bytes, .place = "called at"});
}
