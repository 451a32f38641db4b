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

bool full_arena_aborts() {
    pid_t child = fork();
    if (child == 0) {
        cutback::resource resource(arena);
        void *volatile got =
            resource.allocate(2 * sizeof memory, 8); /* never NULL, says the library: not compared */
        static_cast<void>(got);
        _exit(0);
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

} // namespace

int main() {
    bool well = check(cutback_init(&arena, memory, sizeof memory, ring, 16), "the arena is initialised");
    cutback::resource resource(arena), other(arena);
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
    well &= check(full_arena_aborts(), "a full arena ends in abort()");
    return well ? 0 : 1;
}
