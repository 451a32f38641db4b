/*
 * surroundings.c: what this process may do, and so the program that it becomes. See check.h.
 *
 * Layer: launcher, above environment and child. Threads: one.
 */
#include "check.h"

#include "child.h"
#include "environment.h"
#include "say.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TRIAL_SMALL 1000          /* objects */
#define TRIAL_LARGE (1u << 20)    /* bytes */
#define TIGHT ((rlim_t)256 << 20) /* bytes: less than this is worth a word of what to do */

/*
 * The number after this word in a file of /proc, where the word begins a line; `otherwise` where there is
 * none.
 */
static unsigned long long number_in(const char *path, const char *word, unsigned long long otherwise) {
    FILE *file = fopen(path, "re");
    char line[256];
    size_t length = strlen(word);
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, word, length) == 0) {
            otherwise = strtoull(line + length, NULL, 10);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return otherwise;
}

static void check_limit(struct cb_findings *findings, rlim_t limit, const char *name, const char *letter) {
    if (limit != RLIM_INFINITY) {
        bool tight = limit < TIGHT;
        cb_findings_remark(
            findings, "%s is limited to %llu MiB; cutback takes what it uses and a sixteenth%s%s", name,
            (unsigned long long)limit >> 20,
            tight ? ": if the program runs out of memory, raise it with ulimit " : "", tight ? letter : "");
    }
}

static void check_limits(struct cb_findings *findings) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0) {
        check_limit(findings, limit.rlim_cur, "the address space", "-v");
    }
    if (getrlimit(RLIMIT_DATA, &limit) == 0) {
        check_limit(findings, limit.rlim_cur, "the data segment", "-d");
    }
}

static void check_overcommit(struct cb_findings *findings) {
    if (number_in("/proc/sys/vm/overcommit_memory", "", 0) == 2) {
        unsigned long long limit = number_in("/proc/meminfo", "CommitLimit:", 0);
        unsigned long long taken = number_in("/proc/meminfo", "Committed_AS:", 0);
        cb_findings_remark(
            findings,
            "the system promises no more memory than it has (vm.overcommit_memory is 2), and %llu MiB "
            "are left: cutback maps what it uses and a sixteenth, no more",
            limit > taken ? (limit - taken) >> 10 : 0);
    }
}

static void check_filter(struct cb_findings *findings) {
    if (number_in("/proc/self/status", "Seccomp:", 0) == 2) {
        cb_findings_remark(
            findings, "a seccomp filter is in force: it should allow mmap, mprotect, madvise and mremap, as "
                      "for any malloc");
    }
}

static void report_other(const char *entry, void *findings) {
    cb_findings_remark(
        findings, "LD_PRELOAD holds another malloc already, %s: cutback comes before it; take it out", entry);
}

static bool check_file(struct cb_findings *findings, const char *library) {
    struct statvfs system;
    if (statvfs(library, &system) == 0 && (system.f_flag & ST_NOEXEC) != 0) {
        cb_findings_against(findings, "%s is on a file system mounted noexec: install cutback elsewhere",
                            library);
        return false;
    }
    return true;
}

int cb_check_trial(void) {
    Dl_info info;
    void *small[TRIAL_SMALL];
    size_t made = 0;
    while (made < TRIAL_SMALL && (small[made] = malloc(made + 1)) != NULL) {
        made++;
    }
    char *large = calloc(1, TRIAL_LARGE);
    bool good = made == TRIAL_SMALL && large != NULL && dladdr((void *)malloc, &info) != 0 &&
                strstr(info.dli_fname, "libcutback_preload") != NULL;
    free(large);
    while (made > 0) {
        free(small[--made]);
    }
    return good ? 0 : 1;
}

/* The launcher itself, with the library, in a process of its own. */
static void try_library(struct cb_findings *findings, const char *library) {
    char *arguments[] = {"cutback-run", CB_TRIAL_ARGUMENT, NULL};
    const char *list = getenv("LD_PRELOAD");
    char *kept = cb_text("%s", list != NULL ? list : "");
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    cb_environment_set_preload(library);
    struct cb_outcome outcome =
        cb_child_run("/proc/self/exe", arguments, (struct cb_streams){nowhere, nowhere, nowhere});
    cb_environment_set_preload(kept);
    if (!cb_child_succeeded(&outcome)) {
        char *how = cb_child_describe(&outcome);
        cb_findings_against(findings,
                            "tried here, the library does not work (%s): LD_PRELOAD=%s /bin/true says more",
                            how, library);
        free(how);
    }
    free(kept);
    close(nowhere);
}

void cb_check_surroundings(struct cb_findings *findings, const char *library) {
    check_limits(findings);
    check_overcommit(findings);
    check_filter(findings);
    cb_environment_each_malloc(library, report_other, findings);
    if (getauxval(AT_SECURE) != 0) {
        cb_findings_against(findings,
                            "cutback-run has more rights than its user: make it an ordinary program");
    } else if (check_file(findings, library)) {
        try_library(findings, library);
    }
}
