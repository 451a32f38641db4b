/*
 * misuse.h: what is said of a program that does what it must not.
 *
 * Layer: heap. Threads: any. Nothing here allocates, locks or uses stdio.
 */
#ifndef CB_HEAP_MISUSE_H
#define CB_HEAP_MISUSE_H

#include "heap/types.h"

/*
 * The program did something it must not: `cutback: FUNCTION(): WHAT of ADDRESS (N bytes)`, then, as the
 * option on_error says, aborts, or returns. bytes 0 leaves the bytes out.
 *
 * Weak: a layer above the heap that tells more defines it itself.
 */
__attribute__((weak)) CB_COLD void cb_misuse_report(const char *function, const char *what, uintptr_t address, size_t bytes);

/* Says what is wrong with a pointer into our memory at which no live object starts, in that way. */
CB_COLD void cb_misuse_pointer(const char *function, uintptr_t p);

#endif
