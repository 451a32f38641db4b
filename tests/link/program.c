/* Uses malloc from several threads and around a fork, and says whose malloc it is: "malloc is in FILE", as
 * far as the dynamic linker knows. Linked in every way that link.sh knows of. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, BLOCKS = 500 };

static void *shared[THREADS][BLOCKS];

static void require(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "program: %s\n", what);
        abort();
    }
}

static void *fill(void *argument) {
    void **blocks = argument;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < BLOCKS; i++) {
            size_t size = 1 + (i * 37 + round * 11) % 3000;
            char *p = i % 3 ? malloc(size) : calloc(1, size);
            require(p && (i % 3 || p[size - 1] == 0), "no memory, or not zeroed");
            memset(p, (int)(i & 127), size);
            blocks[i] = p;
        }
        if (round == 19)
            break; /* these are left for the main thread to free */
        for (unsigned i = 0; i < BLOCKS; i++)
            free(blocks[round % 2 ? i : BLOCKS - 1 - i]);
    }
    return NULL;
}

static void use_threads(void) {
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, fill, shared[i]) == 0, "pthread_create");
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0, "pthread_join");
    for (unsigned i = 0; i < THREADS; i++) {
        for (unsigned k = 0; k < BLOCKS; k++) {
            require(*(unsigned char *)shared[i][k] == (k & 127), "wrong contents from a thread");
            free(shared[i][k]);
        }
    }
}

int main(void) {
    char *text = malloc(100);
    require(text != NULL, "malloc");
    strcpy(text, "text");
    text = realloc(text, 100000);
    require(text && strcmp(text, "text") == 0, "realloc");
    void *aligned = NULL;
    require(posix_memalign(&aligned, 4096, 100) == 0 && (uintptr_t)aligned % 4096 == 0, "posix_memalign");
    char *copy = strdup(text); /* libc's own calls must arrive in the same place */
    require(copy && strcmp(copy, "text") == 0, "strdup");

    use_threads();
    pid_t child = fork();
    if (child == 0) {
        free(copy);
        use_threads();
        exit(0);
    }
    int status = -1;
    require(child > 0 && waitpid(child, &status, 0) == child && status == 0, "the child failed");
    use_threads();

    free(copy);
    free(aligned);
    free(text);
#ifndef STATIC
    /* the program must not take the address of malloc anywhere, or this finds a stub in the program itself */
    Dl_info info;
    if (dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) && info.dli_fname)
        printf("malloc is in %s\n", info.dli_fname);
#endif
    return 0;
}
