/*
 * libraries.c: the search. See libraries.h.
 *
 * Layer: launcher, above cache and elf_file. Threads: one.
 */
#include "libraries.h"

#include "cache.h"
#include "say.h"

#include <dlfcn.h>
#include <elf.h>
#include <gnu/libc-version.h>
#include <stdlib.h>
#include <string.h>

#define NEEDED_MOST 1024u /* libraries that one program may need */
#define NOBODY SIZE_MAX

/* The program, and then each library that is needed, in the order in which ld.so comes to them. */
struct object {
    char *name;           /* as it is asked for */
    char *path;           /* NULL: not found */
    char *soname, *rpath; /* NULL: none, or the path is NULL */
    size_t by;            /* index of the first that needs it; of the program NOBODY */
};

struct walk {
    struct object *objects;
    size_t count;
};

/* ---- One file ---- */

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

/* ---- The system's folders ---- */

/* The folder of the C library, as ld.so has it for $LIB: lib/x86_64-linux-gnu, or lib64. */
static const char *library_folder(void) {
    static char *folder;
    Dl_info info;
    if (folder == NULL) {
        bool known = dladdr((void *)gnu_get_libc_version, &info) != 0 && info.dli_fname != NULL;
        const char *path = known ? info.dli_fname : "", *slash = strrchr(path, '/');
        path += strncmp(path, "/usr/", 5) == 0 ? 5 : path[0] == '/';
        folder = slash > path ? cb_text("%.*s", (int)(slash - path), path) : cb_text("lib");
    }
    return folder;
}

static char *find_in_cache(const char *name) {
    static struct cb_elf file; /* it is none; mapped once */
    static bool opened;
    if (!opened) {
        opened = true;
        cb_elf_open(&file, "/etc/ld.so.cache");
    }
    char *path = NULL;
    const char *listed;
    for (size_t n = 0; path == NULL && (listed = cb_cache_find(file.bytes, file.size, name, n)) != NULL;
         n++) {
        path = try_path(cb_text("%s", listed));
    }
    return path;
}

/* Where ld.so looks last, for every program. */
static char *find_in_system(const char *name) {
    static const char *const folders[] = {"/lib64", "/usr/lib64", "/lib", "/usr/lib"};
    char *path = find_in_cache(name);
    for (int i = 0; i < 2 && path == NULL; i++) {
        path = try_path(cb_text("%s/%s/%s", i == 0 ? "" : "/usr", library_folder(), name));
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders && path == NULL; i++) {
        path = try_path(cb_text("%s/%s", folders[i], name));
    }
    return path;
}

char *cb_libraries_find(const char *name) {
    char *path = find_in_system(name);
    return path != NULL ? path : try_path(cb_text("/usr/local/lib/%s", name));
}

/* ---- Lists of folders ---- */

/* Appends so many bytes. */
static char *extended(char *text, const char *more, size_t length) {
    char *longer = cb_text("%s%.*s", text, (int)length, more);
    free(text);
    return longer;
}

/* The value of $NAME or ${NAME} at `at`, and how many bytes that takes; NULL: it is no name of ld.so's. */
static const char *value_of(const char *at, size_t left, const char *origin, size_t *length) {
    const struct { const char *name, *value; } names[] = {{"ORIGIN", origin}, {"LIB", library_folder()}};
    bool braces = left > 1 && at[1] == '{';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t size = strlen(names[i].name), start = braces ? 2 : 1;
        if (left >= start + size + braces && strncmp(at + start, names[i].name, size) == 0 &&
            (!braces || at[start + size] == '}')) {
            *length = start + size + braces;
            return names[i].value;
        }
    }
    return NULL;
}

/* One folder of a list, or the path of a library, with these names put in; empty stands for the current folder. */
static char *expand(const char *folder, size_t length, const char *origin) {
    char *text = cb_text("%s", length == 0 ? "." : "");
    for (size_t at = 0; at < length;) {
        size_t taken = 1;
        const char *value = folder[at] == '$' ? value_of(folder + at, length - at, origin, &taken) : NULL;
        text = value != NULL ? extended(text, value, strlen(value)) : extended(text, folder + at, 1);
        at += taken;
    }
    return text;
}

/* The folder of a file. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? cb_text(".") : cb_text("%.*s", slash > path ? (int)(slash - path) : 1, path);
}

static char *find_in_list(const char *name, const char *folders, const char *separators,
                          const char *by_path) {
    char *path = NULL, *origin = folder_of(by_path);
    for (const char *at = folders; at != NULL && path == NULL;) {
        size_t length = strcspn(at, separators);
        char *folder = expand(at, length, origin);
        path = try_path(cb_text("%s/%s", folder, name));
        free(folder);
        at = at[length] != '\0' ? at + length + 1 : NULL;
    }
    free(origin);
    return path;
}

/* ---- One library ---- */

/* By the DT_RPATH of who asks, of who has asked for that, and so on up to the program. */
static char *find_by_rpath(const struct walk *walk, const char *name, size_t by) {
    char *path = NULL;
    for (size_t i = by; i != NOBODY && path == NULL; i = walk->objects[i].by) {
        path = find_in_list(name, walk->objects[i].rpath, ":", walk->objects[i].path);
    }
    return path;
}

static char *find_for(const struct walk *walk, const char *name, const struct cb_elf *elf, size_t by) {
    const char *by_path = walk->objects[by].path, *asked = getenv("LD_LIBRARY_PATH");
    const char *runpath = cb_elf_dynamic_string(elf, DT_RUNPATH, 0);
    if (strchr(name, '/') != NULL) {
        char *origin = folder_of(by_path), *path = try_path(expand(name, strlen(name), origin));
        free(origin);
        return path;
    }
    char *path = runpath == NULL ? find_by_rpath(walk, name, by) : NULL;
    if (path == NULL && asked != NULL && asked[0] != '\0') {
        path = find_in_list(name, asked, ":;", walk->objects[0].path);
    }
    if (path == NULL) {
        path = find_in_list(name, runpath, ":", by_path);
    }
    return path != NULL ? path : find_in_system(name);
}

/* ---- All that a program needs ---- */

static char *kept_string(const struct cb_elf *elf, int64_t tag) {
    const char *text = cb_elf_dynamic_string(elf, tag, 0);
    return text != NULL ? cb_text("%s", text) : NULL;
}

/* Takes over name and path. */
static void add(struct walk *walk, char *name, char *path, size_t by) {
    struct cb_elf elf;
    struct object object = {.name = name, .path = path, .by = by};
    struct object *objects = reallocarray(walk->objects, walk->count + 1, sizeof *objects);
    if (objects == NULL) {
        cb_die(CB_STATUS_OURS, "out of memory");
    }
    if (path != NULL && cb_elf_open(&elf, path)) {
        bool has_runpath =
            cb_elf_dynamic_string(&elf, DT_RUNPATH, 0) != NULL; /* then the other does not count */
        object.soname = kept_string(&elf, DT_SONAME);
        object.rpath = has_runpath ? NULL : kept_string(&elf, DT_RPATH);
        cb_elf_close(&elf);
    }
    objects[walk->count++] = object;
    walk->objects = objects;
}

/* A library is also known by the name that it gives itself, under whatever other it was found. */
static bool is_known(const struct walk *walk, const char *name) {
    for (size_t i = 1; i < walk->count; i++) {
        const struct object *object = &walk->objects[i];
        if (strcmp(object->name, name) == 0 ||
            (object->soname != NULL && strcmp(object->soname, name) == 0)) {
            return true;
        }
    }
    return false;
}

static void add_needed_by(struct walk *walk, const struct cb_elf *elf, size_t by) {
    const char *name;
    for (size_t n = 0; (name = cb_elf_dynamic_string(elf, DT_NEEDED, n)) != NULL; n++) {
        if (walk->count <= NEEDED_MOST && !is_known(walk, name)) {
            add(walk, cb_text("%s", name), find_for(walk, name, elf, by), by);
        }
    }
}

static void release(struct walk *walk) {
    for (size_t i = 0; i < walk->count; i++) {
        free(walk->objects[i].name);
        free(walk->objects[i].path);
        free(walk->objects[i].soname);
        free(walk->objects[i].rpath);
    }
    free(walk->objects);
}

void cb_libraries_each_needed(const char *program, void (*visit)(const struct cb_needed *, void *),
                              void *context) {
    struct walk walk = {.count = 0};
    add(&walk, cb_text("%s", program), cb_text("%s", program), NOBODY);
    for (size_t i = 0; i < walk.count; i++) {
        struct object object = walk.objects[i]; /* the array may move */
        struct cb_needed needed = {.name = object.name, .path = object.path};
        needed.by = i > 0 && object.by > 0 ? walk.objects[object.by].name : NULL;
        bool opened = needed.path != NULL && cb_elf_open(&needed.elf, needed.path);
        if (opened) {
            add_needed_by(&walk, &needed.elf, i);
        }
        if (i > 0) {
            needed.path = opened ? needed.path : NULL;
            visit(&needed, context);
        }
        if (opened) {
            cb_elf_close(&needed.elf);
        }
    }
    release(&walk);
}
