/*
 * os_linux.c: the system calls, for Linux.
 *
 * Layer: os. Threads: any. See os.h for the contract. Of libc only getauxval and getpagesize are called, by
 * cb_os_begin, and abort.
 */
#include "os/os.h"

#include "os/syscall.h"
#include "os/vdso.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Of the kernel's headers, which not every C library brings along. */
#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129
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
#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#ifdef CB_TESTING
static _Atomic int inject = -1; /* relaxed, as the next: set and read by the one thread of a test */
static _Atomic int calls_made;

static int assumed_rule = -1; /* written before the threads of a test start */
static _Atomic size_t assumed_left;

void cb_os_assume(int rule, size_t left) {
    assumed_rule = rule;
    atomic_store_explicit(&assumed_left, left, memory_order_relaxed);
}

/* False when a machine with the assumed rule and memory would not map so much. */
static bool assumed_to_map(size_t size, bool accounted) {
    bool asked = assumed_rule == 2 || (assumed_rule == 0 && accounted);
    return !asked || size <= atomic_load_explicit(&assumed_left, memory_order_relaxed);
}

/* So many bytes were mapped; a negative number: unmapped. */
static void assume_mapped(ptrdiff_t size) {
    if (assumed_rule == 2) {
        atomic_fetch_sub_explicit(&assumed_left, (size_t)size, memory_order_relaxed);
    }
}
static _Atomic size_t refused; /* relaxed, as the others */

static _Atomic int64_t assumed_time = -1; /* relaxed: time passes when a test says so */

void cb_os_assume_time(int64_t milliseconds) {
    atomic_store_explicit(&assumed_time, milliseconds, memory_order_relaxed);
}

void cb_os_inject(int calls) {
    atomic_store_explicit(&inject, calls, memory_order_relaxed);
}

int cb_os_calls(void) {
    return atomic_load_explicit(&calls_made, memory_order_relaxed);
}

size_t cb_os_injected(void) {
    return atomic_load_explicit(&refused, memory_order_relaxed);
}

static bool injected(void) {
    atomic_fetch_add_explicit(&calls_made, 1, memory_order_relaxed);
    int left = atomic_load_explicit(&inject, memory_order_relaxed);
    if (left < 0) {
        return false;
    }
    if (left == 0) {
        atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
        return true;
    }
    atomic_store_explicit(&inject, left - 1, memory_order_relaxed);
    return false;
}
#else
static inline bool injected(void) {
    return false;
}

static inline bool assumed_to_map(size_t size, bool accounted) {
    (void)size;
    (void)accounted;
    return true;
}

static inline void assume_mapped(ptrdiff_t size) {
    (void)size;
}
#endif

#ifdef CB_TESTING
/* Pages larger than the system's: there is nothing at addresses that are no multiples of them. */
static bool assumed_page_at(const void *start) {
    return ((uintptr_t)start & (cb_os_page_size() - 1)) == 0;
}

/* The answer that a test wants instead of the system's. */
static size_t assumed(const char *variable, size_t real) {
    const char *text = getenv(variable);
    return text != NULL ? strtoul(text, NULL, 0) : real;
}
#else
static bool assumed_page_at(const void *start) {
    (void)start;
    return true;
}

static size_t assumed(const char *variable, size_t real) {
    (void)variable;
    return real;
}
#endif

#if defined(__aarch64__)
#define CLOCK_NAME "__kernel_clock_gettime"
#else
#define CLOCK_NAME "__vdso_clock_gettime"
#endif
typedef int clock_function(clockid_t, struct timespec *);

/*
 * These are what the loader says of the process. Relaxed, all of it: whoever finds a word not written yet, because
 * another thread is about to, or because a getauxval of somebody else's allocates, does without it.
 */
static _Atomic bool begun;
static _Atomic size_t page_size;
static _Atomic uintptr_t random_at; /* 16 bytes, not aligned */
static _Atomic uint32_t rights;     /* enum rights */
static clock_function *_Atomic vdso_clock;

enum rights { RIGHTS_UNKNOWN, RIGHTS_OF_USER, RIGHTS_MORE };

static bool known(void) {
    return atomic_load_explicit(&rights, memory_order_relaxed) != RIGHTS_UNKNOWN;
}

bool cb_os_begin(void) {
    if (known() || atomic_exchange_explicit(&begun, true, memory_order_relaxed)) {
        return known();
    }
    uintptr_t clock = cb_vdso_find(getauxval(AT_SYSINFO_EHDR), CLOCK_NAME);
    atomic_store_explicit(&vdso_clock, (clock_function *)clock, memory_order_relaxed);
    atomic_store_explicit(&random_at, getauxval(AT_RANDOM), memory_order_relaxed);
    atomic_store_explicit(&page_size, assumed("CUTBACK_TEST_PAGE_SIZE", getauxval(AT_PAGESZ)),
                          memory_order_relaxed);
    cb_os_note_stderr();
    atomic_store_explicit(&rights, getauxval(AT_SECURE) == 0 ? RIGHTS_OF_USER : RIGHTS_MORE,
                          memory_order_relaxed);
    return true;
}

bool cb_os_is_trusted(void) {
    cb_os_begin();
    return atomic_load_explicit(&rights, memory_order_relaxed) == RIGHTS_OF_USER;
}

size_t cb_os_page_size(void) {
    cb_os_begin();
    size_t size = atomic_load_explicit(&page_size, memory_order_relaxed);
    return size != 0 ? size : (size_t)getpagesize();
}

uintptr_t cb_os_address_end(void) {
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return (uintptr_t)1 << assumed("CUTBACK_TEST_ADDRESS_BITS", 64 - (size_t)__builtin_clzl(here));
}

uintptr_t cb_os_stack_end(void) {
    return atomic_load_explicit(&random_at, memory_order_relaxed);
}

uint64_t cb_os_random(void) {
    cb_os_begin();
    const unsigned char *given =
        (const unsigned char *)atomic_load_explicit(&random_at, memory_order_relaxed);
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

enum kind { MAP, UNMAP, PURGE, MOVE, KINDS };

/* relaxed: figures for people */
static struct { _Atomic size_t calls, bytes; } tally[KINDS];

static void count(enum kind kind, size_t bytes) {
    atomic_fetch_add_explicit(&tally[kind].calls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&tally[kind].bytes, bytes, memory_order_relaxed);
}

static struct cb_os_count counted(enum kind kind) {
    return (struct cb_os_count){atomic_load_explicit(&tally[kind].calls, memory_order_relaxed),
                                atomic_load_explicit(&tally[kind].bytes, memory_order_relaxed)};
}

void cb_os_tally(struct cb_os_tally *out) {
    *out = (struct cb_os_tally){counted(MAP), counted(UNMAP), counted(PURGE), counted(MOVE)};
}

/* The answer of the system to an advice for the page of the address: 0, or why not. */
static int advice(uintptr_t address, int which) {
    size_t page = cb_os_page_size();
    return (int)-cb_syscall(SYS_madvise, address & ~(page - 1), page, which);
}

#define USABLE (PROT_READ | PROT_WRITE)
#define FRESH (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

void *cb_os_map(uintptr_t where, size_t size) {
    if (injected() || !assumed_to_map(size, false) || !assumed_page_at((void *)where)) {
        return NULL;
    }
    int flags = FRESH | (where != 0 ? MAP_FIXED_NOREPLACE : 0);
    long got = cb_syscall(SYS_mmap, where, size, USABLE, flags, -1, 0);
    if (cb_syscall_failed(got)) {
        return NULL;
    }
    if (where != 0 && (uintptr_t)got != where) {
        cb_syscall(SYS_munmap, got, size); /* a kernel that takes the address as a hint only */
        return NULL;
    }
    assume_mapped((ptrdiff_t)size);
    count(MAP, size);
    return (void *)got;
}

void cb_os_unmap(void *start, size_t size) {
    cb_syscall(SYS_munmap, start, size);
    assume_mapped(-(ptrdiff_t)size);
    count(UNMAP, size);
}

/*
 * An emulator of a single program (QEMU) says yes to advice that there is not, to MADV_DONTNEED too where it then does
 * nothing, and loses track of what mremap left behind. Relaxed: whoever does not see the answer asks again.
 */
static bool emulated(void) {
    static _Atomic uint32_t answer; /* 0: not asked; else one of the two */
    enum { NO = 1, YES = 2 };
    uint32_t known_answer = atomic_load_explicit(&answer, memory_order_relaxed);
    if (known_answer == 0) {
        static char here;
        known_answer = advice((uintptr_t)&here, -1) == 0 ? YES : NO;
        atomic_store_explicit(&answer, known_answer, memory_order_relaxed);
    }
    return known_answer == YES;
}

bool cb_os_purge(void *start, size_t size) {
    bool done =
        !injected() && assumed_page_at(start) &&
        (emulated() ? cb_os_renew(start, size) : cb_syscall(SYS_madvise, start, size, MADV_DONTNEED) == 0);
    if (done) {
        count(PURGE, size);
    }
    return done;
}

bool cb_os_move(void *from, void *to, size_t size) {
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    bool done = !injected() && assumed_page_at(from) && assumed_page_at(to) && !emulated() &&
                !cb_syscall_failed(cb_syscall(SYS_mremap, from, size, size, flags, to));
    if (done) {
        count(MOVE, size);
    }
    return done;
}

bool cb_os_renew(void *start, size_t size) {
    return assumed_page_at(start) &&
           !cb_syscall_failed(cb_syscall(SYS_mmap, start, size, USABLE, FRESH | MAP_FIXED, -1, 0));
}

bool cb_os_protect(void *start, size_t size, bool usable) {
    return assumed_page_at(start) && cb_syscall(SYS_mprotect, start, size, usable ? USABLE : PROT_NONE) == 0;
}

bool cb_os_is_locked(void *page) {
    /* Advice that the kernel refuses for locked memory only. */
    return cb_syscall(SYS_madvise, page, cb_os_page_size(), MADV_COLD) != 0;
}

/* True when the system maps so many bytes, which are unmapped again. */
static bool can_map(size_t size, bool accounted) {
    if (!assumed_to_map(size, accounted)) {
        return false;
    }
    int flags = accounted ? MAP_PRIVATE | MAP_ANONYMOUS : FRESH;
    long got = cb_syscall(SYS_mmap, NULL, size, USABLE, flags, -1, 0);
    if (cb_syscall_failed(got)) {
        return false;
    }
    cb_syscall(SYS_munmap, got, size);
    return true;
}

enum cb_os_grant cb_os_grant(size_t size) {
    return can_map(size, true) ? CB_OS_GRANTED : can_map(size, false) ? CB_OS_REFUSED : CB_OS_UNKNOWN;
}

bool cb_os_wipe_on_fork(void *page) {
    return !emulated() && cb_syscall(SYS_madvise, page, cb_os_page_size(), MADV_WIPEONFORK) == 0;
}

uint64_t cb_os_process(void) {
    return (uint64_t)syscall(SYS_getpid); /* never fails */
}

bool cb_os_readable(uintptr_t address) {
    int answer = advice(address, MADV_POPULATE_READ);
    if (answer == EINVAL && advice((uintptr_t)&answer, MADV_POPULATE_READ) != 0) {
        /* Linux before 5.14: it can only be asked whether anything is there. */
        answer = advice(address, MADV_WILLNEED) == ENOMEM ? ENOMEM : 0;
    }
    return answer != ENOMEM && answer != EINVAL && answer != EFAULT;
}

void cb_os_huge(void *start, size_t size, bool wanted) {
    cb_syscall(SYS_madvise, start, size, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

void cb_os_wait(_Atomic uint32_t *word, uint32_t expected) {
    cb_syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected);
}

void cb_os_wake(_Atomic uint32_t *word) {
    cb_syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1);
}

void cb_os_yield(void) {
    cb_syscall(SYS_sched_yield);
}

_Noreturn void cb_os_abort(void) {
    abort();
}

_Noreturn void cb_os_exit(int status) {
    for (;;) {
        cb_syscall(SYS_exit_group, status);
    }
}

uint64_t cb_os_time(void) {
    struct timespec now = {0, 0};
    cb_syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec;
}

/* The coarse clock is a word in the kernel's image: it never takes a system call, whatever the hardware. */
uint64_t cb_os_milliseconds(void) {
    struct timespec now = {0, 0};
#ifdef CB_TESTING
    int64_t assumed = atomic_load_explicit(&assumed_time, memory_order_relaxed);
    if (assumed >= 0) {
        return (uint64_t)assumed;
    }
#endif
    clock_function *ask = atomic_load_explicit(&vdso_clock, memory_order_relaxed);
    if (ask == NULL || ask(CLOCK_MONOTONIC_COARSE, &now) != 0) {
        cb_syscall(SYS_clock_gettime, CLOCK_MONOTONIC_COARSE, &now);
    }
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
