/*
 * found.h: the realloc that the dynamic linker finds first, which is not ours in a program with a malloc of its own.
 *
 * Such a program defines malloc, calloc, realloc and free, and what else the glibc manual lists; reallocarray is not
 * among that. glibc's calls the realloc of the program, so ours must do the same: the memory is the program's, and so is
 * what frees it. A reference with libc's version is one that the linker does not bind to the definition in this library;
 * at run time it is looked up from the program on. Where the version is not known here, found is ours.
 *
 * Layer: heap; for the public functions of the preload libraries. Threads: any.
 */
#ifndef CB_HEAP_FOUND_H
#define CB_HEAP_FOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(__GLIBC__) && defined(__x86_64__) && defined(__LP64__)
#define CB_LIBC_VERSION "GLIBC_2.2.5"
#elif defined(__GLIBC__) && defined(__aarch64__) && defined(__LP64__)
#define CB_LIBC_VERSION "GLIBC_2.17"
#endif

#ifdef CB_LIBC_VERSION
__asm__(".symver cb_found_realloc, realloc@" CB_LIBC_VERSION);
__attribute__((visibility("default"))) void *cb_found_realloc(void *ptr, size_t size);
#else
#define cb_found_realloc realloc
#endif

/* Whether it is `own`. From two names the compiler would conclude that there are two functions. */
static inline bool cb_found_is(void *(*own)(void *ptr, size_t size)) {
    __asm__("" : "+r"(own));
    return cb_found_realloc == own;
}

#endif
