/*
 * Reads JSON from standard input, and writes each string, number and word in it on a line of its own, after its path:
 *
 *     $ echo '{"ports": [80, 443], "name": "web"}' | json_paths
 *     .ports[0] = 80
 *     .ports[1] = 443
 *     .name = web
 *
 * It shows an input of unknown length that is not copied while it is read, since the block on top grows in place.
 *
 * Exit status: 0; 1: that is no JSON, or is too large, or cannot be read or written.
 */
#include "json.h"

#include <stdio.h>

enum { PIECE = 4096 };

static unsigned char memory[16 << 20];
static cutback_slot ring[64];
static cutback_arena arena = CUTBACK_INIT(memory, ring);

/* All of the stream, and a 0; NULL if it does not fit. */
static char *read_all(FILE *stream) {
    size_t room = PIECE;
    size_t size = 0;
    size_t got = 0;
    char *text = cutback_alloc(&arena, room, 1);
    while (text != NULL && (got = fread(text + size, 1, room - 1 - size, stream)) != 0) {
        size += got;
        if (size == room - 1) {
            text = cutback_realloc(&arena, text, room, room + PIECE, 1);
            room += PIECE;
        }
    }
    if (text == NULL)
        return NULL;
    text[size] = 0;
    return cutback_realloc(&arena, text, room, size + 1, 1);
}

/* The way from the document to a value, for the part that is above it. */
struct step {
    const struct step *before;
    const struct json *name; /* NULL in an array */
    size_t index;
};

static void print_path(const struct step *step) {
    if (step == NULL)
        return;
    print_path(step->before);
    if (step->name != NULL)
        printf(".%s", step->name->text);
    else
        printf("[%zu]", step->index);
}

static void print_leaves(const struct json *value, const struct step *path) {
    struct step step = {path, NULL, 0};
    for (const struct json *inside = value->first; inside != NULL; inside = inside->next, step.index++) {
        step.name = inside->name;
        print_leaves(inside, &step);
    }
    if (value->kind == JSON_STRING || value->kind == JSON_PLAIN) {
        print_path(path);
        printf(" = %.*s\n", (int)value->length, value->text);
    }
}

int main(void) {
    const char *fault = NULL;
    const char *at = NULL;
    const char *text = read_all(stdin);
    if (text == NULL || ferror(stdin)) {
        (void)fputs("json_paths: the input is too large, or cannot be read\n", stderr);
        return 1;
    }
    const struct json *document = json_parse(&arena, text, &fault, &at);
    if (document == NULL) {
        size_t line = 1;
        for (const char *c = text; c < at; c++)
            line += *c == '\n';
        (void)fprintf(stderr, "json_paths: line %zu: %s\n", line, fault);
        return 1;
    }
    print_leaves(document, NULL);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
