/* Uses an installed arena: what the header expands, what is a call, a chain. */
#include <cutback.h>
#include <cutback_chain.h>
#include <cutback_util.h>
#include <stdio.h>

static unsigned char memory[4096];
static cutback_slot ring[16];
static cutback_arena arena = CUTBACK_INIT(memory, ring);

int main(void) {
    int *one = cutback_new(&arena, int);
    char *zeroed = cutback_calloc(&arena, 10, 10, 1);
    if (one == NULL || zeroed == NULL || zeroed[99] != 0 || !cutback_owns(&arena, one)) {
        return 1;
    }
    cutback_free(&arena, one, sizeof *one);
    cutback_free(&arena, zeroed, 100);
    printf("arena %d\n", CUTBACK_VERSION);
    return cutback_used(&arena) != 0;
}
