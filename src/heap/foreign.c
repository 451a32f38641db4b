/*
 * foreign.c: see foreign.h.
 *
 * Layer: heap. Threads: any.
 *
 * libc's own functions are called by their __libc_ names, which glibc exports and a static program may lack.
 * What lies in the calling thread's stack or inside a loaded program or library cannot be an object of theirs
 * either.
 */
#include "heap/foreign.h"

#include "heap/report.h"
#include "heap/types.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/auxv.h>

#ifdef CB_PREFIXED
/* Built with prefixed names there is no other allocator whose pointers could come here. */
static void (*const libc_free)(void *) = NULL;
static void *(*const libc_realloc)(void *, size_t) = NULL;
#else
void __libc_free(void *ptr) __attribute__((weak));
void *__libc_realloc(void *ptr, size_t size) __attribute__((weak));
#define libc_free __libc_free
#define libc_realloc __libc_realloc
#endif
extern void *__libc_stack_end;
int _dl_find_object(void *address, struct dl_find_object *result) __attribute__((weak));

#define STACK_MOST                                                                                           \
    ((uintptr_t)8 << 20) /* on an alternate stack the end found below is another's: do not go far */

/*
 * Between this frame and the end of the thread's stack. Above the stack of any thread but the first glibc
 * puts its descriptor, which is what pthread_self() points to; the first thread's stack ends at
 * __libc_stack_end.
 */
static bool in_stack(uintptr_t p) {
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), self = (uintptr_t)pthread_self();
    uintptr_t end = self > here ? self : (uintptr_t)__libc_stack_end;
    return p > here && p < end && p - here < STACK_MOST;
}

static bool in_loaded_object(void *ptr) {
    struct dl_find_object found;
    return _dl_find_object != NULL && _dl_find_object(ptr, &found) == 0;
}

/* Reports a pointer that no allocator can have returned. True when it may be libc's. */
static bool plausible(const char *function, void *ptr) {
    uintptr_t p = (uintptr_t)ptr;
    const char *what = NULL;
    if ((p & (CB_GRANULE - 1)) != 0) {
        what = "unaligned pointer";
    } else if (in_stack(p)) {
        what = "pointer into the stack:";
    } else if (in_loaded_object(ptr)) {
        what = "pointer into a program or library:";
    } else if (libc_free == NULL) {
        what = "invalid pointer";
    }
    if (what != NULL) {
        cb_report_misuse(function, what, p, 0);
    }
    return what == NULL;
}

void cb_foreign_free(void *ptr) {
    int saved = errno;
    if (plausible("free", ptr)) {
        libc_free(ptr);
    }
    errno = saved;
}

void *cb_foreign_realloc(void *ptr, size_t size) {
    if (!plausible("realloc", ptr)) {
        return NULL;
    }
    return libc_realloc(ptr, size);
}

/*
 * glibc exports no __libc_malloc_usable_size. The size of one of its chunks is in the word before it, with
 * three flag bits; a chunk mapped on its own (flag 2) has two words of overhead, any other one.
 */
size_t cb_foreign_usable_size(void *ptr) {
    if (!plausible("malloc_usable_size", ptr)) {
        return 0;
    }
    size_t word = ((const size_t *)ptr)[-1];
    return (word & ~(size_t)7) - ((word & 2) != 0 ? 2 : 1) * sizeof(size_t);
}
