/*
 * memory.h: arrays that grow, straight from the system.
 *
 * Layer: trace, the lowest. Threads: one at a time for each vector.
 */
#ifndef CB_TRACE_MEMORY_H
#define CB_TRACE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed when it grows. All zero: empty. */
struct cb_vector {
    void *start;
    size_t bytes; /* that are mapped */
};

/* Zeroed memory; NULL: there is none. `touched`: its pages are there already. */
void *cb_memory_map(size_t bytes, bool touched);
void cb_memory_unmap(void *start, size_t bytes);

/* Makes room for `count` items of so many bytes. It may move. False: no memory. */
bool cb_vector_reserve(struct cb_vector *vector, size_t count, size_t item_bytes);
void cb_vector_free(struct cb_vector *vector);

#endif
