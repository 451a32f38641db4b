/*
 * libraries.h: finds shared libraries as ld.so would: what a program needs, and other mallocs that are
 * installed.
 *
 * Followed are DT_RPATH (of who needs a library, and of those by way of whom that is needed), LD_LIBRARY_PATH,
 * DT_RUNPATH, $ORIGIN and $LIB in these, /etc/ld.so.cache, and the folders of the C library. Not followed are
 * $PLATFORM, the folders for particular processors (glibc-hwcaps), and -z nodefaultlib.
 *
 * Layer: launcher, above cache and elf_file. Threads: one.
 */
#ifndef CB_LAUNCHER_LIBRARIES_H
#define CB_LAUNCHER_LIBRARIES_H

#include "elf_file.h"

/*
 * The path of a library of the launcher's own kind in the system's folders, or in /usr/local/lib; NULL: there is
 * none. The caller frees.
 */
char *cb_libraries_find(const char *name);

struct cb_needed {
    const char *name; /* as it is asked for */
    const char *path; /* NULL: not found, and `elf` says nothing */
    const char *by;   /* the library that needs it; NULL: the program does */
    struct cb_elf elf;
};

/* Calls `visit` once for each library that this program needs, directly or by way of another. */
void cb_libraries_each_needed(const char *program, void (*visit)(const struct cb_needed *, void *),
                              void *context);

#endif
