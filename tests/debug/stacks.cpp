/*
 * Allocates from stacks of every kind, for a library that walks each of them in two ways: while exceptions pass, from
 * frames of unknown size and aligned ones, from handlers of signals on their own stack, coroutines, threads,
 * libraries that come and go at the same address, code without tables, and with a frame pointer that leads nowhere.
 *
 * usage: stacks PLUGIN OTHER-PLUGIN all|lost
 *
 * Layer: tests. Threads: four, one after the other's start.
 */
#include <alloca.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

#define FAR __attribute__((noinline))

static void *volatile kept;

FAR static void allocate(size_t size) {
    kept = malloc(size);
    free(kept);
}

/* ---- Frames ---- */

struct allocates_at_end {
    ~allocates_at_end() {
        allocate(32);
    }
};

FAR static void throw_from(int depth) {
    allocates_at_end at_end;
    if (depth == 0) {
        throw std::runtime_error("a message that is too long to be kept in the string itself");
    }
    throw_from(depth - 1);
    allocate(16);
}

FAR static void exceptions() {
    for (int depth = 0; depth < 20; depth++) {
        try {
            throw_from(depth);
        } catch (const std::exception &e) {
            std::vector<std::string> copies(3, e.what());
            allocate(copies.size());
        }
    }
}

FAR static void unknown_size(size_t size) {
    volatile char *room = static_cast<char *>(alloca(size));
    room[0] = room[size - 1] = 1;
    allocate(size);
    if (size < 100000) {
        unknown_size(size * 3);
    }
    allocate(static_cast<size_t>(room[0]));
}

FAR static void aligned(size_t depth) {
    alignas(64) volatile char room[192];
    room[depth] = 1;
    volatile char *more = static_cast<char *>(alloca(depth + 16));
    more[0] = 1;
    allocate(depth + 1);
    if (depth > 0) {
        aligned(depth - 1);
    }
    allocate(static_cast<size_t>(room[depth] + more[0]));
}

FAR static size_t deep(size_t depth) {
    allocate(depth + 1);
    return depth > 0 ? deep(depth - 1) + reinterpret_cast<size_t>(kept) % 3 : 0;
}

/* ---- Stacks ---- */

static void handler(int) {
    allocate(40);
}

FAR static void signals() {
    struct sigaction action = {};
    action.sa_handler = handler;
    sigaction(SIGUSR1, &action, nullptr);
    raise(SIGUSR1);
    std::vector<char> own(1 << 16);
    stack_t stack = {};
    stack.ss_sp = own.data();
    stack.ss_size = own.size();
    sigaltstack(&stack, nullptr);
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR1, &action, nullptr);
    raise(SIGUSR1);
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, nullptr);
}

static ucontext_t main_context, other_context;

static void coroutine() {
    for (int i = 0; i < 50; i++) {
        deep(20);
        swapcontext(&other_context, &main_context);
    }
}

FAR static void coroutines() {
    const size_t size = 1 << 16;
    for (int round = 0; round < 3; round++) {
        void *stack = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        getcontext(&other_context);
        other_context.uc_stack.ss_sp = stack;
        other_context.uc_stack.ss_size = size;
        makecontext(&other_context, coroutine, 0);
        for (int i = 0; i < 50; i++) {
            allocate(24);
            swapcontext(&main_context, &other_context);
        }
        munmap(stack, size);
    }
}

static void *thread(void *) {
    for (int i = 0; i < 20; i++) {
        exceptions();
        deep(100);
    }
    return nullptr;
}

FAR static void threads() {
    pthread_t started[4];
    for (pthread_t &one : started) {
        pthread_create(&one, nullptr, thread, nullptr);
    }
    for (pthread_t &one : started) {
        pthread_join(one, nullptr);
    }
}

/* ---- Code ---- */

/* Volatile, so that the call is none in tail position. */
FAR static void through(const char *path) {
    void *library = dlopen(path, RTLD_NOW);
    if (library == nullptr) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    using caller = void *(*)(void *(*)(size_t), size_t);
    auto call = reinterpret_cast<caller>(dlsym(library, "plugin_call"));
    printf("%p ", reinterpret_cast<void *>(call));
    free(call(malloc, 100));
    dlclose(library);
}

/* Calls the function in code that no table describes. */
FAR static void without_table() {
#if defined(__x86_64__)
    static const unsigned char code[] = {
        0x48, 0x83, 0xec, 0x08,    /* sub $8,%rsp */
        0x48, 0x89, 0xf8,          /* mov %rdi,%rax */
        0xbf, 0x30, 0,    0,    0, /* mov $48,%edi */
        0xff, 0xd0,                /* call *%rax */
        0x48, 0x83, 0xc4, 0x08,    /* add $8,%rsp */
        0xc3                       /* ret */
    };
    void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(page, code, sizeof code);
    for (int i = 0; i < 10; i++) {
        free(reinterpret_cast<void *(*)(void *(*)(size_t))>(page)(malloc));
    }
    munmap(page, 4096);
#endif
}

/* The frame pointer leads nowhere, and this function's frame is found by it. Not for a comparison: libgcc crashes. */
FAR static void lost_frame_pointer(size_t size) {
    volatile char *room = static_cast<char *>(alloca(size));
    room[0] = 1;
#if defined(__x86_64__)
    __asm__ volatile("push %%rbp\n"
                     "mov %%rsp, %%rbx\n"
                     "and $-16, %%rsp\n"
                     "mov $0x10, %%ebp\n"
                     "mov $48, %%edi\n"
                     "call *%0\n"
                     "mov %%rbx, %%rsp\n"
                     "pop %%rbp\n"
                     :
                     : "r"(malloc)
                     : "rbx", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
#endif
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: stacks PLUGIN OTHER-PLUGIN all|lost\n");
        return 2;
    }
    if (strcmp(argv[3], "lost") == 0) {
        lost_frame_pointer(static_cast<size_t>(argc) * 100);
        return 0;
    }
    for (int i = 0; i < 6; i++) {
        through(argv[1 + i % 2]);
    }
    puts("");
    exceptions();
    unknown_size(10);
    aligned(10);
    deep(300);
    signals();
    coroutines();
    without_table();
    threads();
    return 0;
}
