/*
 * malloc_trim returns what was kept; mallinfo2, malloc_info and malloc_stats tell what /proc/self/smaps
 * tells.
 *
 * usage: figures trim|threads|figures|drained
 *
 * Layer:     tests.
 * Threading: eight in `threads`, one after the other.
 */
#include "fixture.h"

#include <malloc.h>
#include <pthread.h>

#define AMOUNT ((size_t)100 << 20)
#define MOST ((size_t)2 << 20)
#define BOUND (2 * MIB)

static void **object;
static size_t count;
static uint64_t random_state = 21;

/* Returns the bytes asked for. */
static size_t fill(size_t amount, size_t most) {
    size_t live = 0;
    for (count = 0; live < amount && count < MOST; count++) {
        size_t size = fixture_size(&random_state, 16, most);
        object[count] = malloc(size);
        memset(object[count], 1, size);
        live += size;
    }
    for (size_t i = count; i > 1; i--) {
        size_t k = fixture_random(&random_state) % i;
        void *swap = object[i - 1];
        object[i - 1] = object[k];
        object[k] = swap;
    }
    return live;
}

static void empty(size_t from) {
    for (size_t i = from; i < count; i++) {
        free(object[i]);
    }
}

static void *fill_and_empty(void *unused) {
    fill(AMOUNT / 4, 8 * KIB);
    empty(0);
    return unused;
}

/* Freed in random order twice, so that the reserve has had reason to grow. */
static void trim(bool threads) {
    if (threads) {
        pthread_t thread;
        pthread_create(&thread, NULL, fill_and_empty, NULL);
        pthread_join(thread, NULL);
        malloc_trim(0);
    }
    size_t base = fixture_resident();
    for (int i = 0; i < (threads ? 8 : 2); i++) {
        if (threads) {
            pthread_t thread;
            pthread_create(&thread, NULL, fill_and_empty, NULL);
            pthread_join(thread, NULL);
        } else {
            fill(AMOUNT, 64 * KIB);
            empty(0);
        }
    }
    size_t before = fixture_resident();
    int result = malloc_trim(0);
    size_t after = fixture_resident();
    fixture_note("%ld KiB more than at the start; %ld KiB after malloc_trim, which returned %d\n",
                 fixture_kib(before, base), fixture_kib(after, base), result);
    demand(result == 1 || before < base + 64 * KIB);
    if (after > base + BOUND) {
        fixture_fail("malloc_trim leaves %ld KiB", fixture_kib(after, base));
    }
    demand(malloc_trim(0) == 0); /* nothing is left */
}

struct mapping {
    size_t size, resident;
};

/* The mapping with this address, with those of the same kind right beside it; /proc/self/smaps says so. */
static struct mapping mapping_of(const void *p) {
    struct mapping found = {0, 0};
    uintptr_t start = 0, end = 0, group_end = 0;
    bool inside = false;
    char *next;
    for (char *line = fixture_read("/proc/self/smaps"); *line != 0; line = next) {
        next = strchr(line, '\n');
        next = next != NULL ? next + 1 : line + strlen(line);
        char *dash;
        uintptr_t from = strtoull(line, &dash, 16);
        if (*dash == '-') {
            start = from;
            end = strtoull(dash + 1, NULL, 16);
            if (start != group_end) {
                if (inside) {
                    return found;
                }
                found = (struct mapping){0, 0};
            }
            group_end = end;
            found.size += end - start;
            inside = inside || (uintptr_t)p - start < end - start;
        } else if (strncmp(line, "Rss:", 4) == 0) {
            found.resident += strtoull(line + 4, NULL, 10) * KIB;
        }
    }
    return inside ? found : (struct mapping){0, 0};
}

static bool near(size_t a, size_t b, size_t slack) {
    return (a > b ? a - b : b - a) <= slack;
}

/* The number behind `name` in a text. */
static size_t number_behind(const char *text, const char *name) {
    const char *at = strstr(text, name);
    if (at == NULL) {
        fixture_fail("no \"%s\" in:\n%s", name, text);
        return 0;
    }
    return strtoull(at + strlen(name), NULL, 10);
}

static void compare(const char *when, size_t live) {
    struct mapping ours = mapping_of(object[0]);
    struct mallinfo2 info = mallinfo2();
    fixture_note(
        "%s: live %zu KiB; smaps: %zu KiB, resident %zu; mallinfo2: arena %zu, in use %zu, free %zu, "
        "kept %zu\n",
        when, live / KIB, ours.size / KIB, ours.resident / KIB, info.arena / KIB, info.uordblks / KIB,
        info.fordblks / KIB, info.keepcost / KIB);
    demand(near(info.arena, ours.size, 0));
    demand(info.uordblks + info.fordblks == info.arena);
    /* what is in bins counts as in use, rounding to 16 bytes and to the medium sizes too */
    demand(info.uordblks >= live);
    demand(info.uordblks <= live + live / 8 + live / 16 + 3 * MIB);
    /* what is resident is what is in use, what is kept, and dead stretches that share their pages with the
     * living */
    demand(ours.resident + 1 * MIB >= live + (info.keepcost < MIB ? info.keepcost : 0));
    demand(info.keepcost <= ours.resident);
    demand(ours.resident <= info.arena);

    static char text[8192];
    FILE *stream = fmemopen(text, sizeof text, "w");
    demand(malloc_info(0, stream) == 0);
    fclose(stream);
    demand(strncmp(text, "<malloc version=", 16) == 0 && strstr(text, "</malloc>") != NULL);
    demand(near(number_behind(text, "<system type=\"current\" size=\""), ours.size, 64 * KIB));
    demand(near(number_behind(text, "<total type=\"rest\" count=\"1\" size=\""), info.fordblks, 1 * MIB));

    int file = memfd_create("stats", 0), saved = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
    malloc_stats();
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t got = pread(file, text, sizeof text - 1, 0);
    close(file);
    text[got > 0 ? got : 0] = 0;
    demand(near(number_behind(text, "mapped: ") * KIB, ours.size, 64 * KIB));
    demand(near(number_behind(text, "in use: ") * KIB, info.uordblks, 1 * MIB));
}

static void figures(void) {
    size_t live = 0;
    fill(AMOUNT, 64 * KIB);
    for (size_t i = 0; i < count; i++) {
        live += malloc_usable_size(object[i]);
    }
    struct mapping full = mapping_of(object[0]);
    struct mallinfo2 info = mallinfo2();
    compare("full", live);
    demand(near(full.resident, info.uordblks + info.keepcost, full.resident / 20));
    for (size_t i = count / 10; i < count; i++) {
        live -= malloc_usable_size(object[i]);
    }
    empty(count / 10);
    compare("nine tenths freed", live);
    malloc_trim(0);
    compare("trimmed", live);
    demand(mallinfo2().keepcost < 64 * KIB);
}

/* Drained again and again: what is resident then is what is in use and what is kept, the map of it included. */
static void drained(void) {
    size_t before = fixture_resident();
    for (int i = 0; i < 3; i++) {
        fill(AMOUNT, 1 * KIB);
        empty(0);
        struct mallinfo2 info = mallinfo2();
        size_t resident = fixture_resident() - before;
        fixture_note("drained: resident %zu KiB; mallinfo2: in use %zu, kept %zu\n", resident / KIB,
                     info.uordblks / KIB, info.keepcost / KIB);
        if (!near(resident, info.uordblks + info.keepcost, 2 * MIB)) {
            fixture_fail("drained: resident %zu KiB; mallinfo2: in use %zu, kept %zu", resident / KIB,
                         info.uordblks / KIB, info.keepcost / KIB);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        return 2;
    }
    object = fixture_own(MOST * sizeof *object);
    fixture_begin();
    if (strcmp(argv[1], "figures") == 0) {
        figures();
    } else if (strcmp(argv[1], "drained") == 0) {
        drained();
    } else {
        trim(strcmp(argv[1], "threads") == 0);
    }
    return fixture_failed;
}
