/* Preloaded beside an allocator by tools/cost: the sources of chance that a program asks for, made the same in
 * every run. Lua seeds its hashes with the time of day and with the address of its first object, Ruby and Redis
 * with random bytes; some allocators choose addresses at random. Instruction counts follow.
 *
 * Monotonic clocks are left alone here: allocators measure with them how long memory has been unused. */

#undef _FILE_OFFSET_BITS /* with it the headers would rename fopen to fopen64 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* Not from the headers: there they have attributes that definitions cannot repeat. */
ssize_t getrandom(void *buffer, size_t length, unsigned flags);

time_t time(time_t *out) {
    const time_t noon = 1700000000;
    if (out) {
        *out = noon;
    }
    return noon;
}

clock_t clock(void) {
    return 1000;
}

ssize_t getrandom(void *buffer, size_t length, unsigned flags) {
    (void)flags;
    memset(buffer, 0x5a, length);
    return (ssize_t)length;
}

int getentropy(void *buffer, size_t length) {
    memset(buffer, 0x5a, length);
    return 0;
}

/* Some ask the kernel without getrandom. */
long syscall(long number, ...) {
    static _Atomic(long (*)(long, ...)) next;
    long a[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(arguments, long);
    }
    va_end(arguments);
    if (number == SYS_getrandom) {
        return getrandom((void *)a[0], (size_t)a[1], (unsigned)a[2]);
    }
    if (!next) {
        next = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    }
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Redis seeds its hashes from this device, and its skip lists with the number of the process. */
static FILE *open_other(const char *symbol, const char *path, const char *mode) {
    FILE *(*next)(const char *, const char *) =
        (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, symbol);
    return next(strcmp(path, "/dev/urandom") == 0 ? "/dev/zero" : path, mode);
}

FILE *fopen(const char *restrict path, const char *restrict mode) {
    return open_other("fopen", path, mode);
}

FILE *fopen64(const char *restrict path, const char *restrict mode) {
    return open_other("fopen64", path, mode);
}

void srandom(unsigned seed) {
    (void)seed;
}

/* Of the 16 bytes that the kernel draws for each process. */
unsigned long getauxval(unsigned long type) {
    static const unsigned char drawn[16] = {0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a,
                                            0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a};
    if (type == AT_RANDOM) {
        return (unsigned long)drawn;
    }
    unsigned long (*next)(unsigned long) = (unsigned long (*)(unsigned long))dlsym(RTLD_NEXT, "getauxval");
    return next(type);
}
