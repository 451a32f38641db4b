// What every benchmark program shares: random numbers, sizes, clocks, the process's resident memory, and
// memory that does not come from the allocator under test.
//
// The programs call malloc and friends like any other program; which allocator answers is decided from
// outside, by LD_PRELOAD. So nothing here may call malloc between two measurements.

#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

namespace bench {

// xorshift64*: the same numbers in every run, a nanosecond each.
class Random {
  public:
    explicit Random(uint64_t seed = 1) : state_(seed * 0x9E3779B97F4A7C15u + 0x2545F4914F6CDD1Du) {
        if (state_ == 0) {
            state_ = 1;
        }
    }
    uint64_t next() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return state_ * 0x2545F4914F6CDD1Du;
    }
    // Uniform in [0, bound), bound < 2^32.
    uint32_t below(uint32_t bound) {
        return static_cast<uint32_t>(((next() >> 32) * bound) >> 32);
    }

  private:
    uint64_t state_;
};

// Log-uniform sizes in [low, high], from a table so that drawing one costs a load.
class Sizes {
  public:
    Sizes(double low, double high) {
        for (uint32_t i = 0; i < kCount; i++) {
            table_[i] = static_cast<uint32_t>(low * std::pow(high / low, (i + 0.5) / kCount) + 0.5);
        }
    }
    uint32_t of(uint64_t random) const {
        return table_[(random >> 20) & (kCount - 1)];
    }

  private:
    static constexpr uint32_t kCount = 4096;
    uint32_t table_[kCount];
};

// Memory for the benchmark's own tables: mapped and faulted in, never from malloc. Freed by the end of the
// process.
template <class T> T *own_memory(size_t count) {
    void *p = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED) {
        perror("bench: mmap");
        exit(1);
    }
    return static_cast<T *>(p);
}

template <class T> void release_own_memory(T *p, size_t count) {
    munmap(p, count * sizeof(T));
}

inline double seconds(clockid_t clock = CLOCK_MONOTONIC) {
    timespec t;
    clock_gettime(clock, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Reads a file of /proc without touching the heap. Returns the length.
inline size_t read_proc(const char *path, char *buffer, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        buffer[0] = 0;
        return 0;
    }
    size_t n = 0;
    ssize_t got;
    while (n + 1 < size && (got = read(fd, buffer + n, size - 1 - n)) > 0) {
        n += static_cast<size_t>(got);
    }
    close(fd);
    buffer[n] = 0;
    return n;
}

inline size_t proc_field(const char *path, const char *field) {
    static thread_local char buffer[8192];
    read_proc(path, buffer, sizeof buffer);
    const char *at = strstr(buffer, field);
    return at ? strtoul(at + strlen(field), nullptr, 10) * 1024 : 0;
}

// Resident bytes, fast: the kernel's counters, exact to some 256 KiB on two cores.
inline size_t resident_now() {
    char buffer[128];
    read_proc("/proc/self/statm", buffer, sizeof buffer);
    char *end;
    strtoul(buffer, &end, 10);
    return strtoul(end, nullptr, 10) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// Resident bytes, exact: walks the page tables.
inline size_t resident_exact() {
    size_t n = proc_field("/proc/self/smaps_rollup", "\nRss:");
    return n ? n : resident_now();
}

inline size_t resident_peak() {
    return proc_field("/proc/self/status", "\nVmHWM:");
}

// Makes the peak start again from what is resident now.
inline void reset_peak() {
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (write(fd, "5", 1) != 1) {
            perror("bench: clear_refs");
        }
        close(fd);
    }
}

// The file that malloc is really served from, with links resolved: what was preloaded, or libc.
inline const char *allocator_file() {
    static char path[4096];
    if (path[0] == 0) {
        Dl_info info;
        void *symbol = dlsym(RTLD_DEFAULT, "malloc");
        if (symbol == nullptr || dladdr(symbol, &info) == 0 || realpath(info.dli_fname, path) == nullptr) {
            snprintf(path, sizeof path, "unknown");
        }
    }
    return path;
}

inline const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// Objects are touched as programs touch them: the first and the last byte, and every page, so that what is
// live is resident.
inline void touch(void *p, size_t size, uint64_t value) {
    auto *bytes = static_cast<volatile unsigned char *>(p);
    bytes[0] = static_cast<unsigned char>(value);
    for (size_t i = 4096; i < size; i += 4096) {
        bytes[i] = 1;
    }
    bytes[size - 1] = static_cast<unsigned char>(value >> 8);
}

// Large buffers: every page.
inline void touch_pages(void *p, size_t from, size_t to) {
    auto *bytes = static_cast<volatile unsigned char *>(p);
    for (size_t i = from; i < to; i += 4096) {
        bytes[i] = 1;
    }
    bytes[to - 1] = 1;
}

[[noreturn]] inline void out_of_memory() {
    fputs("bench: out of memory\n", stderr);
    abort();
}

} // namespace bench
