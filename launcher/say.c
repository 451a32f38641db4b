/*
 * say.c: messages and memory. See say.h.
 *
 * Layer: launcher. Threads: one.
 */
#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *cb_say_as = "cutback-run";

static void say(const char *format, va_list values) {
    fprintf(stderr, "%s: ", cb_say_as);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
}

void cb_say(const char *format, ...) {
    va_list values;
    va_start(values, format);
    say(format, values);
    va_end(values);
}

void cb_die(enum cb_status status, const char *format, ...) {
    va_list values;
    va_start(values, format);
    say(format, values);
    va_end(values);
    exit((int)status);
}

int cb_finish(int status) {
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return status;
    }
    cb_say("standard output cannot be written to");
    return CB_STATUS_OURS;
}

void *cb_obtain(size_t bytes) {
    void *memory = malloc(bytes);
    if (memory == NULL) {
        cb_die(CB_STATUS_OURS, "out of memory");
    }
    return memory;
}

char *cb_text(const char *format, ...) {
    char *text;
    va_list values;
    va_start(values, format);
    int length = vasprintf(&text, format, values);
    va_end(values);
    if (length < 0) {
        cb_die(CB_STATUS_OURS, "out of memory");
    }
    return text;
}
