/*
 * complain.c: what cutback-replay tells its user. See replay.h.
 *
 * Layer: replay, the lowest. Threads: any. Nothing here allocates: the malloc in use may be what is wrong.
 */
#include "replay.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void cb_complain(const char *format, ...) {
    static const char name[] = "cutback-replay: ";
    char line[1024];
    va_list values;
    size_t length = sizeof name - 1;
    __builtin_memcpy(line, name, length);
    va_start(values, format);
    int more = vsnprintf(line + length, sizeof line - length - 1, format, values);
    va_end(values);
    if (more > 0) {
        length += (size_t)more < sizeof line - length - 1 ? (size_t)more : sizeof line - length - 2;
    }
    line[length++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written; /* nobody is left to be told */
}
