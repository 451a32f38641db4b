/*
 * cache.h: reads /etc/ld.so.cache, the list that ldconfig makes of the libraries in the system's folders.
 *
 * The file may be anything at all: each offset in it is checked against its size before it is used.
 *
 * Layer: launcher, above nothing. Threads: any.
 */
#ifndef CB_LAUNCHER_CACHE_H
#define CB_LAUNCHER_CACHE_H

#include <stddef.h>

/*
 * The n-th path that a cache in memory has for a library of this name, whatever machine that is for; NULL: it
 * has no more, or is no cache. The path lies in the file.
 */
const char *cb_cache_find(const void *bytes, size_t size, const char *name, size_t n);

#endif
