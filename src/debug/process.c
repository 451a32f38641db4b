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
    cb_table_watch_forks();
    cb_guard_explain_faults();
    struct cb_trace first;
    cb_trace_take(&first); /* the unwinder sets itself up the first time */
}

/* Under the lock: the first damage from *slot on. */
static struct cb_damage next_damage(size_t *slot, struct cb_record *object) {
    for (const struct cb_record *record; (record = cb_table_next(slot)) != NULL;) {
        struct cb_damage damage = {.what = NULL};
        if (record->state == CB_RECORD_LIVE) {
            damage = cb_zones_check(record);
        } else if (record->state == CB_RECORD_QUARANTINED && !record->shut) {
            damage = cb_zones_check_freed(record);
        }
        if (damage.what != NULL) {
            *object = *record;
            return damage;
        }
    }
    return (struct cb_damage){.what = NULL};
}

static void check_everything(void) {
    size_t slot = 0;
    struct cb_record object;
    struct cb_damage damage;
    do {
        cb_table_lock();
        damage = next_damage(&slot, &object);
        cb_table_unlock();
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
