// Cliffs of threads: many owners whose objects another thread frees, threads that have ended, and idle ones.

#include "cliffs.hpp"

#include <atomic>

namespace cliffs {

namespace {

void **objects;
uint32_t each; // objects of a thread

// ---- many owners ----------------------------------------------------------------------------------------------

void own(uint32_t number) {
    for (uint32_t i = 0; i < each; i++) {
        objects[number * each + i] = make(16, i);
    }
    Team::gate();
}

// The order in which the objects of all owners are freed.
uint32_t *order_of(char order, uint32_t owners, uint32_t count) {
    uint32_t *turns = own_memory<uint32_t>(count);
    for (uint32_t i = 0; i < count; i++) {
        turns[i] = order == 't' ? i % owners * each + i / owners : i;
    }
    if (order == 'r') {
        shuffle(turns, count, 31);
    }
    return turns;
}

// Owners that sleep have objects of 16 bytes, which another thread frees: in turn, at random, owner by owner.
void owners(const Pattern &pattern) {
    each = scaled(1920000.0 / pattern.number);
    uint32_t count = pattern.number * each;
    objects = own_memory<void *>(count);
    uint32_t *turns = order_of(pattern.order, pattern.number, count);
    Team team(pattern.number, own);
    size_t base = resident_exact();
    team.next();

    size_t full = resident_exact(), most = full;
    Usage usage;
    double spent = 0;
    uint32_t step = count / 50 + 1;
    for (uint32_t from = 0; from < count; from += step) {
        uint32_t to = from + step < count ? from + step : count;
        double since = thread_seconds();
        for (uint32_t i = from; i < to; i++) {
            free(objects[turns[i]]);
        }
        spent += thread_seconds() - since;
        size_t now = resident_now();
        most = now > most ? now : most;
    }
    show("ns_free", spent * 1e9 / count);
    show("bytes_grown", double(most - full)); // at most, while they were freed
    note("bytes_full", double(full - base));
    note("bytes_freed", double(over(base)));
    usage.report();
    malloc_trim(0);
    note("bytes_trimmed", double(over(base)));
    team.end();
    show("bytes_ended", double(over(base)));
}

// ---- threads that have ended ------------------------------------------------------------------------------------

constexpr uint32_t kMostEach = 4096;
uint32_t *made;    // by each thread
uint32_t all_size; // of each object; 0: 16 to 1,024 bytes

void allocate_400k(uint32_t number) {
    static const Sizes sizes(16, 1024);
    Random random(number + 1);
    uint32_t n = 0;
    for (size_t live = 0; live < 400000 && n < kMostEach; n++) {
        size_t size = all_size != 0 ? all_size : sizes.of(random.next());
        objects[size_t{number} * kMostEach + n] = make(size, n);
        live += size;
    }
    made[number] = n;
    Team::gate();
}

// 1,000 threads allocate 400 KB each and end; then another frees all.
void ended(const Pattern &pattern) {
    uint32_t threads = scaled(1000), count = 0;
    all_size = pattern.number;
    objects = own_memory<void *>(size_t{threads} * kMostEach);
    made = own_memory<uint32_t>(threads);
    Team team(threads, allocate_400k);
    size_t base = resident_exact();
    team.next();
    note("bytes_full", double(over(base)));
    team.end();
    note("bytes_ended", double(over(base)));
    Usage usage;
    double since = thread_seconds();
    for (uint32_t i = 0; i < threads; i++) {
        for (uint32_t k = 0; k < made[i]; k++) {
            free(objects[size_t{i} * kMostEach + k]);
        }
        count += made[i];
    }
    show("ns_free", (thread_seconds() - since) * 1e9 / count);
    show("bytes_freed", double(over(base)));
    usage.report();
    malloc_trim(0);
    show("bytes_trimmed", double(over(base)));
}

void keep_one_of_64(uint32_t number) {
    void *mine[64];
    for (uint32_t i = 0; i < 64; i++) {
        mine[i] = make(3000, i);
    }
    Team::gate();
    for (uint32_t i = 0; i < 64; i++) {
        if (i != number % 64) {
            free(mine[i]);
        }
    }
    objects[number] = mine[number % 64];
    Team::gate();
}

// Threads free 63 of 64 objects of 3,000 bytes and end.
void survivors(const Pattern &pattern) {
    uint32_t threads = scaled(pattern.number);
    objects = own_memory<void *>(threads);
    Team team(threads, keep_one_of_64);
    size_t base = resident_exact();
    team.next();
    note("bytes_full", double(over(base)));
    team.next();
    note("bytes_freed", double(over(base)));
    team.end();
    show("bytes_ended", double(over(base)));
    malloc_trim(0);
    show("bytes_trimmed", double(over(base)));
    for (uint32_t i = 0; i < threads; i++) {
        free(objects[i]);
    }
    show("bytes_all_freed", double(over(base)));
}

// ---- idle threads ---------------------------------------------------------------------------------------------

void have_ten(uint32_t number) {
    for (uint32_t i = 0; i < 10; i++) {
        objects[number * 10 + i] = make(100, i);
    }
    Team::gate();
}

// Idle threads with ten objects each: resident memory per thread.
void idle(const Pattern &pattern) {
    uint32_t threads = scaled(pattern.number);
    objects = own_memory<void *>(threads * 10);
    Team team(threads, have_ten);
    size_t base = resident_exact();
    Usage usage;
    team.next();
    show("bytes_a_thread", double(over(base)) / threads);
    usage.report();
    team.end();
}

// ---- an owner that allocates while its objects are freed ----------------------------------------------------------

std::atomic<bool> freed;
Worst wait_wall, wait_processor;
double frees_took;

void own_or_free(uint32_t number) {
    static const Sizes sizes(16, 1024);
    Random random(41);
    if (number == 0) {
        for (uint32_t i = 0; i < each; i++) {
            objects[i] = make(sizes.of(random.next()), i);
        }
    }
    Team::gate();
    if (number == 1) {
        double since = thread_seconds();
        for (uint32_t i = 0; i < each; i++) {
            free(objects[i]);
        }
        frees_took = thread_seconds() - since;
        freed.store(true, std::memory_order_relaxed);
    } else {
        void *held[256];
        while (!freed.load(std::memory_order_relaxed)) {
            for (void *&p : held) {
                size_t size = sizes.of(random.next());
                double processor = thread_seconds(), wall = seconds();
                p = checked(malloc(size));
                wait_wall.add(seconds() - wall);
                wait_processor.add(thread_seconds() - processor);
            }
            for (void *p : held) {
                free(p);
            }
        }
    }
    Team::gate();
}

// The longest malloc of an owner while another thread frees its 400 MB of small objects at random.
void owner_waits(const Pattern &pattern) {
    each = scaled(pattern.number * 1e6 / 250);
    objects = own_memory<void *>(each);
    Team team(2, own_or_free);
    team.next();
    uint32_t *turns = own_memory<uint32_t>(each);
    void **mixed = own_memory<void *>(each);
    for (uint32_t i = 0; i < each; i++) {
        turns[i] = i;
    }
    shuffle(turns, each, 43);
    for (uint32_t i = 0; i < each; i++) {
        mixed[i] = objects[turns[i]];
    }
    objects = mixed;
    Usage usage;
    team.next();
    show("us_worst_wall", wait_wall.first() * 1e6);
    show("us_tenth_wall", wait_wall.tenth() * 1e6);
    note("us_worst", wait_processor.first() * 1e6);
    show("ns_free", frees_took * 1e9 / each);
    usage.report();
    team.end();
}

} // namespace

const Pattern thread_patterns[] = {
    {"owners_2_turns", "2 sleeping owners, 1.92 million objects freed by another, in turn", owners, 2, 't'},
    {"owners_2_random", "the same in random order", owners, 2, 'r'},
    {"owners_2_each", "the same owner by owner", owners, 2, 'e'},
    {"owners_16_turns", "16 owners, in turn", owners, 16, 't'},
    {"owners_16_random", "16 owners, random order", owners, 16, 'r'},
    {"owners_16_each", "16 owners, owner by owner", owners, 16, 'e'},
    {"owners_64_turns", "64 owners, in turn", owners, 64, 't'},
    {"owners_64_random", "64 owners, random order", owners, 64, 'r'},
    {"owners_64_each", "64 owners, owner by owner", owners, 64, 'e'},
    {"owners_256_turns", "256 owners, in turn", owners, 256, 't'},
    {"owners_256_random", "256 owners, random order", owners, 256, 'r'},
    {"owners_256_each", "256 owners, owner by owner", owners, 256, 'e'},
    {"owners_1000_turns", "1,000 owners, in turn", owners, 1000, 't'},
    {"owners_1000_random", "1,000 owners, random order", owners, 1000, 'r'},
    {"owners_1000_each", "1,000 owners, owner by owner", owners, 1000, 'e'},
    {"ended_small", "1,000 threads allocate 400 KB in 16 to 1,024 bytes and end; then another frees all",
     ended, 0, 'f'},
    {"ended_2000", "the same with objects of 2,000 bytes", ended, 2000, 'f'},
    {"survivors", "2,000 threads free 63 of 64 objects of 3,000 bytes and end", survivors, 2000, 'f'},
    {"idle", "1,000 idle threads with ten objects each", idle, 1000, 'f'},
    {"owner_waits", "an owner allocates while another frees its 400 MB", owner_waits, 400, 'r'},
    {},
};

} // namespace cliffs
