/* Memory that came from libc's own malloc reaches the preloaded free, realloc and malloc_usable_size: from
 * the first thread (libc takes it from the program break), from others (from arenas of their own), small and
 * large (mapped), and from a thread that is gone. Run with a library preloaded; without one there is nothing
 * foreign about it. */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

enum { THREADS = 4, BLOCKS = 600 };

static char *left_behind[THREADS][BLOCKS];

static void require(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "foreign: %s\n", what);
        abort();
    }
}

static char *make(unsigned i) {
    size_t size = i % 50 == 0 ? 400000 : 1 + i * 13 % 5000;
    char *p = i % 3 == 0   ? __libc_calloc(1, size)
              : i % 3 == 1 ? __libc_memalign(64, size)
                           : __libc_malloc(size);
    require(p != NULL, "libc has no memory");
    p[0] = (char)('a' + i % 26);
    p[size - 1] = p[0];
    return p;
}

static void take(char *p, unsigned i) {
    char first = (char)('a' + i % 26);
    require(p[0] == first, "wrong contents");
    require(malloc_usable_size(p) >= 1, "no usable size");
    if (i % 4 == 0) {
        p = realloc(p, 20000);
        require(p && p[0] == first, "realloc lost the contents");
        memset(p, 0, 20000);
    }
    free(p);
}

static void *run(void *argument) {
    char **mine = argument;
    for (unsigned i = 0; i < BLOCKS; i++) {
        char *foreign = make(i), *own = malloc(1 + i % 300);
        require(own != NULL, "no memory");
        take(foreign, i);
        free(own);
        mine[i] = make(i);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, run, left_behind[i]) == 0, "pthread_create");
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0, "pthread_join");
    for (unsigned i = 0; i < THREADS; i++)
        for (unsigned k = 0; k < BLOCKS; k++)
            take(left_behind[i][k], k);
    static char *mine[BLOCKS];
    run(mine);
    for (unsigned k = 0; k < BLOCKS; k++)
        take(mine[k], k);
    puts("foreign: all well");
    return 0;
}
