/*
 * line.h: what the heap says, always in one line on standard error, written from a buffer on the stack.
 *
 * Layer: heap. Threads: any. Nothing here allocates, locks or uses stdio.
 */
#ifndef CB_HEAP_LINE_H
#define CB_HEAP_LINE_H

#include "heap/types.h"

/* A line under construction; what does not fit is dropped. */
struct cb_line {
    size_t length;
    char text[240];
};

void cb_line_text(struct cb_line *line, const char *text, size_t length);
void cb_line_string(struct cb_line *line, const char *text);
void cb_line_number(struct cb_line *line, size_t number);
void cb_line_address(struct cb_line *line, uintptr_t address);

/* Writes the line, with a newline, in one call, to what standard error was at start. */
void cb_line_write(struct cb_line *line);

#endif
