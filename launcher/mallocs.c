/*
 * mallocs.c: see mallocs.h.
 *
 * Layer: launcher, above libraries and place. Threads: one.
 */
#include "mallocs.h"

#include "libraries.h"
#include "place.h"
#include "say.h"

#include <stdlib.h>
#include <string.h>

/* The name of each, and the names of its library, the newest first. */
static const struct {
    const char *name, *files[4];
} others[] = {
    {"jemalloc", {"libjemalloc.so.2", "libjemalloc.so"}},
    {"mimalloc", {"libmimalloc.so.3", "libmimalloc.so.2", "libmimalloc.so"}},
    {"tcmalloc",
     {"libtcmalloc_minimal.so.4", "libtcmalloc.so.4", "libtcmalloc_minimal.so", "libtcmalloc.so"}},
    {"snmalloc", {"libsnmallocshim.so"}},
    {"rpmalloc", {"librpmallocwrap.so"}},
    {"scudo", {"libscudo.so"}},
};
#define OTHERS (sizeof others / sizeof *others)

size_t cb_malloc_others(void) {
    return OTHERS;
}

const char *cb_malloc_other(size_t index) {
    return others[index].name;
}

char *cb_malloc_find(const char *name) {
    char *path = NULL;
    if (strchr(name, '/') != NULL) {
        return realpath(name, NULL);
    }
    if (strcmp(name, CB_MALLOC_CUTBACK) == 0) {
        return cb_place_library(CB_LIBRARY_HEAP);
    }
    for (size_t i = 0; i < OTHERS; i++) {
        for (size_t n = 0;
             strcmp(others[i].name, name) == 0 && n < 4 && others[i].files[n] != NULL && path == NULL; n++) {
            path = cb_libraries_find(others[i].files[n]);
        }
    }
    return path;
}
