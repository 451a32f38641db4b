/*
 * check.h: the invariants of types.h, verified. For tests and fuzzers.
 *
 * Layer: heap. Threads: the owner of the heap, for its heap; slow.
 */
#ifndef CB_HEAP_CHECK_H
#define CB_HEAP_CHECK_H

#include "heap/types.h"

/* NULL when the calling thread's heap and the page allocator are as they should be; else what is not. */
const char *cb_heap_check(void);

#endif
