// Cliffs at a limit: the address space is full, and the program goes on freeing and asking.

#include "cliffs.hpp"

namespace cliffs {

namespace {

constexpr double kBudget = 1; // seconds for each figure
constexpr uint32_t kMost = 200000;

struct Object {
    void *p;
    uint32_t size;
};

Object *objects;
uint32_t count, refused;

uint32_t size_of(uint64_t random) {
    return 16 + static_cast<uint32_t>(random >> 40) % 497;
}

void set_limit(size_t bytes) {
    rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = proc_field("/proc/self/status", "\nVmSize:") + bytes;
    if (setrlimit(RLIMIT_AS, &limit) != 0) {
        perror("bench: setrlimit");
        exit(1);
    }
}

// Allocates until NULL.
void fill(uint32_t capacity) {
    Random random(47);
    while (count < capacity) {
        uint32_t size = size_of(random.next());
        void *p = malloc(size);
        if (p == nullptr) {
            return;
        }
        touch(p, size, size);
        objects[count++] = {p, size};
    }
}

// Nanoseconds for the free of a random object and a malloc, of the same size or another.
double pairs(bool same, uint64_t seed) {
    Random random(seed);
    uint32_t n = 0;
    double since = thread_seconds(), now;
    refused = 0;
    do {
        for (uint32_t i = 0; i < 16; i++, n++) {
            Object &object = objects[random.below(count)];
            uint32_t size = same ? object.size : size_of(random.next());
            free(object.p);
            object.p = malloc(size);
            object.size = size;
            refused += object.p == nullptr;
        }
        now = thread_seconds();
    } while (now - since < kBudget && n < kMost);
    return (now - since) * 1e9 / n;
}

// Nanoseconds for a request that is refused: first all holes are filled. Sizes as before.
double failures() {
    for (uint32_t size = 512; size >= 16; size -= 16) {
        while (malloc(size) != nullptr) {
        }
    }
    Random random(61);
    uint32_t n = 0, served = 0;
    double since = thread_seconds(), now;
    do {
        for (uint32_t i = 0; i < 16; i++, n++) {
            served += malloc(size_of(random.next())) != nullptr;
        }
        now = thread_seconds();
    } while (now - since < kBudget && n < kMost);
    note("count_served", served);
    return (now - since) * 1e9 / n;
}

// tcmalloc writes a line for each refusal; that is not to depend on where the lines go.
void silence() {
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere < 0 || dup2(nowhere, STDERR_FILENO) < 0) {
        perror("bench: /dev/null");
        exit(1);
    }
    close(nowhere);
}

void limit(const Pattern &pattern) {
    size_t bytes = static_cast<size_t>(pattern.number * 1e6 * scale);
    auto capacity = static_cast<uint32_t>(bytes / 64);
    objects = own_memory<Object>(capacity);
    silence();
    set_limit(bytes);
    fill(capacity);
    note("count_objects", count);
    Usage usage;
    show("ns_same_size", pairs(true, 53));
    note("count_refused_same", refused);
    show("ns_other_size", pairs(false, 59));
    note("count_refused_other", refused);
    show("ns_refused", failures());
    usage.report();
}

} // namespace

const Pattern limit_patterns[] = {
    {"limit_300", "300 MB of address space full of 16 to 512 bytes: free and malloc, and refusals", limit,
     300, 'r'},
    {"limit_1500", "the same with 1.5 GB", limit, 1500, 'r'},
    {},
};

} // namespace cliffs
