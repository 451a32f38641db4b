/*
 * sites.c: from where allocations are called: addresses as numbers. See record.h.
 *
 * Layer: record. Threads: any. Lock: sites, for what is new. A number, once given, is found without a lock.
 *
 * Whose an address is, is asked of _dl_find_object, which takes no lock and allocates nothing; where libc has no
 * such function (glibc before 2.35), sites are of the unknown module.
 */
#include "record.h"

#include "os/file.h"
#include "os/os.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#define PLACES ((size_t)1 << 17) /* a power of two */
#define PLACES_USED (PLACES / 4 * 3)
#define MODULES_MOST 2048

int _dl_find_object(void *address, struct dl_find_object *result) __attribute__((weak));

struct place {
    _Atomic uintptr_t address; /* 0: none. Release when it is added, after the number; acquire */
    uint32_t number;
};

/* All but reading a place is guarded by the lock `sites`. */
static struct {
    struct place *_Atomic places; /* release when it is there, acquire */
    uint32_t count;
    const struct link_map *module[MODULES_MOST]; /* number 1 is the first */
    uint32_t modules;
} sites;

static struct place *first_for(struct place *places, uintptr_t address) {
    return places + (address * UINT64_C(0x9E3779B97F4A7C15) >> 47 & (PLACES - 1));
}

/* The place of the address, or the free one where it would be. */
static struct place *find(struct place *places, uintptr_t address) {
    struct place *at = first_for(places, address);
    for (;;) {
        uintptr_t there = atomic_load_explicit(&at->address, memory_order_acquire);
        if (there == address || there == 0) {
            return at;
        }
        at = at + 1 == places + PLACES ? places : at + 1;
    }
}

static const char *path_of(const struct link_map *module, char *to, size_t room) {
    if (module->l_name != NULL && module->l_name[0] != '\0') {
        return module->l_name;
    }
    return cb_file_link("/proc/self/exe", to, room) > 0 ? to : "program";
}

/* 0: not known. */
static uint32_t module_number(struct cb_lane *lane, const struct link_map *module) {
    char path[CB_FILE_PATH];
    for (uint32_t i = 0; i < sites.modules; i++) {
        if (sites.module[i] == module) {
            return i + 1;
        }
    }
    if (module == NULL || sites.modules == MODULES_MOST) {
        return 0;
    }
    sites.module[sites.modules++] = module;
    cb_write_module(lane, sites.modules, path_of(module, path, sizeof path));
    return sites.modules;
}

static const struct link_map *module_of(uintptr_t address) {
    struct dl_find_object found;
    return _dl_find_object != NULL && _dl_find_object((void *)address, &found) == 0 ? found.dlfo_link_map
                                                                                    : NULL;
}

/* Under the lock. */
static uint32_t add(struct cb_lane *lane, struct place *at, uintptr_t address) {
    if (sites.count == PLACES_USED) {
        return sites.count; /* the last one stands for all that come too late */
    }
    const struct link_map *module = sites.count + 1 < PLACES_USED ? module_of(address) : NULL;
    uint32_t number = module_number(lane, module);
    at->number = ++sites.count;
    cb_write_site(lane, sites.count, number,
                  module != NULL && number != 0 ? address - module->l_addr : address);
    atomic_store_explicit(&at->address, address, memory_order_release);
    return at->number;
}

static struct place *get_places(void) {
    struct place *places = atomic_load_explicit(&sites.places, memory_order_acquire);
    if (CB_UNLIKELY(places == NULL)) {
        cb_lock_take(&cb_record_shared->sites);
        places = atomic_load_explicit(&sites.places, memory_order_relaxed);
        if (places == NULL) {
            places = cb_os_map(0, PLACES * sizeof *places);
            atomic_store_explicit(&sites.places, places, memory_order_release);
        }
        cb_lock_drop(&cb_record_shared->sites);
    }
    return places;
}

uint32_t cb_site_number(struct cb_lane *lane, uintptr_t address) {
    struct place *places = get_places();
    if (places == NULL) {
        return 1; /* not known: no record says what it is */
    }
    struct place *at = find(places, address);
    if (CB_LIKELY(atomic_load_explicit(&at->address, memory_order_acquire) == address)) {
        return at->number;
    }
    cb_lock_take(&cb_record_shared->sites);
    at = find(places, address);
    uint32_t number = atomic_load_explicit(&at->address, memory_order_relaxed) == address
                          ? at->number
                          : add(lane, at, address);
    cb_lock_drop(&cb_record_shared->sites);
    return number;
}

void cb_sites_forget(void) {
    struct place *places = atomic_load_explicit(&sites.places, memory_order_relaxed);
    if (places != NULL) {
        cb_os_unmap(places, PLACES * sizeof *places);
    }
    memset(&sites, 0, sizeof sites);
}
