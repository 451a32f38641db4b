/*
 * foreign.h: pointers that are not ours: from before we were loaded, or from a library bound to libc's own
 * malloc.
 *
 * Layer: heap. Threads: any. They go to libc's __libc_* functions, where those exist.
 */
#ifndef CB_HEAP_FOREIGN_H
#define CB_HEAP_FOREIGN_H

#include <stddef.h>

/* How many were passed on to libc's free, or reported, ever. */
size_t cb_foreign_frees(void);

void cb_foreign_free(void *ptr);
void *cb_foreign_realloc(void *ptr, size_t size);
size_t cb_foreign_usable_size(void *ptr);

#endif
