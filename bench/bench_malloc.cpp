// The heap benchmarks: one program that only calls malloc and friends, run under each allocator by
// LD_PRELOAD.
//
//     bench_malloc --workload=random_100k        one line: ns/op, peak resident memory, resident/live
//     bench_malloc --workload='random.*|phases'  each in a process of its own
//     bench_malloc --workload=NAME --json        the same as one JSON object a line
//     bench_malloc --workload=NAME --scale=0.2   a fifth of the work
//     bench_malloc --list                        the workloads
//     bench_malloc [--benchmark_...]             plain Google Benchmark, all in one process
//
// Each workload does a fixed amount of work, the same under every allocator, and holds its own tables in
// memory that it maps itself. What is counted as an operation is one malloc (or its kin) with its free.
// Threads are timed by the wall clock, the rest by the processor time of the process (page faults and system
// calls included).

#include "common.hpp"

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdarg>
#include <string>
#include <vector>

#include <malloc.h>
#include <pthread.h>
#include <regex.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>

using namespace bench;
using benchmark::DoNotOptimize;
using benchmark::State;

namespace {

inline void *checked(void *p) {
    if (__builtin_expect(p == nullptr, 0)) {
        out_of_memory();
    }
    DoNotOptimize(p);
    return p;
}

// Allocates and writes the first and the last byte.
inline void *make(size_t size, uint64_t value) {
    void *p = checked(malloc(size));
    touch(p, size, value);
    return p;
}

// Resident memory against live memory. The base is what was resident before the workload's first object.
class Memory {
  public:
    Memory() {
        reset_peak();
        base_ = resident_exact();
    }
    size_t grown() const {
        size_t now = resident_exact();
        return now > base_ ? now - base_ : 0;
    }
    // Counts one look at what is held; a workload may take several, the mean is reported.
    void look(size_t live) {
        held_ += static_cast<double>(grown());
        live_ += static_cast<double>(live);
        looks_++;
    }
    void report(State &state) const {
        state.counters["peak"] = static_cast<double>(resident_peak());
        state.counters["base"] = static_cast<double>(base_);
        if (looks_ && live_ > 0) {
            state.counters["live"] = live_ / looks_;
            state.counters["resident"] = held_ / looks_;
            state.counters["resident_live"] = held_ / live_;
        }
    }

  private:
    size_t base_;
    double held_ = 0, live_ = 0;
    int looks_ = 0;
};

void report(State &state, const Memory &memory, double ops) {
    state.counters["ops"] = ops;
    state.SetItemsProcessed(static_cast<int64_t>(ops));
    memory.report(state);
}

// ---- pairs and stacks: small sizes, everything in the first-level cache
// ------------------------------------------

constexpr uint32_t kPairs = 1 << 16;

// Sizes of small objects, 8 to 512 bytes, drawn before the clock starts.
const uint32_t *small_sizes() {
    static uint32_t *sizes = nullptr;
    if (sizes == nullptr) {
        sizes = own_memory<uint32_t>(kPairs);
        Sizes draw(8, 512);
        Random random(7);
        for (uint32_t i = 0; i < kPairs; i++) {
            sizes[i] = draw.of(random.next());
        }
    }
    return sizes;
}

void immediate(State &state) {
    const uint32_t *sizes = small_sizes();
    Memory memory;
    for (auto _ : state) {
        for (uint32_t i = 0; i < kPairs; i++) {
            void *p = make(sizes[i], i);
            free(p);
        }
    }
    report(state, memory, double(state.iterations()) * kPairs);
}

void lifo_64(State &state) {
    const uint32_t *sizes = small_sizes();
    void **stack = own_memory<void *>(64);
    Memory memory;
    for (auto _ : state) {
        for (uint32_t i = 0; i < kPairs; i += 64) {
            for (uint32_t k = 0; k < 64; k++) {
                stack[k] = make(sizes[i + k], k);
            }
            for (uint32_t k = 64; k-- > 0;) {
                free(stack[k]);
            }
        }
    }
    report(state, memory, double(state.iterations()) * kPairs);
}

// A stack of 64 whose frees come in groups of eight, the order within a group shuffled.
void near_lifo(State &state) {
    const uint32_t *sizes = small_sizes();
    void **stack = own_memory<void *>(64);
    constexpr uint32_t kOrders = 1024;
    auto *orders = own_memory<uint8_t>(kOrders * 8);
    Random random(11);
    for (uint32_t i = 0; i < kOrders; i++) {
        uint8_t *order = orders + i * 8;
        for (uint8_t k = 0; k < 8; k++) {
            order[k] = k;
        }
        for (uint32_t k = 7; k > 0; k--) {
            std::swap(order[k], order[random.below(k + 1)]);
        }
    }
    Memory memory;
    uint32_t turn = 0;
    for (auto _ : state) {
        for (uint32_t i = 0; i < kPairs; i += 64) {
            for (uint32_t k = 0; k < 64; k++) {
                stack[k] = make(sizes[i + k], k);
            }
            for (uint32_t group = 8; group-- > 0;) {
                const uint8_t *order = orders + (turn++ % kOrders) * 8;
                for (uint32_t k = 0; k < 8; k++) {
                    free(stack[group * 8 + order[k]]);
                }
            }
        }
    }
    report(state, memory, double(state.iterations()) * kPairs);
}

void fifo_10k(State &state) {
    constexpr uint32_t kBatch = 10000;
    const uint32_t *sizes = small_sizes();
    void **batch = own_memory<void *>(kBatch);
    Memory memory;
    size_t live = 0;
    for (uint32_t k = 0; k < kBatch; k++) {
        live += sizes[k];
    }
    for (auto _ : state) {
        for (uint32_t k = 0; k < kBatch; k++) {
            batch[k] = make(sizes[k], k);
        }
        for (uint32_t k = 0; k < kBatch; k++) {
            free(batch[k]);
        }
    }
    double ops = double(state.iterations()) * kBatch;
    for (uint32_t k = 0; k < kBatch; k++) {
        batch[k] = make(sizes[k], k);
    }
    memory.look(live);
    for (uint32_t k = 0; k < kBatch; k++) {
        free(batch[k]);
    }
    report(state, memory, ops);
}

// ---- tables with random replacement
// --------------------------------------------------------------------------------

struct Table {
    void **slot;
    uint32_t *size;
    uint32_t count;
    size_t live = 0;

    explicit Table(uint32_t n) : slot(own_memory<void *>(n)), size(own_memory<uint32_t>(n)), count(n) {}
    void put(uint32_t i, void *p, uint32_t bytes) {
        live += bytes;
        live -= size[i];
        slot[i] = p;
        size[i] = bytes;
    }
    void clear() {
        for (uint32_t i = 0; i < count; i++) {
            free(slot[i]);
            slot[i] = nullptr;
            size[i] = 0;
        }
        live = 0;
    }
};

// Each operation replaces one random object of the table by one of another size. Filling the table and a
// first round over it are not timed, but count for the peak.
template <class Make>
void random_table(State &state, uint32_t slots, uint32_t ops, const Sizes &sizes, Make &&create) {
    Table table(slots);
    Random random(3);
    Memory memory;
    auto replace = [&](uint32_t i) {
        uint64_t r = random.next();
        uint32_t size = sizes.of(r);
        free(table.slot[i]);
        table.put(i, create(size, r), size);
    };
    for (uint32_t i = 0; i < slots; i++) {
        replace(i);
    }
    for (uint32_t i = 0; i < slots; i++) {
        replace(random.below(slots));
    }
    for (auto _ : state) {
        for (uint32_t k = 0; k < ops; k++) {
            replace(random.below(slots));
        }
    }
    memory.look(table.live);
    report(state, memory, double(state.iterations()) * ops);
    table.clear();
}

template <uint32_t Slots, uint32_t Ops> void random_slots(State &state) {
    static const Sizes sizes(8, 8192);
    random_table(state, Slots, Ops, sizes, [](uint32_t size, uint64_t r) { return make(size, r); });
}

void aligned(State &state) {
    static const Sizes sizes(8, 4096);
    random_table(state, 10000, 100000, sizes, [](uint32_t size, uint64_t r) {
        size_t alignment = size_t(16) << ((r >> 8) % 7); // 16 to 1024
        void *p = nullptr;
        if (posix_memalign(&p, alignment, size) != 0) {
            out_of_memory();
        }
        checked(p);
        touch(p, size, r);
        return p;
    });
}

void calloc_table(State &state) {
    static const Sizes sizes(8, 16384);
    random_table(state, 10000, 100000, sizes, [](uint32_t size, uint64_t r) {
        auto *p = static_cast<unsigned char *>(checked(calloc(1, size)));
        if ((p[0] | p[size / 2] | p[size - 1]) != 0) {
            fputs("bench: calloc gave memory that is not zero\n", stderr);
            abort();
        }
        // A program that asks for zeroed memory fills some of it: half of it here, so that handing out pages
        // that are zero anyway saves the allocator something, but not everything.
        memset(p, static_cast<int>(r & 255) | 1, (size + 1) / 2);
        return static_cast<void *>(p);
    });
}

// Buffers of 64 KiB to 16 MiB in 16 slots, every page written.
void large(State &state) {
    static const Sizes sizes(64 << 10, 16 << 20);
    random_table(state, 16, 100, sizes, [](uint32_t size, uint64_t) {
        void *p = checked(malloc(size));
        touch_pages(p, 0, size);
        return p;
    });
}

// ---- phases
// --------------------------------------------------------------------------------------------------------

// Each phase fills up to 64 MB with objects of its own band of sizes; then seven objects in eight die, in
// random places, and the next phase refills what they left with another size.
void phases(State &state) {
    constexpr size_t kFull = 64 << 20;
    constexpr uint32_t kSlots = 1 << 21;
    constexpr int kBands = 6;
    static const int order[kBands] = {0, 3, 1, 5, 2, 4};
    static const Sizes *bands[kBands];
    static Sizes b0(16, 48), b1(48, 128), b2(128, 384), b3(384, 1024), b4(1024, 4096), b5(4096, 16384);
    bands[0] = &b0, bands[1] = &b1, bands[2] = &b2, bands[3] = &b3, bands[4] = &b4, bands[5] = &b5;
    void **slot = own_memory<void *>(kSlots);
    uint32_t *size = own_memory<uint32_t>(kSlots);
    Memory memory;
    Random random(5);
    size_t live = 0;
    uint32_t count = 0;
    double ops = 0, trough_held = 0, trough_live = 0;
    auto phase = [&](const Sizes &sizes) {
        while (live < kFull && count < kSlots) {
            uint64_t r = random.next();
            uint32_t bytes = sizes.of(r);
            slot[count] = make(bytes, r);
            size[count++] = bytes;
            live += bytes;
            ops++;
        }
    };
    auto die = [&] {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < count; i++) {
            if ((random.next() >> 40) % 8 == 0) {
                slot[kept] = slot[i];
                size[kept++] = size[i];
            } else {
                live -= size[i];
                free(slot[i]);
            }
        }
        count = kept;
    };
    for (auto _ : state) {
        for (int i = 0; i < kBands; i++) {
            phase(*bands[order[i]]);
            state.PauseTiming();
            memory.look(live);
            state.ResumeTiming();
            die();
            state.PauseTiming();
            trough_held += static_cast<double>(memory.grown());
            trough_live += static_cast<double>(live);
            state.ResumeTiming();
        }
    }
    state.counters["trough_resident_live"] = trough_held / trough_live;
    report(state, memory, ops);
    while (count > 0) {
        free(slot[--count]);
    }
}

// ---- vectors
// ---------------------------------------------------------------------------------------------------------

// 256 vectors that double now and then; one that has reached its final length (1 KiB to 1 MiB) starts again.
// An operation is one realloc.
void vectors(State &state) {
    constexpr uint32_t kSlots = 256, kOps = 20000;
    static const Sizes finals(1 << 10, 1 << 20);
    Table table(kSlots);
    uint32_t *final_size = own_memory<uint32_t>(kSlots);
    Random random(13);
    Memory memory;
    for (auto _ : state) {
        for (uint32_t k = 0; k < kOps; k++) {
            uint64_t r = random.next();
            uint32_t i = static_cast<uint32_t>(r >> 56) % kSlots;
            uint32_t old = table.size[i];
            if (old >= final_size[i]) {
                free(table.slot[i]);
                table.put(i, nullptr, 0);
                final_size[i] = finals.of(r);
                old = 0;
            }
            uint32_t bytes = old ? old + old / 2 + 8 : 32;
            void *p = checked(realloc(table.slot[i], bytes));
            touch_pages(p, old, bytes);
            table.put(i, p, bytes);
        }
    }
    memory.look(table.live);
    report(state, memory, double(state.iterations()) * kOps);
    table.clear();
}

// ---- threads
// -----------------------------------------------------------------------------------------------------------

template <class F> struct Job {
    F *work;
    uint32_t index;
    static void *enter(void *self) {
        auto *job = static_cast<Job *>(self);
        (*job->work)(job->index);
        return nullptr;
    }
};

void start_thread(pthread_t *thread, void *(*enter)(void *), void *argument) {
    static pthread_attr_t attributes;
    static bool once = [] {
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 128 << 10);
        return true;
    }();
    DoNotOptimize(once);
    if (pthread_create(thread, &attributes, enter, argument) != 0) {
        fputs("bench: cannot start a thread\n", stderr);
        abort();
    }
}

// Runs work(0) to work(n - 1), each in a thread of its own, and waits.
template <class F> void in_threads(uint32_t n, F &&work) {
    pthread_t thread[64];
    Job<std::remove_reference_t<F>> job[64];
    for (uint32_t i = 0; i < n; i++) {
        job[i] = {&work, i};
        start_thread(&thread[i], job[i].enter, &job[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        pthread_join(thread[i], nullptr);
    }
}

// One producer, one consumer: a ring of batches of 64 objects.
struct alignas(128) Channel {
    static constexpr uint32_t kBatch = 64, kDepth = 16;
    void *objects[kDepth][kBatch];
    alignas(128) std::atomic<uint32_t> head{0};
    alignas(128) std::atomic<uint32_t> tail{0};
};

template <uint32_t Pairs> void producer_consumer(State &state) {
    constexpr uint32_t kBatches = 4096 / Pairs;
    static const Sizes sizes(16, 512);
    auto *channels = own_memory<Channel>(Pairs * Pairs);
    Memory memory;
    auto work = [&](uint32_t index) {
        bool producer = index < Pairs;
        uint32_t me = index % Pairs;
        Random random(index + 1);
        for (uint32_t b = 0; b < kBatches; b++) {
            uint32_t other = (b + me) % Pairs;
            Channel &channel = producer ? channels[me * Pairs + other] : channels[other * Pairs + me];
            if (producer) {
                uint32_t head = channel.head.load(std::memory_order_relaxed);
                while (head - channel.tail.load(std::memory_order_acquire) == Channel::kDepth) {
                    sched_yield();
                }
                for (void *&object : channel.objects[head % Channel::kDepth]) {
                    uint64_t r = random.next();
                    object = make(sizes.of(r), r);
                }
                channel.head.store(head + 1, std::memory_order_release);
            } else {
                uint32_t tail = channel.tail.load(std::memory_order_relaxed);
                while (channel.head.load(std::memory_order_acquire) == tail) {
                    sched_yield();
                }
                for (void *object : channel.objects[tail % Channel::kDepth]) {
                    DoNotOptimize(*static_cast<volatile unsigned char *>(object));
                    free(object);
                }
                channel.tail.store(tail + 1, std::memory_order_release);
            }
        }
    };
    for (auto _ : state) {
        in_threads(Pairs * 2, work);
    }
    report(state, memory, double(state.iterations()) * Pairs * kBatches * Channel::kBatch);
}

// Four tables, each handed from a thread to its successor: what one allocated, the next ones free.
void handed_on(State &state) {
    constexpr uint32_t kTables = 4, kSlots = 1000, kGenerations = 20, kOps = 10000;
    static const Sizes sizes(10, 500);
    void **slots = own_memory<void *>(kTables * kSlots);
    uint32_t *size = own_memory<uint32_t>(kTables * kSlots);
    Memory memory;
    uint32_t generation = 0;
    auto work = [&](uint32_t index) {
        void **table = slots + index * kSlots;
        uint32_t *bytes = size + index * kSlots;
        Random random(generation * kTables + index + 1);
        for (uint32_t k = 0; k < kOps; k++) {
            uint32_t i = random.below(kSlots);
            uint64_t r = random.next();
            free(table[i]);
            bytes[i] = sizes.of(r);
            table[i] = make(bytes[i], r);
        }
    };
    for (auto _ : state) {
        for (uint32_t g = 0; g < kGenerations; g++) {
            in_threads(kTables, work);
            generation++;
        }
    }
    report(state, memory, double(state.iterations()) * kGenerations * kTables * kOps);
    for (uint32_t i = 0; i < kTables * kSlots; i++) {
        free(slots[i]);
    }
}

// Threads that live for sixteen objects; every one leaves an object behind, which the main thread frees
// later. An operation is one thread.
void short_threads(State &state) {
    constexpr uint32_t kThreads = 3000, kAtOnce = 4, kLeft = 256;
    void **left = own_memory<void *>(kLeft);
    Memory memory;
    uint32_t turn = 0;
    size_t early = 0, round = 0;
    auto work = [&](uint32_t index) {
        void *own[16];
        for (uint32_t k = 0; k < 16; k++) {
            own[k] = make(24 + 40 * k, k);
        }
        left[(turn + index) % kLeft] = own[5];
        for (uint32_t k = 0; k < 16; k++) {
            if (k != 5) {
                free(own[k]);
            }
        }
    };
    for (auto _ : state) {
        for (uint32_t t = 0; t < kThreads; t += kAtOnce) {
            for (uint32_t k = 0; k < kAtOnce; k++) {
                free(left[(turn + k) % kLeft]);
            }
            in_threads(kAtOnce, work);
            turn += kAtOnce;
        }
        if (round++ == 0) {
            early = memory.grown();
        }
    }
    state.counters["growth"] = static_cast<double>(memory.grown()) - static_cast<double>(early);
    report(state, memory, double(state.iterations()) * kThreads);
    for (uint32_t i = 0; i < kLeft; i++) {
        free(left[i]);
    }
}

// N threads, each with a table and a stack of its own; nothing is shared.
template <uint32_t Threads> void own_objects(State &state) {
    constexpr uint32_t kSlots = 1000, kOps = 200000;
    static const Sizes sizes(8, 1024);
    void **slots = own_memory<void *>(Threads * kSlots);
    Memory memory;
    auto work = [&](uint32_t index) {
        void **table = slots + index * kSlots;
        void *stack[16];
        Random random(index + 1);
        for (uint32_t k = 0; k < kOps; k += 32) {
            for (uint32_t j = 0; j < 16; j++) {
                uint32_t i = random.below(kSlots);
                uint64_t r = random.next();
                free(table[i]);
                table[i] = make(sizes.of(r), r);
            }
            for (uint32_t j = 0; j < 16; j++) {
                uint64_t r = random.next();
                stack[j] = make(sizes.of(r), r);
            }
            for (uint32_t j = 16; j-- > 0;) {
                free(stack[j]);
            }
        }
        for (uint32_t i = 0; i < kSlots; i++) {
            free(table[i]);
            table[i] = nullptr;
        }
    };
    for (auto _ : state) {
        in_threads(Threads, work);
    }
    report(state, memory, double(state.iterations()) * Threads * kOps);
}

// ---- the list
// ------------------------------------------------------------------------------------------------------------

struct Workload {
    const char *name;
    void (*run)(State &);
    double iterations; // at scale 1: about half a second under the slower allocators
    bool threads;
    const char *what;
};

const Workload kWorkloads[] = {
    {"immediate", immediate, 300, false, "malloc, free at once; 8 to 512 bytes"},
    {"lifo_64", lifo_64, 300, false, "64 objects, freed in reverse order"},
    {"near_lifo", near_lifo, 300, false, "64 objects, freed in reverse by groups of 8 in random order"},
    {"fifo_10k", fifo_10k, 1000, false, "10,000 objects, freed in the order they were made"},
    {"random_1k", random_slots<1000, 100000>, 60, false, "random replacement, 1,000 slots, 8 B to 8 KiB"},
    {"random_100k", random_slots<100000, 100000>, 20, false, "random replacement, 100,000 slots"},
    {"random_1m", random_slots<1000000, 250000>, 8, false, "random replacement, 1,000,000 slots (1.2 GB)"},
    {"phases", phases, 2, false, "64 MB in bands of sizes; one object in eight survives into the next"},
    {"vectors", vectors, 6, false, "256 vectors grown by realloc to 1 KiB to 1 MiB"},
    {"large", large, 10, false, "buffers of 64 KiB to 16 MiB, every page written"},
    {"aligned", aligned, 40, false, "posix_memalign to 16 to 1024, 10,000 slots"},
    {"calloc", calloc_table, 20, false, "calloc of 8 B to 16 KiB, 10,000 slots, half of it then written"},
    {"prodcons_1", producer_consumer<1>, 20, true, "one thread allocates, another frees"},
    {"prodcons_4", producer_consumer<4>, 10, true, "four threads allocate, four free"},
    {"handed_on", handed_on, 8, true, "four tables handed from thread to thread"},
    {"threads_30k", short_threads, 10, true, "30,000 threads of 16 objects each"},
    {"own_1", own_objects<1>, 40, true, "one thread on its own objects"},
    {"own_2", own_objects<2>, 20, true, "two threads, each on its own objects"},
    {"own_4", own_objects<4>, 10, true, "four threads"},
    {"own_8", own_objects<8>, 5, true, "eight threads"},
};

// One line for a person, or one JSON object, per workload.
class LineReporter : public benchmark::BenchmarkReporter {
  public:
    explicit LineReporter(bool json) : json_(json) {}
    bool ReportContext(const Context &) override {
        return true;
    }
    void ReportRuns(const std::vector<Run> &runs) override {
        for (const Run &run : runs) {
            if (run.error_occurred) {
                fprintf(stderr, "bench: %s: %s\n", run.benchmark_name().c_str(), run.error_message.c_str());
                exit(1);
            }
            auto counter = [&](const char *name) {
                auto it = run.counters.find(name);
                return it == run.counters.end() ? NAN : it->second.value;
            };
            std::string name = run.run_name.function_name;
            const Workload *workload = nullptr;
            for (const Workload &w : kWorkloads) {
                if (name == w.name) {
                    workload = &w;
                }
            }
            double ops = counter("ops");
            double wall = run.real_accumulated_time * 1e9 / ops, cpu = run.cpu_accumulated_time * 1e9 / ops;
            double ns = workload && workload->threads ? wall : cpu;
            if (json_) {
                printf("{\"workload\": \"%s\", \"allocator\": \"%s\", \"ns\": %.4f, \"wall_ns\": %.4f, "
                       "\"cpu_ns\": %.4f",
                       name.c_str(), allocator_file(), ns, wall, cpu);
                for (const auto &c : run.counters) {
                    if (c.first != "items_per_second") {
                        printf(", \"%s\": %.6g", c.first.c_str(), c.second.value);
                    }
                }
                puts("}");
            } else {
                printf("%-12s %10.2f ns/op  (wall %.2f cpu %.2f)  peak %.1f MiB", name.c_str(), ns, wall, cpu,
                       counter("peak") / 1048576);
                if (!std::isnan(counter("resident_live"))) {
                    printf("  resident/live %.3f", counter("resident_live"));
                }
                if (!std::isnan(counter("trough_resident_live"))) {
                    printf(" (trough %.2f)", counter("trough_resident_live"));
                }
                if (!std::isnan(counter("growth"))) {
                    printf("  growth %.1f MiB", counter("growth") / 1048576);
                }
                printf("  [%s]\n", base_name(allocator_file()));
            }
            fflush(stdout);
        }
    }

  private:
    bool json_;
};

void register_workload(const Workload &w, double scale) {
    auto iterations = static_cast<int64_t>(w.iterations * scale + 0.5);
    auto *b = benchmark::RegisterBenchmark(w.name, w.run)->Iterations(iterations > 0 ? iterations : 1);
    b->MeasureProcessCPUTime();
    if (w.threads) {
        b->UseRealTime();
    }
}

// Runs one workload in a process of its own, so that its peak is its own.
int run_alone(char **argv, const char *name, const char *scale, bool json) {
    char workload[128];
    snprintf(workload, sizeof workload, "--one=%s", name);
    const char *arguments[] = {argv[0], workload, scale, json ? "--json" : nullptr, nullptr};
    pid_t pid;
    int status = 0;
    if (posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, const_cast<char **>(arguments), environ) != 0 ||
        waitpid(pid, &status, 0) != pid) {
        perror("bench: spawn");
        return 1;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "bench: %s failed under %s (status %d)\n", name, base_name(allocator_file()), status);
        return 1;
    }
    return 0;
}

} // namespace

int main(int argc, char **argv) {
    const char *pattern = nullptr, *one = nullptr, *scale = "--scale=1";
    bool json = false, list = false;
    int kept = 1;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--workload=", 11) == 0) {
            pattern = argv[i] + 11;
        } else if (strncmp(argv[i], "--one=", 6) == 0) {
            one = argv[i] + 6;
        } else if (strncmp(argv[i], "--scale=", 8) == 0) {
            scale = argv[i];
        } else if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--list") == 0) {
            list = true;
        } else {
            argv[kept++] = argv[i];
        }
    }
    argc = kept;
    if (list) {
        for (const Workload &w : kWorkloads) {
            printf("%-12s %s\n", w.name, w.what);
        }
        return 0;
    }
    if (pattern) {
        char anchored[512];
        snprintf(anchored, sizeof anchored, "^(%s)$", pattern);
        regex_t regex;
        if (regcomp(&regex, anchored, REG_EXTENDED | REG_NOSUB) != 0) {
            fprintf(stderr, "bench: not a regular expression: %s\n", pattern);
            return 2;
        }
        int matched = 0, failed = 0;
        for (const Workload &w : kWorkloads) {
            if (regexec(&regex, w.name, 0, nullptr, 0) == 0) {
                matched++;
                failed |= run_alone(argv, w.name, scale, json);
            }
        }
        if (matched == 0) {
            fprintf(stderr, "bench: no workload matches %s; see --list\n", pattern);
            return 2;
        }
        return failed;
    }
    for (const Workload &w : kWorkloads) {
        if (one == nullptr || strcmp(one, w.name) == 0) {
            register_workload(w, atof(scale + 8));
        }
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return 2;
    }
    if (one) {
        LineReporter reporter(json);
        return benchmark::RunSpecifiedBenchmarks(&reporter) == 1 ? 0 : 1;
    }
    benchmark::AddCustomContext("malloc", allocator_file());
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
