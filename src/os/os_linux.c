/*
 * os_linux.c: the system calls, for Linux.
 *
 * Layer: os. Threads: any. See os.h for the contract. errno is kept by every function.
 */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Absent from older headers. */
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#ifdef CB_INJECT
static _Atomic int inject = -1; /* relaxed: set and read by the one thread of a test */

void cb_os_inject(int calls) {
    atomic_store_explicit(&inject, calls, memory_order_relaxed);
}

static bool injected(void) {
    int left = atomic_load_explicit(&inject, memory_order_relaxed);
    if (left < 0) {
        return false;
    }
    if (left == 0) {
        return true;
    }
    atomic_store_explicit(&inject, left - 1, memory_order_relaxed);
    return false;
}
#else
static inline bool injected(void) {
    return false;
}
#endif

size_t cb_os_page_size(void) {
    size_t size = getauxval(AT_PAGESZ);
    return size != 0 ? size : 4096;
}

uintptr_t cb_os_address_end(void) {
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return (uintptr_t)1 << (64 - __builtin_clzl(here));
}

uint64_t cb_os_random(void) {
    const unsigned char *given = (const unsigned char *)getauxval(AT_RANDOM); /* 16 bytes, not aligned */
    uint64_t seed = (uint64_t)(uintptr_t)&seed;
    if (given != NULL) {
        memcpy(&seed, given + 8, sizeof seed);
    }
    /* The loader also makes its pointer guard of these bytes: mix, so that an address does not reveal them.
     */
    seed ^= seed >> 33;
    seed *= 0xff51afd7ed558ccdULL;
    seed ^= seed >> 29;
    seed *= 0x9e3779b97f4a7c15ULL;
    return seed >> 32;
}

void *cb_os_map(uintptr_t where, size_t size) {
    if (injected()) {
        return NULL;
    }
    int saved = errno;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (where != 0 ? MAP_FIXED_NOREPLACE : 0);
    void *got = mmap((void *)where, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (got != MAP_FAILED && where != 0 && (uintptr_t)got != where) {
        munmap(got, size); /* a kernel that takes the address as a hint only */
        got = MAP_FAILED;
    }
    errno = saved;
    return got != MAP_FAILED ? got : NULL;
}

void cb_os_unmap(void *start, size_t size) {
    int saved = errno;
    munmap(start, size);
    errno = saved;
}

bool cb_os_purge(void *start, size_t size) {
    if (injected()) {
        return false;
    }
    int saved = errno;
    bool done = madvise(start, size, MADV_DONTNEED) == 0;
    errno = saved;
    return done;
}

bool cb_os_move(void *from, void *to, size_t size) {
    if (injected()) {
        return false;
    }
    int saved = errno;
    void *got = mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to);
    errno = saved;
    return got != MAP_FAILED;
}

bool cb_os_renew(void *start, size_t size) {
    int saved = errno;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    bool done = mmap(start, size, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED;
    errno = saved;
    return done;
}

bool cb_os_wipe_on_fork(void *page) {
    int saved = errno;
    bool done = madvise(page, cb_os_page_size(), MADV_WIPEONFORK) == 0;
    errno = saved;
    return done;
}

/* What the system says to an advice for the page of the address: 0, or why not. */
static int advice(uintptr_t address, int which) {
    size_t page = cb_os_page_size();
    return madvise((void *)(address & ~(page - 1)), page, which) == 0 ? 0 : errno;
}

bool cb_os_readable(uintptr_t address) {
    int saved = errno, answer = advice(address, MADV_POPULATE_READ);
    if (answer == EINVAL && advice((uintptr_t)&saved, MADV_POPULATE_READ) != 0) {
        /* Linux before 5.14: it can only be asked whether anything is there. */
        answer = advice(address, MADV_WILLNEED) == ENOMEM ? ENOMEM : 0;
    }
    errno = saved;
    return answer != ENOMEM && answer != EINVAL && answer != EFAULT;
}

void cb_os_huge(void *start, size_t size, bool wanted) {
    int saved = errno;
    madvise(start, size, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    errno = saved;
}

void cb_os_wait(_Atomic uint32_t *word, uint32_t expected) {
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
    errno = saved;
}

void cb_os_wake(_Atomic uint32_t *word) {
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved;
}

void cb_os_yield(void) {
    int saved = errno;
    sched_yield();
    errno = saved;
}

static int message_fd = STDERR_FILENO; /* written at start, before the second thread */

void cb_os_keep_stderr(void) {
    int saved = errno;
    int copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 900);
    if (copy >= 0) {
        message_fd = copy;
    }
    errno = saved;
}

void cb_os_message(const char *text, size_t length) {
    int saved = errno;
    while (length > 0) {
        ssize_t done = write(message_fd, text, length);
        if (done <= 0 && errno != EINTR) {
            break;
        }
        if (done > 0) {
            text += done;
            length -= (size_t)done;
        }
    }
    errno = saved;
}

_Noreturn void cb_os_abort(void) {
    abort();
}

uint64_t cb_os_milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
