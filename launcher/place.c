/*
 * place.c: finds the libraries of cutback and the program. See place.h.
 *
 * Layer: launcher. Threads: one.
 */
#include "place.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* By enum cb_library: the file, and its folder in a build folder, seen from the launcher's. */
static const struct {
    const char *file, *built;
} libraries[] = {
    [CB_LIBRARY_HEAP] = {"libcutback_preload.so", "../preload"},
    [CB_LIBRARY_DEBUG] = {"libcutback_preload_debug.so", "../preload"},
    [CB_LIBRARY_ONLY] = {"libcutback_only.so", "."},
    [CB_LIBRARY_RECORD] = {"libcutback_preload_record.so", "../preload/record"},
};

static char *own_folder(void) {
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0) {
        cb_die(CB_STATUS_OURS, "/proc is not there, which says where this program is");
    }
    path[length] = '\0';
    *strrchr(path, '/') = '\0';
    return cb_text("%s", path);
}

/* The resolved path of the file in a folder that is absolute or seen from `from`; NULL: it is not there. */
static char *look_in(const char *from, const char *folder, const char *file) {
    char *path = folder[0] == '/' ? cb_text("%s/%s", folder, file) : cb_text("%s/%s/%s", from, folder, file);
    char *resolved = realpath(path, NULL);
    free(path);
    return resolved;
}

/* Where it is installed, or where it was built. Ends the launcher where it is neither. */
static char *find(const char *file, const char *installed, const char *built) {
    char *folder = own_folder();
    char *path = look_in(folder, installed, file);
    if (path == NULL) {
        path = look_in(folder, built, file);
    }
    if (path == NULL) {
        cb_die(CB_STATUS_OURS, "%s is neither in %s/%s nor in a build folder around %s", file, folder,
               installed, folder);
    }
    free(folder);
    return path;
}

char *cb_place_library(enum cb_library library) {
    char *path = find(libraries[library].file, CB_LIBRARIES_FROM_LAUNCHER, libraries[library].built);
    if (strpbrk(path, " :") != NULL) {
        cb_die(CB_STATUS_OURS, "ld.so takes no library with a space or a colon in its path: move %s", path);
    }
    return path;
}

char *cb_place_replay(void) {
    return find("cutback-replay", ".", "../replay");
}

char *cb_place_report(void) {
    return find("report.py", CB_DATA_FROM_LAUNCHER, "../report");
}

/* The answer that execve would give. */
static int executable(const char *path) {
    struct stat status;
    if (stat(path, &status) != 0) {
        return errno;
    }
    if (S_ISDIR(status.st_mode)) {
        return EISDIR;
    }
    return !S_ISREG(status.st_mode) ? EACCES : access(path, X_OK) != 0 ? errno : 0;
}

static struct cb_place place_of(char *path, int error) {
    enum cb_status status = error == 0                            ? CB_STATUS_WORKS
                            : error == ENOENT || error == ENOTDIR ? CB_STATUS_MISSING
                                                                  : CB_STATUS_NO_EXEC;
    return (struct cb_place){path, status, error};
}

/* The first that can be executed; else the first that is there at all. */
static struct cb_place search(const char *name, const char *folders) {
    struct cb_place found = {NULL, CB_STATUS_MISSING, ENOENT};
    for (const char *at = folders; at != NULL && found.status != CB_STATUS_WORKS;) {
        size_t length = strcspn(at, ":");
        char *path = length == 0 ? cb_text("./%s", name) : cb_text("%.*s/%s", (int)length, at, name);
        struct cb_place here = place_of(path, executable(path));
        if (here.status == CB_STATUS_WORKS ||
            (found.status == CB_STATUS_MISSING && here.status == CB_STATUS_NO_EXEC && here.error != EISDIR)) {
            free(found.path);
            found = here;
        } else {
            free(path);
        }
        at = at[length] == ':' ? at + length + 1 : NULL;
    }
    return found;
}

struct cb_place cb_place_program(const char *name) {
    if (strchr(name, '/') != NULL) {
        return place_of(cb_text("%s", name), executable(name));
    }
    const char *folders = getenv("PATH");
    return name[0] == '\0' ? (struct cb_place){NULL, CB_STATUS_MISSING, ENOENT}
                           : search(name, folders != NULL ? folders : "/bin:/usr/bin");
}
