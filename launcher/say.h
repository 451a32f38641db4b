/*
 * say.h: what the launcher tells its user, one line each on standard error, and the exit statuses that go
 * with it.
 *
 * Layer: launcher. Threads: one.
 */
#ifndef CB_LAUNCHER_SAY_H
#define CB_LAUNCHER_SAY_H

#include <stddef.h>

/* As of env(1), timeout(1) and the shells. */
enum cb_status {
    CB_STATUS_WORKS = 0,
    CB_STATUS_FAILS = 1, /* --check: it will not work; --compare: a run ended otherwise than the first */
    CB_STATUS_USAGE = 2,
    CB_STATUS_OURS = 125,    /* something of the launcher's own went wrong */
    CB_STATUS_NO_EXEC = 126, /* found, and cannot be executed */
    CB_STATUS_MISSING = 127, /* not found */
    CB_STATUS_SIGNAL = 128,  /* plus the signal that ended the program */
};

/* The name of the program, which each line begins with. */
extern const char *cb_say_as;

__attribute__((format(printf, 1, 2))) void cb_say(const char *format, ...);

/* Says it, and ends the launcher with this status. */
_Noreturn __attribute__((format(printf, 2, 3))) void cb_die(enum cb_status status, const char *format, ...);

/* The status, unless what was printed did not get through: that is told, and is CB_STATUS_OURS. */
int cb_finish(int status);

/* malloc and printf into new memory; the launcher ends where there is none. The caller frees. */
void *cb_obtain(size_t bytes);
__attribute__((format(printf, 1, 2))) char *cb_text(const char *format, ...);

#endif
