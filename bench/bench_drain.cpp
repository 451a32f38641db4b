// Does freed memory come back? Fills the heap, frees everything, and watches what stays resident.
//
//     bench_drain [--order=lifo|fifo|random|all] [--kind=small|large|vectors] [--by=self|other|exit]
//     [--mb=800] [--json]
//
// Prints, per order, one line (or one JSON object with the whole timeline): resident memory over the start,
// at the full point, straight after the last free, after one second idle, and after malloc_trim(0), and the
// time per free. No call into the allocator is made between the last free and the second measurement.
// --by=other: another thread than the allocating one frees; --by=exit: a thread allocates, frees, and ends.

#include "common.hpp"

#include <utility>

#include <malloc.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

using namespace bench;

namespace {

struct Options {
    const char *order = "all";
    const char *kind = "small";
    const char *by = "self";
    size_t megabytes = 800;
    bool json = false;
};

struct Sample {
    double time;
    double resident;
};

Options options;
void **objects;
uint32_t *turns; // the order of the frees
uint32_t count, capacity;
size_t live, base;
double start, ns_alloc, ns_free, mark_full, mark_freed;
size_t at_full, at_freed;
Sample *samples;
uint32_t sample_count;
constexpr uint32_t kSamples = 4096;

void sample() {
    size_t now = resident_now();
    if (sample_count < kSamples) {
        samples[sample_count++] = {seconds() - start, now > base ? static_cast<double>(now - base) : 0.0};
    }
}

size_t over_base() {
    size_t now = resident_exact();
    return now > base ? now - base : 0;
}

void fill() {
    bool large = strcmp(options.kind, "large") == 0, vectors = strcmp(options.kind, "vectors") == 0;
    static const Sizes small_sizes(16, 1024), large_sizes(64 << 10, 4 << 20), vector_sizes(1 << 10, 1 << 20);
    const Sizes &sizes = large ? large_sizes : vectors ? vector_sizes : small_sizes;
    Random random(23);
    size_t target = options.megabytes * 1000000, next = 0;
    double spent = 0, since = seconds();
    while (live < target && count < capacity) {
        uint64_t r = random.next();
        size_t size = sizes.of(r);
        void *p;
        if (vectors) {
            p = nullptr;
            for (size_t length = 64;; length *= 2) {
                length = length < size ? length : size;
                p = realloc(p, length);
                if (p == nullptr) {
                    out_of_memory();
                }
                touch(p, length, r);
                if (length == size) {
                    break;
                }
            }
        } else {
            p = malloc(size);
            if (p == nullptr) {
                out_of_memory();
            }
            touch(p, size, r);
        }
        objects[count++] = p;
        live += size;
        if (live >= next) {
            spent += seconds() - since;
            sample();
            next += target / 40;
            since = seconds();
        }
    }
    spent += seconds() - since;
    ns_alloc = spent * 1e9 / count;
}

void order_turns() {
    for (uint32_t i = 0; i < count; i++) {
        turns[i] = i;
    }
    if (strcmp(options.order, "lifo") == 0) {
        for (uint32_t i = 0; i < count; i++) {
            turns[i] = count - 1 - i;
        }
    } else if (strcmp(options.order, "random") == 0) {
        Random random(29);
        for (uint32_t i = count - 1; i > 0; i--) {
            std::swap(turns[i], turns[random.below(i + 1)]);
        }
    }
}

void drain() {
    uint32_t step = count / 60 + 1;
    double spent = 0;
    for (uint32_t from = 0; from < count; from += step) {
        uint32_t to = from + step < count ? from + step : count;
        double since = seconds();
        for (uint32_t i = from; i < to; i++) {
            free(objects[turns[i]]);
        }
        spent += seconds() - since;
        sample();
    }
    ns_free = spent * 1e9 / count;
}

void mark_fill_done() {
    mark_full = seconds() - start;
    at_full = over_base();
}

void *fill_and_drain(void *) {
    fill();
    mark_fill_done();
    order_turns();
    drain();
    return nullptr;
}

void *drain_only(void *) {
    drain();
    return nullptr;
}

void in_a_thread(void *(*work)(void *)) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, work, nullptr) != 0 || pthread_join(thread, nullptr) != 0) {
        fputs("bench: cannot run a thread\n", stderr);
        abort();
    }
}

void idle(double duration) {
    double end = seconds() + duration;
    while (seconds() < end) {
        timespec nap = {0, 50000000};
        nanosleep(&nap, nullptr);
        sample();
    }
}

int run_one() {
    samples = own_memory<Sample>(kSamples);
    capacity = static_cast<uint32_t>(options.megabytes * 1000000 / 128);
    objects = own_memory<void *>(capacity);
    turns = own_memory<uint32_t>(capacity);
    free(malloc(1)); // the allocator's own start is part of the base
    base = resident_exact();
    start = seconds();
    sample();
    if (strcmp(options.by, "exit") == 0) {
        in_a_thread(fill_and_drain);
    } else {
        fill();
        mark_fill_done();
        order_turns();
        if (strcmp(options.by, "other") == 0) {
            in_a_thread(drain_only);
        } else {
            drain();
        }
    }
    at_freed = over_base();
    mark_freed = seconds() - start;
    idle(1.0);
    size_t at_idle = over_base();
    double mark_idle = seconds() - start, before = seconds();
    malloc_trim(0);
    double trim_ms = (seconds() - before) * 1e3;
    size_t at_trim = over_base();
    sample();
    idle(0.2);

    if (options.json) {
        printf("{\"workload\": \"drain_%s\", \"kind\": \"%s\", \"by\": \"%s\", \"allocator\": \"%s\", "
               "\"objects\": %u, "
               "\"live\": %zu, \"full\": %zu, \"freed\": %zu, \"idle\": %zu, \"trimmed\": %zu, \"ns_alloc\": "
               "%.3f, "
               "\"ns_free\": %.3f, \"trim_ms\": %.3f, \"peak\": %zu, \"marks\": [%.4f, %.4f, %.4f], "
               "\"timeline\": [",
               options.order, options.kind, options.by, allocator_file(), count, live, at_full, at_freed,
               at_idle, at_trim, ns_alloc, ns_free, trim_ms, resident_peak(), mark_full, mark_freed,
               mark_idle);
        for (uint32_t i = 0; i < sample_count; i++) {
            printf("%s[%.4f, %.0f]", i ? ", " : "", samples[i].time, samples[i].resident);
        }
        puts("]}");
    } else {
        printf("drain %-6s %s by %s: live %.0f MB, full %.1f, after the last free %.1f, 1 s idle %.1f, "
               "trimmed %.1f MB; "
               "%.1f ns/malloc %.1f ns/free, trim %.1f ms  [%s]\n",
               options.order, options.kind, options.by, live / 1e6, at_full / 1e6, at_freed / 1e6,
               at_idle / 1e6, at_trim / 1e6, ns_alloc, ns_free, trim_ms, base_name(allocator_file()));
    }
    return 0;
}

// Each order in a process of its own.
int run_all(char **argv) {
    int failed = 0;
    for (const char *order : {"lifo", "fifo", "random"}) {
        char option_order[32], option_kind[32], option_by[32], option_mb[32];
        snprintf(option_order, sizeof option_order, "--order=%s", order);
        snprintf(option_kind, sizeof option_kind, "--kind=%s", options.kind);
        snprintf(option_by, sizeof option_by, "--by=%s", options.by);
        snprintf(option_mb, sizeof option_mb, "--mb=%zu", options.megabytes);
        char json[] = "--json";
        char *arguments[] = {
            argv[0], option_order, option_kind, option_by, option_mb, options.json ? json : nullptr, nullptr};
        pid_t pid;
        int status = 0;
        if (posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, arguments, environ) != 0 ||
            waitpid(pid, &status, 0) != pid || status != 0) {
            fprintf(stderr, "bench: drain %s failed (status %d)\n", order, status);
            failed = 1;
        }
    }
    return failed;
}

} // namespace

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (strncmp(a, "--order=", 8) == 0) {
            options.order = a + 8;
        } else if (strncmp(a, "--kind=", 7) == 0) {
            options.kind = a + 7;
        } else if (strncmp(a, "--by=", 5) == 0) {
            options.by = a + 5;
        } else if (strncmp(a, "--mb=", 5) == 0) {
            options.megabytes = strtoul(a + 5, nullptr, 10);
        } else if (strcmp(a, "--json") == 0) {
            options.json = true;
        } else {
            fprintf(stderr,
                    "usage: %s [--order=lifo|fifo|random|all] [--kind=small|large|vectors] "
                    "[--by=self|other|exit] [--mb=800] [--json]\n",
                    argv[0]);
            return 2;
        }
    }
    if (options.megabytes == 0 || options.megabytes > 100000) {
        fputs("bench: --mb must be 1 to 100000\n", stderr);
        return 2;
    }
    return strcmp(options.order, "all") == 0 ? run_all(argv) : run_one();
}
