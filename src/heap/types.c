/*
 * types.c: the variable that every part of the heap reads: what the calling thread has.
 *
 * Layer: heap, the lowest. Threads: each has its own; thread.c says what is in it.
 */
#include "heap/types.h"

_Thread_local struct cb_thread cb_thread CB_TLS_MODEL = {.run = CB_NO_RUN_VALUES, .tag = CB_NO_TAG};
