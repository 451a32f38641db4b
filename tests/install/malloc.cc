// As malloc.c: a C++ program, which calls malloc through libstdc++ alone.
#include <cstdint>
#include <cstdio>

constexpr int objects = 16;

int main() {
    char *own[objects];
    for (auto &object : own)
        object = new char[16];
    std::uintptr_t nearest = UINTPTR_MAX;
    for (auto *one : own) {
        for (auto *other : own) {
            auto a = reinterpret_cast<std::uintptr_t>(one), b = reinterpret_cast<std::uintptr_t>(other);
            if (a > b && a - b < nearest)
                nearest = a - b;
        }
    }
    std::puts(nearest == 16 ? "malloc is cutback's" : "malloc is another's");
    for (auto *object : own)
        delete[] object;
    return nearest != 16;
}
