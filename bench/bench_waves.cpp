// Is freed memory asked for again a moment later? Allocates a wave of objects, frees all of it, and begins again.
//
//     bench_waves --list                                   the patterns
//     bench_waves [--only=PATTERN] [--waves=20] [--order=same|reverse|random] [--quiet=3] [--json]
//
// One line (or one JSON object) per pattern; without --only all of them, each in a process of its own. A pattern is
// a series of --waves waves, which is then repeated once, or up to 64 times where the waves are small. Page faults are
// those of the first series, processor time is that of all waves. After them come --quiet seconds in which the program
// allocates and frees 300 objects more.
//
// The names of the figures begin with their unit: count_, ms_ (user and system time of the process), bytes_
// (resident, over what was resident before the first wave), waves_ (multiples of the largest wave's memory). again:
// faults after the first wave, which are at least one wave's where the first is not the largest.
// The program's own tables and stacks are mapped and touched before the first wave, and are part of no figure.

#include "common.hpp"

#include <algorithm>
#include <utility>

#include <pthread.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

using namespace bench;

namespace {

enum class By { alone, two, ending, handed };
enum class Kind { mixed, small, medium, large };
enum class Shape { constant, growing, shrinking, alternating };
enum class Order { same, reverse, random };

struct Pattern {
    const char *name, *what;
    By by;
    double megabytes; // of the largest wave, over all threads
    Order order = Order::random;
    Kind kind = Kind::mixed;
    Shape shape = Shape::constant;
    double least = 0; // megabytes of the smallest wave, where the shape is not constant
    double pause = 0; // seconds between waves
    int most = 0;     // waves in a series, even if --waves says more; 0: no bound
};

Pattern of_kind(const char *name, const char *what, Kind kind) {
    return {name, what, By::alone, 64, Order::random, kind};
}

Pattern of_shape(const char *name, const char *what, Shape shape, double least, double most) {
    return {name, what, By::alone, most, Order::random, Kind::mixed, shape, least};
}

Pattern with_pause(const char *name, const char *what, double pause, int most) {
    return {name, what, By::alone, 64, Order::random, Kind::mixed, Shape::constant, 0, pause, most};
}

const Pattern patterns[] = {
    {"alone_1", "waves of 1 MB, one thread, freed in random order", By::alone, 1},
    {"alone_4", "waves of 4 MB", By::alone, 4},
    {"alone_16", "waves of 16 MB", By::alone, 16},
    {"alone_64", "waves of 64 MB", By::alone, 64},
    {"alone_256", "waves of 256 MB", By::alone, 256},
    {"same_64", "waves of 64 MB, freed in the order of allocation", By::alone, 64, Order::same},
    {"reverse_64", "waves of 64 MB, freed in reverse order", By::alone, 64, Order::reverse},
    {"two_16", "two threads at once, each with waves of 8 MB", By::two, 16},
    {"two_64", "two threads at once, each with waves of 32 MB", By::two, 64},
    {"ending_16", "waves of 16 MB, each by a new thread that then ends", By::ending, 16},
    {"ending_64", "the same with 64 MB", By::ending, 64},
    {"handed_16", "two threads with 8 MB; each frees half of its own and half of the other's", By::handed,
     16},
    {"handed_64", "the same with 32 MB", By::handed, 64},
    of_kind("small_64", "waves of 64 MB in objects of 16 to 256 bytes", Kind::small),
    of_kind("medium_64", "waves of 64 MB in objects of 1 to 32 KiB", Kind::medium),
    of_kind("large_64", "waves of 64 MB in objects of 64 to 256 KiB", Kind::large),
    of_shape("growing", "waves that grow from 4 to 200 MB", Shape::growing, 4, 200),
    of_shape("shrinking", "waves that shrink from 200 to 4 MB", Shape::shrinking, 4, 200),
    of_shape("alternating", "waves of 4 and of 128 MB by turns", Shape::alternating, 4, 128),
    with_pause("pause_100ms", "waves of 64 MB, 0.1 s apart", 0.1, 10),
    with_pause("pause_1s", "waves of 64 MB, 1 s apart", 1, 4),
    with_pause("pause_5s", "waves of 64 MB, 5 s apart", 5, 2),
};

constexpr uint32_t kThreads = 2, kQuietObjects = 300, kHeld = 32;
constexpr size_t kStack = 256 << 10;

struct Options {
    int waves = 20;
    double quiet = 3;
    bool ordered = false, json = false; // ordered: `order` takes the place of the pattern's own
    Order order = Order::same;
};

Options options;

// A thread's share of the waves. `objects` has room for the largest.
struct Worker {
    uint32_t number;
    void **objects;
    uint32_t count, capacity;
    unsigned char *stack;
};

// Of the process, at some moment.
struct Usage {
    double faults, user, system;
};

Pattern pattern;
int series, waves; // waves that make the series; waves in all
uint32_t threads;
Worker workers[kThreads];
pthread_barrier_t together;
size_t base, largest; // resident before the waves; bytes of the largest wave
size_t wave_bytes[kThreads];
Usage at_start, at_first, at_series, at_end;
size_t peak, ended, quiet;

Usage usage_now() {
    rusage now;
    getrusage(RUSAGE_SELF, &now);
    auto time = [](timeval t) { return double(t.tv_sec) * 1e3 + double(t.tv_usec) * 1e-3; };
    return {double(now.ru_minflt), time(now.ru_utime), time(now.ru_stime)};
}

size_t over_base() {
    size_t now = resident_exact();
    return now > base ? now - base : 0;
}

void nap(double duration) {
    timespec left = {time_t(duration), long((duration - double(time_t(duration))) * 1e9)};
    nanosleep(&left, nullptr);
}

// ---- one wave ---------------------------------------------------------------------------------------------------

const Sizes mixed_small(16, 2048), mixed_medium(2048, 32 << 10), mixed_large(32 << 10, 256 << 10);
const Sizes small(16, 256), medium(1024, 32 << 10), large(64 << 10, 256 << 10);

// Most objects are small; of the bytes, objects beyond 2 KiB are more than half, those beyond 32 KiB a quarter.
size_t draw(Random &random) {
    uint64_t r = random.next();
    switch (pattern.kind) {
    case Kind::small:
        return small.of(r);
    case Kind::medium:
        return medium.of(r);
    case Kind::large:
        return large.of(r);
    case Kind::mixed:
        break;
    }
    auto of_1000 = uint32_t(((r >> 40) * 1000) >> 24);
    return of_1000 < 970 ? mixed_small.of(r) : of_1000 < 998 ? mixed_medium.of(r) : mixed_large.of(r);
}

size_t bytes_of_wave(int wave) {
    int k = wave % series;
    double low = pattern.least, high = pattern.megabytes, part = series > 1 ? double(k) / (series - 1) : 1;
    double megabytes = high;
    switch (pattern.shape) {
    case Shape::constant:
        break;
    case Shape::growing:
        megabytes = low + (high - low) * part;
        break;
    case Shape::shrinking:
        megabytes = high - (high - low) * part;
        break;
    case Shape::alternating:
        megabytes = k % 2 == 0 ? low : high;
        break;
    }
    return size_t(megabytes * 1e6) / threads;
}

void fill(Worker &worker, int wave) {
    size_t bytes = bytes_of_wave(wave), live = 0;
    Random random(uint64_t(wave) * kThreads + worker.number + 101);
    worker.count = 0;
    while (live < bytes && worker.count < worker.capacity) {
        size_t size = std::min(draw(random), bytes - live); // so that the waves of a series are of one size
        void *p = malloc(size);
        if (p == nullptr) {
            out_of_memory();
        }
        touch(p, size, live);
        worker.objects[worker.count++] = p;
        live += size;
    }
    wave_bytes[worker.number] = std::max(wave_bytes[worker.number], live);
}

void empty(Worker &worker, int wave) {
    Random random(uint64_t(wave) + 211);
    void **objects = worker.objects;
    for (uint32_t i = 0, left = worker.count; left > 0; i++, left--) {
        uint32_t k = pattern.order == Order::same ? i : left - 1;
        if (pattern.order == Order::random) {
            k = random.below(left);
            std::swap(objects[k], objects[left - 1]);
            k = left - 1;
        }
        free(objects[k]);
    }
}

void meet() {
    if (threads > 1) {
        pthread_barrier_wait(&together);
    }
}

// Every second object changes hands, while both threads wait for it.
void hand_over(const Worker &worker) {
    meet();
    if (worker.number == 0) {
        uint32_t both = std::min(workers[0].count, workers[1].count);
        for (uint32_t i = 1; i < both; i += 2) {
            std::swap(workers[0].objects[i], workers[1].objects[i]);
        }
    }
    meet();
}

void run_wave(Worker &worker, int wave) {
    fill(worker, wave);
    if (pattern.by == By::handed) {
        hand_over(worker);
    }
    empty(worker, wave);
}

// ---- the series ---------------------------------------------------------------------------------------------------

// Notes the figures of a wave that ends something. Nobody is in a wave meanwhile.
void note_wave(int wave) {
    if (wave == 0) {
        at_first = usage_now();
    }
    if (wave == series - 1) {
        at_series = usage_now();
    }
    if (wave == waves - 1) {
        at_end = usage_now();
        peak = resident_peak();
        peak = peak > base ? peak - base : 0;
        ended = over_base();
    }
}

bool ends_something(int wave) {
    return wave == 0 || wave == series - 1 || wave == waves - 1;
}

// The program is nearly idle: an object of 16 bytes to 2 KiB now and then, of which a few are live.
void be_quiet() {
    void *held[kHeld] = {};
    uint32_t count = kQuietObjects / threads;
    Random random(307);
    for (uint32_t i = 0; i < count; i++) {
        nap(options.quiet / count);
        uint64_t r = random.next();
        size_t size = mixed_small.of(r);
        void *&p = held[i % kHeld];
        free(p);
        p = malloc(size);
        if (p == nullptr) {
            out_of_memory();
        }
        touch(p, size, r);
    }
    for (void *p : held) {
        free(p);
    }
}

void *work(void *argument) {
    auto &worker = *static_cast<Worker *>(argument);
    meet();
    if (worker.number == 0) {
        at_start = usage_now();
    }
    meet();
    for (int wave = 0; wave < waves; wave++) {
        run_wave(worker, wave);
        if (ends_something(wave)) {
            meet();
            if (worker.number == 0) {
                note_wave(wave);
            }
            meet();
        }
        if (pattern.pause > 0 && wave < waves - 1) {
            nap(pattern.pause);
        }
    }
    if (options.quiet > 0) {
        be_quiet();
        meet();
        if (worker.number == 0) {
            quiet = over_base();
        }
        meet();
    }
    return nullptr;
}

void start_thread(pthread_t *thread, const Worker &worker, void *(*run)(void *), void *argument) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, worker.stack, kStack);
    if (pthread_create(thread, &attributes, run, argument) != 0) {
        fputs("bench: cannot start a thread\n", stderr);
        abort();
    }
    pthread_attr_destroy(&attributes);
}

void run_threads() {
    pthread_t thread[kThreads];
    pthread_barrier_init(&together, nullptr, threads);
    for (uint32_t i = 0; i < threads; i++) {
        start_thread(&thread[i], workers[i], work, &workers[i]);
    }
    for (uint32_t i = 0; i < threads; i++) {
        pthread_join(thread[i], nullptr);
    }
}

void run_ending_threads() {
    pthread_t thread;
    at_start = usage_now();
    for (int wave = 0; wave < waves; wave++) {
        auto once = [](void *number) -> void * {
            run_wave(workers[0], *static_cast<int *>(number));
            return nullptr;
        };
        start_thread(&thread, workers[0], once, &wave);
        pthread_join(thread, nullptr);
        note_wave(wave);
    }
    if (options.quiet > 0) {
        auto rest = [](void *) -> void * {
            be_quiet();
            return nullptr;
        };
        start_thread(&thread, workers[0], rest, nullptr);
        pthread_join(thread, nullptr);
        quiet = over_base();
    }
}

// ---- figures ------------------------------------------------------------------------------------------------------

struct Figure {
    const char *name;
    double value;
};

void print_json(const Figure *figures, const Figure *notes) {
    printf("{\"pattern\": \"%s\", \"allocator\": \"%s\", \"peak\": %zu, \"figures\": {", pattern.name,
           allocator_file(), resident_peak());
    for (const Figure *list : {figures, notes}) {
        const char *comma = "";
        for (const Figure *f = list; f->name != nullptr; f++) {
            printf("%s\"%s\": %.3f", comma, f->name, f->value);
            comma = ", ";
        }
        fputs(list == figures ? "}, \"notes\": {" : "}}\n", stdout);
    }
}

void print_line(const Figure *figures) {
    printf("%-12s", pattern.name);
    for (const Figure *f = figures; f->name != nullptr; f++) {
        if (strncmp(f->name, "bytes_", 6) == 0) {
            printf("  %s %.2f MB", f->name + 6, f->value / 1e6);
        } else if (strncmp(f->name, "waves_", 6) == 0) {
            printf("  %s %.3f waves", f->name + 6, f->value);
        } else {
            printf("  %s %.0f", f->name, f->value);
        }
    }
    printf("  [%s]\n", base_name(allocator_file()));
}

void report() {
    auto wave = double(largest);
    double pages = wave / double(sysconf(_SC_PAGESIZE)), first = at_first.faults - at_start.faults;
    double all = at_series.faults - at_start.faults, rest = at_end.faults - at_series.faults;
    double user = at_end.user - at_start.user, system = at_end.system - at_start.system;
    const Figure figures[] = {
        {"count_faults", all},
        {"count_first", first},
        {"waves_again", (all - first) / pages},
        {"ms_time", user + system},
        {"bytes_peak", double(peak)},
        {"bytes_ended", double(ended)},
        {options.quiet > 0 ? "bytes_quiet" : nullptr, double(quiet)}, // the list ends here if there is none
        {"waves_quiet", double(quiet) / wave},
        {},
    };
    const Figure notes[] = {
        {"count_waves", double(series)},
        {"bytes_wave", wave},
        {"count_pages", pages},
        {"count_rest", rest},
        {"count_all_waves", double(waves)},
        {"ms_user", user},
        {"ms_system", system},
        {"s_pause", pattern.pause},
        {},
    };
    if (options.json) {
        print_json(figures, notes);
    } else {
        print_line(figures);
    }
}

int run_one(const Pattern &which) {
    pattern = which;
    if (options.ordered) {
        pattern.order = options.order;
    }
    series = pattern.most > 0 ? std::min(pattern.most, options.waves) : options.waves;
    waves = series * (1 + static_cast<int>(std::max(1.0, 64 / pattern.megabytes)));
    threads = pattern.by == By::two || pattern.by == By::handed ? 2 : 1;
    double each =
        pattern.kind == Kind::small ? 64 : 512; // less than the mean of the sizes, which is 86 or 900
    for (uint32_t i = 0; i < threads; i++) {
        auto capacity = uint32_t(pattern.megabytes * 1e6 / threads / each) + 1000;
        workers[i] = {i, own_memory<void *>(capacity), 0, capacity, own_memory<unsigned char>(kStack)};
    }
    free(malloc(1)); // the allocator's own start is part of the base
    base = resident_exact();
    reset_peak();
    if (pattern.by == By::ending) {
        run_ending_threads();
    } else if (threads > 1) {
        run_threads();
    } else {
        work(&workers[0]);
    }
    largest = wave_bytes[0] + wave_bytes[1];
    report();
    return 0;
}

// Each pattern in a process of its own, with the same options.
int run_all(int argc, char **argv) {
    int failed = 0;
    auto **arguments = own_memory<char *>(static_cast<size_t>(argc) + 2);
    std::copy(argv, argv + argc, arguments);
    for (const Pattern &each : patterns) {
        char only[64];
        snprintf(only, sizeof only, "--only=%s", each.name);
        arguments[argc] = only;
        pid_t pid;
        int status = 0;
        if (posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, arguments, environ) != 0 ||
            waitpid(pid, &status, 0) != pid || status != 0) {
            fprintf(stderr, "bench: pattern %s failed (status %d)\n", each.name, status);
            failed = 1;
        }
    }
    return failed;
}

[[noreturn]] void usage(const char *program) {
    fprintf(stderr,
            "usage: %s --list | [--only=PATTERN] [--waves=20] [--order=same|reverse|random] [--quiet=3] "
            "[--json]\n",
            program);
    exit(2);
}

[[noreturn]] void refuse(const char *what, const char *value) {
    fprintf(stderr, "bench: %s: %s\n", value, what);
    exit(2);
}

double number(const char *value, double low, double high, const char *what) {
    char *end;
    double n = strtod(value, &end);
    if (end == value || *end != 0 || !(n >= low && n <= high)) {
        refuse(what, value);
    }
    return n;
}

const Pattern *find(const char *name) {
    for (const Pattern &each : patterns) {
        if (strcmp(each.name, name) == 0) {
            return &each;
        }
    }
    refuse("no pattern, see --list", name);
}

Order order_of(const char *name) {
    for (const auto &[each, order] :
         {std::pair{"same", Order::same}, {"reverse", Order::reverse}, {"random", Order::random}}) {
        if (strcmp(each, name) == 0) {
            return order;
        }
    }
    refuse("--order must be same, reverse or random", name);
}

void list() {
    for (const Pattern &each : patterns) {
        printf("%-12s %s\n", each.name, each.what);
    }
}

} // namespace

int main(int argc, char **argv) {
    const Pattern *only = nullptr;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = nullptr;
        // An option with a value: behind `=`, or as the next argument.
        auto is = [&](const char *name) {
            size_t length = strlen(name);
            bool same = strncmp(a, name, length) == 0;
            value = !same              ? nullptr
                    : a[length] == '=' ? a + length + 1
                    : a[length] == 0   ? argv[i + 1]
                                       : nullptr;
            i += value != nullptr && a[length] == 0;
            return value != nullptr;
        };
        if (strcmp(a, "--list") == 0) {
            list();
            return 0;
        } else if (strcmp(a, "--json") == 0) {
            options.json = true;
        } else if (is("--only")) {
            only = find(value);
        } else if (is("--waves")) {
            options.waves = static_cast<int>(number(value, 1, 10000, "--waves must be 1 to 10000"));
        } else if (is("--quiet")) {
            options.quiet = number(value, 0, 60, "--quiet must be 0 to 60 seconds");
        } else if (is("--order")) {
            options.ordered = true;
            options.order = order_of(value);
        } else {
            usage(argv[0]);
        }
    }
    return only != nullptr ? run_one(*only) : run_all(argc, argv);
}
