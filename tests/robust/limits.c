/*
 * Short of everything: no standard streams, no file descriptors to be had, a limit on data and on address
 * space, stacks as small as the system allows. Each in a child of its own.
 */
#include "fixture.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/resource.h>

static void in_child(void (*what)(void)) {
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        what();
        exit(0);
    }
    fixture_wait(child);
}

static void *work(void *seed) {
    fixture_work((uintptr_t)seed, 500);
    return NULL;
}

static void no_streams(void) {
    for (int fd = 0; fd < 3; fd++) {
        close(fd);
    }
    work((void *)1);
    pthread_join(fixture_thread(work, (void *)2), NULL);
    malloc_stats();
    CHECK(malloc(PTRDIFF_MAX) == NULL && errno == ENOMEM);
    int fd = open("/dev/null", O_RDWR); /* the library has taken none for itself */
    if (fd != 0) {
        abort();
    }
}

static void no_descriptors(void) {
    struct rlimit limit = {3, 3};
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(open("/dev/null", O_RDONLY) < 0 && errno == EMFILE);
    work((void *)3);
    pthread_join(fixture_thread(work, (void *)4), NULL);
}

/* Takes all there is, gives it back, and then the program can work. */
static void exhaust(void) {
    static void *held[100000];
    for (int round = 0; round < 3; round++) {
        static const size_t size[] = {(size_t)1 << 20, 30000, 1000, 16};
        size_t count = 0;
        for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
            void *p;
            errno = 0;
            while (count < 100000 && (p = malloc(size[i])) != NULL) {
                *(unsigned char *)p = 1;
                held[count++] = p;
            }
            CHECK(count == 100000 || errno == ENOMEM);
        }
        CHECK(count > 8); /* so many MiB of 64 */
        while (count > 0) {
            free(held[--count]);
        }
    }
    work((void *)5);
}

static void limit_data(void) {
    struct rlimit limit = {(rlim_t)64 << 20, (rlim_t)64 << 20};
    CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
    exhaust();
}

static void limit_space(void) {
    struct rlimit limit = {(rlim_t)128 << 20, (rlim_t)128 << 20};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    exhaust();
}

/* No more mappings to be had: requests may fail, for even what would merge counts; afterwards all is well. */
static void limit_mappings(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = (size_t)70000 * 2;
    char *p = mmap(NULL, count * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        return;
    }
    for (size_t i = 0; i < count && mprotect(p + i * page, page, PROT_READ) == 0; i += 2) {
    }
    static void *held[1000];
    for (size_t i = 0; i < 1000; i++) {
        errno = 0;
        held[i] = malloc(i * i);
        CHECK(held[i] != NULL || errno == ENOMEM);
    }
    for (size_t i = 0; i < 1000; i++) {
        free(held[i]);
    }
    munmap(p, count * page);
    work((void *)7);
}

static void *on_small_stack(void *seed) {
    uint64_t random = (uintptr_t)seed;
    struct fixture_object *held[8];
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 8; i++) {
            held[i] = fixture_make(&random);
        }
        for (int i = 0; i < 8; i++) {
            fixture_drop(held[(i * 3) % 8]);
        }
        held[0] = malloc(100000);
        CHECK(held[0] != NULL);
        held[0] = realloc(held[0], 10000000);
        CHECK(held[0] != NULL);
        free(held[0]);
    }
    return NULL;
}

static void small_stacks(void) {
    pthread_t thread[16];
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN) == 0);
    for (int round = 0; round < 10; round++) {
        for (uintptr_t i = 0; i < 16; i++) {
            CHECK(pthread_create(&thread[i], &attributes, on_small_stack, (void *)(i + 1)) == 0);
        }
        for (int i = 0; i < 16; i++) {
            pthread_join(thread[i], NULL);
        }
    }
}

int main(void) {
    fixture_begin(120);
    in_child(no_streams);
    in_child(no_descriptors);
    in_child(limit_data);
    in_child(limit_space);
    in_child(limit_mappings);
    in_child(small_stacks);
    puts("short of everything, and well");
    return 0;
}
