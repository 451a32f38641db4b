/*
 * deepbind.c: dlopen and dlmopen without RTLD_DEEPBIND.
 *
 * Layer: the preload libraries, above the heap. Threads: any; the first dlopen may come before any constructor
 * of ours. Nothing here is called by an allocation.
 *
 * A library opened with RTLD_DEEPBIND finds malloc and free in libc before it finds ours, while libc itself
 * uses ours: what asprintf, getline or strdup allocated it frees with libc's free, which aborts. PHP opens its
 * extensions so. Without the flag the library uses ours, like everybody else.
 *
 * The real functions find out who called them by the return address, since the caller's RUNPATH and $ORIGIN
 * say where to look. So ours are no C functions: they change the mode, leave stack and return address as
 * they found them, and jump. Where neither assembly nor the compiler can promise that, there are none.
 */
#include "heap/names.h"
#include "heap/options.h"
#include "heap/thread.h"

#include <dlfcn.h>

#define USED CB_HIDDEN __attribute__((used))

/* Where to go on, and with which mode; returned in two registers. */
struct cb_deepbind_call {
    void *function;
    long mode;
};

USED struct cb_deepbind_call cb_deepbind_dlopen(long mode);
USED struct cb_deepbind_call cb_deepbind_dlmopen(Lmid_t space, long mode);

#if defined(__x86_64__) && defined(__LP64__)

#if defined(__CET__) && (__CET__ & 1) != 0
#define LANDING "endbr64\n"
#else
#define LANDING ""
#endif

/* rdi: file, esi: mode */
__asm__(".pushsection .text\n"
        ".p2align 4\n"
        ".globl dlopen\n"
        ".type dlopen, @function\n"
        "dlopen:\n"
        ".cfi_startproc\n" LANDING "push %rdi\n"
        ".cfi_adjust_cfa_offset 8\n"
        "movslq %esi, %rdi\n"
        "call cb_deepbind_dlopen\n"
        "pop %rdi\n"
        ".cfi_adjust_cfa_offset -8\n"
        "mov %edx, %esi\n"
        "jmp *%rax\n"
        ".cfi_endproc\n"
        ".size dlopen, . - dlopen\n"

        /* rdi: space, rsi: file, edx: mode */
        ".p2align 4\n"
        ".globl dlmopen\n"
        ".type dlmopen, @function\n"
        "dlmopen:\n"
        ".cfi_startproc\n" LANDING "push %rdi\n"
        ".cfi_adjust_cfa_offset 8\n"
        "push %rsi\n"
        ".cfi_adjust_cfa_offset 8\n"
        "sub $8, %rsp\n"
        ".cfi_adjust_cfa_offset 8\n"
        "movslq %edx, %rsi\n"
        "call cb_deepbind_dlmopen\n"
        "add $8, %rsp\n"
        ".cfi_adjust_cfa_offset -8\n"
        "pop %rsi\n"
        ".cfi_adjust_cfa_offset -8\n"
        "pop %rdi\n"
        ".cfi_adjust_cfa_offset -8\n"
        "jmp *%rax\n"
        ".cfi_endproc\n"
        ".size dlmopen, . - dlmopen\n"
        ".popsection\n");

#elif defined(__aarch64__) && defined(__LP64__)

#if defined(__ARM_FEATURE_BTI_DEFAULT)
#define LANDING "hint #34\n" /* bti c; a jump by x16 may land on one too */
#else
#define LANDING ""
#endif
#define SAVE                                                                                                 \
    "stp x29, x30, [sp, #-32]!\n"                                                                            \
    ".cfi_def_cfa_offset 32\n"                                                                               \
    ".cfi_offset 29, -32\n"                                                                                  \
    ".cfi_offset 30, -24\n"                                                                                  \
    "mov x29, sp\n"                                                                                          \
    "stp x0, x1, [sp, #16]\n"
#define RESTORE                                                                                              \
    "ldp x29, x30, [sp], #32\n"                                                                              \
    ".cfi_restore 29\n"                                                                                      \
    ".cfi_restore 30\n"                                                                                      \
    ".cfi_def_cfa_offset 0\n"

/* x0: file, w1: mode */
__asm__(".pushsection .text\n"
        ".p2align 4\n"
        ".globl dlopen\n"
        ".type dlopen, %function\n"
        "dlopen:\n"
        ".cfi_startproc\n" LANDING SAVE "sxtw x0, w1\n"
        "bl cb_deepbind_dlopen\n"
        "mov x16, x0\n"
        "ldr x0, [sp, #16]\n" RESTORE "br x16\n"
        ".cfi_endproc\n"
        ".size dlopen, . - dlopen\n"

        /* x0: space, x1: file, w2: mode */
        ".p2align 4\n"
        ".globl dlmopen\n"
        ".type dlmopen, %function\n"
        "dlmopen:\n"
        ".cfi_startproc\n" LANDING SAVE "sxtw x1, w2\n"
        "bl cb_deepbind_dlmopen\n"
        "mov x16, x0\n"
        "mov x2, x1\n"
        "ldp x0, x1, [sp, #16]\n" RESTORE "br x16\n"
        ".cfi_endproc\n"
        ".size dlmopen, . - dlmopen\n"
        ".popsection\n");

#elif defined(__has_attribute)
#if __has_attribute(musttail)

CB_EXPORT void *dlopen(const char *file, int mode) {
    struct cb_deepbind_call real = cb_deepbind_dlopen(mode);
    __attribute__((musttail)) return ((void *(*)(const char *, int))real.function)(file, (int)real.mode);
}

CB_EXPORT void *dlmopen(Lmid_t space, const char *file, int mode) {
    struct cb_deepbind_call real = cb_deepbind_dlmopen(space, mode);
    __attribute__((musttail)) return ((void *(*)(Lmid_t, const char *, int))real.function)(space, file,
                                                                                           (int)real.mode);
}

#endif
#endif

/* Where no library has the function there is nothing to go on with. */
static void *nowhere(void) {
    return NULL;
}

/* Relaxed: whoever does not find it looks for it, and finds the same. */
static void *real_function(void *_Atomic *known, const char *name) {
    void *function = atomic_load_explicit(known, memory_order_relaxed);
    if (function == NULL) {
        function = dlsym(RTLD_NEXT, name);
        function = function != NULL ? function : (void *)nowhere;
        atomic_store_explicit(known, function, memory_order_relaxed);
    }
    return function;
}

static long without_deepbind(long mode) {
    cb_thread_ready(); /* the options have been read, or will be by a constructor */
    return cb_options.deepbind == CB_DEEPBIND_DROP ? mode & ~(long)RTLD_DEEPBIND : mode;
}

struct cb_deepbind_call cb_deepbind_dlopen(long mode) {
    static void *_Atomic known;
    long to = (mode & RTLD_DEEPBIND) != 0 ? without_deepbind(mode) : mode;
    return (struct cb_deepbind_call){real_function(&known, "dlopen"), to};
}

/* Another name space has a libc of its own, and not this library: what is deep there stays in that libc. */
struct cb_deepbind_call cb_deepbind_dlmopen(Lmid_t space, long mode) {
    static void *_Atomic known;
    bool here = space == LM_ID_BASE && (mode & RTLD_DEEPBIND) != 0;
    return (struct cb_deepbind_call){real_function(&known, "dlmopen"), here ? without_deepbind(mode) : mode};
}
