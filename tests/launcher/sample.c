/*
 * sample.c: a small executable, for the tests of the reader of ELF files to read and to damage; and one
 * that --compare may run.
 *
 * sample [MEBIBYTES]: writes to so much memory from malloc.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **words) {
    size_t bytes = (count > 1 ? strtoul(words[1], NULL, 10) : 1) << 20;
    char *memory = malloc(bytes);
    if (memory == NULL) {
        return 1;
    }
    memset(memory, 1, bytes);
    printf("%d\n", memory[bytes / 2]);
    free(memory);
    return 0;
}
