/*
 * only.c: libcutback_only.so, which --only preloads into every program of a tree, so that a few get another
 * library.
 *
 * A library cannot preload another into the process it is in. Where the program has one of the names, this
 * one executes it again, in the same process, with the other library at the head of LD_PRELOAD; there, it
 * takes it out of the environment again, so that what the program starts in turn begins like everything
 * else. So a program that is named costs one execve more, and all others no more than a library of a page.
 *
 * The names are compared with those under which the program was started: argv[0], the path given to execve
 * (a script's, where there is one), and the executable itself.
 *
 * Nothing is executed twice where that could do harm: when ld.so itself was started as the program (its
 * arguments are not the program's), or the library was asked for and is not there (ld.so has said so).
 *
 * Layer: beside the launcher; libc's system calls only, nothing that allocates: the library is initialised
 * before all others, so that none of them starts twice. Threads: one, at start.
 */
#include "only.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#define PRELOAD "LD_PRELOAD="

static char *value_of(char **environment, const char *name) {
    size_t length = strlen(name);
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=') {
            return *environment + length + 1;
        }
    }
    return NULL;
}

static bool is_named(const char *path, const char *names) {
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    size_t length = strlen(name);
    while (*names != '\0') {
        size_t each = strcspn(names, ",");
        if (each == length && length > 0 && strncmp(names, name, length) == 0) {
            return true;
        }
        names += each;
        names += *names == ',';
    }
    return false;
}

/* The path that execve was given, if that is the executable: under it the process keeps its name. */
static const char *path_to_execute(const char *given, const char *executable) {
    struct stat a, b;
    bool same = stat(given, &a) == 0 && stat("/proc/self/exe", &b) == 0 && a.st_dev == b.st_dev &&
                a.st_ino == b.st_ino;
    return same ? given : executable;
}

/* If `list` begins with this library, it is taken out, in place. */
static bool take_out(char *list, const char *library) {
    size_t length = strlen(library);
    if (strncmp(list, library, length) != 0 || list[length] != ':') {
        return false;
    }
    memmove(list, list + length + 1, strlen(list + length + 1) + 1);
    return true;
}

/* As now, but with the library before the others. Returns when that fails: then the program runs as it is. */
static void execute_again(const char *path, char **arguments, char **environment, const char *library) {
    size_t count = 0;
    while (environment[count] != NULL) {
        count++;
    }
    const char *list = value_of(environment, "LD_PRELOAD");
    size_t length = strlen(library), more = strlen(list);
    char entry[sizeof PRELOAD + length + 1 + more];
    char *changed[count + 1];
    memcpy(entry, PRELOAD, sizeof PRELOAD - 1);
    memcpy(entry + sizeof PRELOAD - 1, library, length);
    entry[sizeof PRELOAD - 1 + length] = ':';
    memcpy(entry + sizeof PRELOAD + length, list, more + 1);
    for (size_t i = 0; i <= count; i++) {
        bool is_list = environment[i] != NULL && environment[i] + sizeof PRELOAD - 1 == list;
        changed[i] = is_list ? entry : environment[i];
    }
    execve(path, arguments, changed);
}

static __attribute__((constructor)) void only(int count, char **arguments, char **environment) {
    char executable[PATH_MAX];
    char *names = value_of(environment, CB_ONLY_NAMES), *library = value_of(environment, CB_ONLY_LIBRARY);
    char *list = value_of(environment, "LD_PRELOAD");
    if (names == NULL || library == NULL || list == NULL || take_out(list, library) ||
        getauxval(AT_BASE) == 0) {
        return;
    }
    ssize_t length = readlink("/proc/self/exe", executable, sizeof executable - 1);
    if (length <= 0) {
        return;
    }
    executable[length] = '\0';
    const char *given = (const char *)getauxval(AT_EXECFN);
    given = given != NULL ? given : executable;
    if (is_named(executable, names) || is_named(given, names) ||
        (count > 0 && is_named(arguments[0], names))) {
        execute_again(path_to_execute(given, executable), arguments, environment, library);
    }
}
