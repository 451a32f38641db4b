/*
 * append.c: adds to a file that several processes write to.
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
