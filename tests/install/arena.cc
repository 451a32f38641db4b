// Uses an installed arena from C++: objects, a container that frees into it, a scope.
#include <cstdio>
#include <cutback.hpp>
#include <vector>

static cutback::arena<4096, 16> arena;

int main() {
    {
        cutback::scope scope(arena);
        std::vector<int, cutback::allocator<int>> numbers{cutback::allocator<int>(arena)};
        for (int i = 0; i < 100; i++)
            numbers.push_back(i);
        if (!scope.is_open() || arena.used() == 0)
            return 1;
    }
    std::printf("arena %d\n", CUTBACK_VERSION);
    return arena.used() != 0;
}
