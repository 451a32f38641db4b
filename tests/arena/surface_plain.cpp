/*
 * cutback.hpp in a program without exceptions and run-time type information: containers, scopes and the equality
 * of resources; and an arena that is full ends the program by abort(), for there is no other way to say so.
 *
 * Layer: tests. Threading: none.
 */
#include "cutback.hpp"

#include <csignal>
#include <cstdio>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#if defined(__cpp_exceptions) || defined(__cpp_rtti)
#error "this is for -fno-exceptions -fno-rtti"
#endif

namespace {

unsigned char memory[4096];
cutback_slot ring[16];
cutback_arena arena;

bool check(bool well, const char *what) {
    if (!well) {
        std::fprintf(stderr, "not so: %s\n", what);
    }
    return well;
}

struct large {
    char bytes[1000];
};

template <class Allocate> bool aborts(Allocate allocate) {
    pid_t child = fork();
    if (child == 0) {
        void *volatile got = allocate(); /* never NULL, says the library: not compared */
        static_cast<void>(got);
        _exit(0);
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

} // namespace

int main() {
    bool well = check(cutback_init(&arena, memory, sizeof memory, ring, 16), "the arena is initialised");
    cutback::memory_resource resource(arena), other(arena);
    {
        cutback::scope scope(arena);
        std::pmr::vector<int> numbers({1, 2, 3}, &resource), moved(&other);
        moved = std::move(numbers);
        well &= check(moved.size() == 3 && moved[2] == 3, "a vector moves to another resource of the arena");
        well &= check(cutback_owns(&arena, moved.data()), "its memory is the arena's");
    }
    well &= check(cutback_used(&arena) == 0, "the scope gave everything back");
    well &= check(resource == resource, "a resource is equal to itself");
    well &= check(!(resource == *std::pmr::new_delete_resource()), "and not to one of another kind");
    well &= check(aborts([] { return cutback::memory_resource(arena).allocate(2 * sizeof memory, 8); }),
                  "a resource whose arena is full ends in abort()");
    well &= check(aborts([] { return cutback::allocator<int>(arena).allocate(sizeof memory); }),
                  "and so does an allocator");
    {
        static cutback::arena<256> own;
        auto object = cutback::make_unique<int>(own, 7);
        std::vector<int, cutback::allocator<int>> numbers(3, *object, own);
        well &= check(*object == 7 && own.owns(object.get()) && own.owns(numbers.data()),
                      "objects are the arena's");
        well &= check(cutback::create<large>(own) == nullptr, "an object that does not fit is nullptr");
    }
    return well ? 0 : 1;
}
