/*
 * json.c: parts of what is printed as JSON. See replay.h.
 *
 * Layer: replay. Threads: one.
 */
#include "replay.h"

#include <stdio.h>
#include <string.h>

void cb_json_text(const char *text, size_t length) {
    putchar('"');
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '"' || byte == '\\') {
            printf("\\%c", byte);
        } else if (byte < 0x20 || byte > 0x7e) {
            printf("\\u%04x", byte);
        } else {
            putchar(byte);
        }
    }
    putchar('"');
}

void cb_json_command(const struct cb_trace_header *header) {
    printf("  \"command\": [");
    for (size_t at = 0; at < header->command_bytes;) {
        size_t length = strnlen(header->command + at, header->command_bytes - at);
        printf("%s", at > 0 ? ", " : "");
        cb_json_text(header->command + at, length);
        at += length + 1;
    }
    printf("],\n");
}
