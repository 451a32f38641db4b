/*
 * elf_file.c: the reader. See elf_file.h.
 *
 * Layer: launcher, above nothing. Threads: any, one for each file.
 */
#include "elf_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if UINTPTR_MAX == UINT64_MAX
#define NATIVE_CLASS ELFCLASS64
#else
#define NATIVE_CLASS ELFCLASS32
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE_ORDER ELFDATA2LSB
#else
#define NATIVE_ORDER ELFDATA2MSB
#endif
#if defined(__x86_64__)
#define NATIVE_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define NATIVE_MACHINE EM_AARCH64
#elif defined(__riscv)
#define NATIVE_MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define NATIVE_MACHINE EM_PPC64
#elif defined(__s390x__)
#define NATIVE_MACHINE EM_S390
#elif defined(__loongarch__)
#define NATIVE_MACHINE 258 /* EM_LOONGARCH, which older headers do not have */
#else
#define NATIVE_MACHINE EM_NONE /* not known: any machine of this class and order passes */
#endif

static bool within(const struct cb_elf *elf, uint64_t start, uint64_t length) {
    return start <= elf->size && length <= elf->size - start;
}

/* Copies, since nothing in a file need be aligned. */
static bool fetch(const struct cb_elf *elf, uint64_t start, void *to, size_t length) {
    if (elf->bytes == NULL || !within(elf, start, length)) {
        return false;
    }
    memcpy(to, elf->bytes + start, length);
    return true;
}

/* The n-th of equal entries in a part. */
static bool fetch_entry(const struct cb_elf *elf, struct cb_elf_part part, uint64_t n, void *to,
                        size_t length) {
    return n < part.length / length && fetch(elf, part.start + n * length, to, length);
}

#define STRING_MOST                                                                                          \
    65536u /* bytes: a file without a zero byte must not be read once for each of its symbols */

/* The string at this offset of a part, if it ends within it. */
static const char *string_at(const struct cb_elf *elf, struct cb_elf_part part, uint64_t offset) {
    if (!within(elf, part.start, part.length) || offset >= part.length) {
        return NULL;
    }
    const char *text = (const char *)elf->bytes + part.start + offset;
    uint64_t most = part.length - offset < STRING_MOST ? part.length - offset : STRING_MOST;
    return memchr(text, '\0', most) != NULL ? text : NULL;
}

static bool segment(const struct cb_elf *elf, uint64_t n, ElfW(Phdr) * to) {
    return n < elf->segment_count && fetch(elf, elf->segments + n * sizeof *to, to, sizeof *to);
}

static bool section(const struct cb_elf *elf, uint64_t n, ElfW(Shdr) * to) {
    return n < elf->section_count && fetch(elf, elf->sections + n * sizeof *to, to, sizeof *to);
}

/* Where in the file the byte for this address of the process lies, and how many of the file follow it. */
static struct cb_elf_part part_at_address(const struct cb_elf *elf, uint64_t address) {
    ElfW(Phdr) load;
    for (uint64_t i = 0; segment(elf, i, &load); i++) {
        if (load.p_type == PT_LOAD && address >= load.p_vaddr && address - load.p_vaddr < load.p_filesz &&
            within(elf, load.p_offset, load.p_filesz)) {
            uint64_t into = address - load.p_vaddr;
            return (struct cb_elf_part){load.p_offset + into, load.p_filesz - into};
        }
    }
    return (struct cb_elf_part){0, 0};
}

static bool dynamic_entry(const struct cb_elf *elf, uint64_t n, ElfW(Dyn) * to) {
    return fetch_entry(elf, elf->dynamic_part, n, to, sizeof *to) && to->d_tag != DT_NULL;
}

static void find_dynamic_strings(struct cb_elf *elf) {
    ElfW(Dyn) entry;
    uint64_t length = 0;
    for (uint64_t i = 0; dynamic_entry(elf, i, &entry); i++) {
        if (entry.d_tag == DT_STRTAB) {
            elf->dynamic_strings = part_at_address(elf, entry.d_un.d_ptr);
        } else if (entry.d_tag == DT_STRSZ) {
            length = entry.d_un.d_val;
        }
    }
    if (length < elf->dynamic_strings.length) {
        elf->dynamic_strings.length = length;
    }
}

/* False: a segment that ld.so needs lies outside of the file. */
static bool read_segments(struct cb_elf *elf) {
    ElfW(Phdr) each;
    for (uint64_t i = 0; i < elf->segment_count; i++) {
        if (!segment(elf, i, &each)) {
            return false;
        }
        bool wanted = each.p_type == PT_INTERP || each.p_type == PT_DYNAMIC || each.p_type == PT_LOAD;
        if (wanted && !within(elf, each.p_offset, each.p_filesz)) {
            return false;
        }
        struct cb_elf_part part = {each.p_offset, each.p_filesz};
        if (each.p_type == PT_INTERP) {
            elf->interpreter = string_at(elf, part, 0);
            if (elf->interpreter == NULL) {
                return false;
            }
        } else if (each.p_type == PT_DYNAMIC) {
            elf->dynamic = true;
            elf->dynamic_part = part;
        }
    }
    find_dynamic_strings(elf);
    return true;
}

/* Sections are of no use to ld.so: those of a file that is otherwise in order may be missing or wrong. */
static void read_sections(struct cb_elf *elf, const ElfW(Ehdr) * header) {
    ElfW(Shdr) first;
    if (header->e_shoff == 0 || header->e_shentsize != sizeof first ||
        !fetch(elf, header->e_shoff, &first, sizeof first)) {
        return;
    }
    elf->sections = header->e_shoff;
    elf->section_count =
        header->e_shnum != 0 ? header->e_shnum : first.sh_size; /* more than fit into e_shnum */
    elf->section_names = header->e_shstrndx != SHN_XINDEX ? header->e_shstrndx : first.sh_link;
    uint64_t room = (elf->size - elf->sections) / sizeof first;
    if (elf->section_count > room) {
        elf->section_count = room;
    }
}

static bool read_native(struct cb_elf *elf, const ElfW(Ehdr) * header) {
    elf->program = header->e_type == ET_EXEC || header->e_type == ET_DYN;
    if (header->e_phnum != 0 && header->e_phentsize != sizeof(ElfW(Phdr))) {
        return false;
    }
    elf->segments = header->e_phoff;
    elf->segment_count = header->e_phnum;
    if (!within(elf, elf->segments, elf->segment_count * sizeof(ElfW(Phdr))) || !read_segments(elf)) {
        return false;
    }
    read_sections(elf, header);
    return true;
}

static bool is_native(const ElfW(Ehdr) * header) {
    return header->e_ident[EI_CLASS] == NATIVE_CLASS && header->e_ident[EI_DATA] == NATIVE_ORDER &&
           (NATIVE_MACHINE == EM_NONE || header->e_machine == NATIVE_MACHINE);
}

struct cb_elf cb_elf_read(const void *bytes, size_t size) {
    struct cb_elf elf = {.bytes = bytes, .size = size, .kind = CB_ELF_NONE};
    ElfW(Ehdr) header;
    unsigned char ident[EI_NIDENT + 4]; /* up to e_machine, which is at the same place in each class */
    if (!fetch(&elf, 0, ident, SELFMAG) || memcmp(ident, ELFMAG, SELFMAG) != 0) {
        return elf;
    }
    elf.kind = CB_ELF_BROKEN;
    if (!fetch(&elf, 0, ident, sizeof ident)) {
        return elf;
    }
    elf.bits = ident[EI_CLASS] == ELFCLASS64 ? 64 : ident[EI_CLASS] == ELFCLASS32 ? 32 : 0;
    bool big = ident[EI_DATA] == ELFDATA2MSB;
    elf.machine = (unsigned)ident[big ? EI_NIDENT + 2 : EI_NIDENT + 3] << 8 |
                  ident[big ? EI_NIDENT + 3 : EI_NIDENT + 2];
    memset(&header, 0, sizeof header);
    memcpy(header.e_ident, ident, EI_NIDENT);
    header.e_machine = (uint16_t)elf.machine;
    if (!is_native(&header)) {
        elf.kind = elf.bits != 0 ? CB_ELF_FOREIGN : CB_ELF_BROKEN;
    } else if (fetch(&elf, 0, &header, sizeof header) && read_native(&elf, &header)) {
        elf.kind = CB_ELF_NATIVE;
    }
    return elf;
}

bool cb_elf_open(struct cb_elf *elf, const char *path) {
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        return false;
    }
    void *bytes = NULL;
    bool good = fstat(file, &status) == 0;
    if (good && !S_ISREG(status.st_mode)) {
        errno = EINVAL;
        good = false;
    }
    if (good && status.st_size > 0) {
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        good = bytes != MAP_FAILED;
    }
    int error = errno;
    close(file);
    errno = error;
    if (good) {
        *elf = cb_elf_read(bytes, (size_t)status.st_size);
    }
    return good;
}

void cb_elf_close(struct cb_elf *elf) {
    if (elf->size > 0) {
        munmap((void *)elf->bytes, elf->size);
    }
}

const char *cb_elf_dynamic_string(const struct cb_elf *elf, int64_t tag, size_t n) {
    ElfW(Dyn) entry;
    for (uint64_t i = 0; dynamic_entry(elf, i, &entry); i++) {
        if (entry.d_tag == tag && n-- == 0) {
            return string_at(elf, elf->dynamic_strings, entry.d_un.d_val);
        }
    }
    return NULL;
}

bool cb_elf_dynamic_flag(const struct cb_elf *elf, int64_t tag, uint64_t bits) {
    ElfW(Dyn) entry;
    for (uint64_t i = 0; dynamic_entry(elf, i, &entry); i++) {
        if (entry.d_tag == tag && (bits == 0 || (entry.d_un.d_val & bits) != 0)) {
            return true;
        }
    }
    return false;
}

static bool find_section(const struct cb_elf *elf, uint32_t type, ElfW(Shdr) * to) {
    for (uint64_t i = 0; section(elf, i, to); i++) {
        if (to->sh_type == type) {
            return true;
        }
    }
    return false;
}

bool cb_elf_symbols(const struct cb_elf *elf, enum cb_elf_table table, cb_elf_visit *visit, void *context) {
    ElfW(Shdr) symbols, strings;
    if (!find_section(elf, table == CB_ELF_DYNAMIC_SYMBOLS ? SHT_DYNSYM : SHT_SYMTAB, &symbols) ||
        !section(elf, symbols.sh_link, &strings) || strings.sh_type != SHT_STRTAB ||
        !within(elf, symbols.sh_offset, symbols.sh_size)) {
        return false;
    }
    struct cb_elf_part entries = {symbols.sh_offset, symbols.sh_size};
    struct cb_elf_part names = {strings.sh_offset, strings.sh_size};
    ElfW(Sym) symbol;
    for (uint64_t i = 0; fetch_entry(elf, entries, i, &symbol, sizeof symbol); i++) {
        const char *name = string_at(elf, names, symbol.st_name);
        bool defined = symbol.st_shndx != SHN_UNDEF;
        bool maybe = !defined && ELF64_ST_BIND(symbol.st_info) == STB_WEAK;
        if (name != NULL && name[0] != '\0' && !maybe && !visit(name, defined, context)) {
            break;
        }
    }
    return true;
}

bool cb_elf_has_section(const struct cb_elf *elf, const char *name) {
    ElfW(Shdr) names, each;
    if (!section(elf, elf->section_names, &names)) {
        return false;
    }
    struct cb_elf_part part = {names.sh_offset, names.sh_size};
    for (uint64_t i = 0; section(elf, i, &each); i++) {
        const char *this = string_at(elf, part, each.sh_name);
        if (this != NULL && strcmp(this, name) == 0) {
            return true;
        }
    }
    return false;
}
