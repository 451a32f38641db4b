/*
 * environment.c: LD_PRELOAD and CUTBACK_OPTIONS. See environment.h.
 *
 * Layer: launcher, above libraries. Threads: one.
 */
#include "environment.h"

#include "elf_file.h"
#include "libraries.h"
#include "only.h"
#include "say.h"

#include "heap/options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEPARATORS " :" /* of LD_PRELOAD */

static void set(const char *name, const char *value) {
    if (setenv(name, value, 1) != 0) {
        cb_die(CB_STATUS_OURS, "out of memory");
    }
}

void cb_environment_set_preload(const char *list) {
    if (list[0] != '\0') {
        set("LD_PRELOAD", list);
    } else {
        unsetenv("LD_PRELOAD");
    }
}

/* `first`, unless NULL, and then what LD_PRELOAD holds and `keep` keeps. */
static void rebuild(const char *first, bool (*keep)(const char *entry, const char *first)) {
    const char *old = getenv("LD_PRELOAD");
    char *rest = cb_text("%s", old != NULL ? old : ""), *at = rest;
    char *list = cb_text("%s", first != NULL ? first : "");
    for (char *entry; (entry = strsep(&at, SEPARATORS)) != NULL;) {
        if (entry[0] != '\0' && keep(entry, first)) {
            char *longer = cb_text("%s%s%s", list, list[0] != '\0' ? ":" : "", entry);
            free(list);
            list = longer;
        }
    }
    cb_environment_set_preload(list);
    free(list);
    free(rest);
}

static bool is_other(const char *entry, const char *first) {
    return strcmp(entry, first) != 0;
}

void cb_environment_preload(const char *library) {
    rebuild(library, is_other);
}

bool cb_environment_option(const char *option) {
    struct cb_options read = cb_options;
    const char *equals = strchr(option, '=');
    if (equals == NULL || equals == option || strchr(option, ',') != NULL ||
        cb_options_parse(&read, option, true) != 0) {
        return false;
    }
    const char *old = getenv("CUTBACK_OPTIONS");
    char *list = cb_text("%s%s%s", old != NULL ? old : "", old != NULL && old[0] != '\0' ? "," : "", option);
    set("CUTBACK_OPTIONS", list);
    free(list);
    return true;
}

bool cb_environment_only_names(const char *names) {
    return names[0] != '\0' && names[0] != ',' && names[strlen(names) - 1] != ',' &&
           strstr(names, ",,") == NULL && strchr(names, '/') == NULL;
}

void cb_environment_only(const char *names, const char *library, const char *gate) {
    set(CB_ONLY_NAMES, names);
    if (library != NULL) {
        set(CB_ONLY_LIBRARY, library);
    } else {
        unsetenv(CB_ONLY_LIBRARY);
    }
    cb_environment_preload(gate);
}

static bool is_malloc(const char *name, bool defined, void *found) {
    if (defined && strcmp(name, "malloc") == 0) {
        *(bool *)found = true;
        return false;
    }
    return true;
}

bool cb_environment_is_malloc(const char *library) {
    struct cb_elf elf;
    bool found = false;
    char *path = strchr(library, '/') != NULL ? cb_text("%s", library) : cb_libraries_find(library);
    if (path != NULL && cb_elf_open(&elf, path)) {
        cb_elf_symbols(&elf, CB_ELF_DYNAMIC_SYMBOLS, is_malloc, &found);
        cb_elf_close(&elf);
    }
    free(path);
    return found;
}

void cb_environment_each_malloc(const char *except, void (*visit)(const char *entry, void *context),
                                void *context) {
    const char *list = getenv("LD_PRELOAD");
    char *rest = cb_text("%s", list != NULL ? list : ""), *at = rest;
    for (char *entry; (entry = strsep(&at, SEPARATORS)) != NULL;) {
        if (entry[0] != '\0' && (except == NULL || strcmp(entry, except) != 0) &&
            cb_environment_is_malloc(entry)) {
            visit(entry, context);
        }
    }
    free(rest);
}

static bool is_no_malloc(const char *entry, const char *first) {
    (void)first;
    return !cb_environment_is_malloc(entry);
}

void cb_environment_drop_mallocs(void) {
    rebuild(NULL, is_no_malloc);
}
