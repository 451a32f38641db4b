/*
 * The test of the commands of gdb looks at this: objects in every state, whose addresses stand in a file.
 *
 * usage: gdb_program FILE    writes lines "NAME ADDRESS", and stops in stop_here
 *
 * Layer:     tests.
 * Threading: one besides, which has a heap of its own and sleeps.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void stop_here(void);

static FILE *file;
static sem_t there, never;
static void *of_thread;

static void tell(const char *name, const void *address) {
    fprintf(file, "%s %p\n", name, address);
}

__attribute__((noinline)) void stop_here(void) {
    __asm__ volatile("");
}

static void *sleeper(void *unused) {
    of_thread = malloc(200);
    sem_post(&there);
    sem_wait(&never);
    return unused;
}

/* Twenty of a size that nobody else has, side by side: some of them freed, off the top. */
static void small(void) {
    char *object[20];
    for (int i = 0; i < 20; i++) {
        object[i] = malloc(600);
    }
    free(object[5]);
    tell("small", object[10]);
    tell("small_inside", object[10] + 100);
    tell("small_before_parked", object[4]);
    tell("parked", object[5]);
    tell("unused", object[19] + 1000);
    tell("small_last", object[19]);
}

/* Objects of a medium size, freed until some of them leave their bin. */
static void medium(void) {
    enum { COUNT = 400 };
    static char *object[COUNT];
    for (int i = 0; i < COUNT; i++) {
        object[i] = malloc(8000);
    }
    for (int i = 1; i < COUNT - 1; i++) {
        if (i != COUNT / 2) {
            free(object[i]);
        }
    }
    tell("medium", object[COUNT / 2] + 7);
    tell("dead", object[2]);
}

int main(int count, char **word) {
    pthread_t thread;
    if (count != 2 || (file = fopen(word[1], "w")) == NULL) {
        return 2;
    }
    sem_init(&there, 0, 0);
    sem_init(&never, 0, 0);
    if (pthread_create(&thread, NULL, sleeper, NULL) != 0) {
        return 2;
    }
    sem_wait(&there);
    int local;
    small();
    medium();
    char *large = malloc(1000000), *freed = malloc(3000000);
    free(freed);
    tell("large", large);
    tell("large_inside", large + 70000);
    tell("of_thread", of_thread);
    tell("stack", &local);
    tell("pages", freed + 100000);
    fclose(file);
    stop_here();
    return 0;
}
