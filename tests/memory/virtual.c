/*
 * The virtual size is what is used and a little more, and a core dump holds only what was touched.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define AMOUNT ((size_t)100 << 20)
#define TOUCHED ((size_t)5 << 20)

/* Ends by SIGABRT with 1 GiB allocated and a little of it written to, in the folder where it is. */
static void dump(void) {
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_CORE, &all);
    char *p = malloc(1 * GIB);
    memset(p, 1, TOUCHED);
    abort();
}

/* True where a file in this folder takes no room for what was never written to it. */
static bool has_holes(void) {
    struct stat found;
    int file = open("holes", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool has = file >= 0 && ftruncate(file, 64 << 20) == 0 && fstat(file, &found) == 0 &&
               (size_t)found.st_blocks * 512 < 1 * MIB;
    close(file);
    unlink("holes");
    return has;
}

static void check_dump(void) {
    char folder[] = "/tmp/cutback-virtual.XXXXXX";
    if (strcmp(fixture_read("/proc/sys/kernel/core_pattern"), "core\n") != 0 || mkdtemp(folder) == NULL ||
        chdir(folder) != 0) {
        fixture_note("core dumps do not come here: not looked at\n");
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        dump();
    }
    int status;
    struct stat found;
    demand(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    char name[64];
    snprintf(name, sizeof name, "core.%d", (int)child);
    if (stat("core", &found) != 0 && stat(name, &found) != 0) {
        fixture_note("no core dump: %s\n", strerror(errno));
    } else {
        size_t held = (size_t)found.st_blocks * 512;
        fixture_note("a core dump of %zu KiB, of which %zu are stored\n", (size_t)found.st_size / KIB,
                     held / KIB);
        demand((size_t)found.st_size > TOUCHED);
        demand(!has_holes() || held < TOUCHED + 8 * MIB);
    }
    unlink("core");
    unlink(name);
    if (chdir("/") != 0 || rmdir(folder) != 0) {
        fixture_fail("%s stays", folder);
    }
}

int main(void) {
    fixture_begin();
    check_dump();
    size_t start = fixture_virtual();
    fixture_note("%zu KiB at the start\n", start / KIB);
    demand(start < 64 * MIB);
    uint64_t random = 3;
    for (size_t live = 0; live < AMOUNT;) {
        size_t size = fixture_size(&random, 16, 256 * KIB);
        void *p = malloc(size);
        memset(p, 1, size);
        live += size;
    }
    size_t now = fixture_virtual();
    fixture_note("%zu KiB more with %zu KiB live\n", (now - start) / KIB, AMOUNT / KIB);
    demand(now - start < AMOUNT + AMOUNT / 4);
    return fixture_failed;
}
