/*
 * child.h: a program that the launcher waits for, with --debug, --check and --compare. Without these it
 * becomes the program.
 *
 * Signals that somebody sends to the launcher are passed on. Those that the terminal sends reach the
 * program by itself, which is in the same process group.
 *
 * Layer: launcher. Threads: one.
 */
#ifndef CB_LAUNCHER_CHILD_H
#define CB_LAUNCHER_CHILD_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Descriptors that become the child's 0, 1 and 2; -1: as the launcher's. */
struct cb_streams {
    int input, output, errors;
};

struct cb_outcome {
    int error;          /* errno: it could not be started, and the rest says nothing */
    int status;         /* as of wait */
    struct rusage used; /* by the child and by those children of it that it waited for */
    double seconds;     /* from before the start to the end */
    int interrupted;    /* a signal that the launcher got meanwhile; 0: none */
};

/*
 * Words for execve of what it has refused by ENOEXEC: a script without #!, which every shell gives to
 * /bin/sh. NULL where it is no script. The caller frees the array.
 */
char **cb_child_by_shell(const char *path, char *const *arguments);

/*
 * Runs the program at this path with the launcher's environment, to its end. Whatever the launcher has read and
 * mapped is in no figure of the outcome.
 */
struct cb_outcome cb_child_run(const char *path, char *const *arguments, struct cb_streams streams);

bool cb_child_succeeded(const struct cb_outcome *outcome);

/* "exit status 3", "killed by SIGSEGV", "could not be started: ...". The caller frees. */
char *cb_child_describe(const struct cb_outcome *outcome);

/* Tells why execve has refused a program of this name, and ends the launcher. The file itself is there. */
_Noreturn void cb_child_refuse(const char *name, int error);

/* Ends the launcher as the child ended: by the same status or signal. */
_Noreturn void cb_child_end_like(const struct cb_outcome *outcome);

#endif
