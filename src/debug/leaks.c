/*
 * leaks.c: what was never freed, grouped by where it was allocated. See types.h.
 *
 * Layer: debug. Threads: one, at exit; the others may go on.
 */
#include "debug/types.h"

#include "heap/line.h"
#include "os/os.h"

#include <string.h>

#define GROUPS_SHOWN 10 /* the largest; the sum is of all */

struct group {
    size_t objects, bytes;
    uint32_t trace;
};

static void amount(struct cb_line *line, const struct group *group) {
    cb_line_number(line, group->objects);
    cb_line_string(line, group->objects == 1 ? " object, " : " objects, ");
    cb_line_number(line, group->bytes);
    cb_line_string(line, group->bytes == 1 ? " byte" : " bytes");
    cb_line_write(line);
}

static void add(struct group *group, size_t bytes) {
    group->objects++;
    group->bytes += bytes;
}

/* Under the lock. `groups` has a place for each number of a trace, up to `end`. */
static struct group count(struct group *groups, size_t end) {
    struct group all = {.objects = 0};
    uintptr_t at = 0;
    for (struct cb_record record; cb_table_next(&at, &record);) {
        if (record.state == CB_RECORD_LIVE) {
            add(&all, record.size);
            if (groups != NULL && record.allocated < end) {
                add(&groups[record.allocated], record.size);
                groups[record.allocated].trace = record.allocated;
            }
        }
    }
    return all;
}

/* Moves the largest group out of those from `first` on to `first`. */
static void bring_forward(struct group *groups, size_t first, size_t end) {
    size_t best = first;
    for (size_t i = first + 1; i < end; i++) {
        if (groups[i].bytes > groups[best].bytes ||
            (groups[i].bytes == groups[best].bytes && groups[i].objects > groups[best].objects)) {
            best = i;
        }
    }
    struct group swap = groups[first];
    groups[first] = groups[best];
    groups[best] = swap;
}

void cb_leaks_list(void) {
    struct cb_line line = {.length = 0};
    size_t end = cb_depot_end();
    struct group *groups = cb_os_map(0, end * sizeof *groups);
    cb_mutex_take();
    struct group all = count(groups, end);
    cb_mutex_drop();
    cb_line_string(&line, "cutback: exit(): never freed: ");
    amount(&line, &all);
    for (size_t i = 0; groups != NULL && i < end && i < GROUPS_SHOWN; i++) {
        bring_forward(groups, i, end);
        if (groups[i].objects == 0) {
            break;
        }
        cb_line_string(&line, "  ");
        amount(&line, &groups[i]);
        cb_tell_kept("allocated at", groups[i].trace);
    }
    if (groups != NULL) {
        cb_os_unmap(groups, end * sizeof *groups);
    }
}
