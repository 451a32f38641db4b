/*
 * report.c: messages. See report.h.
 *
 * Layer: heap. Threads: any.
 */
#include "heap/report.h"

#include "heap/options.h"

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

static void end_line(struct cb_line *line, void (*write)(const char *text, size_t length)) {
    line->text[line->length] = '\n';
    write(line->text, line->length + 1);
    line->length = 0;
}

void cb_line_write(struct cb_line *line) {
    end_line(line, cb_os_message);
}

void cb_line_print(struct cb_line *line) {
    end_line(line, cb_os_print);
}

void cb_report_misuse(const char *function, const char *what, uintptr_t address, size_t bytes) {
    if (cb_options.on_error != CB_ERROR_IGNORE) {
        struct cb_line line = {.length = 0};
        cb_line_string(&line, "cutback: ");
        cb_line_string(&line, function);
        cb_line_string(&line, "(): ");
        cb_line_string(&line, what);
        cb_line_string(&line, " ");
        cb_line_address(&line, address);
        if (bytes != 0) {
            cb_line_string(&line, " (");
            cb_line_number(&line, bytes);
            cb_line_string(&line, " bytes)");
        }
        cb_line_write(&line);
    }
    if (cb_options.on_error == CB_ERROR_ABORT) {
        cb_os_abort();
    }
}

void cb_report_option(const char *key, size_t key_length, const char *value, size_t value_length,
                      bool known) {
    struct cb_line line = {.length = 0};
    cb_line_string(&line, known ? "cutback: CUTBACK_OPTIONS: bad value "
                                : "cutback: CUTBACK_OPTIONS: unknown option ");
    if (known) {
        cb_line_text(&line, value, value_length);
        cb_line_string(&line, " for ");
    }
    cb_line_text(&line, key, key_length);
    cb_line_write(&line);
}
