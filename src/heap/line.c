/*
 * line.c: messages. See line.h.
 *
 * Layer: heap. Threads: any.
 */
#include "heap/line.h"

#include <string.h>

void cb_line_text(struct cb_line *line, const char *text, size_t length) {
    size_t room = sizeof line->text - 1 - line->length; /* one byte stays for the newline */
    if (length > room) {
        length = room;
    }
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

void cb_line_string(struct cb_line *line, const char *text) {
    cb_line_text(line, text, strlen(text));
}

static void number_in_base(struct cb_line *line, size_t number, unsigned base) {
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number != 0);
    cb_line_text(line, digits + at, sizeof digits - at);
}

void cb_line_number(struct cb_line *line, size_t number) {
    number_in_base(line, number, 10);
}

void cb_line_address(struct cb_line *line, uintptr_t address) {
    cb_line_string(line, "0x");
    number_in_base(line, address, 16);
}

void cb_line_write(struct cb_line *line) {
    line->text[line->length] = '\n';
    cb_os_message(line->text, line->length + 1);
    line->length = 0;
}
