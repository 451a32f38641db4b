/*
 * loads.c: notices that libraries are loaded or unloaded, so that an address may soon be that of other code. See
 * types.h.
 *
 * Layer: debug. Threads: any; no lock is taken.
 *
 * The loader tells debuggers what it is about (struct r_debug), and it allocates while it loads, when the new object
 * is in place and its code has not run yet, and frees while it unloads, when the object is out of place.
 */
#include "debug/types.h"

#include <link.h>

struct cb_loader cb_loader; /* written at start */

static int look(struct dl_phdr_info *info, size_t size, void *argument) {
    (void)size;
    (void)argument;
    for (size_t i = 0; info->dlpi_addr == _r_debug.r_ldbase && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD) {
            cb_loader.size = cb_higher(cb_loader.size, part->p_vaddr + part->p_memsz);
        }
    }
    return cb_loader.size != 0;
}

void cb_loads_begin(void) {
    cb_loader.start = _r_debug.r_ldbase;
    dl_iterate_phdr(look, NULL);
}

/* One for each namespace of the loader, where it says so (glibc 2.35). */
static const struct r_debug *next(const struct r_debug *at) {
    struct r_debug *further = NULL;
    if (at->r_version >= 2) {
        further = *(struct r_debug *const *)(at + 1);
    }
    return further;
}

void cb_loads_by_loader(void) {
    for (const struct r_debug *at = &_r_debug; at != NULL; at = next(at)) {
        if (*(const volatile int *)&at->r_state != RT_CONSISTENT) {
            cb_frame_forget();
        }
    }
}
