/*
 * A library with thread-local data that allocates when it is loaded, when it is unloaded, and in between.
 * Loaded by copies of it under many names; see libraries.c and early_late.c.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char storage[PLUGIN_TLS];
static _Thread_local int calls = 1;
static void *kept;

/* Whatever malloc this library finds first. */
void *plugin_get(size_t size) {
    char *p = malloc(size);
    if (p != NULL) {
        strncpy(p, "from a plugin", size);
    }
    return p;
}

void *plugin_malloc(void) {
    return (void *)malloc;
}

void *plugin_kept(void) {
    return kept;
}

void plugin_free(void *p) {
    free(p);
}

void *plugin_resize(void *p, size_t size) {
    return realloc(p, size);
}

/* Touches the thread's data: the first time libc has to allocate it. */
int plugin_touch(void) {
    for (size_t i = 0; i < sizeof storage; i += 64) {
        if (storage[i] != 0 && storage[i] != 'x') {
            return -1;
        }
        storage[i] = 'x';
    }
    return calls++;
}

__attribute__((constructor)) static void load(void) {
    kept = malloc(1234);
    free(malloc(40000));
}

__attribute__((destructor)) static void unload(void) {
    free(malloc(99));
    free(kept);
}
