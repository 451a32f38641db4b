/*
 * Each option of CUTBACK_OPTIONS that concerns memory does what it says. The program runs itself once per
 * setting.
 *
 * usage: options purge|reserve|lazy|thp|mallopt
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

#include <errno.h>
#include <malloc.h>
#include <sys/wait.h>

#define AMOUNT ((size_t)64 << 20)
#define MOST ((size_t)1 << 20)

/* What the run with a setting found out, in bytes; it comes back through a pipe. */
struct seen {
    size_t block;    /* resident over the start when one block of 1 MiB has been freed */
    size_t drained;  /* the same when AMOUNT of all sizes has been freed in random order */
    size_t trimmed;  /* and after malloc_trim */
    size_t half;     /* and over what is live, when 32 of 64 blocks of 1 MiB have been freed */
    size_t huge;     /* in huge pages, of a block of AMOUNT that was written to */
    char flags[256]; /* of the mapping in which the objects are */
};

/* Resident memory over what it was: none where other pages than the allocator's went back meanwhile. */
static size_t above(size_t base) {
    size_t now = fixture_resident();
    return now > base ? now - base : 0;
}

/* What /proc/self/smaps says of the mapping with this address: its flags, and how much of it is in huge
 * pages. */
static size_t look_at(const void *p, char *flags, size_t room) {
    bool inside = false;
    size_t huge = 0;
    char *next;
    for (char *line = fixture_read("/proc/self/smaps"); *line != 0; line = next) {
        next = strchr(line, '\n');
        next = next != NULL ? next + 1 : line + strlen(line);
        char *dash;
        uintptr_t from = strtoull(line, &dash, 16);
        if (*dash == '-') {
            inside = (uintptr_t)p >= from && (uintptr_t)p < strtoull(dash + 1, NULL, 16);
        } else if (inside && strncmp(line, "AnonHugePages:", 14) == 0) {
            huge = strtoull(line + 14, NULL, 10) * KIB;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            size_t length = (size_t)(next - line - 8);
            length = length < room ? length - 1 : room - 1;
            memcpy(flags, line + 8, length);
            flags[length] = 0;
        }
    }
    return huge;
}

static int measure(void) {
    struct seen seen;
    void **object = fixture_own(MOST * sizeof *object);
    size_t count = 0, live = 0;
    uint64_t random = 33;
    fixture_begin();
    size_t base = fixture_resident();
    memset(&seen, 0, sizeof seen);
    void *block = malloc(1 * MIB);
    memset(block, 1, 1 * MIB);
    free(block);
    seen.block = above(base);
    for (; live < AMOUNT; count++) {
        size_t size = fixture_size(&random, 16, 64 * KIB);
        object[count] = malloc(size);
        memset(object[count], 1, size);
        live += size;
    }
    for (size_t i = count; i > 1; i--) {
        size_t k = fixture_random(&random) % i;
        void *swap = object[i - 1];
        object[i - 1] = object[k];
        object[k] = swap;
    }
    for (size_t i = 0; i < count; i++) {
        free(object[i]);
    }
    seen.drained = above(base);
    malloc_trim(0);
    seen.trimmed = above(base);
    if (write(STDOUT_FILENO, &seen, sizeof seen) != sizeof seen) {
        return 1;
    }
    return fixture_failed;
}

/* In processes of their own: what has been given back before makes a heap keep more. */
static int measure_huge(void) {
    struct seen seen;
    fixture_begin();
    memset(&seen, 0, sizeof seen);
    void *block = malloc(AMOUNT);
    memset(block, 1, AMOUNT);
    seen.huge = look_at(block, seen.flags, sizeof seen.flags);
    return write(STDOUT_FILENO, &seen, sizeof seen) != sizeof seen;
}

static int measure_half(void) {
    struct seen seen;
    char *block[64];
    fixture_begin();
    memset(&seen, 0, sizeof seen);
    size_t base = fixture_resident();
    for (size_t i = 0; i < 64; i++) {
        block[i] = malloc(1 * MIB);
        memset(block[i], 1, 1 * MIB);
    }
    for (size_t i = 0; i < 64; i += 2) {
        free(block[i]);
    }
    size_t now = fixture_resident();
    seen.half = now > base + 32 * MIB ? now - base - 32 * MIB : 0;
    return write(STDOUT_FILENO, &seen, sizeof seen) != sizeof seen;
}

static struct seen run(const char *setting, const char *what) {
    struct seen seen;
    int ends[2];
    memset(&seen, 0, sizeof seen);
    if (pipe(ends) != 0) {
        _exit(1);
    }
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        setenv("CUTBACK_OPTIONS", setting, 1);
        execl("/proc/self/exe", "options", what, (char *)NULL);
        _exit(1);
    }
    close(ends[1]);
    size_t got = 0;
    while (got < sizeof seen) {
        ssize_t n = read(ends[0], (char *)&seen + got, sizeof seen - got);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            break;
        }
        got += n > 0 ? (size_t)n : 0;
    }
    close(ends[0]);
    int status;
    demand(waitpid(child, &status, 0) == child && status == 0 && got == sizeof seen);
    return seen;
}

static struct seen with(const char *setting) {
    struct seen seen = run(setting, "measure");
    struct seen huge = run(setting, "huge");
    seen.half = run(setting, "half").half;
    seen.huge = huge.huge;
    memcpy(seen.flags, huge.flags, sizeof seen.flags);
    fixture_note(
        "%-16s a block freed: %zu KiB, half of 64 MiB: %zu, drained: %zu, trimmed: %zu; in huge pages, of "
        "64 MiB: %zu; flags:%s\n",
        *setting != 0 ? setting : "(default)", seen.block / KIB, seen.half / KIB, seen.drained / KIB,
        seen.trimmed / KIB, seen.huge / KIB, seen.flags);
    return seen;
}

static bool flag(const struct seen *seen, const char *name) {
    const char *at = strstr(seen->flags, name);
    return at != NULL && (at[2] == ' ' || at[2] == 0) && (at == seen->flags || at[-1] == ' ');
}

int main(int argc, char **argv) {
    if (argc != 2) {
        return 2;
    }
    if (strcmp(argv[1], "measure") == 0) {
        return measure();
    }
    if (strcmp(argv[1], "half") == 0) {
        return measure_half();
    }
    if (strcmp(argv[1], "huge") == 0) {
        return measure_huge();
    }
    if (strcmp(argv[1], "purge") == 0) {
        struct seen now = with("purge=now"), usual = with(""), never = with("purge=never");
        demand(now.drained < AMOUNT / 4);
        demand(usual.drained < AMOUNT / 4); /* it is the default */
        demand(never.drained > AMOUNT - AMOUNT / 8);
        demand(never.trimmed < 4 * MIB); /* who asks for it gets it */
    } else if (strcmp(argv[1], "lazy") == 0) {
        struct seen lazy = with("purge=lazy"), now = with("purge=now");
        demand(now.half < 4 * MIB);
        demand(lazy.half > 6 * MIB &&
               lazy.half < 16 * MIB);      /* a quarter of what is in use, and the reserve */
        demand(lazy.drained < AMOUNT / 4); /* of nothing, it is nothing */
    } else if (strcmp(argv[1], "reserve") == 0) {
        struct seen none = with("reserve=0"), much = with("reserve=256M"), some = with("reserve=32M");
        demand(none.block < 128 * KIB);
        demand(none.drained < 16 * MIB && none.drained < some.drained);
        demand(some.block > 900 * KIB);
        demand(some.drained > 8 * MIB && some.drained < 48 * MIB);
        demand(much.drained > AMOUNT - AMOUNT / 8);
        demand(much.trimmed < 4 * MIB);
    } else if (strcmp(argv[1], "thp") == 0) {
        if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) != 0) {
            fixture_note("SKIP: no transparent huge pages\n");
            return SKIPPED;
        }
        struct seen usual = with(""), always = with("thp=always"), never = with("thp=never");
        demand(!flag(&usual, "hg") && !flag(&usual, "nh"));
        demand(flag(&always, "hg"));
        demand(flag(&never, "nh"));
        demand(never.huge == 0);
        if (strstr(fixture_read("/sys/kernel/mm/transparent_hugepage/enabled"), "[never]") == NULL) {
            demand(always.huge > AMOUNT / 2);
            /* what dies inside a huge page comes back all the same */
            demand(always.half < 6 * MIB);
            demand(always.drained < AMOUNT / 4);
            demand(always.trimmed < 8 * MIB);
        }
    } else {
        fixture_begin();
        size_t base = fixture_resident();
        demand(mallopt(M_TRIM_THRESHOLD, 64 << 20) == 1);
        void *p = malloc(16 * MIB);
        memset(p, 1, 16 * MIB);
        free(p);
        demand(fixture_resident() > base + 15 * MIB);
        demand(mallopt(M_TRIM_THRESHOLD, 0) == 1);
        p = malloc(1 * MIB);
        free(p);
        demand(fixture_resident() < base + 1 * MIB);
        fixture_note("mallopt: %ld KiB more than before\n", fixture_kib(fixture_resident(), base));
    }
    return fixture_failed;
}
