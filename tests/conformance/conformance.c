/*
 * Prints a line of the Test Anything Protocol per property. Each property is tried in a process of its own,
 * so that one that crashes or hangs is one that fails.
 *
 * Layer:     tests.
 * Threading: none.
 */
#include "conformance.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 60 };

void *opaque(void *p) {
    void *volatile kept = p;
    return kept;
}

size_t unknown(size_t n) {
    volatile size_t kept = n;
    return kept;
}

void fill(void *p, size_t size, unsigned char seed) {
    for (size_t i = 0; i < size; i++) {
        ((unsigned char *)p)[i] = (unsigned char)(seed + i * 7 + (i >> 8));
    }
}

bool filled(const void *p, size_t size, unsigned char seed) {
    for (size_t i = 0; i < size; i++) {
        if (((const unsigned char *)p)[i] != (unsigned char)(seed + i * 7 + (i >> 8))) {
            return false;
        }
    }
    return true;
}

bool zero(const void *p, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (((const unsigned char *)p)[i] != 0) {
            return false;
        }
    }
    return true;
}

static int number;

static bool try_property(const struct property *property) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        alarm(SECONDS);
        _exit((int)property->holds());
    }
    int status = -1;
    if (child > 0 && waitpid(child, &status, 0) != child) {
        status = -1;
    }
    bool ended = WIFEXITED(status), good = ended && WEXITSTATUS(status) != FAILS;
    printf("%s %d - %s%s\n", good ? "ok" : "not ok", ++number, property->text,
           ended && WEXITSTATUS(status) == ABSENT ? " # SKIP no such function" : "");
    if (!ended) {
        printf("# it ended by signal %d\n", WTERMSIG(status));
    }
    return good;
}

int main(void) {
    const struct property *const chapters[] = {allocation_properties, aligned_properties, resize_properties,
                                               process_properties};
    bool good = true;
    for (size_t i = 0; i < sizeof chapters / sizeof *chapters; i++) {
        for (const struct property *property = chapters[i]; property->text != NULL; property++) {
            good = try_property(property) && good;
        }
    }
    printf("1..%d\n", number);
    return good ? 0 : 1;
}
