/*
 * Allocates and frees the same amount again and again, for counting its system calls from outside: those
 * between the two calls of getppid.
 *
 * usage: loop block|pieces|small BYTES ROUNDS
 *
 *   block    one block of so many bytes
 *   pieces   blocks of 64 KiB, freed in the order in which they were made
 *   small    objects of 16 to 512 bytes, freed in reverse order
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "fixture.h"

#include <sys/syscall.h>

#define WARM_UP 12

static void **object;

static void round_of(const char *kind, size_t amount) {
    size_t count = 0;
    uint64_t random = 3;
    if (strcmp(kind, "block") == 0) {
        void *p = malloc(amount);
        fixture_touch(p, amount);
        free(p);
        return;
    }
    bool pieces = strcmp(kind, "pieces") == 0;
    for (size_t have = 0; have < amount; count++) {
        size_t size = pieces ? 64 * KIB : fixture_size(&random, 16, 512);
        object[count] = malloc(size);
        fixture_touch(object[count], size);
        have += size;
    }
    for (size_t i = 0; i < count; i++) {
        free(object[pieces ? i : count - 1 - i]);
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        return 2;
    }
    size_t amount = strtoull(argv[2], NULL, 10);
    int rounds = atoi(argv[3]);
    object = fixture_own((amount / 64 + 2) * sizeof *object);
    for (int i = 0; i < WARM_UP; i++) {
        round_of(argv[1], amount);
    }
    syscall(SYS_getppid);
    for (int i = 0; i < rounds; i++) {
        round_of(argv[1], amount);
    }
    syscall(SYS_getppid);
    return 0;
}
