/*
 * Stands in for libFuzzer where there is none: runs a fuzz target once over every file named, and over every
 * file in every directory named.
 *
 * Layer:     tests; knows nothing of what it replays but LLVMFuzzerTestOneInput.
 * Threading: none.
 *
 * Exit status: 0 if all were run, 1 if one could not be read or there was none; a target that finds a fault
 * aborts.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replayed;

static int replay_failed(const char *path) {
    perror(path);
    return 1;
}

static int replay_file(const char *path) {
    enum { LIMIT = 1 << 20 };
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return replay_failed(path);
    uint8_t *data = malloc(LIMIT);
    size_t size = data != NULL ? fread(data, 1, LIMIT, file) : 0;
    int failed = data == NULL || ferror(file) != 0;
    (void)fclose(file);
    if (failed) {
        free(data);
        return replay_failed(path);
    }
    uint8_t *exact = malloc(size != 0 ? size : 1); /* so that a checker sees a read past the end */
    if (exact == NULL) {
        free(data);
        return replay_failed(path);
    }
    memcpy(exact, data, size);
    free(data);
    (void)fprintf(stderr, "%s: %zu bytes\n", path,
                  size); /* before the run: the last line names the culprit */
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    replayed++;
    return 0;
}

static int replay_directory(DIR *directory, const char *path) {
    int failed = 0;
    for (const struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(name, sizeof name, "%s/%s", path, entry->d_name) >= (int)sizeof name) {
            (void)fprintf(stderr, "%s/%s: name too long\n", path, entry->d_name);
            failed = 1;
            continue;
        }
        failed |= replay_file(name);
    }
    return failed;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        DIR *directory = opendir(argv[i]);
        if (directory == NULL) {
            failed |= replay_file(argv[i]);
            continue;
        }
        failed |= replay_directory(directory, argv[i]);
        closedir(directory);
    }
    (void)fprintf(stderr, "%zu inputs replayed\n", replayed);
    return failed != 0 || replayed == 0;
}
