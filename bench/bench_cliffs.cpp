// Where allocators fall off a cliff: patterns under which some allocator takes hundreds of times longer than
// others, or keeps what it should give back. One pattern a process, like all of these under each allocator by
// LD_PRELOAD:
//
//     bench_cliffs --list                      the patterns
//     bench_cliffs [--json] [--scale=1] NAME   one of them, a line (or one JSON object)
//
// The names of the figures begin with their unit: ns_ and us_ are processor time of the calling thread, if the
// pattern does not say otherwise; bytes_ are resident, over what was resident before the pattern began.

#include "cliffs.hpp"

#include <initializer_list>

namespace cliffs {

double scale = 1;

namespace {

struct Figure {
    const char *name;
    double value;
    bool shown;
};

Figure figures[32];
uint32_t figure_count;

void add(const char *name, double value, bool shown) {
    if (figure_count == sizeof figures / sizeof figures[0]) {
        fputs("bench: too many figures\n", stderr);
        abort();
    }
    figures[figure_count++] = {name, value, shown};
}

const Pattern *const groups[] = {thread_patterns, limit_patterns, realloc_patterns, free_patterns};

void list() {
    for (const Pattern *group : groups) {
        for (; group->name != nullptr; group++) {
            printf("%-20s %s\n", group->name, group->what);
        }
    }
}

const Pattern *find(const char *name) {
    for (const Pattern *group : groups) {
        for (; group->name != nullptr; group++) {
            if (strcmp(group->name, name) == 0) {
                return group;
            }
        }
    }
    return nullptr;
}

void print_json(const Pattern &pattern) {
    printf("{\"pattern\": \"%s\", \"allocator\": \"%s\", \"peak\": %zu, \"figures\": {", pattern.name,
           allocator_file(), resident_peak());
    for (bool shown : {true, false}) {
        const char *comma = "";
        for (uint32_t i = 0; i < figure_count; i++) {
            if (figures[i].shown == shown) {
                printf("%s\"%s\": %.1f", comma, figures[i].name, figures[i].value);
                comma = ", ";
            }
        }
        fputs(shown ? "}, \"notes\": {" : "}}\n", stdout);
    }
}

void print_line(const Pattern &pattern) {
    printf("%-20s", pattern.name);
    for (uint32_t i = 0; i < figure_count; i++) {
        const char *name = figures[i].name;
        if (strncmp(name, "bytes_", 6) == 0) {
            printf("  %s %.2f MB", name + 6, figures[i].value / 1e6);
        } else {
            printf("  %s %.*f", name, figures[i].value < 100 ? 1 : 0, figures[i].value);
        }
    }
    printf("  [%s]\n", base_name(allocator_file()));
}

} // namespace

void show(const char *name, double value) {
    add(name, value, true);
}

void note(const char *name, double value) {
    add(name, value, false);
}

} // namespace cliffs

int main(int argc, char **argv) {
    using namespace cliffs;
    const char *name = nullptr;
    bool json = false;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (strcmp(a, "--list") == 0) {
            list();
            return 0;
        } else if (strcmp(a, "--json") == 0) {
            json = true;
        } else if (strncmp(a, "--scale=", 8) == 0) {
            scale = strtod(a + 8, nullptr);
        } else if (name == nullptr && a[0] != '-') {
            name = a;
        } else {
            name = nullptr;
            break;
        }
    }
    const Pattern *pattern = name == nullptr ? nullptr : find(name);
    if (pattern == nullptr || !(scale > 0 && scale <= 10)) {
        fprintf(stderr, "usage: %s --list | [--json] [--scale=1] NAME\n", argv[0]);
        return 2;
    }
    free(checked(malloc(1))); // the allocator's own start is part of no difference
    pattern->run(*pattern);
    if (json) {
        print_json(*pattern);
    } else {
        print_line(*pattern);
    }
    return 0;
}
