/*
 * A library that puts functions of its own before libc's, as profilers, MPI and libfaketime do: each one
 * allocates and frees in some sizes, then does what libc's does, and counts. They allocate when called by
 * themselves, not when their own allocation calls them again.
 *
 * Layer:     tests; loaded by LD_PRELOAD, before the library under test and after it.
 * Threading: any.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

/* Calls of the functions here, of whatever name. */
EXPORTED _Atomic unsigned long interposer_calls;

static _Thread_local int inside __attribute__((tls_model("initial-exec")));

static void allocate(void) {
    static const size_t sizes[] = {5000, 16, 700, 40000, 300000, 1 << 21};
    void *volatile p[sizeof sizes / sizeof *sizes];
    int saved = errno;
    atomic_fetch_add_explicit(&interposer_calls, 1, memory_order_relaxed);
    if (inside++ == 0) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            p[i] = malloc(sizes[i]);
        }
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            free(p[i]);
        }
    }
    inside--;
    errno = saved;
}

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        abort();
    }
    return found;
}

/* WRAP(what it returns, its name, its parameters, its arguments). Under another name here, since the headers
 * declare some of them with three dots. */
#define WRAP(result, name, parameters, ...)                                                                  \
    EXPORTED result wrap_##name parameters __asm__(#name);                                                   \
    result wrap_##name parameters {                                                                          \
        static void *_Atomic real; /* relaxed: whoever finds it, finds the same */                           \
        if (atomic_load_explicit(&real, memory_order_relaxed) == NULL) {                                     \
            atomic_store_explicit(&real, next(#name), memory_order_relaxed);                                 \
        }                                                                                                    \
        allocate();                                                                                          \
        return ((result(*) parameters)atomic_load_explicit(&real, memory_order_relaxed))(__VA_ARGS__);       \
    }

WRAP(void *, mmap, (void *at, size_t size, int protection, int flags, int file, off_t from), at, size,
     protection, flags, file, from)
WRAP(void *, mmap64, (void *at, size_t size, int protection, int flags, int file, off_t from), at, size,
     protection, flags, file, from)
WRAP(void *, mremap, (void *at, size_t old, size_t size, int flags, void *to), at, old, size, flags, to)
WRAP(int, munmap, (void *at, size_t size), at, size)
WRAP(int, madvise, (void *at, size_t size, int advice), at, size, advice)
WRAP(int, mprotect, (void *at, size_t size, int protection), at, size, protection)
WRAP(int, clock_gettime, (clockid_t clock, struct timespec *now), clock, now)
WRAP(ssize_t, write, (int file, const void *from, size_t size), file, from, size)
WRAP(long, syscall, (long number, long a, long b, long c, long d, long e, long f), number, a, b, c, d, e, f)
WRAP(int, fcntl, (int file, int what, long argument), file, what, argument)
WRAP(int, fcntl64, (int file, int what, long argument), file, what, argument)
WRAP(int, sched_yield, (void))
WRAP(char *, getenv, (const char *name), name)
WRAP(char *, secure_getenv, (const char *name), name)
WRAP(unsigned long, getauxval, (unsigned long type), type)
WRAP(int, pthread_key_create, (pthread_key_t * key, void (*destructor)(void *)), key, destructor)
WRAP(int, pthread_setspecific, (pthread_key_t key, const void *value), key, value)
