/*
 * elf_exercise.h: asks the reader of ELF files everything it can be asked, for files that may be anything.
 */
#ifndef CB_TESTS_ELF_EXERCISE_H
#define CB_TESTS_ELF_EXERCISE_H

#include "elf_file.h"

#include <elf.h>
#include <string.h>

/* Sums up what it is given, so that each byte of it is read. */
static inline bool elf_exercise_symbol(const char *name, bool defined, void *sum) {
    *(size_t *)sum += strlen(name) + defined;
    return true;
}

static inline size_t elf_exercise(const void *bytes, size_t size) {
    static const int64_t tags[] = {DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_SONAME};
    struct cb_elf elf = cb_elf_read(bytes, size);
    size_t sum = elf.kind;
    if (elf.kind != CB_ELF_NATIVE) {
        return sum;
    }
    sum += elf.interpreter != NULL ? strlen(elf.interpreter) : 0;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        const char *text;
        for (size_t n = 0; n < 64 && (text = cb_elf_dynamic_string(&elf, tags[i], n)) != NULL; n++) {
            sum += strlen(text);
        }
        sum += cb_elf_dynamic_flag(&elf, tags[i], i);
    }
    cb_elf_symbols(&elf, CB_ELF_DYNAMIC_SYMBOLS, elf_exercise_symbol, &sum);
    cb_elf_symbols(&elf, CB_ELF_ALL_SYMBOLS, elf_exercise_symbol, &sum);
    return sum + cb_elf_has_section(&elf, ".go.buildinfo");
}

#endif
