/*
 * Fuzz target: the parser of CUTBACK_OPTIONS. Whatever the text, it reads nothing beyond its end, leaves
 * every option at a value that it may have, counts at most one bad entry per comma, and gives the same each
 * time.
 *
 * Layer:     tests. Threading: none.
 */
#include "heap/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool good, const char *what) {
    if (!good) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

/* A string that ends, zero behind its end, with a letter that is known behind each %. */
static bool possible_path(const char *path) {
    size_t length = strnlen(path, CB_OPTION_PATH);
    for (size_t i = length; i < CB_OPTION_PATH; i++) {
        if (path[i] != '\0') {
            return false;
        }
    }
    for (const char *at = path; (at = memchr(at, '%', (size_t)(path + length - at))) != NULL; at += 2) {
        if (at[1] != 'p' && at[1] != 't' && at[1] != '%') {
            return false;
        }
    }
    return length < CB_OPTION_PATH;
}

static bool possible(const struct cb_options *options) {
    return options->on_error <= CB_ERROR_IGNORE && options->purge <= CB_PURGE_NEVER &&
           options->thp <= CB_THP_NEVER && options->deepbind <= CB_DEEPBIND_KEEP &&
           options->stats < CB_STATS_SIGNAL + 64 && options->stats_format <= CB_STATS_JSON &&
           possible_path(options->stats_file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    if (size != 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    unsigned entries = 1;
    for (const char *c = text; *c != '\0'; c++) {
        entries += *c == ',';
    }
    struct cb_options first = cb_options, second;
    unsigned bad = cb_options_parse(&first, text, true);
    demand(bad <= entries, "more bad entries than entries");
    demand(possible(&first), "an option has a value that it cannot have");
    second = first;
    demand(cb_options_parse(&second, text, true) == bad,
           "bad entries are counted differently the second time");
    demand(memcmp(&first, &second, sizeof first) == 0, "the same text gave different options");
    free(text);
    return 0;
}
