/*
 * mallocs.h: the mallocs that are known by name.
 *
 * Layer: launcher, above libraries and place. Threads: one.
 */
#ifndef CB_LAUNCHER_MALLOCS_H
#define CB_LAUNCHER_MALLOCS_H

#include <stddef.h>

#define CB_MALLOC_GLIBC "glibc"
#define CB_MALLOC_CUTBACK "cutback"

/* Those that are neither glibc's nor cutback: how many, and what each is called. */
size_t cb_malloc_others(void);
const char *cb_malloc_other(size_t index);

/*
 * The path of the library of a malloc, by its name, or by a path with a slash in it. NULL: none is installed;
 * glibc's needs no library. The caller frees.
 */
char *cb_malloc_find(const char *name);

#endif
