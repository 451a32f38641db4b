/*
 * A library with a RUNPATH of its own, $ORIGIN/below, that opens others by name: see deepbind.c. The calls are
 * no tail calls, whatever the compiler would like: dlopen goes by the address that it returns to. When the
 * program is linked with it, and told so, it opens a library in its constructor, which runs before those of
 * the preloaded libraries.
 */
#include <dlfcn.h>
#include <stdlib.h>

void *caller_open(const char *name, int mode);
void *caller_open_in(Lmid_t space, const char *name, int mode);
void *caller_early(void);

static void *volatile result;
static void *early;

void *caller_open(const char *name, int mode) {
    result = dlopen(name, mode);
    return result;
}

void *caller_open_in(Lmid_t space, const char *name, int mode) {
    result = dlmopen(space, name, mode);
    return result;
}

void *caller_early(void) {
    return early;
}

__attribute__((constructor)) static void load(void) {
    const char *plugin = getenv("DEEPBIND_EARLY");
    if (plugin != NULL) {
        early = dlopen(plugin, RTLD_NOW | RTLD_DEEPBIND);
    }
}
