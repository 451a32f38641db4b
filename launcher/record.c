/*
 * record.c: see record.h.
 *
 * Layer: launcher, above environment. Threads: one.
 */
#include "record.h"

#include "environment.h"
#include "say.h"

#include "trace/format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether the file begins as a trace does; -1: there is none. */
static int is_trace(const char *path) {
    char start[CB_TRACE_MAGIC_BYTES];
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        return errno == ENOENT ? -1 : 0;
    }
    bool same = read(file, start, sizeof start) == (ssize_t)sizeof start &&
                memcmp(start, CB_TRACE_MAGIC, sizeof start) == 0;
    close(file);
    return same;
}

/* Tells at once where no trace could be made: the program itself would run on without one. */
static void check_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? cb_text(".") : cb_text("%.*s/", (int)(slash - path), path);
    if (strchr(folder, '%') == NULL && access(folder, W_OK | X_OK) != 0) {
        cb_die(CB_STATUS_OURS, "no trace can be written to %s: %s", folder, strerror(errno));
    }
    free(folder);
}

void cb_record_prepare(const char *file) {
    char *option = cb_text("record=%s", file);
    if (!cb_environment_option(option)) {
        cb_die(CB_STATUS_USAGE,
               "--record wants a file without a comma in its name, and no %% but %%p, %%t and %%%%: %s",
               file);
    }
    free(option);
    check_folder(file);
    int there = strchr(file, '%') == NULL ? is_trace(file) : -1;
    if (there == 0) {
        cb_die(CB_STATUS_OURS, "%s is there, and is no trace: it is not written over", file);
    }
    if (there == 1 && unlink(file) != 0) {
        cb_die(CB_STATUS_OURS, "%s: %s", file, strerror(errno));
    }
}
