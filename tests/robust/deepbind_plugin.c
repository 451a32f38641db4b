/*
 * A library that a program opens with RTLD_DEEPBIND: it frees what libc allocated for the program, hands out
 * what libc allocated for it, and says whose function of a name that both have it finds. See deepbind.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int deepbind_mark(void);
void plugin_free(void *p);
void *plugin_resize(void *p, size_t size);
char *plugin_duplicate(const char *text);
char *plugin_print(int number);
char *plugin_line(FILE *file);
int plugin_mark(void);
void *plugin_malloc(void);

/* Weak, so that no compiler takes it for certain that its own is meant. */
__attribute__((weak)) int deepbind_mark(void) {
    return 2;
}

int plugin_mark(void) {
    return deepbind_mark();
}

void *plugin_malloc(void) {
    return (void *)malloc;
}

void plugin_free(void *p) {
    free(p);
}

void *plugin_resize(void *p, size_t size) {
    return realloc(p, size);
}

char *plugin_duplicate(const char *text) {
    return strdup(text);
}

char *plugin_print(int number) {
    char *text = NULL;
    return asprintf(&text, "number %d", number) > 0 ? text : NULL;
}

char *plugin_line(FILE *file) {
    char *line = NULL;
    size_t size = 0;
    return getline(&line, &size, file) >= 0 ? line : NULL;
}
