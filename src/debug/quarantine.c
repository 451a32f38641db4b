/*
 * quarantine.c: freed objects, oldest first, until there are too many bytes of them. See types.h.
 *
 * Layer: debug. Threads: any; the lock guards the queue. An object that was taken out has no record any more and is its
 * taker's alone.
 */
#include "debug/types.h"

#include "heap/options.h"
#include "os/os.h"

#define PLACES ((size_t)1 << 18) /* objects in the queue, at most; a power of two */
#define AHEAD 8      /* places, of objects that are fetched into the cache: they are taken out soon */
#define TAKEN_MOST 4 /* at once */

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

/* Under the lock. False: no room. */
static bool put(struct cb_record *record) {
    if (queue.place == NULL) {
        queue.place = cb_os_map(0, PLACES * sizeof *queue.place);
    }
    if (queue.place == NULL || cost_of(record) > cb_options.quarantine) {
        return false;
    }
    record->state = CB_RECORD_QUARANTINED;
    cb_table_set(record);
    queue.place[queue.end % PLACES] = record->address;
    queue.bytes += cost_of(record);
    queue.end++;
    return true;
}

static bool too_much(void) {
    return queue.first != queue.end &&
           (queue.bytes > cb_options.quarantine || queue.end - queue.first >= PLACES);
}

/* Under the lock. Takes the oldest out, with their records, while there is too much. Returns how many. */
static size_t take_too_much(struct cb_record *taken, size_t most) {
    size_t count = 0;
    while (count < most && too_much()) {
        uintptr_t address = queue.place[queue.first++ % PLACES];
        if (!cb_table_find(address, &taken[count]) || taken[count].state != CB_RECORD_QUARANTINED) {
            continue; /* a change that was torn by fork */
        }
        queue.bytes -= cost_of(&taken[count++]);
        cb_table_erase(address);
        uintptr_t soon = queue.place[(queue.first + AHEAD) % PLACES];
        if (soon != 0) {
            cb_table_prefetch(soon);
            __builtin_prefetch((const void *)(soon - CB_RED));
            __builtin_prefetch((const void *)(soon + CB_RED));
        }
    }
    return count;
}

static void let_go(const char *where, const struct cb_record *record) {
    if (!record->shut) {
        cb_tell_damage(where, record, cb_zones_check_freed(record), "noticed at");
    }
    cb_place_give_back(record);
}

void cb_quarantine_put(const char *where, struct cb_record *record) {
    struct cb_record taken[TAKEN_MOST];
    size_t count;
    cb_mutex_take();
    bool kept = put(record);
    if (!kept) {
        cb_table_erase(record->address);
    }
    count = take_too_much(taken, TAKEN_MOST);
    cb_mutex_drop();
    if (!kept) {
        let_go(where, record);
    }
    while (count != 0) {
        for (size_t i = 0; i < count; i++) {
            let_go(where, &taken[i]);
        }
        if (count < TAKEN_MOST) {
            break;
        }
        cb_mutex_take();
        count = take_too_much(taken, TAKEN_MOST);
        cb_mutex_drop();
    }
}
