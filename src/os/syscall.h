/*
 * syscall.h: system calls made directly, not through libc.
 *
 * Layer: os; included by the files of os/ only. Threads: any.
 *
 * Any library of the process may put a function of its own before libc's mmap, madvise or write, and allocate
 * in it. The heap makes system calls while it holds locks, so it must not run such a function. A direct call
 * leaves errno alone and is no cancellation point either.
 */
#ifndef CB_SYSCALL_H
#define CB_SYSCALL_H

#include <stdbool.h>
#include <sys/syscall.h>

/* The kernel's answer: the result, or an error's number, negated. */
static inline long cb_syscall6(long number, long a, long b, long c, long d, long e, long f);

#if defined(__x86_64__) && defined(__LP64__)
#define CB_SYSCALL_DIRECT 1
static inline long cb_syscall6(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "+a"(number)
                     : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return number;
}
#elif defined(__aarch64__) && defined(__LP64__)
#define CB_SYSCALL_DIRECT 1
static inline long cb_syscall6(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
#elif defined(__riscv) && __riscv_xlen == 64
#define CB_SYSCALL_DIRECT 1
static inline long cb_syscall6(long number, long a, long b, long c, long d, long e, long f) {
    register long a7 __asm__("a7") = number;
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    register long a3 __asm__("a3") = d;
    register long a4 __asm__("a4") = e;
    register long a5 __asm__("a5") = f;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5) : "memory");
    return a0;
}
#else
#define CB_SYSCALL_DIRECT 0
#include <errno.h>
#include <unistd.h>
static inline long cb_syscall6(long number, long a, long b, long c, long d, long e, long f) {
    int saved = errno;
    long answer = syscall(number, a, b, c, d, e, f);
    answer = answer == -1 ? -errno : answer;
    errno = saved;
    return answer;
}
#endif

/* With up to six arguments, integers or pointers. */
#define cb_syscall(...) CB_SYSCALL_FILL(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define CB_SYSCALL_FILL(number, a, b, c, d, e, f, ...)                                                       \
    cb_syscall6((number), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* Whether an answer is an error. An address can be negative too, but not this near to 0. */
static inline bool cb_syscall_failed(long answer) {
    return answer < 0 && answer >= -4095;
}

#endif
