/*
 * quarantine.c: freed objects, oldest first, until there are too many bytes of them. See types.h.
 *
 * Layer: debug. Threads: any; the lock of table.c guards the queue. An object that was taken out has no record any more
 * and is its taker's alone.
 */
#include "debug/types.h"

#include "heap/options.h"
#include "os/os.h"

#define PLACES ((size_t)1 << 18) /* objects in the queue, at most; a power of two */

/* A shut object has no memory left, only a place among the guards: it counts for that much at least. */
#define SHUT_COST ((size_t)16 << 10)

static struct {
    uintptr_t *place; /* guarded by the lock, as is the rest; NULL: not mapped yet */
    size_t first, end;
    size_t bytes;
} queue;

static size_t cost_of(const struct cb_record *record) {
    return record->shut ? SHUT_COST : record->total;
}

/* Under the lock. False: no room, the record is to be taken out at once. */
static bool put(struct cb_record *record) {
    if (queue.place == NULL) {
        queue.place = cb_os_map(0, PLACES * sizeof *queue.place);
    }
    if (queue.place == NULL || cost_of(record) > cb_options.quarantine) {
        return false;
    }
    record->state = CB_RECORD_QUARANTINED;
    queue.place[queue.end % PLACES] = record->address;
    queue.bytes += cost_of(record);
    queue.end++;
    return true;
}

/* Under the lock. Takes the oldest out, if there is too much, with its record. */
static bool take_too_much(struct cb_record *taken) {
    while (queue.first != queue.end &&
           (queue.bytes > cb_options.quarantine || queue.end - queue.first >= PLACES)) {
        struct cb_record *record = cb_table_find(queue.place[queue.first++ % PLACES]);
        if (record == NULL || record->state != CB_RECORD_QUARANTINED) {
            continue; /* a change that was torn by fork */
        }
        *taken = *record;
        queue.bytes -= cost_of(record);
        cb_table_erase(record);
        return true;
    }
    return false;
}

static void let_go(const char *where, const struct cb_record *record) {
    if (!record->shut) {
        cb_tell_damage(where, record, cb_zones_check_freed(record), "noticed at");
    }
    cb_place_give_back(record);
}

void cb_quarantine_put(const char *where, uintptr_t address) {
    struct cb_record taken;
    cb_table_lock();
    struct cb_record *record = cb_table_find(address);
    bool took = record != NULL;
    if (took) {
        taken = *record;
        if (put(record)) {
            took = take_too_much(&taken);
        } else {
            cb_table_erase(record);
        }
    }
    cb_table_unlock();
    while (took) {
        let_go(where, &taken);
        cb_table_lock();
        took = take_too_much(&taken);
        cb_table_unlock();
    }
}
