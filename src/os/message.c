/*
 * message.c: writes to standard error, and to files of the user's choice.
 *
 * Layer: os. Threads: any; which file standard error is, is noted at start.
 *
 * A program may close its standard error, and what it opens next gets descriptor 2. So a descriptor is looked
 * at before each write: it must still lead to the file that descriptor 2 led to at start. The program's
 * standard error may also be a pipe that nobody reads, or a file that must not grow, and the signals for that
 * would end the process: they are not delivered.
 */
#include "os/os.h"

#include "os/status.h"
#include "os/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KEEP_FROM 900 /* the least number of the copy: out of the way of programs that count on low ones */
#define TRIES 10      /* while there is no room, ... */
#define TRY_MILLISECONDS 100

/* These tell a file from any other, also from one that has its inode after it was deleted. */
struct file {
    uint64_t device, inode;
    uint64_t made; /* nanoseconds; 0: not known, and of no consequence for what is no regular file */
};

static struct file standard_error; /* written at start, before `noted` */
static _Atomic bool noted;         /* release in cb_os_note_stderr, acquire in leads_there */
static _Atomic int kept = -1;      /* the copy; relaxed, the kernel is asked what it is */
static _Atomic bool waited;        /* for room, in vain, and nothing has been written since; relaxed */

static bool extended_status(int descriptor, struct cb_status *status) {
    unsigned want = CB_STATUS_TYPE | CB_STATUS_INODE | CB_STATUS_BIRTH;
    return cb_syscall(SYS_statx, descriptor, "", AT_EMPTY_PATH, want, status) == 0;
}

static uint64_t time_made(const struct cb_status *status) {
    bool given = S_ISREG(status->mode) && (status->mask & CB_STATUS_BIRTH) != 0;
    return given ? (uint64_t)status->birth.seconds * 1000000000 + status->birth.nanoseconds : 0;
}

/* False when that cannot be known: no such descriptor, or a filter refuses to say. */
#if CB_SYSCALL_DIRECT /* where libc's structure is the kernel's; filters seldom refuse this call */
static bool look(int descriptor, struct file *file) {
    struct stat status = {.st_mode = 0};
    struct cb_status more = {.mask = 0};
    if (cb_syscall(SYS_fstat, descriptor, &status) != 0) {
        return false;
    }
    bool regular = S_ISREG(status.st_mode);
    *file = (struct file){.device = status.st_dev,
                          .inode = status.st_ino,
                          .made = regular && extended_status(descriptor, &more) ? time_made(&more) : 0};
    return true;
}
#else
static bool look(int descriptor, struct file *file) {
    struct cb_status status = {.mask = 0};
    if (!extended_status(descriptor, &status)) {
        return false;
    }
    *file = (struct file){.device = (uint64_t)status.device_major << 32 | status.device_minor,
                          .inode = status.inode,
                          .made = time_made(&status)};
    return true;
}
#endif

static bool leads_there(int descriptor) {
    struct file now;
    /* acquire: partner of the release in cb_os_note_stderr */
    return descriptor >= 0 && atomic_load_explicit(&noted, memory_order_acquire) && look(descriptor, &now) &&
           now.device == standard_error.device && now.inode == standard_error.inode &&
           now.made == standard_error.made;
}

void cb_os_note_stderr(void) {
    bool open = look(STDERR_FILENO, &standard_error);
    /* release: partner of the acquire in leads_there */
    atomic_store_explicit(&noted, open, memory_order_release);
}

void cb_os_keep_stderr(void) {
    if (leads_there(STDERR_FILENO)) {
        long copy = cb_syscall(SYS_fcntl, STDERR_FILENO, F_DUPFD_CLOEXEC, KEEP_FROM);
        atomic_store_explicit(&kept, copy >= 0 ? (int)copy : -1, memory_order_relaxed);
    }
}

static bool wait_for_room(int descriptor) {
    struct pollfd at = {.fd = descriptor, .events = POLLOUT};
    struct timespec most = {.tv_nsec = TRY_MILLISECONDS * 1000000L};
    long answer = cb_syscall(SYS_ppoll, &at, 1, &most, NULL, 0);
    return answer >= 0 || answer == -EINTR;
}

/* 0, or the error. Where the program made its standard error non-blocking, a little patience, once. */
static int write_all(int descriptor, const char *text, size_t length) {
    int tries = atomic_load_explicit(&waited, memory_order_relaxed) ? TRIES : 0;
    while (length > 0) {
        long done = cb_syscall(SYS_write, descriptor, text, length);
        if (done > 0) {
            text += done;
            length -= (size_t)done;
        } else if (done == -EAGAIN && tries++ < TRIES && wait_for_room(descriptor)) {
            continue;
        } else if (done != -EINTR) {
            atomic_store_explicit(&waited, done == -EAGAIN, memory_order_relaxed);
            return (int)-done;
        }
    }
    atomic_store_explicit(&waited, false, memory_order_relaxed);
    return 0;
}

/* A set of signals as the kernel has it. */
typedef uint64_t signals;
#define SIGNAL(number) ((signals)1 << ((number)-1))

static bool mask_signals(int how, const signals *set, signals *old) {
    return cb_syscall(SYS_rt_sigprocmask, how, set, old, sizeof *set) == 0;
}

/* The kernel sends them to the very thread that writes, before the call returns: they are pending there. */
static void take_back(signals set) {
    struct timespec at_once = {0, 0};
    while (cb_syscall(SYS_rt_sigtimedwait, &set, NULL, &at_once, sizeof set) == -EINTR) {
    }
}

/* 0, or the error. */
static int send(int descriptor, const char *text, size_t length) {
    const signals fatal = SIGNAL(SIGPIPE) | SIGNAL(SIGXFSZ);
    signals old, pending = 0;
    bool masked = mask_signals(SIG_BLOCK, &fatal, &old);
    cb_syscall(SYS_rt_sigpending, &pending, sizeof pending);
    int error = write_all(descriptor, text, length);
    signals sent = error == EPIPE ? SIGNAL(SIGPIPE) : error == EFBIG ? SIGNAL(SIGXFSZ) : 0;
    if (masked) {
        if ((sent & ~pending) != 0) {
            take_back(sent);
        }
        mask_signals(SIG_SETMASK, &old, NULL);
    }
    return error;
}

void cb_os_message(const char *text, size_t length) {
    int copy = atomic_load_explicit(&kept, memory_order_relaxed);
    if (leads_there(copy)) {
        send(copy, text, length);
    } else if (leads_there(STDERR_FILENO)) {
        send(STDERR_FILENO, text, length);
    }
}

void cb_os_print(const char *text, size_t length) {
    send(STDERR_FILENO, text, length);
}

/* Not blocking: a pipe that nobody reads is an error, and no place to wait. */
bool cb_os_save(const char *path, const char *text, size_t length) {
    int how = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    long file = cb_syscall(SYS_openat, AT_FDCWD, path, how, 0666);
    if (file < 0) {
        return false;
    }
    int error = send((int)file, text, length);
    cb_syscall(SYS_close, file);
    return error == 0;
}
