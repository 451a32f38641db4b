/*
 * options.h: what CUTBACK_OPTIONS can say. One line of CB_OPTIONS adds an option, its parser and its help.
 *
 * Layer: heap. Threads: written once at start, before the second thread; constant afterwards, but for the reserve.
 */
#ifndef CB_HEAP_OPTIONS_H
#define CB_HEAP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cb_purge { CB_PURGE_NOW, CB_PURGE_LAZY, CB_PURGE_NEVER };
enum cb_thp { CB_THP_DEFAULT, CB_THP_ALWAYS, CB_THP_NEVER };
enum cb_deepbind { CB_DEEPBIND_DROP, CB_DEEPBIND_KEEP };
enum cb_on_error { CB_ERROR_ABORT, CB_ERROR_WARN, CB_ERROR_IGNORE };
enum cb_stats_format { CB_STATS_TEXT, CB_STATS_JSON };

/* When statistics are printed: CB_STATS_OFF, CB_STATS_EXIT, or CB_STATS_SIGNAL + the number of a signal. */
enum { CB_STATS_OFF, CB_STATS_EXIT, CB_STATS_SIGNAL };

#define CB_OPTION_PATH 512 /* bytes of a path, its end included */

/*
 * WORD(name, default, words...): one of some words. SIZE(name, default): bytes, with K, M, G. FLAG(name, default): 0 or
 * 1. WHEN(name): 0, 1, exit, or the name of a signal. PATH(name): of a file, with %p and %t; empty unless it is given.
 */
#define CB_OPTIONS(WORD, SIZE, FLAG, WHEN, PATH)                                                             \
    WORD(on_error, CB_ERROR_ABORT, "abort", "warn", "ignore")                                                \
    WORD(purge, CB_PURGE_NOW, "now", "lazy", "never")                                                        \
    WORD(thp, CB_THP_DEFAULT, "default", "always", "never")                                                  \
    WORD(deepbind, CB_DEEPBIND_DROP, "drop", "keep") /* the preload libraries' */                            \
    SIZE(reserve, (size_t)1 << 20)                                                                           \
    SIZE(quarantine, (size_t)16 << 20) /* the debug variant's, as the next */                                \
    FLAG(leaks, 0)                                                                                           \
    WHEN(stats)                                                                                              \
    WORD(stats_format, CB_STATS_TEXT, "text", "json")                                                        \
    PATH(stats_file)                                                                                         \
    PATH(record) /* the recorder's, as the next */                                                           \
    FLAG(record_sites, 0)

struct cb_options {
#define CB_OPTION_WORD(name, value, ...) unsigned name;
#define CB_OPTION_SIZE(name, value) size_t name;
#define CB_OPTION_FLAG(name, value) unsigned name;
#define CB_OPTION_WHEN(name) unsigned name;
#define CB_OPTION_TEXT(name) char name[CB_OPTION_PATH];
    CB_OPTIONS(CB_OPTION_WORD, CB_OPTION_SIZE, CB_OPTION_FLAG, CB_OPTION_WHEN, CB_OPTION_TEXT)
#undef CB_OPTION_WORD
#undef CB_OPTION_SIZE
#undef CB_OPTION_FLAG
#undef CB_OPTION_WHEN
#undef CB_OPTION_TEXT
};

extern struct cb_options cb_options;

/* The one that mallopt changes. Relaxed: one word, with which nothing else changes. */
static inline size_t cb_options_reserve(void) {
    return __atomic_load_n(&cb_options.reserve, __ATOMIC_RELAXED);
}

static inline void cb_options_set_reserve(size_t bytes) {
    __atomic_store_n(&cb_options.reserve, bytes, __ATOMIC_RELAXED);
}

/*
 * Reads key=value,key=value from `text` into `options`. Anything unknown or malformed is left at its value and
 * reported to standard error in one line each, unless `quiet`. Returns the number of such entries.
 */
unsigned cb_options_parse(struct cb_options *options, const char *text, bool quiet);

/*
 * A path that an option names, with %p, the process, %t, the time in seconds, and %% replaced. Returns its length;
 * `room` where it does not fit, and then `to` is as much of it as does.
 */
size_t cb_options_expand(const char *path, char *to, size_t room);

/*
 * Reads CUTBACK_OPTIONS, once, as soon as libc has an environment: at the first allocation, or in a constructor. Not
 * where the process has more rights than its user (AT_SECURE).
 */
void cb_options_begin(void);

#endif
