// What the patterns of bench_cliffs share: how they report, clocks, page faults, the order of frees, and teams
// of threads that do the same in step.

#pragma once

#include "common.hpp"

#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>

namespace cliffs {

using namespace bench;

struct Pattern {
    const char *name, *what;
    void (*run)(const Pattern &);
    uint32_t number; // of owners, kilobytes, ...: the pattern's own
    char order; // 't' in turn, 'e' owner by owner, 'r' random, 'f' first in first out, 'l' last in first out
};

// The patterns of each file, up to one without a name.
extern const Pattern thread_patterns[], limit_patterns[], realloc_patterns[], free_patterns[];

extern double scale; // of the work: 1 as in the table, 0.2 a fifth

inline uint32_t scaled(double count) {
    double n = count * scale;
    return n < 1 ? 1 : static_cast<uint32_t>(n);
}

// A figure of the pattern. The name says the unit: ns_, us_, bytes_, count_. `show`: it belongs into the report.
void show(const char *name, double value);
void note(const char *name, double value);

inline double thread_seconds() {
    return seconds(CLOCK_THREAD_CPUTIME_ID);
}

inline double process_seconds() {
    return seconds(CLOCK_PROCESS_CPUTIME_ID);
}

inline size_t over(size_t base) {
    size_t now = resident_exact();
    return now > base ? now - base : 0;
}

// Page faults and context switches of the process since this was made.
class Usage {
  public:
    Usage() {
        getrusage(RUSAGE_SELF, &before_);
    }
    void report() const {
        rusage now;
        getrusage(RUSAGE_SELF, &now);
        note("count_faults", static_cast<double>(now.ru_minflt - before_.ru_minflt));
        note("count_waits", static_cast<double>(now.ru_nvcsw - before_.ru_nvcsw));
    }

  private:
    rusage before_;
};

// The largest of many values, and the tenth largest, which one interrupt of the machine does not make.
class Worst {
  public:
    void add(double value) {
        if (value <= top_[kCount - 1]) {
            return;
        }
        uint32_t i = kCount - 1;
        for (; i > 0 && top_[i - 1] < value; i--) {
            top_[i] = top_[i - 1];
        }
        top_[i] = value;
    }
    double first() const {
        return top_[0];
    }
    double tenth() const {
        return top_[kCount - 1];
    }

  private:
    static constexpr uint32_t kCount = 10;
    double top_[kCount] = {};
};

inline void shuffle(uint32_t *turns, uint32_t count, uint64_t seed) {
    Random random(seed);
    for (uint32_t i = count; i > 1; i--) {
        uint32_t k = random.below(i), kept = turns[i - 1];
        turns[i - 1] = turns[k];
        turns[k] = kept;
    }
}

inline void *checked(void *p) {
    if (p == nullptr) {
        out_of_memory();
    }
    return p;
}

inline void *make(size_t size, uint64_t value) {
    void *p = checked(malloc(size));
    touch(p, size, value);
    return p;
}

// Threads that go from gate to gate together. Their stacks are mapped, faulted in and kept by the team, so that
// what they cost is no part of any difference of resident memory.
class Team {
  public:
    // Starts them; each calls work(its number). Returns when all stand at their first gate.
    Team(uint32_t count, void (*work)(uint32_t)) : count_(count), work_(work) {
        members_ = own_memory<Member>(count);
        stacks_ = own_memory<unsigned char>(count * kStack);
        pthread_barrier_init(&barrier_, nullptr, count + 1);
        one_ = this;
        for (uint32_t i = 0; i < count; i++) {
            members_[i].number = i;
            pthread_attr_t attributes;
            pthread_attr_init(&attributes);
            pthread_attr_setstack(&attributes, stacks_ + i * kStack, kStack);
            if (pthread_create(&members_[i].thread, &attributes, begin, &members_[i]) != 0) {
                fputs("bench: cannot start a thread\n", stderr);
                abort();
            }
            pthread_attr_destroy(&attributes);
        }
        wait();
    }
    Team(const Team &) = delete;
    Team &operator=(const Team &) = delete;

    // A member waits here until the gate is opened.
    static void gate() {
        one_->wait();
        one_->wait();
    }
    // Opens the gate at which all members stand; returns when all stand at the next.
    void next() {
        wait();
        wait();
    }
    // Opens the last gate; returns when all have ended.
    void end() {
        wait();
        for (uint32_t i = 0; i < count_; i++) {
            pthread_join(members_[i].thread, nullptr);
        }
    }

  private:
    struct Member {
        pthread_t thread;
        uint32_t number;
    };
    static constexpr size_t kStack = 64 << 10;

    void wait() {
        pthread_barrier_wait(&barrier_);
    }
    static void *begin(void *argument) {
        uint32_t number = static_cast<Member *>(argument)->number;
        gate();
        one_->work_(number);
        return nullptr;
    }

    static inline Team *one_;
    uint32_t count_;
    void (*work_)(uint32_t);
    Member *members_;
    unsigned char *stacks_;
    pthread_barrier_t barrier_;
};

} // namespace cliffs
