/*
 * Reports go to standard error and never into a file of the program's, whatever it does with its descriptors;
 * they arrive at every kind of file that standard error can be; and writing one neither ends a process by a
 * signal nor loses the report where a little patience would do.
 *
 * usage: reports [--debug | CASE]
 */
#include "report.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define KEPT 900 /* where the library puts its copy */
#define CONTENT "the program's own data\n"

/* ---- in the started program ---- */

/* A regular file, which gets the lowest free descriptor; deleted at once, however the process ends. */
static int open_file(void) {
    char path[] = "/tmp/cutback-reports-XXXXXX";
    int file = mkostemp(path, O_CLOEXEC);
    CHECK(file >= 0 && unlink(path) == 0);
    return file;
}

/* A file of the program's own. */
static int open_database(void) {
    int file = open_file();
    CHECK(write(file, CONTENT, sizeof CONTENT - 1) == sizeof CONTENT - 1);
    return file;
}

/* Ends the process, with a status of its own when something was written into the file. */
static _Noreturn void end_if_untouched(int file) {
    char text[200] = {0};
    ssize_t length = pread(file, text, sizeof text - 1, 0);
    _exit(length == sizeof CONTENT - 1 && memcmp(text, CONTENT, sizeof CONTENT - 1) == 0 ? 0 : 7);
}

static void plain(void) {
    free_twice();
}

static void closed(void) {
    close(STDERR_FILENO);
    free_twice();
}

static void reused(void) {
    close(STDERR_FILENO);
    int file = open_database();
    CHECK(file == STDERR_FILENO);
    free_twice();
    end_if_untouched(file);
}

/* As a daemon does; its files then get whatever numbers there are. */
static void all_reused(void) {
    CHECK(syscall(SYS_close_range, 0, ~0U, 0) == 0);
    int file = open_database();
    CHECK(file == 0);
    for (int i = 1; i < KEPT + 20; i++) {
        CHECK(dup2(file, i) == i);
    }
    free_twice();
    end_if_untouched(file);
}

static void redirected(void) {
    int file = open_database();
    CHECK(dup2(file, STDERR_FILENO) == STDERR_FILENO);
    free_twice();
    end_if_untouched(file);
}

/* The program asks for this line where descriptor 2 leads, whatever that is, as with glibc's. */
static void asked_for(void) {
    char text[1000] = {0};
    int file = open_file();
    CHECK(dup2(file, STDERR_FILENO) == STDERR_FILENO);
    malloc_stats();
    CHECK(pread(file, text, sizeof text - 1, 0) > 0 && strstr(text, "cutback: process ") == text);
    _exit(0);
}

/* The copy is closed and its number reused, but descriptor 2 is what it was. */
static void copy_reused(void) {
    int file = open_database();
    CHECK(dup2(file, KEPT) == KEPT);
    free_twice();
    end_if_untouched(file);
}

static void put_back(void) {
    int saved = dup(STDERR_FILENO), file;
    close(STDERR_FILENO);
    CHECK((file = open_database()) == STDERR_FILENO);
    free_twice();
    CHECK((file = dup(file)) > STDERR_FILENO && dup2(saved, STDERR_FILENO) == STDERR_FILENO);
    free_twice();
    end_if_untouched(file);
}

static void in_child(void) {
    pid_t child = fork();
    if (child == 0) {
        free_twice();
        _exit(0);
    }
    CHECK(waitpid(child, &(int){0}, 0) == child);
}

/* The file that was standard error is gone, and a new one has got its inode. 9: not on this file system. */
static void inode_reused(void) {
    struct stat old, new;
    struct timespec now;
    CHECK(fstat(STDERR_FILENO, &old) == 0 && old.st_nlink == 0);
    do { /* files made within one tick of this clock are told apart by nothing */
        clock_gettime(CLOCK_REALTIME_COARSE, &now);
    } while (now.tv_sec == old.st_ctim.tv_sec && now.tv_nsec <= old.st_ctim.tv_nsec);
    close(STDERR_FILENO);
    int file = open_database();
    CHECK(file == STDERR_FILENO && fstat(file, &new) == 0);
    if (new.st_ino != old.st_ino || new.st_dev != old.st_dev) {
        _exit(9);
    }
    free_twice();
    end_if_untouched(file);
}

/* No descriptor from KEPT on has come through exec; without the library, which might make one now. */
static void after_exec(void) {
    for (int i = KEPT; i < KEPT + 20; i++) {
        CHECK(fcntl(i, F_GETFD) < 0);
    }
}

static void exec(void) {
    char self[4096] = {0};
    CHECK(fcntl(KEPT, F_GETFD) == FD_CLOEXEC && readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    unsetenv("LD_PRELOAD");
    execl(self, self, "after_exec", (char *)NULL);
    _exit(98);
}

/* A filter that says nothing about descriptors: what cannot be known is not written to. */
static void filtered(void) {
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fstat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof steps / sizeof *steps, steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        _exit(9);
    }
    free_twice();
}

static bool is_pending(int signal) {
    sigset_t pending;
    CHECK(sigpending(&pending) == 0);
    return sigismember(&pending, signal) == 1;
}

/* The program's own mask and pending signals are as they were. */
static void signals_stay(void) {
    sigset_t set, old;
    sigemptyset(&set);
    free_twice();
    CHECK(sigprocmask(SIG_SETMASK, NULL, &old) == 0 && sigismember(&old, SIGPIPE) == 0);
    sigaddset(&set, SIGPIPE);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    free_twice();
    CHECK(sigprocmask(SIG_SETMASK, NULL, &old) == 0 && sigismember(&old, SIGPIPE) == 1);
    CHECK(!is_pending(SIGPIPE));
    CHECK(raise(SIGPIPE) == 0);
    free_twice();
    CHECK(is_pending(SIGPIPE));
    _exit(0);
}

static void too_large(void) {
    CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){0, 0}) == 0);
    free_twice();
}

static const struct report_case cases[] = {
    {"plain", plain},
    {"closed", closed},
    {"reused", reused},
    {"all_reused", all_reused},
    {"redirected", redirected},
    {"asked_for", asked_for},
    {"copy_reused", copy_reused},
    {"put_back", put_back},
    {"in_child", in_child},
    {"inode_reused", inode_reused},
    {"after_exec", after_exec},
    {"exec", exec},
    {"filtered", filtered},
    {"signals_stay", signals_stay},
    {"too_large", too_large},
    {NULL, NULL},
};

/* ---- the test ---- */

#define LINE DOUBLE_FREE "0x"

static unsigned lines(const char *text) {
    unsigned count = 0;
    while ((text = strstr(text, LINE)) != NULL) {
        count++;
        text++;
    }
    return count;
}

static void demand(const char *what, bool well, int status, const char *text) {
    if (!well) {
        printf("%s: status %x, standard error:\n%s\n", what, (unsigned)status, text);
        fflush(stdout);
    }
    CHECK(well);
}

/* With a pipe as standard error: the case ends well, and so many reports arrive. */
static void expect(const char *name, const char *options, unsigned reports) {
    char text[20000];
    int status = run_case(name, options, text, sizeof text);
    demand(name, status == 0 && lines(text) == reports, status, text);
}

static void files_of_the_program(void) {
    static const char *const modes[] = {"on_error=warn", "on_error=ignore"};
    for (unsigned i = 0; i < 2; i++) {
        unsigned told = i == 0;
        expect("plain", modes[i], told);
        expect("all_reused", modes[i], 0);
        expect("copy_reused", modes[i], told);
        expect("in_child", modes[i], told);
    }
    char text[20000];
    int status = run_case("all_reused", "on_error=abort", text, sizeof text);
    demand("all_reused", aborted(status) && *text == '\0', status, text);
}

/* Where no copy is kept, and where one is. */
static void with_and_without_copy(bool always_kept) {
    expect("closed", "on_error=warn", always_kept);
    expect("closed", "on_error=warn,stats=1", 1);
    expect("reused", "on_error=warn", always_kept);
    expect("redirected", "on_error=warn", always_kept);
    expect("put_back", "on_error=warn", always_kept ? 2 : 1);
    expect("reused", "on_error=warn,stats=1", 1);
    expect("redirected", "on_error=warn,stats=1", 1);
    expect("put_back", "on_error=warn,stats=1", 2);
    expect("all_reused", "on_error=warn,stats=1", 0);
    expect("copy_reused", "on_error=warn,stats=1", 1);
    expect("asked_for", "on_error=warn", 0);
    expect("asked_for", "on_error=warn,stats=1", 0);
    expect("exec", "on_error=warn,stats=1", 0);
}

/* The program starts without a standard error, and what it opens is not taken for one. */
static void without_standard_error(void) {
    static const char *const options[] = {"on_error=warn", "on_error=warn,stats=1"};
    for (int i = 0; i < 2; i++) {
        int status = fixture_end_of(start_case("plain", options[i], -1));
        demand("plain, no standard error", status == 0, status, "");
        pid_t child = start_case("reused", options[i], -1);
        status = fixture_end_of(child);
        demand("reused, no standard error", status == 0, status, "");
    }
}

static void deleted_file(void) {
    int file = open_file();
    pid_t child = start_case("inode_reused", "on_error=warn", file);
    close(file);
    int status = fixture_end_of(child);
    demand("inode_reused", status == 0 || status == 9 << 8, status, "");
    printf("inode_reused: %s\n", status == 0 ? "well" : "not on this file system");
}

/* A report arrives at any kind of file; `from` is where it can be read, or -1. */
static void arrives(const char *kind, int from, int to) {
    char text[20000] = LINE;
    int status = fixture_end_of(start_case("plain", "on_error=warn", to));
    if (from >= 0) {
        struct pollfd at = {.fd = from, .events = POLLIN};
        ssize_t length = poll(&at, 1, 10000) == 1 ? read(from, text, sizeof text - 1) : 0;
        text[length > 0 ? length : 0] = '\0';
    }
    demand(kind, status == 0 && lines(text) == 1, status, text);
    close(to);
    if (from >= 0 && from != to) {
        close(from);
    }
}

static void kinds_of_files(void) {
    int pair[2];
    int file = open_file();
    int status = fixture_end_of(start_case("plain", "on_error=warn", file));
    char text[20000];
    CHECK(lseek(file, 0, SEEK_SET) == 0);
    fixture_read_all(file, text, sizeof text);
    demand("a file", status == 0 && lines(text) == 1, status, text);
    close(file);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    arrives("a socket", pair[0], pair[1]);
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0) {
        int side = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
        CHECK(side >= 0);
        arrives("a terminal", terminal, side);
    }
    arrives("nothing", -1, open("/dev/null", O_WRONLY | O_CLOEXEC));
}

static void cannot_be_known(void) {
    char text[20000];
    int status = run_case("filtered", "on_error=warn", text, sizeof text);
    if (status == 9 << 8) {
        printf("filtered: no filters here\n");
        return;
    }
    demand("filtered", status == 0 && lines(text) == 0, status, text);
    status = run_case("filtered", "on_error=abort", text, sizeof text);
    demand("filtered", aborted(status) && lines(text) == 0, status, text);
}

static int broken_pipe(const char *name, const char *options) {
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    close(ends[0]);
    pid_t child = start_case(name, options, ends[1]);
    close(ends[1]);
    return fixture_end_of(child);
}

static void no_signal_ends_it(void) {
    static const char *const warn = "on_error=warn", *const abort = "on_error=abort";
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR && signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
    int status = broken_pipe("plain", warn);
    demand("broken pipe", status == 0, status, "");
    status = broken_pipe("plain", "on_error=warn,stats=1");
    demand("broken pipe, stats", status == 0, status, "");
    status = broken_pipe("plain", abort);
    demand("broken pipe, abort", aborted(status), status, "");
    status = broken_pipe("signals_stay", warn);
    demand("signals_stay", status == 0, status, "");
    int file = open_file();
    status = fixture_end_of(start_case("too_large", warn, file));
    demand("limited file", status == 0, status, "");
    status = fixture_end_of(start_case("too_large", abort, file));
    demand("limited file, abort", aborted(status), status, "");
    close(file);
}

static bool sleeps(pid_t child) {
    char path[64], text[300] = {0};
    snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0 && read(file, text, sizeof text - 1) > 0);
    close(file);
    const char *state = strrchr(text, ')');
    return state != NULL && (state[2] == 'S' || state[2] == 'Z');
}

/* A full pipe that does not block its writer: the report waits for the reader, and not for ever. */
static void full_pipe(bool is_read) {
    static char bytes[4096];
    static char text[1 << 20];
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    while (write(ends[1], bytes, sizeof bytes) > 0) {
    }
    pid_t child = start_case("plain", "on_error=warn", ends[1]);
    close(ends[1]);
    if (!is_read) {
        int status = fixture_end_of(child);
        demand("full pipe, not read", status == 0, status, "");
        close(ends[0]);
        return;
    }
    while (!sleeps(child)) {
        usleep(1000);
    }
    size_t length = 0;
    for (ssize_t done; (done = read(ends[0], text + length, sizeof text - 1 - length)) > 0;) {
        length += (size_t)done;
    }
    close(ends[0]);
    char *start = text;
    while (start < text + length && *start == '\0') {
        start++;
    }
    int status = fixture_end_of(child);
    demand("full pipe, read", status == 0 && lines(start) == 1, status, start);
}

/* The debug variant always keeps a copy. */
int main(int count, char **argument) {
    bool debug = count == 2 && strcmp(argument[1], "--debug") == 0;
    if (count > 1 && !debug) {
        return be_case(cases, argument[1]);
    }
    fixture_begin(240);
    files_of_the_program();
    with_and_without_copy(debug);
    without_standard_error();
    deleted_file();
    kinds_of_files();
    cannot_be_known();
    no_signal_ends_it();
    full_pipe(true);
    full_pipe(false);
    return 0;
}
