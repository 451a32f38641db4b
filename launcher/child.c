/*
 * child.c: starts a program and waits for it. See child.h.
 *
 * Layer: launcher. Threads: one.
 */
#include "child.h"

#include "clock.h"
#include "elf_file.h"
#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int passed_on[] = {SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM, SIGUSR1,
                                SIGUSR2, SIGALRM, SIGWINCH, SIGCONT};

static sigset_t watched(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) {
        sigaddset(&set, passed_on[i]);
    }
    return set;
}

char **cb_child_by_shell(const char *path, char *const *arguments) {
    struct cb_elf elf;
    if (!cb_elf_open(&elf, path)) {
        return NULL;
    }
    bool script = elf.kind == CB_ELF_NONE;
    cb_elf_close(&elf);
    if (!script) {
        return NULL;
    }
    size_t count = 0;
    while (arguments[count] != NULL) {
        count++;
    }
    char **words = cb_obtain((count + 2) * sizeof *words);
    words[0] = "/bin/sh";
    words[1] = (char *)path;
    memcpy(words + 2, arguments + 1, count * sizeof *words);
    return words;
}

/* In the child. Returns the error of execve. */
static int execute(const char *path, char *const *arguments, struct cb_streams streams,
                   const sigset_t *mask) {
    const int from[] = {streams.input, streams.output, streams.errors};
    for (int to = 0; to < 3; to++) {
        if (from[to] >= 0 && dup2(from[to], to) < 0) {
            return errno;
        }
    }
    sigprocmask(SIG_SETMASK, mask, NULL);
    execve(path, arguments, environ);
    int error = errno;
    char **by_shell = error == ENOEXEC ? cb_child_by_shell(path, arguments) : NULL;
    if (by_shell != NULL) {
        execve(by_shell[0], by_shell, environ);
        error = errno;
    }
    return error;
}

/*
 * Returns the process, or -1, with the error of execve. The kernel counts towards a process's peak what it
 * held before execve. After fork these are the pages that the launcher has written to, a few hundred KiB;
 * after vfork or posix_spawn it would be the launcher's own peak.
 */
static pid_t start(const char *path, char *const *arguments, struct cb_streams streams, const sigset_t *mask,
                   int *error) {
    int failed[2]; /* a pipe that execve closes */
    pid_t child = pipe2(failed, O_CLOEXEC) == 0 ? fork() : -1;
    if (child < 0) {
        *error = errno;
        return -1;
    }
    if (child == 0) {
        *error = execute(path, arguments, streams, mask);
        (void)!write(failed[1], error, sizeof *error);
        _exit(CB_STATUS_MISSING);
    }
    close(failed[1]);
    bool started = read(failed[0], error, sizeof *error) != (ssize_t)sizeof *error;
    close(failed[0]);
    if (!started) {
        waitpid(child, NULL, 0);
        return -1;
    }
    *error = 0;
    return child;
}

static void note(const siginfo_t *signal, struct cb_outcome *outcome) {
    bool ends = signal->si_signo == SIGHUP || signal->si_signo == SIGINT || signal->si_signo == SIGQUIT ||
                signal->si_signo == SIGTERM;
    outcome->interrupted = ends ? signal->si_signo : outcome->interrupted;
}

static void wait_for(pid_t child, struct cb_outcome *outcome, const sigset_t *set) {
    siginfo_t signal;
    while (wait4(child, &outcome->status, WNOHANG, &outcome->used) == 0) {
        if (sigwaitinfo(set, &signal) < 0 || signal.si_signo == SIGCHLD) {
            continue;
        }
        if (signal.si_code <= 0) { /* from a process; the terminal's and the kernel's are above */
            kill(child, signal.si_signo);
        }
        note(&signal, outcome);
    }
    /* Those that came together with the end of the program, which may have ended of them. */
    while (sigtimedwait(set, &signal, &(struct timespec){0}) > 0) {
        note(&signal, outcome);
    }
}

struct cb_outcome cb_child_run(const char *path, char *const *arguments, struct cb_streams streams) {
    struct cb_outcome outcome = {.error = 0};
    sigset_t set = watched(), old;
    signal(SIGCHLD, SIG_DFL); /* where it is ignored there would be nothing to wait for */
    sigprocmask(SIG_BLOCK, &set, &old);
    double started = cb_clock_seconds();
    pid_t child = start(path, arguments, streams, &old, &outcome.error);
    if (child > 0) {
        wait_for(child, &outcome, &set);
        outcome.seconds = cb_clock_seconds() - started;
    }
    sigprocmask(SIG_SETMASK, &old, NULL);
    return outcome;
}

bool cb_child_succeeded(const struct cb_outcome *outcome) {
    return outcome->error == 0 && WIFEXITED(outcome->status) && WEXITSTATUS(outcome->status) == 0;
}

char *cb_child_describe(const struct cb_outcome *outcome) {
    if (outcome->error != 0) {
        return cb_text("could not be started: %s", strerror(outcome->error));
    }
    if (WIFSIGNALED(outcome->status)) {
        const char *name = sigabbrev_np(WTERMSIG(outcome->status));
        return name != NULL ? cb_text("killed by SIG%s", name)
                            : cb_text("killed by signal %d", WTERMSIG(outcome->status));
    }
    return cb_text("exit status %d", WEXITSTATUS(outcome->status));
}

_Noreturn void cb_child_refuse(const char *name, int error) {
    if (error == ENOENT) {
        cb_die(CB_STATUS_NO_EXEC,
               "%s: its interpreter or loader is not there (cutback-run --check %s says which)", name, name);
    }
    cb_die(CB_STATUS_NO_EXEC, "%s: %s", name, strerror(error));
}

_Noreturn void cb_child_end_like(const struct cb_outcome *outcome) {
    if (WIFSIGNALED(outcome->status)) {
        const struct rlimit none = {0, 0};
        sigset_t set;
        setrlimit(RLIMIT_CORE, &none); /* the program has left one, if it may */
        signal(WTERMSIG(outcome->status), SIG_DFL);
        sigemptyset(&set);
        sigaddset(&set, WTERMSIG(outcome->status));
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        raise(WTERMSIG(outcome->status));
        _exit(CB_STATUS_SIGNAL + WTERMSIG(outcome->status));
    }
    _exit(WEXITSTATUS(outcome->status));
}
