// Cliffs of realloc: buffers that grow in turn, and blocks that go back and forth across a border of sizes.

#include "cliffs.hpp"

namespace cliffs {

namespace {

constexpr double kLongest = 3; // seconds after which a pattern is given up

// Grows buffers in turn, each step by `step` bytes of which the last is written, up to 256 MB in all; `still` more
// buffers lie behind them and do not grow.
void grow(uint32_t buffers, uint32_t still, size_t step) {
    auto **p = own_memory<char *>(buffers + still);
    for (uint32_t i = 0; i < buffers + still; i++) {
        p[i] = static_cast<char *>(make(step, i));
    }
    uint32_t steps = scaled(256e6 / double(step)), done = 0;
    Usage usage;
    double since = thread_seconds(), spent = 0;
    for (; done < steps && spent < kLongest; done++) {
        uint32_t i = done % buffers;
        size_t size = (done / buffers + 2) * step;
        p[i] = static_cast<char *>(checked(realloc(p[i], size)));
        p[i][size - 1] = 1;
        spent = done % 16 == 15 ? thread_seconds() - since : spent;
    }
    show("ns_realloc", (thread_seconds() - since) * 1e9 / done);
    note("count_steps", done);
    note("count_given_up",
         steps - done); // steps that were not reached: a whole run would take still longer for each
    note("bytes_peak", double(resident_peak()));
    usage.report();
}

void grow_4k(const Pattern &pattern) {
    grow(pattern.number, 0, 4096);
}

void grow_64k(const Pattern &pattern) {
    grow(pattern.number, 0, 65536);
}

void grow_behind(const Pattern &pattern) {
    grow(1, 1, size_t{pattern.number} << 10);
}

// Nanoseconds for one realloc of a block that goes from `low` to `high` bytes and back; the best of five.
double across(size_t low, size_t high) {
    void *p = checked(malloc(low));
    memset(p, 1, low);
    double best = 1e9;
    for (int round = 0; round < 5; round++) {
        uint32_t n = 0;
        double since = thread_seconds(), now;
        do {
            for (uint32_t i = 0; i < 16; i++, n += 2) {
                p = checked(realloc(p, high));
                static_cast<char *>(p)[high - 1] = 1;
                p = checked(realloc(p, low));
            }
            now = thread_seconds();
        } while (now - since < 0.05 && n < 100000);
        double ns = (now - since) * 1e9 / n;
        best = ns < best ? ns : best;
    }
    free(p);
    return best;
}

void borders(const Pattern &) {
    Usage usage;
    show("ns_1k", across(1008, 1040));
    show("ns_4k", across(4000, 4200));
    show("ns_32k", across(32000, 33000));
    show("ns_64k", across(65000, 66000));
    show("ns_128k", across(130000, 132000));
    show("ns_256k", across(261000, 263000));
    show("ns_1m", across(1048000, 1049000));
    show("ns_4m", across(4194000, 4195000));
    usage.report();
}

} // namespace

const Pattern realloc_patterns[] = {
    {"grow_1_4k", "1 buffer grows to 256 MB by steps of 4 KiB", grow_4k, 1, 't'},
    {"grow_2_4k", "2 in turn, to 256 MB in all", grow_4k, 2, 't'},
    {"grow_10_4k", "10 in turn", grow_4k, 10, 't'},
    {"grow_100_4k", "100 in turn", grow_4k, 100, 't'},
    {"grow_1_64k", "1 buffer grows to 256 MB by steps of 64 KiB", grow_64k, 1, 't'},
    {"grow_2_64k", "2 in turn", grow_64k, 2, 't'},
    {"grow_10_64k", "10 in turn", grow_64k, 10, 't'},
    {"grow_100_64k", "100 in turn", grow_64k, 100, 't'},
    {"grow_behind", "1 grows by 64 KiB, another lies behind it", grow_behind, 64, 't'},
    {"realloc_borders", "realloc to and fro across borders of sizes", borders, 0, 't'},
    {},
};

} // namespace cliffs
