/*
 * environment.h: the variables by which the program gets its malloc: LD_PRELOAD, CUTBACK_OPTIONS, and those
 * that the library for --only reads.
 *
 * Each function changes the launcher's own environment, which the program inherits.
 *
 * Layer: launcher, above libraries. Threads: one.
 */
#ifndef CB_LAUNCHER_ENVIRONMENT_H
#define CB_LAUNCHER_ENVIRONMENT_H

#include <stdbool.h>

/* Puts this library before the others in LD_PRELOAD, or moves it there. */
void cb_environment_preload(const char *library);

/*
 * Adds NAME=VALUE to CUTBACK_OPTIONS, after what is there, so that it holds. False, and nothing done: the
 * heap would not understand it.
 */
bool cb_environment_option(const char *option);

/* Whether these are names for the next: none is empty, or has a slash in it. */
bool cb_environment_only_names(const char *names);

/*
 * Only programs of these names (separated by commas) get `library`, which may be NULL; `gate` is
 * libcutback_only.so, and is preloaded into all.
 */
void cb_environment_only(const char *names, const char *library, const char *gate);

/* Whether the library defines malloc. */
bool cb_environment_is_malloc(const char *library);

/* Calls `visit` for each entry of LD_PRELOAD that is a malloc, except `except`, which may be NULL. */
void cb_environment_each_malloc(const char *except, void (*visit)(const char *entry, void *context),
                                void *context);

/* Sets all of LD_PRELOAD; an empty list unsets it. */
void cb_environment_set_preload(const char *list);

/* Takes those out of LD_PRELOAD. */
void cb_environment_drop_mallocs(void);

#endif
