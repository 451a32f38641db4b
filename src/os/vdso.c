/*
 * vdso.c: finds a function in the kernel's image by its ELF tables. See vdso.h.
 *
 * Layer: os. Threads: any. Nothing of libc is called: the loader's functions for this could be interposed,
 * and may allocate.
 */
#include "os/vdso.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>

/* The tables of the image; NULL: it has none. */
struct tables {
    const Elf64_Sym *symbol;
    const char *string;
    const uint32_t *hash, *gnu_hash; /* words of 32 bits, but for the filter in the second */
};

static bool same(const char *a, const char *b) {
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static void read_dynamic(const Elf64_Dyn *entry, uintptr_t base, struct tables *tables) {
    for (; entry->d_tag != DT_NULL; entry++) {
        uintptr_t at = base + entry->d_un.d_ptr;
        switch (entry->d_tag) {
        case DT_SYMTAB:
            tables->symbol = (const Elf64_Sym *)at;
            break;
        case DT_STRTAB:
            tables->string = (const char *)at;
            break;
        case DT_HASH:
            tables->hash = (const uint32_t *)at;
            break;
        case DT_GNU_HASH:
            tables->gnu_hash = (const uint32_t *)at;
            break;
        default:
            break;
        }
    }
}

/* The tables say how many symbols there are only by the way: the old hash has a chain for each; of the new
 * one the last chain ends with the last symbol. */
static size_t count_symbols(const struct tables *tables) {
    if (tables->hash != NULL) {
        return tables->hash[1];
    }
    if (tables->gnu_hash == NULL) {
        return 0;
    }
    size_t buckets = tables->gnu_hash[0], first = tables->gnu_hash[1], last = 0;
    const uint32_t *bucket = tables->gnu_hash + 4 + tables->gnu_hash[2] * 2;
    const uint32_t *chain = bucket + buckets;
    for (size_t i = 0; i < buckets; i++) {
        last = bucket[i] > last ? bucket[i] : last;
    }
    if (last < first) {
        return 0;
    }
    while ((chain[last - first] & 1) == 0) {
        last++;
    }
    return last + 1;
}

uintptr_t cb_vdso_find(uintptr_t image, const char *name) {
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)image;
    if (image == 0) {
        return 0;
    }
    const Elf64_Phdr *part = (const Elf64_Phdr *)(image + header->e_phoff), *dynamic = NULL, *load = NULL;
    for (size_t i = 0; i < header->e_phnum; i++) {
        if (part[i].p_type == PT_DYNAMIC) {
            dynamic = &part[i];
        } else if (part[i].p_type == PT_LOAD && load == NULL) {
            load = &part[i];
        }
    }
    if (dynamic == NULL || load == NULL) {
        return 0;
    }
    struct tables tables = {NULL, NULL, NULL, NULL};
    uintptr_t base = image + load->p_offset - load->p_vaddr;
    read_dynamic((const Elf64_Dyn *)(base + dynamic->p_vaddr), base, &tables);
    size_t count = tables.symbol != NULL && tables.string != NULL ? count_symbols(&tables) : 0;
    for (size_t i = 0; i < count; i++) {
        const Elf64_Sym *symbol = &tables.symbol[i];
        if (symbol->st_shndx != SHN_UNDEF && (symbol->st_info & 15) == STT_FUNC &&
            same(tables.string + symbol->st_name, name)) {
            return base + symbol->st_value;
        }
    }
    return 0;
}
