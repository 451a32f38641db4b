/*
 * test_elf.c: the reader of ELF files reads a good one, and nothing beyond the end of any.
 *
 * Each file it is given ends where a page begins that must not be touched: one byte too far is a SIGSEGV,
 * in every kind of build.
 *
 * Environment: CUTBACK_SAMPLE, an executable of this system, small, with its symbols.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "elf_exercise.h"

#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/random.h"

#define DAMAGED 30000 /* files */

static unsigned char *good; /* the sample */
static size_t good_size;
static unsigned char *fence; /* room for a file before a page without access */

static int set_up(void **state) {
    (void)state;
    FILE *file = fopen(getenv("CUTBACK_SAMPLE"), "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    good_size = (size_t)ftell(file);
    rewind(file);
    good = malloc(good_size);
    assert_non_null(good);
    assert_int_equal(fread(good, 1, good_size, file), good_size);
    fclose(file);
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (good_size + page) & ~(page - 1);
    unsigned char *memory =
        mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    fence = memory + room;
    assert_int_equal(mprotect(fence, page, PROT_NONE), 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    free(good);
    return 0;
}

/* A file of this size at the fence. */
static unsigned char *at_fence(size_t size) {
    return memcpy(fence - size, good, size);
}

static bool find_main(const char *name, bool defined, void *found) {
    *(bool *)found |= defined && strcmp(name, "main") == 0;
    return true;
}

static bool find_malloc(const char *name, bool defined, void *found) {
    *(bool *)found |= !defined && strcmp(name, "malloc") == 0;
    return true;
}

static void test_good(void **state) {
    (void)state;
    struct cb_elf elf = cb_elf_read(at_fence(good_size), good_size);
    assert_int_equal(elf.kind, CB_ELF_NATIVE);
    assert_true(elf.program && elf.dynamic);
    assert_non_null(strstr(elf.interpreter, "ld"));
    bool libc = false, has_main = false, uses_malloc = false;
    const char *name;
    for (size_t n = 0; (name = cb_elf_dynamic_string(&elf, DT_NEEDED, n)) != NULL; n++) {
        libc |= strncmp(name, "libc.so", 7) == 0;
    }
    assert_true(libc);
    assert_true(cb_elf_symbols(&elf, CB_ELF_ALL_SYMBOLS, find_main, &has_main) && has_main);
    assert_true(cb_elf_symbols(&elf, CB_ELF_DYNAMIC_SYMBOLS, find_malloc, &uses_malloc));
    assert_true(uses_malloc);
    assert_true(cb_elf_has_section(&elf, ".dynamic"));
    assert_false(cb_elf_has_section(&elf, ".go.buildinfo"));
}

static void test_other_kinds(void **state) {
    (void)state;
    unsigned char *file = at_fence(good_size);
    file[EI_CLASS] = file[EI_CLASS] == ELFCLASS64 ? ELFCLASS32 : ELFCLASS64;
    struct cb_elf elf = cb_elf_read(file, good_size);
    assert_int_equal(elf.kind, CB_ELF_FOREIGN);
    assert_int_equal(elf.bits, sizeof(void *) == 8 ? 32 : 64);
    file = at_fence(good_size);
    file[EI_DATA] = ELFDATA2MSB;
    file[offsetof(ElfW(Ehdr), e_machine)] = 0;
    file[offsetof(ElfW(Ehdr), e_machine) + 1] = EM_S390;
    elf = cb_elf_read(file, good_size);
    assert_int_equal(elf.kind, CB_ELF_FOREIGN);
    assert_int_equal(elf.machine, EM_S390);
    at_fence(good_size)[EI_CLASS] = 9;
    assert_int_equal(cb_elf_read(fence - good_size, good_size).kind, CB_ELF_BROKEN);
    assert_int_equal(cb_elf_read("#!/bin/sh\n", 10).kind, CB_ELF_NONE);
    assert_int_equal(cb_elf_read("", 0).kind, CB_ELF_NONE);
}

/* Whatever is cut off, and where segments are missing it is said. */
static void test_truncated(void **state) {
    (void)state;
    for (size_t size = 0; size < good_size; size += size < 4096 ? 1 : 61) {
        elf_exercise(at_fence(size), size);
    }
    for (size_t size = 4; size < 1024; size++) {
        assert_int_equal(cb_elf_read(at_fence(size), size).kind, CB_ELF_BROKEN);
    }
}

/* A place in the parts that the reader follows: the headers, mostly. */
static size_t place_to_damage(uint64_t *random) {
    const ElfW(Ehdr) *header = (const void *)good;
    size_t within = fixture_random(random);
    switch (fixture_random(random) % 4) {
    case 0:
        return within % sizeof *header;
    case 1:
        return header->e_phoff + within % (header->e_phnum * sizeof(ElfW(Phdr)));
    case 2:
        return header->e_shoff + within % (header->e_shnum * sizeof(ElfW(Shdr)));
    default:
        return within % good_size;
    }
}

static void test_damaged(void **state) {
    (void)state;
    static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    uint64_t random = 1;
    for (unsigned i = 0; i < DAMAGED; i++) {
        unsigned char *file = at_fence(good_size);
        for (uint64_t n = 1 + fixture_random(&random) % 8; n > 0; n--) {
            uint64_t value = fixture_random(&random);
            file[place_to_damage(&random)] =
                value % 2 ? values[value / 2 % sizeof values] : (unsigned char)(value / 2);
        }
        elf_exercise(file, good_size);
    }
}

/*
 * Each word of the program headers, of the section headers and of the dynamic section, by itself, is very
 * large.
 */
static void test_large(void **state) {
    (void)state;
    static const uint64_t values[] = {UINT64_MAX, UINT64_MAX - 63, (uint64_t)1 << 63, UINT32_MAX, 0};
    const ElfW(Ehdr) *header = (const void *)good;
    struct cb_elf elf = cb_elf_read(good, good_size);
    const struct cb_elf_part parts[] = {
        {0, sizeof *header},
        {header->e_phoff, header->e_phnum * sizeof(ElfW(Phdr))},
        {header->e_shoff, header->e_shnum * sizeof(ElfW(Shdr))},
        elf.dynamic_part,
    };
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        for (uint64_t at = 0; at + 8 <= parts[p].length; at += 4) {
            for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
                memcpy(at_fence(good_size) + parts[p].start + at, &values[i], sizeof values[i]);
                elf_exercise(fence - good_size, good_size);
            }
        }
    }
}

static void test_open(void **state) {
    (void)state;
    struct cb_elf elf;
    assert_false(cb_elf_open(&elf, "/no/such/file"));
    assert_false(cb_elf_open(&elf, "/"));
    assert_false(cb_elf_open(&elf, "/dev/null"));
    assert_true(cb_elf_open(&elf, getenv("CUTBACK_SAMPLE")));
    assert_int_equal(elf.kind, CB_ELF_NATIVE);
    cb_elf_close(&elf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),    cmocka_unit_test(test_other_kinds), cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged), cmocka_unit_test(test_large),       cmocka_unit_test(test_open),
    };
    return cmocka_run_group_tests_name("launcher elf", tests, set_up, tear_down);
}
