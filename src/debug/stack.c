/*
 * stack.c: which memory of the stack can be read. See types.h.
 *
 * Layer: debug. Threads: any; each knows its own stack. Takes no lock, so that a handler of a signal may come here.
 *
 * Nobody says where a stack ends: it may be a thread's, a coroutine's or one of a signal's own. So the system is asked,
 * page by page upwards from where the thread runs, and the answer is remembered for as long as it runs in there.
 */
#include "debug/types.h"

#include "os/os.h"

#define PAGES_DOWN 64 /* asked at once when the thread has gone deeper; more than that is another stack */
#define BYTES_UP ((uintptr_t)16 << 20) /* a frame is not longer */

_Thread_local struct cb_stack cb_stack CB_TLS_MODEL;

static bool readable(uintptr_t from, uintptr_t to, size_t page) {
    while (from < to && cb_os_readable(from)) {
        from += page;
    }
    return from >= to;
}

CB_NOINLINE void cb_stack_find(uintptr_t sp) {
    size_t page = cb_os_page_size();
    uintptr_t here = sp & ~(page - 1), low = cb_stack.low, high = cb_stack.high;
    if (!(here < low && low - here <= PAGES_DOWN * page && readable(here + page, low, page))) {
        high = here + page;
    }
    cb_stack.low = here;
    cb_stack.high = high;
}

CB_NOINLINE bool cb_stack_extend(uintptr_t at) {
    size_t page = cb_os_page_size();
    while (at - cb_stack.low >= cb_stack.high - cb_stack.low) {
        if (at < cb_stack.high || at - cb_stack.high >= BYTES_UP || !cb_os_readable(cb_stack.high)) {
            return false;
        }
        cb_stack.high += page;
    }
    return true;
}
