/*
 * check.h: --check: whether a program will run on cutback, and if not, why, and what to do about it.
 *
 * Layer: launcher, above elf_file, libraries and child. Threads: one.
 */
#ifndef CB_LAUNCHER_CHECK_H
#define CB_LAUNCHER_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* Findings, in the order in which they are made. */
struct cb_findings {
    struct cb_finding {
        bool against; /* it will not work; otherwise a remark */
        char *text;
    } * items;
    size_t count, against;
};

__attribute__((format(printf, 2, 3))) void cb_findings_against(struct cb_findings *findings,
                                                               const char *format, ...);
__attribute__((format(printf, 2, 3))) void cb_findings_remark(struct cb_findings *findings,
                                                              const char *format, ...);

/* Looks at the executable, at the interpreters of a script, and at the libraries. Runs nothing of them. */
void cb_check_program(struct cb_findings *findings, const char *path);

/*
 * Looks at the limits, filters and settings of this process, which the program inherits, and tries the
 * library.
 */
void cb_check_surroundings(struct cb_findings *findings, const char *library);

/*
 * The child of that trial: allocates and frees, and tells by its exit status whether malloc is that of the
 * library.
 */
int cb_check_trial(void);
#define CB_TRIAL_ARGUMENT "--trial-of-the-library"

/*
 * Where a program of this name cannot work on cutback, says why, and ends the launcher. The surroundings are looked at
 * unless the library is NULL.
 */
void cb_check_refuse(const char *name, const char *path, const char *library);

/* Where it cannot, for what the executable says, tells why, and goes on. */
void cb_check_warn(const char *name, const char *path);

/* Prints what was found of a program of this name. */
void cb_check_print(const struct cb_findings *findings, const char *name, const char *path);

#endif
