/*
 * trace.c: walking the stack. See types.h.
 *
 * Layer: debug. Threads: any; no lock is taken.
 *
 * Each frame costs a rule that is remembered (frame.c) and two words of the stack. Nothing is read that is not known to be
 * readable (stack.c), and each frame lies above the one before, so that wrong tables or a stack that was overwritten end a
 * trace and do no more harm. Where a rule is not simple, the unwinder of libgcc walks; it is linked into the library, so that
 * nothing need be loaded for it, and takes no lock and no memory either.
 */
#include "debug/types.h"

#include <unwind.h>

/* The linker's: where this library starts and ends. */
extern const char __ehdr_start[] CB_HIDDEN, _end[] CB_HIDDEN;

static bool in_this_library(uintptr_t pc) {
    return pc >= (uintptr_t)__ehdr_start && pc < (uintptr_t)_end;
}

/* ---- By libgcc ---- */

static _Thread_local bool walking CB_TLS_MODEL;

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *argument) {
    struct cb_trace *trace = argument;
    int before = 0;
    uintptr_t pc = _Unwind_GetIPInfo(context, &before);
    if (pc == 0 || trace->count == CB_FRAMES) {
        return _URC_END_OF_STACK;
    }
    if (trace->count != 0 || !in_this_library(pc)) {
        trace->frame[trace->count++] = before ? pc : pc - 1;
    }
    return _URC_NO_REASON;
}

CB_NOINLINE void cb_trace_slowly(struct cb_trace *trace) {
    trace->count = 0;
    if (!walking) {
        walking = true;
        _Unwind_Backtrace(step, trace);
        walking = false;
    }
}

/* ---- By rules ---- */

/* Addresses of code, without what signs them. */
static uintptr_t strip(uintptr_t pc) {
#ifdef __aarch64__
    return pc & (((uintptr_t)1 << 48) - 1);
#else
    return pc;
#endif
}

static bool load(uintptr_t at, uintptr_t *word) {
    if (CB_UNLIKELY((at & 7) != 0 ||
                    (at - cb_stack.low >= cb_stack.high - cb_stack.low && !cb_stack_extend(at)))) {
        return false;
    }
    *word = *(const uintptr_t *)at;
    return true;
}

static uintptr_t plus(uintptr_t base, int words) {
    return base + (uintptr_t)(intptr_t)(words * 8);
}

/* From a frame to its caller's. False: there is none that can be read. */
static bool up(struct cb_rule rule, struct cb_call *frame) {
    uintptr_t fp = frame->fp, cfa = plus(rule.kind == CB_RULE_STACK ? frame->sp : fp, rule.cfa);
    if (rule.kind == CB_RULE_ALIGNED && !load(cfa, &cfa)) {
        return false;
    }
    if (cfa <= frame->sp || !load(plus(cfa, rule.address), &frame->pc) ||
        (rule.saved && !load(plus(rule.kind == CB_RULE_ALIGNED ? fp : cfa, rule.frame), &frame->fp))) {
        return false;
    }
    frame->sp = cfa;
    frame->pc = strip(frame->pc);
    return true;
}

/* False: there is a frame whose rule is not simple. */
static bool walk(struct cb_call frame, struct cb_trace *trace) {
    uint32_t count = 0;
    if (frame.sp - cb_stack.low >= cb_stack.high - cb_stack.low) {
        cb_stack_find(frame.sp);
    }
    while (frame.pc != 0) {
        if (count != 0 || !in_this_library(frame.pc)) {
            trace->frame[count++] = frame.pc - 1;
        }
        if (count == CB_FRAMES) {
            break;
        }
        struct cb_rule rule = cb_frame_rule(frame.pc);
        if (CB_UNLIKELY(rule.kind == CB_RULE_SLOW)) {
            return false;
        }
        if (rule.kind == CB_RULE_LAST || !up(rule, &frame)) {
            break;
        }
    }
    trace->count = count;
    return true;
}

CB_NOINLINE void cb_trace_take(const struct cb_call *call, struct cb_trace *trace) {
    struct cb_call first = *call;
    first.pc = strip(first.pc);
    if (CB_UNLIKELY(first.pc - cb_loader.start < cb_loader.size)) {
        cb_loads_by_loader();
    }
    bool simple = walk(first, trace);
    if (!simple) {
        cb_trace_slowly(trace);
    }
#ifdef CB_DEBUG_BOTH
    cb_trace_compare(trace, simple);
#endif
}

CB_NOINLINE void cb_trace_here(struct cb_trace *trace) {
    struct cb_call call = CB_CALL(NULL);
    cb_trace_take(&call, trace);
}
