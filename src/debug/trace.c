/*
 * trace.c: walking the stack. See types.h.
 *
 * Layer: debug. Threads: any; no lock is taken.
 *
 * A stack that is as it was lately costs a look at some words (recent.c). Another costs, for each frame, a rule that is
 * remembered (frame.c) and two words of the stack. Nothing is read that is not known to be readable (stack.c), and each
 * frame lies above the one before, so that wrong tables or a stack that was overwritten end a trace and do no more
 * harm. Where a rule is not simple, the unwinder of libgcc walks; it is linked into the library, so that nothing need
 * be loaded for it, and takes no lock and no memory either.
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

static uintptr_t plus(uintptr_t base, int words) {
    return base + (uintptr_t)(intptr_t)(words * 8);
}

struct walk {
    uintptr_t pc, sp, fp;
    uintptr_t fp_from; /* the word that fp was loaded from; 0: it is that of the call */
    uintptr_t start;   /* sp of the call */
    struct cb_path *path;
};

static bool load(uintptr_t at, uintptr_t *word) {
    if (CB_UNLIKELY((at & 7) != 0 ||
                    (at - cb_stack.low >= cb_stack.high - cb_stack.low && !cb_stack_extend(at)))) {
        return false;
    }
    *word = *(const uintptr_t *)at;
    return true;
}

/* The walk depends on the word at `at`. */
static void depend(const struct walk *walk, uintptr_t at, uintptr_t word) {
    struct cb_path *path = walk->path;
    if (path->count < CB_PATH && at - walk->start <= UINT32_MAX) {
        path->offset[path->count] = (uint32_t)(at - walk->start);
        path->word[path->count] = word;
        path->count++;
    } else {
        path->count = CB_PATH + 1;
    }
}

static void depend_on_fp(const struct walk *walk) {
    if (walk->fp_from != 0) {
        depend(walk, walk->fp_from, walk->fp);
    } else {
        walk->path->uses_fp = true;
    }
}

/* From a frame to its caller's. False: there is none that can be read. */
static bool up(struct walk *walk, struct cb_rule rule) {
    uintptr_t fp = walk->fp, cfa = plus(rule.kind == CB_RULE_STACK ? walk->sp : fp, rule.cfa), at;
    if (rule.kind != CB_RULE_STACK) {
        depend_on_fp(walk);
    }
    if (rule.kind == CB_RULE_ALIGNED) {
        at = cfa;
        if (!load(at, &cfa)) {
            return false;
        }
        depend(walk, at, cfa);
    }
    at = plus(cfa, rule.address);
    if (cfa <= walk->sp || !load(at, &walk->pc)) {
        return false;
    }
    depend(walk, at, walk->pc);
    walk->pc = strip(walk->pc);
    if (rule.saved) {
        walk->fp_from = plus(rule.kind == CB_RULE_ALIGNED ? fp : cfa, rule.frame);
        if (!load(walk->fp_from, &walk->fp)) {
            return false;
        }
    }
    walk->sp = cfa;
    return true;
}

enum end { WHOLE, CUT_OFF, NOT_SIMPLE };

/* CUT_OFF: something could not be read. */
static enum end walk_up(const struct cb_call *call, struct cb_trace *trace, struct cb_path *path) {
    struct walk walk = {
        .pc = strip(call->pc), .sp = call->sp, .fp = call->fp, .start = call->sp, .path = path};
    trace->count = 0;
    while (walk.pc != 0) {
        if (trace->count != 0 || !in_this_library(walk.pc)) {
            trace->frame[trace->count++] = walk.pc - 1;
        }
        if (trace->count == CB_FRAMES) {
            break;
        }
        struct cb_rule rule = cb_frame_rule(walk.pc);
        if (CB_UNLIKELY(rule.kind == CB_RULE_SLOW)) {
            return NOT_SIMPLE;
        }
        if (rule.kind == CB_RULE_LAST) {
            break;
        }
        if (!up(&walk, rule)) {
            return CUT_OFF;
        }
    }
    return WHOLE;
}

/* Where it was not taken from there lately. *simple: by rules alone. */
CB_NOINLINE static uint32_t take(const struct cb_call *call, bool *simple) {
    struct cb_trace trace;
    struct cb_path path = {.generation = cb_frame_generation()};
    enum end end = walk_up(call, &trace, &path);
    *simple = end != NOT_SIMPLE;
    if (!*simple) {
        cb_trace_slowly(&trace);
    }
    uint32_t number = cb_depot_keep(&trace);
    if (end == WHOLE && number != 0) {
        cb_recent_note(call, &path, number);
    }
    return number;
}

uint32_t cb_trace_number(const struct cb_call *call) {
    bool simple = true;
    if (CB_UNLIKELY(call->pc - cb_loader.start < cb_loader.size)) {
        cb_loads_by_loader();
    }
    if (CB_UNLIKELY(call->sp - cb_stack.low >= cb_stack.high - cb_stack.low)) {
        cb_stack_find(call->sp);
    }
    uint32_t number = cb_recent_find(call);
    if (CB_UNLIKELY(number == 0)) {
        number = take(call, &simple);
    }
#ifdef CB_DEBUG_BOTH
    cb_trace_compare(number, simple);
#endif
    return number;
}
