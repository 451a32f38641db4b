/*
 * place.h: where files are: the libraries of cutback, and the program that is to run.
 *
 * Layer: launcher. Threads: one.
 */
#ifndef CB_LAUNCHER_PLACE_H
#define CB_LAUNCHER_PLACE_H

#include "say.h"

enum cb_library { CB_LIBRARY_HEAP, CB_LIBRARY_DEBUG, CB_LIBRARY_ONLY, CB_LIBRARY_RECORD };

/*
 * The absolute path of one of cutback's own libraries: in the library folder that belongs to the folder
 * this executable is in, or in the build folder that it is in. Ends the launcher where there is none, or
 * where ld.so could not take the path from LD_PRELOAD (a space or a colon in it). The caller frees.
 */
char *cb_place_library(enum cb_library library);

/* The folders to which an installed library, and installed data, belong, seen from that of the launcher. */
#if !defined CB_LIBRARIES_FROM_LAUNCHER || !defined CB_DATA_FROM_LAUNCHER
#error "the build says where the libraries and data are, seen from the launcher's folder"
#endif

/* The same for cutback-replay and for the program in Python that draws reports. */
char *cb_place_replay(void);
char *cb_place_report(void);

struct cb_place {
    char *path;            /* NULL: there is none */
    enum cb_status status; /* CB_STATUS_WORKS, _NO_EXEC or _MISSING */
    int error;             /* errno of the failure */
};

/*
 * The file that execvp would execute for this name, by PATH unless there is a slash in it. The caller frees
 * `path`.
 */
struct cb_place cb_place_program(const char *name);

#endif
