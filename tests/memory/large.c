/*
 * Large blocks: they grow by moving pages and not by copying, give their tail back when they shrink, come at
 * any alignment and in sizes beyond what an int holds, and calloc does not touch what is fresh.
 *
 * usage: large grow|shrink|aligned|huge|calloc|beyond
 *
 * Layer:     tests.
 * Threading: one watcher in `grow`.
 */
#include "fixture.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define SMALL_SLACK (1 * MIB)
#define BOOKS (8 * MIB) /* the map of a large heap lies in huge pages: two at either end of a block */

static _Atomic bool watching;
static _Atomic size_t highest; /* written by the watcher alone */

/* Resident memory is looked at again and again, for the peak cannot be read where /proc/self/clear_refs is
 * not to be had. */
static void *watch(void *unused) {
    while (atomic_load(&watching)) {
        size_t now = fixture_figure("/proc/self/status", "\nVmRSS:");
        if (now > atomic_load(&highest)) {
            atomic_store(&highest, now);
        }
    }
    return unused;
}

/* The most the process ever had in memory since the last call. */
static bool reset_peak(void) {
    int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    bool done = file >= 0 && write(file, "5", 1) == 1;
    if (file >= 0) {
        close(file);
    }
    return done;
}

static size_t peak(void) {
    return fixture_figure("/proc/self/status", "\nVmHWM:");
}

static void fill(unsigned char *p, size_t from, size_t to) {
    for (size_t at = from; at < to; at += 4096) {
        *(size_t *)(void *)(p + at) = at ^ 0x5a5a;
    }
}

static bool filled(const unsigned char *p, size_t to) {
    for (size_t at = 0; at < to; at += 4096) {
        if (*(const size_t *)(const void *)(p + at) != (at ^ 0x5a5a)) {
            return false;
        }
    }
    return true;
}

/* Doubling from 1 MB to 1 GB; a block behind each makes sure that it cannot grow where it is. */
static void grow(bool blocked) {
    enum { BLOCKERS = 16 };
    void *blocker[BLOCKERS];
    int blockers = 0;
    size_t size = 1 * MIB;
    bool exact = reset_peak();
    pthread_t thread;
    if (!exact) {
        atomic_store(&watching, true);
        pthread_create(&thread, NULL, watch, NULL);
    }
    size_t base = fixture_resident();
    unsigned char *p = malloc(size);
    fill(p, 0, size);
    while (size < 1 * GIB) {
        if (blocked) {
            blocker[blockers++] = malloc(128 * KIB);
        }
        reset_peak();
        atomic_store(&highest, 0);
        unsigned char *q = realloc(p, size * 2);
        if (q == NULL) {
            fixture_fail("no %zu MiB", size * 2 / MIB);
            break;
        }
        p = q;
        size_t most = exact ? peak() : atomic_load(&highest);
        most = most > base ? most - base : 0;
        if (most > size + size / 8 + 4 * MIB) {
            fixture_fail("%zu to %zu MiB%s: %zu MiB resident meanwhile", size / MIB, size * 2 / MIB,
                         blocked ? ", not in place" : "", most / MIB);
        }
        demand(filled(p, size));
        fill(p, size, size * 2);
        size *= 2;
    }
    free(p);
    while (blockers > 0) {
        free(blocker[--blockers]);
    }
    if (!exact) {
        atomic_store(&watching, false);
        pthread_join(thread, NULL);
    }
    size_t after = fixture_resident();
    fixture_note("grown to 1 GiB%s and freed: %ld KiB more than before\n", blocked ? ", not in place" : "",
                 fixture_kib(after, base));
}

static void shrink(void) {
    size_t size = 256 * MIB, base = fixture_resident();
    unsigned char *p = malloc(size);
    fill(p, 0, size);
    demand(fixture_resident() >= base + size);
    for (; size > 512 * KIB; size /= 2) {
        unsigned char *q = realloc(p, size / 2);
        demand(q == p);
        p = q;
        size_t now = fixture_resident();
        /* what is kept is at most the reserve and the map of what was there */
        if (now > base + size / 2 + size / 32 + 4 * MIB) {
            fixture_fail("%zu MiB after a shrink: %ld KiB", size / 2 / MIB, fixture_kib(now, base));
        }
        demand(filled(p, size / 2));
        demand(malloc_usable_size(p) >= size / 2 && malloc_usable_size(p) < size / 2 + 8 * KIB);
    }
    free(p);
    fixture_note("shrunk from 256 MiB to 512 KiB and freed: %ld KiB more than before\n",
                 fixture_kib(fixture_resident(), base));
}

static void aligned(void) {
    size_t base = fixture_resident();
    for (size_t align = 16; align <= 1 * GIB; align *= 2) {
        static const size_t sizes[] = {1, 40 * KIB, 1 * MIB, 5 * MIB};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            unsigned char *p = aligned_alloc(align, sizes[i]), *q = NULL;
            demand(posix_memalign((void **)&q, align, sizes[i]) == 0);
            if (p == NULL || q == NULL || ((uintptr_t)p | (uintptr_t)q) % align != 0) {
                fixture_fail("align %zu, size %zu: %p, %p", align, sizes[i], (void *)p, (void *)q);
                continue;
            }
            p[0] = q[0] = 1;
            p[sizes[i] - 1] = q[sizes[i] - 1] = 2;
            demand(malloc_usable_size(p) >= sizes[i] && malloc_usable_size(q) >= sizes[i]);
            free(p);
            free(q);
        }
    }
    size_t after = fixture_resident();
    fixture_note("alignments up to 1 GiB: %ld KiB more than before, %zu MiB of addresses\n",
                 fixture_kib(after, base), fixture_virtual() / MIB);
    demand(after < base + 24 * MIB); /* what was written to is 13 MiB at a time */
    errno = 0;
    volatile size_t huge = (size_t)1 << 62; /* not for the compiler to know */
    demand(aligned_alloc(huge, 1) == NULL);
    demand(errno == ENOMEM || errno == EINVAL);
}

/* Bytes of memory and swap. */
static size_t machine(void) {
    return fixture_figure("/proc/meminfo", "MemTotal:") + fixture_figure("/proc/meminfo", "\nSwapTotal:");
}

static void huge(void) {
    /* volatile: the compiler warns of what it does not understand */
    static volatile size_t huge_size[] = {(size_t)2 << 30, ((size_t)2 << 30) + 1, (size_t)8 << 30};
    size_t base = fixture_resident();
    for (size_t i = 0; i < sizeof huge_size / sizeof *huge_size; i++) {
        size_t size = huge_size[i];
        if (size + 1 * GIB > machine()) {
            continue;
        }
        unsigned char *volatile block =
            malloc(size); /* volatile, again: it warns of writing to where p[size - 1] is */
        unsigned char *p = block;
        if (p == NULL) {
            fixture_fail("no %zu bytes", size);
            continue;
        }
        for (size_t at = 0; at < size; at += size / 8) {
            p[at] = (unsigned char)(at >> 28);
        }
        p[size - 1] = 77;
        demand(malloc_usable_size(p) >= size);
        if (fixture_resident() > base + BOOKS) {
            fixture_fail("%zu MiB, 9 pages of it written to: %ld KiB", size / MIB,
                         fixture_kib(fixture_resident(), base));
        }
        p = realloc(p, size + (size_t)1 * GIB);
        if (p == NULL) {
            fixture_fail("no %zu bytes and 1 GiB", size);
            continue;
        }
        if (fixture_resident() > base + BOOKS) {
            fixture_fail("%zu MiB and a GiB more, 9 pages of it written to: %ld KiB", size / MIB,
                         fixture_kib(fixture_resident(), base));
        }
        for (size_t at = 0; at < size; at += size / 8) {
            demand(p[at] == (unsigned char)(at >> 28) || at == size - 1);
        }
        demand(p[size - 1] == 77);
        free(p);
    }
    /* volatile: the compiler knows what cannot work */
    volatile size_t impossible[] = {PTRDIFF_MAX,     (size_t)PTRDIFF_MAX + 1, SIZE_MAX,
                                    SIZE_MAX - 4096, (size_t)1 << 50,         PTRDIFF_MAX - 4096};
    void *kept = malloc(1 * MIB);
    memset(kept, 9, 1 * MIB);
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
        size_t size = impossible[i];
        void *p = NULL;
        errno = 0;
        demand(malloc(size) == NULL && errno == ENOMEM);
        errno = 0;
        demand(calloc(size, 1) == NULL && errno == ENOMEM);
        errno = 0;
        demand(calloc(size / 2 + 1, 3) == NULL && errno == ENOMEM);
        errno = 0;
        demand(realloc(kept, size) == NULL && errno == ENOMEM);
        errno = 0;
        demand(aligned_alloc(4096, size & ~(size_t)4095) == NULL && errno == ENOMEM);
        demand(posix_memalign(&p, 64, size) == ENOMEM && p == NULL);
    }
    demand(((unsigned char *)kept)[1 * MIB - 1] == 9);
    free(kept);
    demand(fixture_resident() < base + 8 * MIB); /* the map of what is kept: some huge pages */
}

static void fresh_calloc(void) {
    size_t base = fixture_resident();
    unsigned char *p = calloc(1, 512 * MIB), *q = calloc(32 * MIB, 8);
    demand(p != NULL && q != NULL);
    size_t after = fixture_resident();
    fixture_note("768 MiB of calloc: %ld KiB more than before\n", fixture_kib(after, base));
    demand(after < base + SMALL_SLACK);
    p[300 * MIB] = 1;
    for (size_t at = 0; at < 512 * MIB; at += 3 * MIB) {
        demand(p[at] == (at == 300 * MIB));
    }
    free(p);
    free(q);
    /* and what is not fresh any more is zero as well */
    for (size_t size = 100; size < 64 * MIB; size = size * 5 / 2) {
        p = malloc(size);
        memset(p, 0xee, size);
        free(p);
        p = calloc(1, size);
        bool zero = true;
        for (size_t at = 0; at < size; at++) {
            zero = zero && p[at] == 0;
        }
        if (!zero) {
            fixture_fail("calloc of %zu bytes is not zero", size);
        }
        free(p);
    }
}

/*
 * More than the machine has: whether that is refused is the system's rule, which a plain mapping of the same
 * size tells, as it would tell glibc.
 */
static void beyond(void) {
    size_t sizes[] = {1024 * GIB, machine() + 1 * GIB, 4 * machine()};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        volatile size_t size = sizes[i];
        void *plain = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        bool refused = plain == MAP_FAILED;
        if (!refused) {
            munmap(plain, size);
        }
        fixture_note("%zu MiB: %s\n", size / MIB, refused ? "refused" : "granted");
        void *old = malloc(100), *p = NULL;
        errno = 0;
        demand(((p = malloc(size)) == NULL) == refused && (!refused || errno == ENOMEM));
        free(p);
        errno = 0;
        demand(((p = calloc(size / 8, 8)) == NULL) == refused && (!refused || errno == ENOMEM));
        free(p);
        errno = 0;
        demand(((p = aligned_alloc(4096, size)) == NULL) == refused && (!refused || errno == ENOMEM));
        free(p);
        errno = 0;
        p = realloc(old, size);
        demand((p == NULL) == refused && (!refused || errno == ENOMEM));
        free(p != NULL ? p : old);
    }
}

/*
 * One mapping of more than the machine has, of blocks each of which was granted: such a process can fork all the same.
 */
static void forked(void) {
    void *p = malloc(machine() / 4 * 3), *q = malloc(machine() / 4 * 3);
    if (p != NULL && q != NULL) {
        pid_t child = fork();
        demand(child >= 0);
        if (child == 0) {
            _exit(0);
        }
        demand(waitpid(child, NULL, 0) == child);
    }
    free(p);
    free(q);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        return 2;
    }
    fixture_begin();
    if (strcmp(argv[1], "grow") == 0) {
        grow(false);
        grow(true);
    } else if (strcmp(argv[1], "shrink") == 0) {
        shrink();
    } else if (strcmp(argv[1], "aligned") == 0) {
        aligned();
    } else if (strcmp(argv[1], "huge") == 0) {
        huge();
    } else if (strcmp(argv[1], "beyond") == 0) {
        beyond();
        forked();
    } else {
        fresh_calloc();
    }
    return fixture_failed;
}
