/*
 * trace.c: walking the stack. See types.h.
 *
 * Layer: debug. Threads: any; no lock is taken. The unwinder is linked into the library, so that nothing need
 * be loaded for it, and finds the tables of the loaded objects without locks or memory.
 */
#include "debug/types.h"

#include <string.h>
#include <unwind.h>

/* The linker's: where this library starts and ends. */
extern const char __ehdr_start[] CB_HIDDEN, _end[] CB_HIDDEN;

static _Thread_local bool walking CB_TLS_MODEL;

static bool in_this_library(uintptr_t ip) {
    return ip >= (uintptr_t)__ehdr_start && ip < (uintptr_t)_end;
}

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *argument) {
    struct cb_trace *trace = argument;
    int before = 0;
    uintptr_t ip = _Unwind_GetIPInfo(context, &before);
    if (ip == 0 || trace->count == CB_FRAMES) {
        return _URC_END_OF_STACK;
    }
    if (trace->count != 0 || !in_this_library(ip)) {
        trace->frame[trace->count++] = before ? ip : ip - 1;
    }
    return _URC_NO_REASON;
}

CB_NOINLINE void cb_trace_take(struct cb_trace *trace) {
    memset(trace, 0, sizeof *trace);
    if (walking) {
        return;
    }
    walking = true;
    _Unwind_Backtrace(step, trace);
    walking = false;
    uint64_t hash = trace->count;
    for (uint32_t i = 0; i < trace->count; i++) {
        hash = (hash ^ trace->frame[i]) * 0x9e3779b97f4a7c15ULL;
        hash ^= hash >> 32;
    }
    trace->hash = (uint32_t)hash;
}
