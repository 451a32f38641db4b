/*
 * guard.c: pages that nothing may touch. See types.h.
 *
 * Layer: debug; the only caller of cb_os_protect. Threads: any. errno is kept.
 *
 * Every guard costs the process a mapping or two, of which it may have some 65,000: there is a bound.
 */
#include "debug/types.h"

#include "heap/options.h"
#include "os/os.h"

#include <errno.h>
#include <signal.h>

#define GUARDS_MOST 8192 /* each splits a mapping in two, and the kernel allows 65,530 */

static _Atomic size_t guards; /* relaxed: only counts */

bool cb_guard_set(uintptr_t base, size_t total) {
    if (atomic_fetch_add_explicit(&guards, 1, memory_order_relaxed) < GUARDS_MOST &&
        cb_os_protect((void *)(base + total), cb_os_page_size(), false)) {
        return true;
    }
    atomic_fetch_sub_explicit(&guards, 1, memory_order_relaxed);
    return false;
}

bool cb_guard_shut(const struct cb_record *record) {
    cb_os_purge((void *)record->base, record->total);
    return cb_os_protect((void *)record->base, record->total, false);
}

bool cb_guard_lift(const struct cb_record *record) {
    if (!cb_os_protect((void *)record->base, record->total + cb_os_page_size(), true)) {
        return false;
    }
    atomic_fetch_sub_explicit(&guards, 1, memory_order_relaxed);
    return true;
}

static void tell_fault(uintptr_t at) {
    struct cb_record object;
    if (!cb_mutex_take_soon()) {
        return;
    }
    bool found = cb_table_around(at, &object);
    cb_mutex_drop();
    if (!found || !object.guarded) {
        return;
    }
    cb_tell_only(
        &(struct cb_finding){.where = "SIGSEGV",
                             .what = object.state == CB_RECORD_LIVE ? "overflow of" : "use after free of",
                             .address = object.address,
                             .bytes = object.size,
                             .object = &object,
                             .damage = &(struct cb_damage){.at = at},
                             .place = "accessed at"});
}

/* The access is made again afterwards, and ends the process. */
static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)context;
    int saved = errno;
    sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    if (info->si_code <= 0) {
        raise(signal); /* sent by somebody: it would not come again */
    } else {
        tell_fault((uintptr_t)info->si_addr);
    }
    errno = saved;
}

void cb_guard_explain_faults(void) {
    struct sigaction old;
    if (cb_options.on_error == CB_ERROR_IGNORE || sigaction(SIGSEGV, NULL, &old) != 0 ||
        old.sa_handler != SIG_DFL) {
        return;
    }
    sigaction(SIGSEGV,
              &(struct sigaction){.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK},
              NULL);
}
