/*
 * fault.h: what the programs with one fault each are made of. The argument says which fault. What the report must name
 * is told on standard output: the address. Whoever gets past the fault ends with status 0, where nothing else is wrong.
 *
 * Layer:     tests. Includes nothing of the project.
 * Threading: none.
 */
#ifndef CB_TESTS_FAULT_H
#define CB_TESTS_FAULT_H

#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct fault {
    const char *name;
    void (*run)(void);
};
#define FAULT(name)                                                                                          \
    { #name, name }

static void *volatile kept;

/* Keeps the compiler from seeing what happens to a pointer, and calls from becoming jumps. */
static inline void *hide(void *p) {
    kept = p;
    return kept;
}

/* Says what the report must name; flushed, for the process is about to end. */
static inline void *say(void *p) {
    printf("%p\n", hide(p));
    fflush(stdout);
    return kept;
}

/* Does what the argument says; false: there is no such fault. */
static inline int fault_run(const struct fault *faults, size_t count, int argc, char **argv) {
    for (size_t i = 0; i < count && argc > 1; i++) {
        if (strcmp(argv[1], faults[i].name) == 0) {
            faults[i].run();
            return 1;
        }
    }
    return 0;
}

#endif
