/*
 * names.h: the names under which the heap's functions are built: libc's, or prefixed with cb_ for tests and
 * fuzzers.
 */
#ifndef CB_HEAP_NAMES_H
#define CB_HEAP_NAMES_H

#ifdef CB_PREFIXED
#define CB_NAME(name) cb_##name
#else
#define CB_NAME(name) name
#endif
#define CB_EXPORT __attribute__((visibility("default")))

#endif
