/*
 * A library for stacks.cpp, built twice with frames of different sizes and otherwise the same code at the same place.
 *
 * Layer: tests. Threads: any.
 */
#include <stddef.h>

void *plugin_call(void *(*function)(size_t), size_t size);

void *plugin_call(void *(*function)(size_t), size_t size) {
    volatile char frame[FRAME];
    frame[0] = 1;
    void *result = function(size);
    frame[FRAME - 1] = frame[0];
    return result;
}
