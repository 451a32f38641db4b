/*
 * process.c: the start and the end of a process under the debug variant. See types.h.
 *
 * Layer: debug. Threads: at start one; at exit others may go on.
 */
#include "debug/types.h"

#include "heap/options.h"
#include "os/os.h"

static __attribute__((constructor)) void debug_start(void) {
    cb_options_begin();
    cb_tally_begin();
    if (cb_options.stats == CB_STATS_OFF) {
        cb_os_keep_stderr(); /* many programs close it before they exit */
    }
    cb_mutex_watch_forks();
    cb_loads_begin();
    cb_guard_explain_faults();
    struct cb_trace first;
    cb_trace_slowly(&first); /* the unwinder sets itself up the first time */
}

/* Under the lock: the first damage from *at on. */
static struct cb_damage next_damage(uintptr_t *at, struct cb_record *object) {
    while (cb_table_next(at, object)) {
        struct cb_damage damage = {.what = NULL};
        if (object->state == CB_RECORD_LIVE) {
            damage = cb_zones_check(object);
        } else if (object->state == CB_RECORD_QUARANTINED && !object->shut) {
            damage = cb_zones_check_freed(object);
        }
        if (damage.what != NULL) {
            return damage;
        }
    }
    return (struct cb_damage){.what = NULL};
}

static void check_everything(void) {
    uintptr_t at = 0;
    struct cb_record object;
    struct cb_damage damage;
    do {
        cb_mutex_take();
        damage = next_damage(&at, &object);
        cb_mutex_drop();
        cb_tell_damage("exit()", &object, damage, NULL);
    } while (damage.what != NULL);
}

static __attribute__((destructor)) void debug_end(void) {
    check_everything();
    if (cb_options.leaks) {
        cb_leaks_list();
    }
    cb_tally_end();
}
