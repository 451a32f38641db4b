/*
 * check.c: what an executable says about itself. See check.h.
 *
 * Layer: launcher, above elf_file and libraries. Threads: one.
 */
#include "check.h"

#include "elf_file.h"
#include "libraries.h"
#include "place.h"
#include "say.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPTS_MOST 5  /* as deep as Linux follows scripts that are interpreted by scripts */
#define SCRIPT_LINE 256 /* bytes that Linux reads of the first line */

static void add(struct cb_findings *findings, bool against, const char *format, va_list values) {
    char *text;
    struct cb_finding *items = reallocarray(findings->items, findings->count + 1, sizeof *items);
    if (items == NULL || vasprintf(&text, format, values) < 0) {
        cb_die(CB_STATUS_OURS, "out of memory");
    }
    items[findings->count] = (struct cb_finding){against, text};
    findings->items = items;
    findings->count++;
    findings->against += against;
}

void cb_findings_against(struct cb_findings *findings, const char *format, ...) {
    va_list values;
    va_start(values, format);
    add(findings, true, format, values);
    va_end(values);
}

void cb_findings_remark(struct cb_findings *findings, const char *format, ...) {
    va_list values;
    va_start(values, format);
    add(findings, false, format, values);
    va_end(values);
}

/* ---- Rights: ld.so preloads nothing into a program that gains any ---- */

static bool has_capabilities(const char *path) {
    return getxattr(path, "security.capability", NULL, 0) > 0;
}

static void check_rights(struct cb_findings *findings, const char *path) {
    struct stat status;
    struct statvfs system;
    if (stat(path, &status) != 0) {
        return;
    }
    bool user = (status.st_mode & S_ISUID) != 0;
    bool group = (status.st_mode & S_ISGID) != 0 && (status.st_mode & S_IXGRP) != 0;
    bool capabilities = has_capabilities(path);
    if (!user && !group && !capabilities) {
        return;
    }
    const char *kind = user ? "setuid" : group ? "setgid" : "given capabilities";
    bool gains = (user && status.st_uid != getuid()) || (group && status.st_gid != getgid()) ||
                 (capabilities && getuid() != 0);
    bool ignored = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
                   (statvfs(path, &system) == 0 && (system.f_flag & ST_NOSUID) != 0);
    if (gains && !ignored) {
        cb_findings_against(
            findings,
            "it is %s, and ld.so preloads nothing into a program with more rights than its user: run "
            "cutback-run as the user whose rights it takes (sudo), or link it with -lcutback_malloc",
            kind);
    } else {
        cb_findings_remark(
            findings, "it is %s, which gives it no more rights here: it is preloaded all the same", kind);
    }
}

/* ---- Other allocators, by the names that they define ---- */

/* Names that only one malloc has, and who that is. Where the program defines one, it is built in. */
static const struct {
    const char *symbol, *owner;
    bool allocates; /* it returns, or takes, memory of that malloc, which no other knows */
} foreign_names[] = {
    {"mallctl", "jemalloc", false},
    {"malloc_stats_print", "jemalloc", false},
    {"mallocx", "jemalloc", true},
    {"rallocx", "jemalloc", true},
    {"xallocx", "jemalloc", true},
    {"sallocx", "jemalloc", true},
    {"dallocx", "jemalloc", true},
    {"sdallocx", "jemalloc", true},
    {"je_malloc", "jemalloc", true},
    {"je_mallocx", "jemalloc", true},
    {"_rjem_malloc", "jemalloc (Rust)", true},
    {"_rjem_mallocx", "jemalloc (Rust)", true},
    {"tc_malloc", "tcmalloc", true},
    {"tc_free", "tcmalloc", true},
    {"TCMallocInternalMalloc", "tcmalloc", true},
    {"mi_malloc", "mimalloc", true},
    {"mi_free", "mimalloc", true},
    {"rpmalloc", "rpmalloc", true},
    {"scalable_malloc", "TBB", true},
};
#define FOREIGN_NAMES (sizeof foreign_names / sizeof *foreign_names)

static const struct {
    const char *symbol, *name;
} sanitizers[] = {
    {"__asan_init", "AddressSanitizer"},     {"__tsan_init", "ThreadSanitizer"},
    {"__msan_init", "MemorySanitizer"},      {"__lsan_init", "LeakSanitizer"},
    {"__hwasan_init", "HWAddressSanitizer"},
};
#define SANITIZERS (sizeof sanitizers / sizeof *sanitizers)

struct symbols {
    bool defines_malloc, uses_malloc, has_cutback;
    const char *defines, *calls; /* of foreign_names; NULL: none */
    const char *defines_owner;
    const char *calls_owner; /* NULL: what it calls does not allocate */
    const char *sanitizer;
};

static bool note_symbol(const char *name, bool defined, void *context) {
    struct symbols *symbols = context;
    bool is_malloc = strcmp(name, "malloc") == 0 || strncmp(name, "malloc@", 7) == 0;
    symbols->defines_malloc |= defined && is_malloc;
    symbols->uses_malloc |= !defined && is_malloc;
    symbols->has_cutback |= defined && strcmp(name, "cb_heaps_each") == 0;
    for (size_t i = 0; i < FOREIGN_NAMES; i++) {
        if (strcmp(name, foreign_names[i].symbol) != 0) {
            continue;
        }
        if (defined) {
            symbols->defines = foreign_names[i].symbol;
            symbols->defines_owner = foreign_names[i].owner;
        } else if (foreign_names[i].allocates) {
            symbols->calls = foreign_names[i].symbol;
            symbols->calls_owner = foreign_names[i].owner;
        } else if (symbols->calls == NULL) {
            symbols->calls = foreign_names[i].symbol;
        }
    }
    for (size_t i = 0; i < SANITIZERS; i++) {
        if (strcmp(name, sanitizers[i].symbol) == 0) {
            symbols->sanitizer = sanitizers[i].name;
        }
    }
    return true;
}

static struct symbols read_symbols(const struct cb_elf *elf) {
    struct symbols symbols = {.defines_malloc = false};
    cb_elf_symbols(elf, CB_ELF_DYNAMIC_SYMBOLS, note_symbol, &symbols);
    cb_elf_symbols(elf, CB_ELF_ALL_SYMBOLS, note_symbol, &symbols);
    return symbols;
}

/* Its own calls stay within it, whoever comes before it. */
static bool is_symbolic(const struct cb_elf *elf) {
    return cb_elf_dynamic_flag(elf, DT_SYMBOLIC, 0) || cb_elf_dynamic_flag(elf, DT_FLAGS, DF_SYMBOLIC);
}

/* A library with a malloc, under the usual name or another, or that asks one by name. */
static void check_malloc_of_library(struct cb_findings *findings, const struct cb_needed *needed,
                                    const struct symbols *symbols) {
    char *which = cb_text("%s, %s%s%s", needed->name, needed->path, needed->by != NULL ? ", needed by " : "",
                          needed->by != NULL ? needed->by : "");
    if (symbols->defines_malloc && is_symbolic(&needed->elf)) {
        cb_findings_remark(
            findings,
            "a library has a malloc of its own and is bound to it (%s): what it allocates, the "
            "program cannot free: link that library without -Bsymbolic",
            which);
    } else if (symbols->defines_malloc) {
        cb_findings_remark(
            findings, "it is linked with another malloc (%s): cutback comes before it, and it is left unused",
            which);
    } else if (symbols->defines != NULL) {
        cb_findings_remark(
            findings,
            "a library has %s built in, under names of its own such as %s (%s): what asks that for "
            "memory does not run on cutback; build it with the system's malloc",
            symbols->defines_owner, symbols->defines, which);
    } else if (symbols->calls_owner != NULL) {
        cb_findings_remark(
            findings,
            "a library asks %s by name for memory, by %s (%s), which free would not know: build it "
            "with the system's malloc",
            symbols->calls_owner, symbols->calls, which);
    }
    free(which);
}

/* A library other than libc: a sanitizer, a malloc, cutback itself, or of no interest. */
static void check_library(const struct cb_needed *needed, void *context) {
    struct cb_findings *findings = context;
    if (needed->path == NULL) {
        cb_findings_against(findings, "the library %s, which %s needs, is not found: see ldd", needed->name,
                            needed->by != NULL ? needed->by : "it");
        return;
    }
    if (strncmp(needed->name, "libc.so.", 8) == 0 || strncmp(needed->name, "ld-linux", 8) == 0) {
        return;
    }
    if (strncmp(needed->name, "libcutback_malloc", 17) == 0) {
        cb_findings_remark(findings, "it is linked with %s already, and runs on cutback without cutback-run",
                           needed->name);
        return;
    }
    struct symbols symbols = {.defines_malloc = false};
    cb_elf_symbols(&needed->elf, CB_ELF_DYNAMIC_SYMBOLS, note_symbol, &symbols);
    if (symbols.sanitizer != NULL && symbols.defines_malloc) {
        cb_findings_against(findings,
                            "%s has a malloc of its own (%s), and must have it: build the program without it",
                            symbols.sanitizer, needed->name);
    } else {
        check_malloc_of_library(findings, needed, &symbols);
    }
}

static void check_symbols(struct cb_findings *findings, const struct cb_elf *elf) {
    struct symbols symbols = read_symbols(elf);
    if (symbols.sanitizer != NULL && symbols.defines_malloc) {
        cb_findings_against(findings,
                            "%s is built into it, with a malloc of its own: build the program without it",
                            symbols.sanitizer);
    } else if (symbols.defines_malloc && symbols.has_cutback) {
        cb_findings_remark(findings, "cutback is built into it already: it needs no cutback-run");
    } else if (symbols.defines_malloc) {
        cb_findings_against(
            findings,
            "it has a malloc built in%s%s%s, which comes before any library's: link it without, "
            "or with -lcutback_malloc instead",
            symbols.defines != NULL ? " (" : "", symbols.defines != NULL ? symbols.defines_owner : "",
            symbols.defines != NULL ? ")" : "");
    } else if (symbols.defines != NULL) {
        cb_findings_against(findings,
                            "it has %s built in, under names of its own (%s), and asks that for its memory: "
                            "build it with the system's malloc",
                            symbols.defines_owner, symbols.defines);
    } else if (symbols.calls != NULL && symbols.calls_owner != NULL) {
        cb_findings_against(
            findings,
            "it asks %s by name for memory (%s), which free would not know: build it with the "
            "system's malloc",
            symbols.calls_owner, symbols.calls);
    } else if (symbols.calls != NULL) {
        cb_findings_remark(findings,
                           "it asks another malloc for its figures (%s): they will be those of an unused one",
                           symbols.calls);
    }
}

/* ---- Executables ---- */

static const char *machine_name(unsigned machine) {
    switch (machine) {
    case EM_386:
        return "x86";
    case EM_X86_64:
        return "x86-64";
    case EM_ARM:
        return "ARM";
    case EM_AARCH64:
        return "AArch64";
    case EM_RISCV:
        return "RISC-V";
    case EM_PPC64:
        return "POWER";
    case EM_S390:
        return "s390";
    default:
        return "a machine of another kind";
    }
}

static bool uses_malloc(const struct cb_elf *elf) {
    return read_symbols(elf).uses_malloc;
}

static bool is_go(const struct cb_elf *elf) {
    return cb_elf_has_section(elf, ".go.buildinfo") || cb_elf_has_section(elf, ".note.go.buildid");
}

/* False: nothing more need be said of it. */
static bool check_kind(struct cb_findings *findings, const struct cb_elf *elf) {
    if (elf->kind == CB_ELF_FOREIGN && elf->bits != 64) {
        cb_findings_against(
            findings, "it is a 32-bit program, and cutback is for 64 bits only: use a 64-bit build of it");
    } else if (elf->kind == CB_ELF_FOREIGN) {
        cb_findings_against(
            findings, "it is for %s, and this cutback for another machine: use a cutback built for that",
            machine_name(elf->machine));
    } else if (elf->kind == CB_ELF_BROKEN || !elf->program) {
        cb_findings_against(findings, "it is damaged, or no program: build or install it anew");
    } else if (is_go(elf) && !uses_malloc(elf)) {
        cb_findings_against(
            findings, "it is a Go program: Go has an allocator of its own and calls no malloc; there is "
                      "nothing to gain");
    } else if (elf->interpreter == NULL) {
        cb_findings_against(
            findings, "it is linked statically, so that nothing can be preloaded: link it dynamically, or "
                      "with -lcutback_malloc");
    } else if (strstr(elf->interpreter, "ld-musl") != NULL) {
        cb_findings_against(findings, "it is linked with musl, and cutback needs glibc: build it for glibc");
    } else if (strstr(elf->interpreter, "ld-linux") == NULL && strstr(elf->interpreter, "ld64") == NULL) {
        cb_findings_against(findings, "its loader is %s, and not that of glibc: build it for glibc",
                            elf->interpreter);
    } else if (access(elf->interpreter, X_OK) != 0) {
        cb_findings_against(findings, "its loader %s: %s: install the libc that it was built for",
                            elf->interpreter, strerror(errno));
    } else {
        return true;
    }
    return false;
}

static void check_executable(struct cb_findings *findings, const struct cb_elf *elf, const char *path) {
    check_rights(findings, path);
    if (!check_kind(findings, elf)) {
        return;
    }
    if (is_go(elf)) {
        cb_findings_remark(findings, "it is a Go program: only what its C parts allocate comes from malloc");
    }
    check_symbols(findings, elf);
    cb_libraries_each_needed(path, check_library, findings);
}

/* ---- Scripts ---- */

/*
 * The words of the line after #!, as Linux splits them: the interpreter, and the rest as one. False: no
 * such line.
 */
static bool read_script(const char *path, char line[SCRIPT_LINE], char **interpreter, char **rest) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, line, SCRIPT_LINE - 1) : -1;
    if (file >= 0) {
        close(file);
    }
    if (length < 2 || line[0] != '#' || line[1] != '!') {
        return false;
    }
    line[length] = '\0';
    line[strcspn(line, "\n")] = '\0';
    *interpreter = line + 2 + strspn(line + 2, " \t");
    char *end = *interpreter + strcspn(*interpreter, " \t");
    *rest = end + strspn(end, " \t");
    *end = '\0';
    return true;
}

/*
 * The program that env(1) is to start, by its last words on the line of a script: options and settings of variables
 * come first.
 */
static char *program_of_env(char *rest) {
    for (char *word; (word = strsep(&rest, " \t")) != NULL;) {
        if (word[0] != '\0' && word[0] != '-' && strchr(word, '=') == NULL) {
            return word;
        }
    }
    return NULL;
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void check_at(struct cb_findings *findings, const char *path, unsigned depth);

static void check_script(struct cb_findings *findings, const char *path, unsigned depth) {
    char line[SCRIPT_LINE], *interpreter, *rest;
    if (!read_script(path, line, &interpreter, &rest)) {
        cb_findings_remark(findings,
                           "it is no executable of this system: execve refuses it, and /bin/sh runs it");
        check_at(findings, "/bin/sh", depth + 1);
        return;
    }
    char *name = strcmp(last_part(interpreter), "env") == 0 ? program_of_env(rest) : interpreter;
    struct cb_place place = cb_place_program(name != NULL ? name : interpreter);
    if (place.status != CB_STATUS_WORKS) {
        cb_findings_against(findings, "it is a script, and its interpreter %s: %s: install it",
                            name != NULL ? name : "", strerror(place.error));
    } else {
        cb_findings_remark(findings,
                           "it is a script: checked is its interpreter, %s, not what else the script starts",
                           place.path);
        check_at(findings, place.path, depth + 1);
    }
    free(place.path);
}

static void check_at(struct cb_findings *findings, const char *path, unsigned depth) {
    struct cb_elf elf;
    char *resolved = realpath(path, NULL);
    if (depth >= SCRIPTS_MOST) {
        cb_findings_against(findings,
                            "its interpreters are scripts, more than Linux follows: name a program after #!");
    } else if (resolved == NULL || !cb_elf_open(&elf, resolved)) {
        cb_findings_remark(findings, "it cannot be read (%s), so nothing is known of it: allow reading it",
                           strerror(errno));
        if (resolved != NULL) {
            check_rights(findings, resolved);
        }
    } else {
        if (elf.kind == CB_ELF_NONE) {
            check_script(findings, resolved, depth);
        } else {
            check_executable(findings, &elf, resolved);
        }
        cb_elf_close(&elf);
    }
    free(resolved);
}

void cb_check_program(struct cb_findings *findings, const char *path) {
    check_at(findings, path, 0);
}

void cb_check_print(const struct cb_findings *findings, const char *name, const char *path) {
    printf("%s (%s): %s\n", name, path, findings->against > 0 ? "will not work" : "works");
    for (size_t i = 0; i < findings->count; i++) {
        printf("  %-5s %s\n", findings->items[i].against ? "no:" : "note:", findings->items[i].text);
    }
}

/* The first that speaks against the program; NULL: nothing does. */
static const char *reason_against(const char *path, const char *library) {
    struct cb_findings findings = {.count = 0};
    cb_check_program(&findings, path);
    if (library != NULL) {
        cb_check_surroundings(&findings, library);
    }
    for (size_t i = 0; i < findings.count; i++) {
        if (findings.items[i].against) {
            return findings.items[i].text;
        }
    }
    return NULL;
}

void cb_check_refuse(const char *name, const char *path, const char *library) {
    const char *reason = reason_against(path, library);
    if (reason != NULL) {
        cb_die(CB_STATUS_FAILS, "%s will not work on cutback: %s", name, reason);
    }
}

void cb_check_warn(const char *name, const char *path) {
    const char *reason = reason_against(path, NULL);
    if (reason != NULL) {
        cb_say("%s runs without cutback, and tells nothing of itself: %s", name, reason);
    }
}
