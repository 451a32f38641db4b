/*
 * child.h: children of a test: what they write, and how they end.
 *
 * Layer:     tests. Includes nothing of the project.
 * Threading: any.
 */
#ifndef CB_TESTS_CHILD_H
#define CB_TESTS_CHILD_H

#include <errno.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

/* All that can be read, as much as there is room for; ends it with a 0. */
static inline void fixture_read_all(int from, char *text, size_t room) {
    size_t length = 0;
    for (ssize_t got; length < room - 1 && (got = read(from, text + length, room - 1 - length)) > 0;) {
        length += (size_t)got;
    }
    text[length] = '\0';
}

/* The status with which the child ends; -1: there is no such child. */
static inline int fixture_end_of(pid_t child) {
    int status = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

#endif
