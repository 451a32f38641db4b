/*
 * Sandboxed: after the start a filter kills the process for any system call but those that the library says
 * it needs (mmap, munmap, madvise, mprotect, mremap, futex, write) and those that end a thread or the
 * process. In it, two threads that were started before work through all sizes, in LIFO and in random order,
 * trade objects, and one of them ends with its heap full.
 *
 * The clock, which the library asks now and then, must be one that the kernel lets programs read without a
 * system call; where it does not, the test is skipped.
 */
#include "fixture.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef ARCHITECTURE
#define ALLOW(number)                                                                                        \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* For the thread or process; false when the kernel does not filter. */
static bool forbid(bool clock_too) {
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_mmap),
        ALLOW(SYS_munmap),
        ALLOW(SYS_madvise),
        ALLOW(SYS_mprotect),
        ALLOW(SYS_mremap),
        ALLOW(SYS_futex),
        ALLOW(SYS_write),
        ALLOW(SYS_exit),
        ALLOW(SYS_exit_group),
        ALLOW(SYS_rt_sigprocmask), /* libc, when a thread ends */
        BPF_STMT(BPF_RET | BPF_K, clock_too ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | 99),
    };
    struct sock_fprog filter = {sizeof steps / sizeof *steps, steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) == 0;
}

/* In a child, since a filter stays: can the time be had without a system call? */
static bool clock_is_free(void) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        struct timespec now;
        _exit(!forbid(false) ? 2 : clock_gettime(CLOCK_MONOTONIC_COARSE, &now) == 0 ? 0 : 1);
    }
    waitpid(child, &status, 0);
    if (status == 2 << 8) {
        fixture_skip("no filters here");
    }
    return status == 0;
}

static pthread_barrier_t begin;
/* release by the thread that puts an object in, acquire by whoever takes it out */
static struct fixture_object *_Atomic shared[64];

static void lifo(void) {
    static struct fixture_object *stack[3000];
    for (int round = 0; round < 5; round++) {
        uint64_t seed = (uint64_t)round;
        for (size_t i = 0; i < 3000; i++) {
            stack[i] = fixture_make(&seed);
        }
        for (size_t i = 3000; i > 0; i--) {
            fixture_drop(stack[i - 1]);
        }
    }
}

static void resize_large(void) {
    size_t size = 1000;
    unsigned char *p = malloc(size);
    for (; size < (size_t)100 << 20; size *= 2) { /* by copy, in place, and by moving pages */
        p[size - 1] = 7;
        p = realloc(p, size * 2);
        CHECK(p != NULL && p[size - 1] == 7);
    }
    p = realloc(p, 5000);
    CHECK(p != NULL);
    free(p);
    void *aligned = aligned_alloc(1 << 20, 1 << 20);
    CHECK(aligned != NULL);
    free(aligned);
    malloc_trim(0);
}

static void *work(void *argument) {
    uint64_t seed = (uintptr_t)argument;
    pthread_barrier_wait(&begin); /* started */
    pthread_barrier_wait(&begin); /* and filtered */
    for (int i = 0; i < 3000; i++) {
        struct fixture_object *object = fixture_make(&seed);
        fixture_drop(
            atomic_exchange_explicit(&shared[fixture_random(&seed) % 64], object, memory_order_acq_rel));
    }
    fixture_work(seed, 2000);
    return NULL;
}

int main(void) {
    fixture_begin(60);
    if (!clock_is_free()) {
        fixture_skip("the clock needs a system call");
    }
    CHECK(pthread_barrier_init(&begin, NULL, 3) == 0);
    pthread_t first = fixture_thread(work, (void *)1);
    fixture_thread(work, (void *)2);
    pthread_barrier_wait(&begin);
    CHECK(forbid(true));
    pthread_barrier_wait(&begin);
    lifo();
    resize_large();
    fixture_work(3, 3000);
    pthread_join(first, NULL);
    for (size_t i = 0; i < 64; i++) {
        fixture_drop(atomic_exchange(&shared[i], NULL));
    }
    CHECK(malloc(PTRDIFF_MAX / 2) == NULL && errno == ENOMEM);
    static const char text[] = "well, inside the filter\n";
    CHECK(write(STDOUT_FILENO, text, sizeof text - 1) > 0);
    _exit(0);
}
#else
int main(void) {
    fixture_skip("no filter for this machine");
}
#endif
