// Cliffs of single calls: the worst free while much is freed, objects with large alignments, large blocks of several
// threads.

#include "cliffs.hpp"

namespace cliffs {

namespace {

// ---- the worst single free --------------------------------------------------------------------------------------

// Fills `megabytes` with sizes from `low` to `high` and frees all, with the time of each free.
void worst(double megabytes, char order, double low, double high) {
    Sizes sizes(low, high);
    double mean = (high - low) / std::log(high / low), bytes = megabytes * 1e6 * scale;
    auto count = static_cast<uint32_t>(bytes / mean) + 1;
    auto **objects = own_memory<void *>(count);
    auto *turns = own_memory<uint32_t>(count);
    size_t base = resident_exact();
    Random random(67);
    for (uint32_t i = 0; i < count; i++) {
        objects[i] = make(sizes.of(random.next()), i);
        turns[i] = order == 'l' ? count - 1 - i : i;
    }
    if (order == 'r') {
        shuffle(turns, count, 71);
    }
    note("bytes_full", double(over(base)));
    Usage usage;
    Worst slowest;
    double since = thread_seconds(), before = since;
    for (uint32_t i = 0; i < count; i++) {
        free(objects[turns[i]]);
        double now = thread_seconds();
        slowest.add(now - before);
        before = now;
    }
    show("us_worst", slowest.first() * 1e6);
    show("us_tenth", slowest.tenth() * 1e6);
    note("ns_free", (before - since) * 1e9 / count); // with the clock, which is read each time
    note("bytes_freed", double(over(base)));
    usage.report();
}

void worst_small(const Pattern &pattern) {
    worst(pattern.number, pattern.order, 16, 1024);
}

void worst_medium(const Pattern &pattern) {
    worst(pattern.number, pattern.order, 1024, 32 << 10);
}

void worst_large(const Pattern &pattern) {
    worst(pattern.number, pattern.order, 64 << 10, 4 << 20);
}

// ---- alignments -----------------------------------------------------------------------------------------------

// 10,000 objects of 200 bytes with an alignment of `number` KiB.
void aligned(const Pattern &pattern) {
    uint32_t count = scaled(10000);
    auto **objects = own_memory<void *>(count);
    size_t base = resident_exact();
    Usage usage;
    double since = thread_seconds();
    for (uint32_t i = 0; i < count; i++) {
        if (posix_memalign(&objects[i], size_t{pattern.number} << 10, 200) != 0) {
            out_of_memory();
        }
        touch(objects[i], 200, i);
    }
    double allocated = thread_seconds();
    size_t live = over(base);
    double resumed = thread_seconds();
    for (uint32_t i = 0; i < count; i++) {
        free(objects[i]);
    }
    show("ns_pair", (thread_seconds() - resumed + allocated - since) * 1e9 / count);
    show("bytes_live", double(live));
    note("bytes_freed", double(over(base)));
    usage.report();
}

// ---- large blocks of several threads ----------------------------------------------------------------------------

uint32_t rounds;

void trade_large(uint32_t number) {
    static const Sizes sizes(64 << 10, 1 << 20);
    Random random(number + 73);
    void *held[32] = {};
    for (uint32_t i = 0; i < rounds; i++) {
        void *&p = held[random.below(32)];
        free(p);
        p = make(sizes.of(random.next()), i);
    }
    for (void *p : held) {
        free(p);
    }
    Team::gate();
}

// Threads allocate and free blocks of 64 KiB to 1 MiB at random. Processor time of all, and how often one waited.
void large_threads(const Pattern &pattern) {
    rounds = scaled(3000);
    Team team(pattern.number, trade_large);
    size_t base = resident_exact();
    Usage usage;
    double since = process_seconds();
    team.next();
    show("ns_pair", (process_seconds() - since) * 1e9 / (double(rounds) * pattern.number));
    note("bytes_freed", double(over(base)));
    note("bytes_peak", double(resident_peak()));
    usage.report();
    team.end();
}

} // namespace

const Pattern free_patterns[] = {
    {"worst_random", "the worst free of 784 MB of small objects, random order", worst_small, 784, 'r'},
    {"worst_fifo", "the same in the order of allocation", worst_small, 784, 'f'},
    {"worst_lifo", "the same in reverse order", worst_small, 784, 'l'},
    {"worst_medium", "the worst free of 784 MB in 1 to 32 KiB, random order", worst_medium, 784, 'r'},
    {"worst_large", "the worst free of 784 MB in 64 KiB to 4 MiB, random order", worst_large, 784, 'r'},
    {"aligned_4k", "10,000 objects of 200 bytes aligned to 4 KiB", aligned, 4, 'f'},
    {"aligned_16k", "the same aligned to 16 KiB", aligned, 16, 'f'},
    {"aligned_64k", "the same aligned to 64 KiB", aligned, 64, 'f'},
    {"large_threads", "4 threads with blocks of 64 KiB to 1 MiB at random", large_threads, 4, 'r'},
    {},
};

} // namespace cliffs
