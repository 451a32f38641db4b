/*
 * Squeezed: child after child has a limit of its own on address space or on data, from a few megabytes to a few
 * hundred, and runs into it again and again, with several threads. A request that is refused says ENOMEM and
 * changes nothing; objects keep what is in them; a program that has freed everything gets most of what it had
 * at first.
 *
 * usage: squeeze [SECONDS [SEED]]
 */
#include "fixture.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

enum { THREADS = 4, SLOTS = 4000, STEPS = 30000, FILL = 1000 };

static struct fixture_object *slots[THREADS][SLOTS];
static uint64_t seeds[THREADS];
static size_t largest; /* of the requests; written before the threads start */

static size_t status_of(const char *field) {
    char line[256];
    size_t length = strlen(field), kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, field, length) == 0) {
            kilobytes = strtoul(line + length, NULL, 10);
        }
    }
    fclose(file);
    return kilobytes << 10;
}

static struct fixture_object *try_to_make(uint64_t *random) {
    uint64_t how = fixture_random(random) % 16;
    size_t size = sizeof(struct fixture_object) + fixture_random(random) % (how == 0  ? largest
                                                                            : how < 4 ? 5000
                                                                                      : 300);
    errno = 0;
    struct fixture_object *object = how % 3 == 0 ? calloc(1, size) : malloc(size);
    CHECK(object != NULL || errno == ENOMEM);
    if (object != NULL) {
        fixture_fill_object(object, size, fixture_random(random));
    }
    return object;
}

static void try_to_resize(struct fixture_object **at, uint64_t *random) {
    size_t old = (*at)->size,
           size = sizeof **at + fixture_random(random) % (fixture_random(random) % 8 == 0 ? largest : 3000);
    errno = 0;
    struct fixture_object *object = realloc(*at, size);
    CHECK(object != NULL || errno == ENOMEM);
    if (object == NULL) {
        fixture_verify(*at);
        return;
    }
    *at = object;
    object->size = size < old ? size : old;
    fixture_verify(object);
    fixture_fill_object(object, size, fixture_random(random));
}

static void *work(void *argument) {
    size_t number = (size_t)(uintptr_t)argument;
    uint64_t random = seeds[number];
    struct fixture_object **held = slots[number];
    for (int i = 0; i < STEPS; i++) {
        struct fixture_object **at = &held[fixture_random(&random) % SLOTS];
        if (*at != NULL && fixture_random(&random) % 4 == 0) {
            try_to_resize(at, &random);
            continue;
        }
        fixture_drop(*at);
        *at = try_to_make(&random);
        for (uint64_t k = *at == NULL ? fixture_random(&random) % 64 : 0; k > 0; k--) {
            at = &held[fixture_random(&random) % SLOTS];
            fixture_drop(*at);
            *at = NULL;
        }
    }
    for (int i = 0; i < SLOTS; i++) {
        fixture_drop(held[i]);
        held[i] = NULL;
    }
    return NULL;
}

/* How many objects of FILL bytes there are to be had; they are freed again. */
static size_t fill(void) {
    void *first = NULL, *next;
    size_t count = 0;
    while ((next = malloc(FILL)) != NULL) {
        *(void **)next = first;
        first = next;
        count++;
    }
    CHECK(errno == ENOMEM);
    for (; first != NULL; first = next) {
        next = *(void **)first;
        free(first);
    }
    return count;
}

static void squeeze(uint64_t random) {
    bool data = fixture_random(&random) % 4 == 0;
    size_t bytes = ((size_t)8 << 20) << fixture_random(&random) % 6;
    bytes += fixture_random(&random) % bytes;
    struct rlimit limit;
    limit.rlim_cur = limit.rlim_max = status_of(data ? "VmData:" : "VmSize:") + bytes;
    largest = bytes / 64 < (size_t)1 << 18 ? bytes / 64 : (size_t)1 << 18;
    CHECK(setrlimit(data ? RLIMIT_DATA : RLIMIT_AS, &limit) == 0);
    size_t before = fill();
    pthread_attr_t attributes;
    pthread_t thread[THREADS];
    unsigned threads = (unsigned)(fixture_random(&random) % THREADS), started = 0;
    seeds[THREADS - 1] = fixture_random(&random);
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 64 << 10) == 0);
    for (; started < threads; started++) {
        seeds[started] = fixture_random(&random);
        if (pthread_create(&thread[started], &attributes, work, (void *)(uintptr_t)started) != 0) {
            break; /* no room for its stack */
        }
    }
    work((void *)(uintptr_t)(THREADS - 1));
    for (unsigned i = 0; i < started; i++) {
        pthread_join(thread[i], NULL);
    }
    size_t after = fill();
    if (after < before / 2) {
        fprintf(stderr, "squeeze: %zu bytes of %s: %zu objects before, %zu after\n", bytes,
                data ? "data" : "addresses", before, after);
    }
    CHECK(after >= before / 2);
}

int main(int argc, char **argv) {
    time_t seconds = argc > 1 ? atoi(argv[1]) : 5, start = time(NULL);
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1, random = seed;
    unsigned children = 0;
    fixture_begin((unsigned)seconds + 300);
    do {
        uint64_t its = fixture_random(&random);
        pid_t child = fork();
        if (child == 0) {
            alarm(250);
            squeeze(its);
            _exit(0);
        }
        fixture_wait(child);
        children++;
    } while (time(NULL) - start < seconds);
    printf("squeeze: seed %llu: %u limits\n", (unsigned long long)seed, children);
    return 0;
}
