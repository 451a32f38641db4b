/*
 * Programs with one fault each; the argument says which. Run with the library preloaded. What is done to the
 * heap is told on standard output: the address that the report must name. Whoever gets past the fault ends
 * with status 0.
 *
 * Layer:     tests.
 * Threading: as the fault needs.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../support/fault.h"

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static _Alignas(64) char object_in_program[256];

static void *get(size_t size) {
    void *p = malloc(size);
    if (p == NULL) {
        _exit(3);
    }
    memset(p, 1, size);
    return hide(p);
}

static void *free_in_thread(void *p) {
    free(p);
    return NULL;
}

static void elsewhere(void *(*what)(void *), void *p) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, what, p) != 0) {
        _exit(3);
    }
    pthread_join(thread, NULL);
}

static void double_free_at_once(void) {
    void *p = get(64);
    free(say(p));
    free(hide(p));
}

static void double_free_of_parked(void) {
    void *p = get(64), *above = get(64);
    free(say(p));
    free(hide(p));
    free(above);
}

static void double_free_later(void) {
    enum { MANY = 20000 };
    static void *many[MANY];
    for (int i = 0; i < MANY; i++) {
        many[i] = get(64);
    }
    void *p = say(many[MANY / 2]);
    for (int i = 0; i < MANY; i += 2) {
        free(many[i]);
    }
    free(hide(p));
}

/* Its neighbours are dead too and have merged with it. */
static void double_free_of_merged(void) {
    enum { MANY = 20000 };
    static void *many[MANY];
    for (int i = 0; i < MANY; i++) {
        many[i] = get(64);
    }
    void *p = say(many[MANY / 2]);
    for (int i = 0; i < MANY - 1; i++) {
        free(many[i]);
    }
    free(hide(p));
}

/* Its memory is now the middle of another object. */
static void double_free_after_reuse(void) {
    void *below = get(64), *p = get(64);
    say(p);
    free(p);
    free(below);
    void *wide = get(512);
    free(hide(p));
    free(wide);
}

static void double_free_medium(void) {
    void *p = get(5000), *above = get(5000);
    free(say(p));
    free(hide(p));
    free(above);
}

static void double_free_medium_on_top(void) {
    void *p = get(5000);
    free(say(p));
    free(hide(p));
}

static void double_free_large(void) {
    void *p = get(300000);
    free(say(p));
    free(hide(p));
}

/* The free extent that it became a part of starts elsewhere. */
static void double_free_large_merged(void) {
    void *below = get(300000), *p = get(300000), *above = get(300000);
    free(below < p ? below : above);
    free(say(p));
    free(hide(p));
}

static void double_free_remote(void) {
    void *p = say(get(64));
    elsewhere(free_in_thread, p);
    free(hide(p));
}

static void *free_twice(void *p) {
    free(hide(p));
    free(hide(p));
    return NULL;
}

static void double_free_both_remote(void) {
    elsewhere(free_twice, say(get(64)));
}

static void free_own_then_remote(void) {
    void *p = get(64), *above = get(64);
    free(say(p));
    elsewhere(free_in_thread, p);
    free(above);
}

static void free_of_stack(void) {
    _Alignas(16) char local[64];
    free(say(local));
}

/* Farther away than any guess about the size of a frame. */
static void free_of_far_stack(void) {
    _Alignas(16) char local[64];
    _Alignas(16) char between[300000];
    memset(between, 0, sizeof between);
    hide(between);
    free(say(local));
}

static void *free_of_own_stack(void *unused) {
    (void)unused;
    free_of_stack();
    return NULL;
}

static void free_of_thread_stack(void) {
    elsewhere(free_of_own_stack, NULL);
}

static void free_of_static(void) {
    free(say(object_in_program));
}

static void free_of_function(void) {
    free(say((void *)((uintptr_t)free_of_function & ~(uintptr_t)15)));
}

static void free_of_interior(void) {
    free(say((char *)get(256) + 64));
}

static void free_of_interior_medium(void) {
    free(say((char *)get(9000) + 16));
}

static void free_of_interior_large(void) {
    free(say((char *)get(300000) + 4096));
}

static void free_of_interior_large_near(void) {
    free(say((char *)get(300000) + 16));
}

static void free_of_unaligned(void) {
    free(say((char *)get(64) + 8));
}

static void free_of_unaligned_by_one(void) {
    free(say((char *)get(64) + 1));
}

static void free_of_aligned_interior(void) {
    char *p = hide(aligned_alloc(256, 512));
    free(say(p + 256));
}

static void free_of_aligned_padding(void) {
    get(16);
    char *p = hide(aligned_alloc(256, 512));
    free(say(p - 16));
}

static void free_of_end(void) {
    free(say((char *)get(64) + 64));
}

/* Where nothing is mapped, but aligned like an object. */
static void free_of_nowhere(void) {
    free(say((char *)get(64) + ((size_t)1 << 36)));
}

static void realloc_of_freed(void) {
    void *p = get(64), *above = get(64);
    free(say(p));
    kept = realloc(hide(p), 100);
    free(above);
}

static void realloc_of_freed_large(void) {
    void *p = get(300000);
    free(say(p));
    kept = realloc(hide(p), 400000);
}

static void realloc_of_interior(void) {
    kept = realloc(say((char *)get(64) + 16), 100);
}

static void usable_size_of_freed(void) {
    void *p = get(64), *above = get(64);
    free(say(p));
    kept = (void *)malloc_usable_size(hide(p));
    free(above);
}

static void usable_size_of_interior(void) {
    kept = (void *)malloc_usable_size(say((char *)get(64) + 16));
}

static void realloc_of_nowhere(void) {
    kept = realloc(say((char *)get(64) + ((size_t)1 << 36)), 100);
}

static void usable_size_of_nowhere(void) {
    kept = (void *)malloc_usable_size(say((char *)get(64) + ((size_t)1 << 36)));
}

enum { MAPPED_SIZE = 1 << 20, MAPPED_WHERE = 300000 / 16 * 16 };

static char *map(int protection, int file) {
    int flags = MAP_PRIVATE | (file < 0 ? MAP_ANONYMOUS : 0);
    char *p = mmap(NULL, MAPPED_SIZE, protection, flags, file, 0);
    if (p == MAP_FAILED) {
        _exit(3);
    }
    return p;
}

static void free_of_mapping(void) {
    free(say(map(PROT_READ | PROT_WRITE, -1) + MAPPED_WHERE));
}

static void free_of_unaligned_in_mapping(void) {
    free(say(map(PROT_READ | PROT_WRITE, -1) + MAPPED_WHERE + 8));
}

static void free_of_start_of_mapping(void) {
    free(say(map(PROT_READ | PROT_WRITE, -1)));
}

static void free_of_filled_mapping(void) {
    char *p = map(PROT_READ | PROT_WRITE, -1);
    memset(p, 0x41, MAPPED_SIZE);
    free(say(p + MAPPED_WHERE));
}

static void free_of_inaccessible(void) {
    free(say(map(PROT_NONE, -1) + MAPPED_WHERE));
}

static int file_of(const char *content) {
    FILE *file = tmpfile();
    if (file == NULL || fputs(content, file) < 0 || fflush(file) != 0) {
        _exit(3);
    }
    return fileno(file);
}

static void free_of_file_mapping(void) {
    char *p = map(PROT_READ, file_of("what a file may hold, by the line, and more of it\n"));
    free(say(p + 16));
}

/* Reading there is answered with SIGBUS. */
static void free_behind_end_of_file(void) {
    free(say(map(PROT_READ, file_of("short\n")) + MAPPED_WHERE));
}

/* The words around it look like a chunk, up to where it must end or begin. */
static void free_of_forged(size_t size, size_t next) {
    size_t *p = (size_t *)(void *)(map(PROT_READ | PROT_WRITE, -1) + MAPPED_WHERE);
    p[-1] = size;
    p[11] = next;
    free(say(p));
}

static void free_of_forged_before_free(void) {
    free_of_forged(0x61, 0x20); /* the next chunk says that this one is free */
}

static void free_of_forged_mapped(void) {
    free_of_forged(0x1002, 0x21); /* it would not start where a mapping does */
}

static void free_of_forged_in_no_heap(void) {
    free_of_forged(0x65, 0x21);
}

static void free_of_forged_too_long(void) {
    free_of_forged(((size_t)1 << 46) + 1, 0x21);
}

static void realloc_of_mapping(void) {
    kept = realloc(say(map(PROT_READ | PROT_WRITE, -1) + MAPPED_WHERE), 100);
}

static void usable_size_of_mapping(void) {
    kept = (void *)malloc_usable_size(say(map(PROT_READ | PROT_WRITE, -1) + MAPPED_WHERE));
}

static void free_of_interior_of_foreign(void) {
    free(say((char *)hide(__libc_calloc(1, 256)) + 64));
}

static pthread_barrier_t shown;

static void *show_stack(void *unused) {
    (void)unused;
    _Alignas(16) char local[256] = {0};
    hide(local + 128);
    pthread_barrier_wait(&shown);
    pause();
    return NULL;
}

static void free_of_stack_of_other(void) {
    pthread_t thread;
    pthread_barrier_init(&shown, NULL, 2);
    if (pthread_create(&thread, NULL, show_stack, NULL) != 0) {
        _exit(3);
    }
    pthread_barrier_wait(&shown);
    free(say(kept));
}

/* No fault: pointers of libc's own are its affair. */
static void foreign(void) {
    static const size_t sizes[] = {1, 24, 25, 1000, 5000, 100000, 300000, 40000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *plain = __libc_malloc(sizes[i]), *above = __libc_memalign(4096, sizes[i]);
        char *resized = __libc_calloc(1, sizes[i]);
        if (plain == NULL || above == NULL || resized == NULL || malloc_usable_size(plain) < sizes[i] ||
            malloc_usable_size(above) < sizes[i]) {
            _exit(5);
        }
        memset(plain, 1, malloc_usable_size(plain));
        memset(above, 2, malloc_usable_size(above));
        resized = realloc(resized, sizes[i] * 2);
        if (resized == NULL) {
            _exit(5);
        }
        free(plain);
        free(above);
        free(resized);
    }
}

static void *foreign_in_thread(void *unused) {
    (void)unused;
    foreign();
    return NULL;
}

static void foreign_from_threads(void) {
    for (int i = 0; i < 3; i++) {
        elsewhere(foreign_in_thread, NULL);
    }
}

/* Where the program break cannot rise, libc maps memory for what it would have had there. */
static void foreign_without_break(void) {
    void *end = sbrk(0);
    char *above = (char *)(((uintptr_t)end + 4095) & ~(uintptr_t)4095);
    if (mmap(above, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
        _exit(3);
    }
    void *many[40];
    for (int i = 0; i < 40; i++) {
        many[i] = __libc_malloc(100000);
        if (many[i] == NULL) {
            _exit(5);
        }
    }
    foreign();
    for (int i = 0; i < 40; i++) {
        free(many[i * 7 % 40]);
    }
    if (sbrk(0) != end) {
        _exit(6);
    }
}

static void none(void) {
    void *p = get(64);
    say(p);
    free(p);
    free(NULL);
}

static void close_stderr(void) {
    close(STDERR_FILENO);
}

static const struct fault faults[] = {
    FAULT(double_free_at_once),
    FAULT(double_free_of_parked),
    FAULT(double_free_later),
    FAULT(double_free_of_merged),
    FAULT(double_free_after_reuse),
    FAULT(double_free_medium),
    FAULT(double_free_medium_on_top),
    FAULT(double_free_large),
    FAULT(double_free_large_merged),
    FAULT(double_free_remote),
    FAULT(double_free_both_remote),
    FAULT(free_own_then_remote),
    FAULT(free_of_stack),
    FAULT(free_of_far_stack),
    FAULT(free_of_thread_stack),
    FAULT(free_of_static),
    FAULT(free_of_function),
    FAULT(free_of_interior),
    FAULT(free_of_interior_medium),
    FAULT(free_of_interior_large),
    FAULT(free_of_interior_large_near),
    FAULT(free_of_unaligned),
    FAULT(free_of_unaligned_by_one),
    FAULT(free_of_aligned_interior),
    FAULT(free_of_aligned_padding),
    FAULT(free_of_end),
    FAULT(free_of_nowhere),
    FAULT(realloc_of_freed),
    FAULT(realloc_of_freed_large),
    FAULT(realloc_of_interior),
    FAULT(usable_size_of_freed),
    FAULT(usable_size_of_interior),
    FAULT(realloc_of_nowhere),
    FAULT(usable_size_of_nowhere),
    FAULT(free_of_mapping),
    FAULT(free_of_unaligned_in_mapping),
    FAULT(free_of_start_of_mapping),
    FAULT(free_of_filled_mapping),
    FAULT(free_of_inaccessible),
    FAULT(free_of_file_mapping),
    FAULT(free_behind_end_of_file),
    FAULT(free_of_forged_before_free),
    FAULT(free_of_forged_mapped),
    FAULT(free_of_forged_in_no_heap),
    FAULT(free_of_forged_too_long),
    FAULT(realloc_of_mapping),
    FAULT(usable_size_of_mapping),
    FAULT(free_of_interior_of_foreign),
    FAULT(free_of_stack_of_other),
    FAULT(none),
    FAULT(close_stderr),
    FAULT(foreign),
    FAULT(foreign_from_threads),
    FAULT(foreign_without_break),
};

int main(int argc, char **argv) {
    if (!fault_run(faults, sizeof faults / sizeof *faults, argc, argv)) {
        return 2;
    }
    /* An object that was freed twice must not be handed out twice. */
    void *one = get(64), *two = get(64);
    return one == two ? 4 : 0;
}
