// operator new and delete in all their forms, containers and threads, and whose malloc it is; see program.c.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

static void require(bool condition, const char *what) {
    if (!condition) {
        std::fprintf(stderr, "program: %s\n", what);
        std::abort();
    }
}

struct alignas(64) wide {
    char bytes[192];
};

static std::size_t work(unsigned seed) {
    std::map<std::string, std::vector<std::unique_ptr<wide>>> all;
    for (unsigned i = 0; i < 3000; i++) {
        auto one = std::make_unique<wide>();
        require(reinterpret_cast<std::uintptr_t>(one.get()) % alignof(wide) == 0, "aligned new");
        all["key " + std::to_string((i * seed) % 301) + std::string(i % 40, 'x')].push_back(std::move(one));
    }
    return all.size();
}

int main() {
    int *one = new int(7);
    int *many = new int[1000]();
    auto *quiet = new (std::nothrow) char[100];
    auto *aligned = new (std::align_val_t(256)) char[1000];
    require(*one == 7 && many[999] == 0 && quiet && reinterpret_cast<std::uintptr_t>(aligned) % 256 == 0,
            "new");
    ::operator delete[](aligned, std::align_val_t(256));
    delete[] quiet;
    delete[] many;
    delete one;
    bool thrown = false;
    try {
        static volatile std::size_t huge = PTRDIFF_MAX;
        ::operator delete(::operator new(huge - 1)); // a new-expression could be left out
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    require(thrown, "no bad_alloc");

    std::vector<std::thread> threads;
    std::vector<std::size_t> sizes(4);
    for (unsigned i = 0; i < 4; i++)
        threads.emplace_back([&sizes, i] { sizes[i] = work(i + 1); });
    pid_t child = fork();
    if (child == 0) {
        _exit(work(3) == 0);
    }
    for (auto &thread : threads)
        thread.join();
    int status = -1;
    require(child > 0 && waitpid(child, &status, 0) == child && status == 0, "the child failed");
    require(sizes[0] == work(1), "a thread found something else");

#ifndef STATIC
    Dl_info info; // see program.c
    if (dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) && info.dli_fname)
        std::printf("malloc is in %s\n", info.dli_fname);
#endif
    return 0;
}
