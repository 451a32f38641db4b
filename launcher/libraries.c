/*
 * libraries.c: the search. See libraries.h.
 *
 * Layer: launcher, above elf_file. Threads: one.
 */
#include "libraries.h"

#include "say.h"

#include <elf.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INCLUDES 8        /* how deep files of ld.so.conf include each other */
#define NEEDED_MOST 1024u /* libraries that one program may need */

struct list {
    char **items;
    size_t count;
};

static void add(struct list *list, char *item) {
    char **items = reallocarray(list->items, list->count + 1, sizeof *items);
    if (items == NULL) {
        cb_die(CB_STATUS_OURS, "out of memory");
    }
    items[list->count++] = item;
    list->items = items;
}

static bool has(const struct list *list, const char *item) {
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], item) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- The system's folders ---- */

static void read_configuration(struct list *folders, const char *path, unsigned depth);

static void include(struct list *folders, const char *pattern, unsigned depth) {
    glob_t found;
    char *whole = pattern[0] == '/' ? cb_text("%s", pattern) : cb_text("/etc/%s", pattern);
    if (glob(whole, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            read_configuration(folders, found.gl_pathv[i], depth + 1);
        }
        globfree(&found);
    }
    free(whole);
}

static void read_configuration(struct list *folders, const char *path, unsigned depth) {
    FILE *file = depth < INCLUDES ? fopen(path, "re") : NULL;
    char *line = NULL;
    size_t room = 0;
    while (file != NULL && getline(&line, &room, file) >= 0) {
        line[strcspn(line, "#\n")] = '\0';
        char *rest = line, *word = strtok_r(line, " \t", &rest);
        if (word != NULL && strcmp(word, "include") == 0) {
            while ((word = strtok_r(NULL, " \t", &rest)) != NULL) {
                include(folders, word, depth);
            }
        } else if (word != NULL && word[0] == '/') {
            add(folders, cb_text("%s", word));
        }
    }
    free(line);
    if (file != NULL) {
        fclose(file);
    }
}

static const struct list *system_folders(void) {
    static struct list folders;
    static const char *const usual[] = {"/lib64",   "/usr/lib64",     "/lib",
                                        "/usr/lib", "/usr/local/lib", "/usr/local/lib64"};
    if (folders.count == 0) {
        read_configuration(&folders, "/etc/ld.so.conf", 0);
        for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
            add(&folders, cb_text("%s", usual[i]));
        }
    }
    return &folders;
}

/* ---- One library ---- */

static char *try_path(char *path) {
    struct cb_elf elf;
    if (cb_elf_open(&elf, path)) {
        bool good = elf.kind == CB_ELF_NATIVE;
        cb_elf_close(&elf);
        if (good) {
            return path;
        }
    }
    free(path);
    return NULL;
}

char *cb_libraries_find(const char *name) {
    const struct list *folders = system_folders();
    char *path = NULL;
    for (size_t i = 0; i < folders->count && path == NULL; i++) {
        path = try_path(cb_text("%s/%s", folders->items[i], name));
    }
    return path;
}

/* One folder of a path list, with $ORIGIN put in; empty stands for the current one. */
static char *expand(const char *folder, size_t length, const char *origin) {
    static const char *const names[] = {"$ORIGIN", "${ORIGIN}"};
    for (size_t i = 0; i < 2; i++) {
        size_t skip = strlen(names[i]);
        if (length >= skip && strncmp(folder, names[i], skip) == 0) {
            const char *slash = strrchr(origin, '/');
            return cb_text("%.*s%.*s", slash != NULL ? (int)(slash - origin) : 1,
                           slash != NULL ? origin : ".", (int)(length - skip), folder + skip);
        }
    }
    return length == 0 ? cb_text(".") : cb_text("%.*s", (int)length, folder);
}

static char *find_in_list(const char *name, const char *folders, const char *separators, const char *origin) {
    char *path = NULL;
    for (const char *at = folders; at != NULL && path == NULL;) {
        size_t length = strcspn(at, separators);
        char *folder = expand(at, length, origin);
        path = try_path(cb_text("%s/%s", folder, name));
        free(folder);
        at = at[length] != '\0' ? at + length + 1 : NULL;
    }
    return path;
}

/* Who asks: the folders that are its own are looked at, and before them those of the program. */
static char *find_for(const char *name, const struct cb_elf *by, const char *by_path,
                      const struct cb_elf *program, const char *program_path) {
    if (strchr(name, '/') != NULL) {
        return try_path(expand(name, strlen(name), by_path));
    }
    const char *own = cb_elf_dynamic_string(by, DT_RUNPATH, 0);
    char *path = NULL;
    if (own == NULL) {
        path = find_in_list(name, cb_elf_dynamic_string(by, DT_RPATH, 0), ":", by_path);
        if (path == NULL) {
            path = find_in_list(name, cb_elf_dynamic_string(program, DT_RPATH, 0), ":", program_path);
        }
    }
    if (path == NULL) {
        const char *asked = getenv("LD_LIBRARY_PATH");
        path = asked != NULL && asked[0] != '\0' ? find_in_list(name, asked, ":;", by_path) : NULL;
    }
    if (path == NULL) {
        path = find_in_list(name, own, ":", by_path);
    }
    return path != NULL ? path : cb_libraries_find(name);
}

/* ---- All that a program needs ---- */

struct walk {
    struct list names, paths; /* of equal length; a path may be NULL */
    const struct cb_elf *program;
    const char *program_path;
};

static void add_needed_by(struct walk *walk, const struct cb_elf *by, const char *by_path) {
    const char *name;
    for (size_t n = 0; (name = cb_elf_dynamic_string(by, DT_NEEDED, n)) != NULL; n++) {
        if (walk->names.count < NEEDED_MOST && !has(&walk->names, name)) {
            add(&walk->paths, find_for(name, by, by_path, walk->program, walk->program_path));
            add(&walk->names, cb_text("%s", name));
        }
    }
}

static void release(struct list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
}

void cb_libraries_each_needed(const char *program, void (*visit)(const struct cb_needed *, void *),
                              void *context) {
    struct cb_elf elf;
    if (!cb_elf_open(&elf, program)) {
        return;
    }
    struct walk walk = {.program = &elf, .program_path = program};
    add_needed_by(&walk, &elf, program);
    for (size_t i = 0; i < walk.names.count; i++) {
        struct cb_needed needed = {.name = walk.names.items[i], .path = walk.paths.items[i]};
        if (needed.path != NULL && cb_elf_open(&needed.elf, needed.path)) {
            add_needed_by(&walk, &needed.elf, needed.path);
            visit(&needed, context);
            cb_elf_close(&needed.elf);
        } else {
            needed.path = NULL;
            visit(&needed, context);
        }
    }
    release(&walk.names);
    release(&walk.paths);
    cb_elf_close(&elf);
}
