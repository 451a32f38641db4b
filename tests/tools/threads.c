/*
 * Two threads allocate and free 20,000 objects of up to 1000 bytes each, and 32 MB once.
 *
 * Usage: threads. Prints "done"; exit status 0.
 *
 * Layer: tests. Threading: two threads, which share nothing.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *work(void *unused) {
    char *kept[64] = {NULL};
    for (size_t i = 0; i < 20000; i++) {
        char *p = malloc(1 + i * 7919 % 1000);
        p[0] = (char)i;
        free(kept[i % 64]);
        kept[i % 64] = p;
    }
    for (size_t i = 0; i < 64; i++) {
        free(kept[i]);
    }
    char *large = malloc(32 << 20);
    memset(large, 1, 32 << 20);
    free(large);
    return unused;
}

int main(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, NULL) != 0) {
        return 1;
    }
    work(NULL);
    pthread_join(thread, NULL);
    puts("done");
    return 0;
}
