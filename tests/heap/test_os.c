/*
 * The system's answers that only the cold paths ask for: whether memory can be read, on this kernel, on one
 * that is older, and behind a filter; and the time.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGES ((size_t)64 << 10) /* a page of any system */

static uintptr_t map(int protection, int file) {
    int flags = MAP_PRIVATE | (file < 0 ? MAP_ANONYMOUS : 0);
    void *p = mmap(NULL, PAGES * 4, protection, flags, file, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    return (uintptr_t)p + PAGES + 4000;
}

static uintptr_t unmapped(void) {
    uintptr_t p = map(PROT_READ, -1);
    munmap((void *)(p - PAGES - 4000), PAGES * 4);
    return p;
}

static bool readable(uintptr_t p) {
    errno = 77;
    bool answer = cb_os_readable(p);
    assert_int_equal(errno, 77);
    return answer;
}

static void what_can_be_read_is_readable(void **state) {
    (void)state;
    static const int constant = 1;
    assert_true(readable((uintptr_t)&state));
    assert_true(readable((uintptr_t)&constant));
    assert_true(readable(map(PROT_READ | PROT_WRITE, -1)));
    assert_true(readable(map(PROT_READ, -1)));
}

static void what_is_not_mapped_is_not_readable(void **state) {
    (void)state;
    assert_false(readable(unmapped()));
    assert_false(readable(16));
    assert_false(readable((uintptr_t)1 << 63));
    assert_false(readable(UINTPTR_MAX));
}

/* 0, or the exit status. In a child, since a filter stays: this call, with a third argument from `least` on, is
 * refused with an error. */
static int refused(unsigned call, unsigned least, int error, int (*what)(void)) {
    int status = -1;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct sock_filter steps[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
            BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, least, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog filter = {sizeof steps / sizeof *steps, steps};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
            exit(99);
        }
        exit(what());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 99) {
        skip();
    }
    return WEXITSTATUS(status);
}

static int only_what_is_mapped(void) {
    return !cb_os_readable((uintptr_t)&errno)                 ? 1
           : cb_os_readable(unmapped())                       ? 2
           : !cb_os_readable(map(PROT_READ | PROT_WRITE, -1)) ? 3
                                                              : 0;
}

static int everything(void) {
    return !cb_os_readable((uintptr_t)&errno) ? 1 : !cb_os_readable(unmapped()) ? 2 : 0;
}

static void what_can_be_read_on_this_kernel_only(void **state) {
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fputs("short\n", file) >= 0 && fflush(file) == 0, 1);
    if (madvise((void *)(map(PROT_READ, -1) - 4000), 1, 22 /* MADV_POPULATE_READ */) != 0) {
        skip();
    }
    assert_false(readable(map(PROT_NONE, -1)));
    assert_false(readable(map(PROT_READ, fileno(file)))); /* behind the end */
    (void)fclose(file);
}

static void an_older_kernel_says_only_what_is_mapped(void **state) {
    (void)state;
    assert_int_equal(refused(SYS_madvise, 22, EINVAL, only_what_is_mapped), 0);
}

static void where_the_question_is_refused_all_may_be_readable(void **state) {
    (void)state;
    assert_int_equal(refused(SYS_madvise, 0, EPERM, everything), 0);
}

static uint64_t coarse(void) {
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC_COARSE, &now), 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void the_time_is_that_of_the_coarse_clock(void **state) {
    (void)state;
    uint64_t before = coarse(), now = cb_os_milliseconds(), after = coarse();
    assert_true(before <= now && now <= after);
}

static int time_goes_on(void) {
    uint64_t before = coarse();
    return before > 0 && cb_os_milliseconds() >= before ? 0 : 1;
}

static void the_time_takes_no_system_call(void **state) {
    (void)state;
    if (getauxval(AT_SYSINFO_EHDR) == 0) {
        skip(); /* under valgrind, say */
    }
    assert_int_equal(refused(SYS_clock_gettime, 0, EPERM, time_goes_on), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_can_be_read_is_readable),
        cmocka_unit_test(what_is_not_mapped_is_not_readable),
        cmocka_unit_test(what_can_be_read_on_this_kernel_only),
        cmocka_unit_test(an_older_kernel_says_only_what_is_mapped),
        cmocka_unit_test(where_the_question_is_refused_all_may_be_readable),
        cmocka_unit_test(the_time_is_that_of_the_coarse_clock),
        cmocka_unit_test(the_time_takes_no_system_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
