/*
 * proc.h: what the kernel says of the process: resident memory, addresses, mappings. Nothing here allocates.
 *
 * Layer:     tests. Includes nothing of the project.
 * Threading: any.
 */
#ifndef CB_TESTS_PROC_H
#define CB_TESTS_PROC_H

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads a file of /proc into `text`, as much as there is room for; "" where it cannot be read. */
static inline void fixture_load(const char *path, char *text, size_t room) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    for (ssize_t got = 1; file >= 0 && got > 0 && length < room - 1;) {
        got = read(file, text + length, room - 1 - length);
        length += got > 0 ? (size_t)got : 0;
    }
    text[length] = 0;
    if (file >= 0) {
        close(file);
    }
}

/* The whole of a file of /proc; the text is valid until the next call in the same thread. */
static inline char *fixture_read(const char *path) {
    static _Thread_local char text[256 << 10];
    fixture_load(path, text, sizeof text);
    return text;
}

/* A figure of /proc/self/status or smaps_rollup, which are in KiB, in bytes. 0 where there is none. */
static inline size_t fixture_figure(const char *path, const char *name) {
    char text[4096];
    fixture_load(path, text, sizeof text);
    const char *at = strstr(text, name);
    return at != NULL ? strtoull(at + strlen(name), NULL, 10) << 10 : 0;
}

/* Bytes of the process that are in memory: counted by the kernel, page by page, at this moment. */
static inline size_t fixture_resident(void) {
    size_t rollup = fixture_figure("/proc/self/smaps_rollup", "\nRss:");
    return rollup != 0 ? rollup : fixture_figure("/proc/self/status", "\nVmRSS:");
}

/* Resident memory that files do not back. */
static inline size_t fixture_anonymous(void) {
    return fixture_figure("/proc/self/smaps_rollup", "\nAnonymous:");
}

static inline size_t fixture_virtual(void) {
    return fixture_figure("/proc/self/status", "\nVmSize:");
}

static inline size_t fixture_mappings(void) {
    char text[4096];
    size_t lines = 0;
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    for (ssize_t got; file >= 0 && (got = read(file, text, sizeof text)) > 0;) {
        for (ssize_t i = 0; i < got; i++) {
            lines += text[i] == '\n';
        }
    }
    if (file >= 0) {
        close(file);
    }
    return lines;
}

#endif
