/*
 * elf_file.h: reads what --check asks of an executable or a library: its kind, its interpreter, the
 * libraries it needs, the symbols it defines and uses.
 *
 * The file may be anything at all: each offset and length in it is checked against its size before it is
 * used. Files of the other class or byte order are recognised and no further read.
 *
 * Layer: launcher, above nothing. Threads: any, one for each file.
 */
#ifndef CB_LAUNCHER_ELF_FILE_H
#define CB_LAUNCHER_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cb_elf_kind {
    CB_ELF_NONE,    /* not an ELF file */
    CB_ELF_FOREIGN, /* another class, byte order or machine than the launcher's own */
    CB_ELF_BROKEN,  /* begins like one of ours, and what follows contradicts itself or the size of the file */
    CB_ELF_NATIVE,
};

/* A stretch of the file that lies within it. */
struct cb_elf_part {
    uint64_t start, length; /* bytes */
};

struct cb_elf {
    const unsigned char *bytes;
    size_t size; /* bytes */

    enum cb_elf_kind kind;
    unsigned bits, machine; /* of foreign ones too; 0 where the header does not say */

    /* The rest is of native ones alone. */
    bool program;            /* ET_EXEC or ET_DYN */
    bool dynamic;            /* has a dynamic section: ld.so takes part */
    const char *interpreter; /* in the file; NULL: none */
    uint64_t segments, segment_count;
    uint64_t sections, section_count; /* 0: no section headers */
    uint64_t section_names;           /* index of the section that holds the names; 0: none */
    struct cb_elf_part dynamic_part, dynamic_strings;
};

/* Reads the headers of a file in memory, which must outlive the result. Never fails: see `kind`. */
struct cb_elf cb_elf_read(const void *bytes, size_t size);

/*
 * Maps the file and reads its headers. False, with errno set, where it cannot be opened or is no regular
 * file. An empty file is CB_ELF_NONE. A file that somebody truncates in the meantime ends the launcher by
 * SIGBUS.
 */
bool cb_elf_open(struct cb_elf *elf, const char *path);
void cb_elf_close(struct cb_elf *elf);

/*
 * The n-th string of this tag (DT_NEEDED, DT_RPATH, ...) in the dynamic section, in the file; NULL: there
 * is none.
 */
const char *cb_elf_dynamic_string(const struct cb_elf *elf, int64_t tag, size_t n);

/* Whether the dynamic section has an entry of this tag with one of these bits, or at all where there are none. */
bool cb_elf_dynamic_flag(const struct cb_elf *elf, int64_t tag, uint64_t bits);

enum cb_elf_table { CB_ELF_DYNAMIC_SYMBOLS, CB_ELF_ALL_SYMBOLS };

/*
 * Calls `visit` for each symbol with a name, until it returns false. Weak ones that the file does not
 * define are left out: the program can do without them. Returns false where there is no such table.
 */
typedef bool cb_elf_visit(const char *name, bool defined, void *context);
bool cb_elf_symbols(const struct cb_elf *elf, enum cb_elf_table table, cb_elf_visit *visit, void *context);

bool cb_elf_has_section(const struct cb_elf *elf, const char *name);

#endif
