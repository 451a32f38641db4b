/*
 * libraries.h: finds shared libraries as ld.so would: what a program needs, and other mallocs that are
 * installed.
 *
 * Followed are DT_RPATH, DT_RUNPATH ($ORIGIN in them), LD_LIBRARY_PATH, the folders of /etc/ld.so.conf, and
 * the usual ones. Not followed are $LIB and $PLATFORM and the folders for particular processors.
 *
 * Layer: launcher, above elf_file. Threads: one.
 */
#ifndef CB_LAUNCHER_LIBRARIES_H
#define CB_LAUNCHER_LIBRARIES_H

#include "elf_file.h"

/*
 * The path of a library of the launcher's own kind in the system's folders; NULL: there is none. The caller
 * frees.
 */
char *cb_libraries_find(const char *name);

struct cb_needed {
    const char *name; /* as it is asked for */
    const char *path; /* NULL: not found, and `elf` says nothing */
    struct cb_elf elf;
};

/* Calls `visit` once for each library that this program needs, directly or by way of another. */
void cb_libraries_each_needed(const char *program, void (*visit)(const struct cb_needed *, void *),
                              void *context);

#endif
