/*
 * measure.c: how much of the process is resident. See replay.h.
 *
 * Layer: replay. Threads: any. Nothing here allocates.
 */
#include "replay.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static size_t read_file(const char *path, char *text, size_t room) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, room - 1) : 0;
    if (file >= 0) {
        close(file);
    }
    length = length > 0 ? length : 0;
    text[length] = '\0';
    return (size_t)length;
}

static uint64_t number_at(const char *text) {
    uint64_t number = 0;
    while (*text == ' ' || *text == '\t') {
        text++;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        number = number * 10 + (uint64_t)(*text - '0');
    }
    return number;
}

uint64_t cb_resident_now(void) {
    char text[256];
    read_file("/proc/self/statm", text, sizeof text);
    const char *second = strchr(text, ' ');
    return second != NULL ? number_at(second) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

uint64_t cb_resident_peak(void) {
    char text[4096];
    read_file("/proc/self/status", text, sizeof text);
    const char *line = strstr(text, "VmHWM:");
    return line != NULL ? number_at(line + strlen("VmHWM:")) << 10 : 0;
}

void cb_resident_reset(void) {
    int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (file >= 0) {
        ssize_t written = write(file, "5", 1);
        (void)written; /* the peak is then one since the start */
        close(file);
    }
}
