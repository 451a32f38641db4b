/*
 * table.c: the records, by address, and the lock of the debug variant. See types.h.
 *
 * Layer: debug. Lock: one, over the records, the depot and the quarantine. The heap's locks are not taken
 * while it is held, nor it while they are.
 *
 * An open hash with linear probing. A slot that was used is not empty again until the table is copied, so
 * that each change is one word, written last: a child of fork that was made in the midst of a change, whose
 * thread it does not have, goes on with the table as it is.
 */
#include "debug/types.h"

#include "os/lock.h"
#include "os/os.h"

#include <pthread.h>

#define SLOTS_FIRST ((size_t)4096)
#define GONE ((uintptr_t)1)
#define TRIES_FOR_SIGNAL 2000

struct table {
    size_t slots;   /* a power of two */
    size_t touched; /* slots that are not empty */
    size_t used;    /* records */
    struct cb_record record[];
};

static cb_lock lock;
static struct table *table; /* guarded by lock; replaced as a whole */

/* A word that is zero in a child that has not reset the lock; NULL where the system cannot do that. */
static _Atomic uint32_t *_Atomic fork_word; /* release in cb_table_watch_forks, acquire in notice_fork */

static void in_child(void) {
    cb_lock_reset(&lock);
    _Atomic uint32_t *word = atomic_load_explicit(&fork_word, memory_order_acquire);
    if (word != NULL) {
        atomic_store_explicit(word, 1, memory_order_relaxed);
    }
}

/* Handlers of other libraries may allocate in the child before ours has run. */
static inline void notice_fork(void) {
    /* acquire: partner of the release in cb_table_watch_forks */
    _Atomic uint32_t *word = atomic_load_explicit(&fork_word, memory_order_acquire);
    if (word != NULL && CB_UNLIKELY(atomic_load_explicit(word, memory_order_relaxed) == 0)) {
        in_child();
    }
}

void cb_table_watch_forks(void) {
    _Atomic uint32_t *word = cb_os_map(0, cb_os_page_size());
    if (word != NULL && cb_os_wipe_on_fork(word)) {
        atomic_store_explicit(word, 1, memory_order_relaxed);
        atomic_store_explicit(&fork_word, word, memory_order_release);
    }
    pthread_atfork(NULL, NULL, in_child);
}

void cb_table_lock(void) {
    notice_fork();
    cb_lock_take(&lock);
}

bool cb_table_lock_soon(void) {
    notice_fork();
    for (int i = 0; i < TRIES_FOR_SIGNAL; i++) {
        if (cb_lock_try(&lock)) {
            return true;
        }
        cb_os_yield();
    }
    return false;
}

void cb_table_unlock(void) {
    cb_lock_drop(&lock);
}

static size_t table_bytes(size_t slots) {
    return sizeof(struct table) + slots * sizeof(struct cb_record);
}

static inline size_t slot_of(uintptr_t address) {
    uint64_t hash = address * 0x9e3779b97f4a7c15ULL;
    return (size_t)(hash >> 24);
}

struct cb_record *cb_table_find(uintptr_t address) {
    if (table == NULL || address <= GONE) {
        return NULL;
    }
    for (size_t i = slot_of(address);; i++) {
        struct cb_record *record = &table->record[i & (table->slots - 1)];
        if (record->address == address) {
            return record;
        }
        if (record->address == 0) {
            return NULL;
        }
    }
}

/* Into a table without gone slots, or the first one of them. */
static void put(struct table *into, const struct cb_record *record) {
    size_t i = slot_of(record->address);
    while (into->record[i & (into->slots - 1)].address > GONE) {
        i++;
    }
    struct cb_record *slot = &into->record[i & (into->slots - 1)];
    into->touched += slot->address == 0;
    into->used++;
    uintptr_t was = slot->address, is = record->address;
    *slot = *record;
    slot->address = was;
    atomic_signal_fence(memory_order_seq_cst);
    *(volatile uintptr_t *)&slot->address = is;
}

static bool make_room(void) {
    struct table *old = table;
    size_t slots = SLOTS_FIRST;
    while (old != NULL && slots < old->used * 4) {
        slots *= 2;
    }
    struct table *new = cb_os_map(0, table_bytes(slots));
    if (new == NULL) {
        return false;
    }
    new->slots = slots;
    for (size_t i = 0; old != NULL && i < old->slots; i++) {
        if (old->record[i].address > GONE) {
            put(new, &old->record[i]);
        }
    }
    atomic_signal_fence(memory_order_seq_cst);
    table = new;
    if (old != NULL) {
        cb_os_unmap(old, table_bytes(old->slots));
    }
    return true;
}

bool cb_table_insert(const struct cb_record *record) {
    if ((table == NULL || table->touched >= table->slots / 4 * 3) && !make_room()) {
        return false;
    }
    put(table, record);
    return true;
}

void cb_table_erase(struct cb_record *record) {
    record->address = GONE;
    table->used--;
}

struct cb_record *cb_table_next(size_t *slot) {
    while (table != NULL && *slot < table->slots) {
        struct cb_record *record = &table->record[(*slot)++];
        if (record->address > GONE) {
            return record;
        }
    }
    return NULL;
}

struct cb_record *cb_table_around(uintptr_t p) {
    size_t slot = 0, page = cb_os_page_size();
    for (struct cb_record *record; (record = cb_table_next(&slot)) != NULL;) {
        if (p - record->base < record->total + (record->guarded ? page : 0)) {
            return record;
        }
    }
    return NULL;
}
