/*
 * replay.h: cutback-replay: runs a trace again under whatever malloc is loaded.
 *
 * Layer: replay, above trace; main.c is the top. Threads: as each part says.
 *
 * Glossary
 *   plan     the trace as an array of steps for each thread, made before the replay, in memory that is not malloc's.
 *   step     a call, or something that a thread waits for or does between two.
 *   slot     where the replay keeps an object. A slot that is free belongs to the thread that freed it.
 *   phase    the calls of one tick of the trace's clock. A thread begins one when all threads have ended those before.
 *   sample   a look at how much is resident.
 *
 * Two threads that use one object do so in the order of the trace: the later one waits for a step of the other.
 */
#ifndef CB_REPLAY_H
#define CB_REPLAY_H

#include "trace/trace.h"

#include <stdatomic.h>

/* Which bytes of an object are written when it is new, and looked at when it is resized, freed, or left over. */
enum cb_check { CB_CHECK_ENDS, CB_CHECK_ALL, CB_CHECK_NONE };

enum cb_step_kind {
    CB_STEP_NEW,
    CB_STEP_RESIZE,
    CB_STEP_FREE,
    CB_STEP_USE,
    CB_STEP_FREE_NULL,
    CB_STEP_FAILED,
    CB_STEP_TRIM,
    CB_STEP_WAIT,   /* until thread `slot` has done `size` steps */
    CB_STEP_PHASE,  /* the phase `slot` begins */
    CB_STEP_SAMPLE, /* `slot` is its index */
};

struct cb_step {
    uint32_t slot;
    uint8_t kind, function, align;
    bool awaited; /* by another thread */
    uint64_t size;
};

/* A thread's part of the plan. */
struct cb_part {
    struct cb_vector steps;
    size_t count;
    uint32_t number, first_phase;
    _Atomic size_t done; /* steps, as far as others wait for them; release, and acquire by them */
};

struct cb_sample {
    uint64_t calls;       /* that were planned before it */
    uint64_t nanoseconds; /* of the recording, from its first call */
    uint64_t live;        /* bytes, as planned */
    uint64_t resident;    /* bytes, as found */
};

struct cb_plan {
    struct cb_vector parts; /* struct cb_part */
    uint32_t part_count, slot_count, phase_count, sample_count;
    struct cb_vector segments; /* uint32_t: how many threads have a part of each phase */
    struct cb_vector samples;  /* struct cb_sample; one is at the peak */
    uint64_t calls, skipped, peak_live, peak_objects, end_live, end_objects;
    uint64_t nanoseconds; /* of the recording, from the first call to the last */
};

/* Reads the trace. False, with the reader's error. */
bool cb_plan_make(struct cb_plan *plan, struct cb_trace_reader *reader);

struct cb_replay_result {
    double seconds, user, system;
    uint64_t minor_faults, major_faults;
    uint64_t base, peak, at_end; /* resident bytes: before, the most, with what was never freed */
};

/* Runs the plan once. A wrong content, or an allocation that fails, ends the process with status 1. */
struct cb_replay_result cb_replay_run(struct cb_plan *plan, enum cb_check check);

/* ---- contents.c ---- */

/* Writes the object's pattern. */
void cb_contents_fill(enum cb_check check, uint8_t *object, size_t size, uint64_t seed);
/*
 * Looks at the pattern of an object that had `size` bytes, as far as `limit`. The offset of the first wrong
 * byte, or -1.
 */
ptrdiff_t cb_contents_find_wrong(enum cb_check check, const uint8_t *object, size_t size, size_t limit,
                                 uint64_t seed);
/* The same of what calloc gave. */
ptrdiff_t cb_contents_find_nonzero(enum cb_check check, const uint8_t *object, size_t size);
uint8_t cb_contents_byte(size_t offset, uint64_t seed);

/* ---- measure.c: without malloc or stdio ---- */

uint64_t cb_resident_now(void);
/* Since cb_resident_reset, or since the start where the system cannot reset it. */
uint64_t cb_resident_peak(void);
void cb_resident_reset(void);

/* ---- json.c ---- */

/* A string. The bytes of a path or a word need not be UTF-8: those above 0x7f are taken for Latin-1. */
void cb_json_text(const char *text, size_t length);
/* The member "command". */
void cb_json_command(const struct cb_trace_header *header);

/* ---- dump.c, summary.c, advice.c, shrink.c: each prints or writes; an exit status ---- */

#define CB_UNREADABLE 125 /* the trace cannot be read, or what is asked for not be written */

int cb_dump_text(const char *path);
int cb_dump_json(const char *path);
int cb_print_advice(const char *path, bool json);

struct cb_shrink {
    const char *trace, *out;
    const char
        *command; /* for the shell, which finds the trace's name in $1; NULL: this program with `words` */
    char **words; /* ends with NULL; the trace's name is added */
};
int cb_shrink(const struct cb_shrink *shrink);

/* ---- complain.c ---- */

/* One line on standard error, after the program's name. */
__attribute__((format(printf, 1, 2))) void cb_complain(const char *format, ...);

#endif
