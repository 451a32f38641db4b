/*
 * Where the tests of the arena run: a Cortex-M0 without an operating system, whose debugger is QEMU, or a Linux of
 * another processor, without a C library. Begins, prints, ends; and has what compilers need of their library.
 *
 * Layer: tests. Threading: none.
 */
#include "machine.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

const char *machine_current = "";

/* ---- each machine: where it begins, how it writes and ends ---- */

#if defined(__thumb__)

extern uint32_t stack_end[], bss_start[], bss_end[], data_start[], data_end[], data_load[]; /* cortex-m0.ld */

static uintptr_t semihosting(uintptr_t operation, uintptr_t argument) {
    register uintptr_t call __asm__("r0") = operation;
    register uintptr_t what __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(call) : "r"(what) : "memory");
    return call;
}

void machine_print(const char *text) {
    semihosting(0x04, (uintptr_t)text);
}

_Noreturn void machine_exit(int status) {
    for (;;)
        semihosting(0x18,
                    status == 0 ? 0x20026 : 0x20023); /* the application has ended; had a run-time error */
}

_Noreturn void _start(void);

_Noreturn void _start(void) {
    memcpy(data_start, data_load, (size_t)((char *)data_end - (char *)data_start));
    memset(bss_start, 0, (size_t)((char *)bss_end - (char *)bss_start));
    machine_exit(main());
}

static _Noreturn void machine_fault(void) {
    machine_fail("no fault of the processor", "machine.c", __LINE__);
}

__attribute__((section(".vectors"), used)) static const void *const machine_vectors[16] = {
    stack_end, (const void *)_start, (const void *)machine_fault, (const void *)machine_fault};

#else

#if defined(__i386__)
enum { WRITE = 4, EXIT = 1 };

static long machine_call(long number, long a, long b, long c) {
    __asm__ volatile("int $0x80" : "+a"(number) : "b"(a), "c"(b), "d"(c) : "memory");
    return number;
}
#elif defined(__aarch64__)
enum { WRITE = 64, EXIT = 93 };

static long machine_call(long number, long a, long b, long c) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
#elif defined(__riscv)
enum { WRITE = 64, EXIT = 93 };

static long machine_call(long number, long a, long b, long c) {
    register long a7 __asm__("a7") = number;
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
    return a0;
}
#elif defined(__powerpc__)
enum { WRITE = 4, EXIT = 1 };

static long machine_call(long number, long a, long b, long c) {
    register long r0 __asm__("r0") = number;
    register long r3 __asm__("r3") = a;
    register long r4 __asm__("r4") = b;
    register long r5 __asm__("r5") = c;
    __asm__ volatile("sc"
                     : "+r"(r0), "+r"(r3), "+r"(r4), "+r"(r5)
                     :
                     : "r6", "r7", "r8", "r9", "r10", "r11", "r12", "cr0", "ctr", "memory");
    return r3;
}
#endif

void machine_print(const char *text) {
    size_t size = 0;
    while (text[size] != 0)
        size++;
    machine_call(WRITE, 1, (long)(intptr_t)text, (long)size);
}

_Noreturn void machine_exit(int status) {
    for (;;)
        machine_call(EXIT, status, 0, 0);
}

#if defined(__i386__)
__attribute__((force_align_arg_pointer))
#endif
_Noreturn void
_start(void);

_Noreturn void _start(void) {
    machine_exit(main());
}

#endif

/* ---- on all of them ---- */

void machine_print_number(size_t number) {
    static const size_t powers[] = {10000, 1000, 100, 10, 1};
    bool begun = false;
    for (size_t i = 0; i < sizeof powers / sizeof *powers; i++) {
        char digit[2] = "0";
        for (; number >= powers[i]; number -= powers[i])
            digit[0]++;
        begun |= digit[0] != '0' || powers[i] == 1;
        if (begun)
            machine_print(digit);
    }
}

_Noreturn void machine_fail(const char *what, const char *file, int line) {
    machine_print(machine_current);
    machine_print(": ");
    machine_print(file);
    machine_print(":");
    machine_print_number((size_t)line);
    machine_print(": not so: ");
    machine_print(what);
    machine_print("\n");
    machine_exit(1);
}

void *memset(void *to, int byte, size_t size) {
    for (unsigned char *at = to; size != 0; size--)
        *at++ = (unsigned char)byte;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    const unsigned char *byte = from;
    for (unsigned char *at = to; size != 0; size--)
        *at++ = *byte++;
    return to;
}

void *memmove(void *to, const void *from, size_t size) {
    const unsigned char *byte = from;
    unsigned char *at = to;
    for (size_t i = 0; at < byte && i < size; i++)
        at[i] = byte[i];
    while (at > byte && size-- != 0)
        at[size] = byte[size];
    return to;
}

int memcmp(const void *a, const void *b, size_t size) {
    const unsigned char *x = a;
    const unsigned char *y = b;
    size_t i = 0;
    while (i < size && x[i] == y[i])
        i++;
    return i < size ? x[i] - y[i] : 0;
}

#if defined(__thumb__)
/* ---- of the compiler's library for ARM: what this processor has no instruction for ---- */

uint32_t __aeabi_uidiv(uint32_t a, uint32_t b);
uint64_t __aeabi_uidivmod(uint32_t a, uint32_t b);
uint64_t __aeabi_lmul(uint64_t a, uint64_t b);

/* The quotient in the lower half, the remainder in the upper one. */
uint64_t __aeabi_uidivmod(uint32_t a, uint32_t b) {
    uint32_t quotient = 0;
    uint32_t rest = 0;
    for (int bit = 31; bit >= 0; bit--) {
        rest = rest << 1 | (a >> bit & 1);
        quotient <<= 1;
        if (rest >= b) {
            rest -= b;
            quotient |= 1;
        }
    }
    return (uint64_t)rest << 32 | quotient;
}

uint32_t __aeabi_uidiv(uint32_t a, uint32_t b) {
    return (uint32_t)__aeabi_uidivmod(a, b);
}

uint64_t __aeabi_lmul(uint64_t a, uint64_t b) {
    uint64_t product = 0;
    for (; b != 0; b >>= 1, a <<= 1)
        product += (b & 1) != 0 ? a : 0;
    return product;
}
#endif
