/*
 * Functions found by name in an image: in the kernel's own, and in libraries of which each has one of the two
 * kinds of hash tables, laid out in memory as the kernel lays out its image: nothing in it is relocated.
 *
 * Environment: CUTBACK_IMAGES, a library with the old kind of table and one with the new, by a colon.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

#include "os/vdso.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#if defined(__aarch64__)
#define CLOCK_NAME "__kernel_clock_gettime"
#else
#define CLOCK_NAME "__vdso_clock_gettime"
#endif

/* Reads what a file's segments hold to where they want to be, beginning anywhere. */
static uintptr_t lay_out(const char *path) {
    const size_t room = (size_t)1 << 20;
    Elf64_Ehdr header;
    Elf64_Phdr part;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(file, &header, sizeof header, 0), sizeof header);
    char *image = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(image, MAP_FAILED);
    for (unsigned i = 0; i < header.e_phnum; i++) {
        off_t at = (off_t)(header.e_phoff + i * sizeof part);
        assert_int_equal(pread(file, &part, sizeof part, at), sizeof part);
        if (part.p_type == PT_LOAD) {
            assert_true(part.p_vaddr + part.p_memsz < room);
            assert_int_equal(pread(file, image + part.p_vaddr, part.p_filesz, (off_t)part.p_offset),
                             part.p_filesz);
        }
    }
    (void)close(file);
    return (uintptr_t)image;
}

static void both_kinds_of_tables_are_read(void **state) {
    (void)state;
    const char *images = getenv("CUTBACK_IMAGES");
    assert_non_null(images);
    const char *colon = strchr(images, ':');
    assert_non_null(colon);
    for (int i = 0; i < 2; i++) {
        char path[500];
        snprintf(path, sizeof path, "%.*s", i == 0 ? (int)(colon - images) : 400,
                 i == 0 ? images : colon + 1);
        uintptr_t image = lay_out(path);
        uintptr_t first = cb_vdso_find(image, "image_first"), last = cb_vdso_find(image, "image_last");
        assert_true(first > image && last > image && first != last);
        assert_int_equal(cb_vdso_find(image, "image_las"), 0);
        assert_int_equal(cb_vdso_find(image, "image_last_"), 0);
        assert_int_equal(cb_vdso_find(image, "image_data"), 0);    /* no function */
        assert_int_equal(cb_vdso_find(image, "image_missing"), 0); /* wanted, not there */
    }
}

static void the_kernels_clock_is_found(void **state) {
    (void)state;
    uintptr_t image = getauxval(AT_SYSINFO_EHDR);
    if (image == 0) {
        skip();
    }
    int (*ask)(clockid_t, struct timespec *) =
        (int (*)(clockid_t, struct timespec *))cb_vdso_find(image, CLOCK_NAME);
    struct timespec before, now, after;
    assert_non_null(ask);
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &before), 0);
    assert_int_equal(ask(CLOCK_MONOTONIC, &now), 0);
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &after), 0);
    assert_true(before.tv_sec <= now.tv_sec && now.tv_sec <= after.tv_sec);
    assert_int_equal(cb_vdso_find(image, "clock_of_nobody"), 0);
}

static void without_an_image_nothing_is_found(void **state) {
    (void)state;
    assert_int_equal(cb_vdso_find(0, CLOCK_NAME), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_kinds_of_tables_are_read),
        cmocka_unit_test(the_kernels_clock_is_found),
        cmocka_unit_test(without_an_image_nothing_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
