/*
 * file.c: see file.h.
 *
 * Layer: os. Threads: any.
 */
#include "os/file.h"

#include "os/os.h"
#include "os/status.h"
#include "os/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#define KEEP_FROM                                                                                            \
    900 /* the least number of the descriptor: out of the way of programs that count on low ones */
#define READABLE_BY_OWNER 0600

static bool identify(int descriptor, uint64_t *device, uint64_t *inode) {
    struct cb_status status = {.mask = 0};
    if (descriptor < 0 ||
        cb_syscall(SYS_statx, descriptor, "", AT_EMPTY_PATH, CB_STATUS_INODE, &status) != 0) {
        return false;
    }
    *device = (uint64_t)status.device_major << 32 | status.device_minor;
    *inode = status.inode;
    return true;
}

static bool is_of_file(const struct cb_file *file, int descriptor) {
    uint64_t device = 0, inode = 0;
    return identify(descriptor, &device, &inode) && device == file->device && inode == file->inode;
}

/* To a high number where there is room for it. */
static int move_up(int descriptor) {
    long higher = cb_syscall(SYS_fcntl, descriptor, F_DUPFD_CLOEXEC, KEEP_FROM);
    if (higher < 0) {
        return descriptor;
    }
    cb_syscall(SYS_close, descriptor);
    return (int)higher;
}

bool cb_file_absolute(char *path, size_t room) {
    char folder[CB_FILE_PATH] = "";
    if (path[0] == '/') {
        return true;
    }
    long length = cb_syscall(SYS_getcwd, folder, sizeof folder); /* with the zero byte */
    size_t rest = strlen(path) + 1;
    if (length <= 1 || folder[0] != '/' || (size_t)length + rest > room) {
        return false;
    }
    memmove(path + length, path, rest);
    memcpy(path, folder, (size_t)length);
    path[length - 1] = '/';
    return true;
}

int cb_file_create(struct cb_file *file) {
    long descriptor = cb_syscall(SYS_openat, AT_FDCWD, file->path,
                                 O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, READABLE_BY_OWNER);
    if (descriptor < 0) {
        return (int)-descriptor;
    }
    if (!identify((int)descriptor, &file->device, &file->inode)) {
        cb_syscall(SYS_close, descriptor);
        return ENOSYS;
    }
    atomic_store_explicit(&file->descriptor, move_up((int)descriptor), memory_order_relaxed);
    return 0;
}

/* The descriptor, or a negative errno. */
static int opened(struct cb_file *file) {
    int descriptor = atomic_load_explicit(&file->descriptor, memory_order_relaxed);
    if (is_of_file(file, descriptor)) {
        return descriptor;
    }
    long again = cb_syscall(SYS_openat, AT_FDCWD, file->path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
    if (again < 0) {
        return (int)again;
    }
    if (!is_of_file(file, (int)again)) {
        cb_syscall(SYS_close, again);
        return -ESTALE;
    }
    again = move_up((int)again);
    atomic_store_explicit(&file->descriptor, (int)again, memory_order_relaxed);
    return (int)again;
}

static bool may_reach(uint64_t end) {
    struct rlimit64 limit = {.rlim_cur = 0};
    return cb_syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) != 0 || end <= limit.rlim_cur;
}

/* Other threads make the file reach further at the same time: it is never cut. */
static int extend(int descriptor, uint64_t offset, size_t size) {
    if (!may_reach(offset + size)) {
        return EFBIG;
    }
    long answer = cb_syscall(SYS_fallocate, descriptor, 0, offset, size);
    if (answer == -EOPNOTSUPP || answer == -ENOSYS) {
        answer = cb_syscall(SYS_pwrite64, descriptor, "", 1, offset + size - 1);
        answer = answer == 1 ? 0 : answer;
    }
    return (int)-answer;
}

int cb_file_map(struct cb_file *file, uint64_t offset, size_t size, void **mapped) {
    int descriptor = opened(file);
    if (descriptor < 0) {
        return -descriptor;
    }
    int error = extend(descriptor, offset, size);
    if (error != 0) {
        return error;
    }
    long at = cb_syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, offset);
    if (cb_syscall_failed(at)) {
        return (int)-at;
    }
    *mapped = (void *)at;
    return 0;
}

void cb_file_close(struct cb_file *file) {
    int descriptor = atomic_exchange_explicit(&file->descriptor, -1, memory_order_relaxed);
    if (is_of_file(file, descriptor)) {
        cb_syscall(SYS_close, descriptor);
    }
}

size_t cb_file_link(const char *path, char *to, size_t room) {
    long length = cb_syscall(SYS_readlinkat, AT_FDCWD, path, to, room - 1);
    length = length > 0 ? length : 0;
    to[length] = '\0';
    return (size_t)length;
}

uint64_t cb_file_now(void) {
    struct timespec now = {0, 0};
    cb_syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
