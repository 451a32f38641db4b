/*
 * names.h: the heap's public functions, and the names under which they are built: libc's, or prefixed with cb_ for
 * tests, fuzzers and the layers of other preload libraries.
 *
 * Threads: any. The contracts are those of C11, POSIX and the glibc manual; where these leave room, glibc's behaviour.
 */
#ifndef CB_HEAP_NAMES_H
#define CB_HEAP_NAMES_H

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

/* Functions that only glibc's malloc.h declares. Programs for another libc that want them declare them themselves. */
#ifndef __GLIBC__
struct mallinfo {
    int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
struct mallinfo2 {
    size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
#define M_TRIM_THRESHOLD (-1)
void *pvalloc(size_t size);
int malloc_trim(size_t pad);
void malloc_stats(void);
int malloc_info(int options, FILE *stream);
struct mallinfo mallinfo(void);
struct mallinfo2 mallinfo2(void);
int mallopt(int parameter, int value);
#endif

#ifdef CB_PREFIXED
#define CB_NAME(name) cb_##name
#else
#define CB_NAME(name) name
#endif
#define CB_EXPORT __attribute__((visibility("default")))

#ifdef CB_PREFIXED
void *cb_malloc(size_t size);
void *cb_calloc(size_t count, size_t size);
void *cb_realloc(void *ptr, size_t size);
void *cb_reallocarray(void *ptr, size_t count, size_t size);
void cb_free(void *ptr);
void *cb_aligned_alloc(size_t align, size_t size);
int cb_posix_memalign(void **out, size_t align, size_t size);
void *cb_memalign(size_t align, size_t size);
void *cb_valloc(size_t size);
void *cb_pvalloc(size_t size);
size_t cb_malloc_usable_size(void *ptr);
int cb_malloc_trim(size_t pad);
void cb_malloc_stats(void);
int cb_malloc_info(int options, FILE *stream);
struct mallinfo cb_mallinfo(void);
struct mallinfo2 cb_mallinfo2(void);
int cb_mallopt(int parameter, int value);
#endif
/* C23, and a relic: no header of glibc 2.36 declares them. */
void CB_NAME(cfree)(void *ptr);
void CB_NAME(free_sized)(void *ptr, size_t size);
void CB_NAME(free_aligned_sized)(void *ptr, size_t align, size_t size);

#endif
