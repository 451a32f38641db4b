/*
 * append.c: adds to a file that several processes write to; reads the start of one.
 *
 * Layer: os. Threads: any.
 */
#include "os/os.h"

#include "os/syscall.h"

#include <fcntl.h>

bool cb_os_append(const char *path, const char *text, size_t length) {
    long file = cb_syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
    long written = cb_syscall(SYS_write, file, text, length);
    cb_syscall(SYS_close, file);
    return written == (long)length;
}

size_t cb_os_load(const char *path, char *text, size_t room) {
    long file = cb_syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return 0;
    }
    size_t length = 0;
    for (long got = 1; got > 0 && length < room;) {
        got = cb_syscall(SYS_read, file, text + length, room - length);
        length += got > 0 ? (size_t)got : 0;
    }
    cb_syscall(SYS_close, file);
    return length;
}
