/*
 * The surface as C++17 sees it: cutback.h compiles and links as C++, and cutback.hpp does what it says.
 *
 * Layer: tests. Threading: none.
 */
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <map>
#include <new>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#include "cutback.hpp"

namespace {

struct bed {
    alignas(64) unsigned char memory[4096];
    cutback_slot ring[16];
    cutback_arena arena{};

    bed() {
        assert_true(cutback_init(&arena, memory, sizeof memory, ring, 16));
    }
};

void the_c_functions_link(void **) {
    static bed b;
    void *block = cutback_calloc(&b.arena, 4, 4, 16);
    assert_true(cutback_owns(&b.arena, block));
    cutback_free(&b.arena, block, 16);
    assert_int_equal(cutback_used(&b.arena), 0);
}

void containers_allocate_from_the_arena(void **) {
    static bed b;
    cutback::memory_resource resource(b.arena);
    {
        std::pmr::vector<int> numbers(&resource);
        for (int i = 0; i < 100; i++)
            numbers.push_back(i);
        std::pmr::string text("a string that is too long to be stored in place", &resource);
        assert_true(cutback_owns(&b.arena, numbers.data()));
        assert_true(cutback_owns(&b.arena, text.data()));
        assert_int_equal(numbers[99], 99);
    }
    assert_int_equal(cutback_used(&b.arena), 0);
}

void exhaustion_is_bad_alloc(void **) {
    static bed b;
    cutback::memory_resource resource(b.arena);
    bool thrown = false;
    try {
        void *block = resource.allocate(8192, 8);
        resource.deallocate(block, 8192, 8);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    assert_true(thrown);
}

void resources_of_one_arena_are_equal(void **) {
    static bed b;
    static bed c;
    assert_true(cutback::memory_resource(b.arena) == cutback::memory_resource(b.arena));
    assert_false(cutback::memory_resource(b.arena) == cutback::memory_resource(c.arena));
    assert_false(cutback::memory_resource(b.arena) == *std::pmr::new_delete_resource());
}

/* Counts how much an upstream is asked for. */
class counting final : public std::pmr::memory_resource {
  public:
    std::size_t live = 0;

  private:
    void *do_allocate(std::size_t size, std::size_t align) override {
        live += size;
        return std::pmr::new_delete_resource()->allocate(size, align);
    }
    void do_deallocate(void *block, std::size_t size, std::size_t align) override {
        live -= size;
        std::pmr::new_delete_resource()->deallocate(block, size, align);
    }
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
        return this == &other;
    }
};

void what_does_not_fit_comes_from_the_upstream(void **) {
    static bed b;
    counting upstream;
    cutback::memory_resource resource(b.arena, &upstream);
    assert_ptr_equal(resource.upstream_resource(), &upstream);
    {
        std::pmr::vector<char> small(100, 'a', &resource), large(10000, 'b', &resource);
        assert_true(cutback_owns(&b.arena, small.data()));
        assert_false(cutback_owns(&b.arena, large.data()));
        assert_int_equal(upstream.live, 10000);
        assert_int_equal(cutback_used(&b.arena), 100);
        resource.deallocate(resource.allocate(0, 8), 0, 8); /* nobody's */
    }
    assert_int_equal(upstream.live, 0);
    assert_int_equal(cutback_used(&b.arena), 0);
    assert_false(resource == cutback::memory_resource(b.arena));
    assert_true(resource == cutback::memory_resource(b.arena, &upstream));
}

/* Bytes that a monotonic_buffer_resource has handed out of `buffer`. */
std::size_t monotonic_used(std::pmr::memory_resource &monotonic, const unsigned char *buffer) {
    return static_cast<std::size_t>(static_cast<unsigned char *>(monotonic.allocate(1, 1)) - buffer);
}

/* Fills containers and shrinks them. Returns what is in use before and after, as `used` says. */
template <class Used>
std::pair<std::size_t, std::size_t> shrink(std::pmr::memory_resource &resource, Used used) {
    std::pmr::string text("a string that is too long to be stored in place", &resource);
    std::pmr::unordered_map<int, std::pmr::string> map(&resource);
    map.reserve(64);
    std::size_t least = used();
    for (int i = 0; i < 64; i++)
        map.emplace(i, "another string that is too long to be stored in place");
    std::pmr::vector<int> numbers(500, 1, &resource);
    text.append(1000, 'x');
    std::size_t most = used();
    text.resize(20);
    text.shrink_to_fit();
    text.clear();
    text.shrink_to_fit();
    numbers.clear();
    numbers.shrink_to_fit();
    for (int i = 63; i >= 0; i--)
        map.erase(i);
    return {most - least, used() - least};
}

void containers_that_shrink_give_their_memory_back(void **) {
    static unsigned char buffer[65536];
    static cutback::arena<65536, 256> arena;
    cutback::memory_resource resource(arena);
    auto [grown, left] = shrink(resource, [] { return arena.used(); });
    assert_true(grown > 10000);
    assert_int_equal(left, 0);
    assert_int_equal(arena.used(), 0);

    std::pmr::monotonic_buffer_resource monotonic(buffer, sizeof buffer, std::pmr::null_memory_resource());
    auto [most, kept] = shrink(monotonic, [&] { return monotonic_used(monotonic, buffer); });
    assert_true(kept >= most); /* it gives nothing back */
}

void an_arena_owns_its_memory(void **) {
    static_assert(!std::is_copy_constructible_v<cutback::arena<64>>);
    static_assert(!std::is_move_constructible_v<cutback::arena<64>>);
    cutback::arena<256, 4> arena;
    void *block = arena.allocate(200);
    assert_true(arena.owns(block));
    assert_int_equal(reinterpret_cast<std::uintptr_t>(block) % alignof(std::max_align_t), 0);
    assert_int_equal(arena.used(), 200);
    assert_int_equal(arena.remaining(), 56);
    assert_null(arena.allocate(57));
    assert_int_equal(arena.stats().failed_requests, 1);
    arena.deallocate(block, 200);
    assert_int_equal(arena.used(), 0);
    assert_non_null(arena.allocate(256, 1));
    arena.clear();
    assert_int_equal(arena.used(), 0);
    cutback::arena<64, 0> plain; /* remembers nothing: a bump */
    assert_non_null(plain.allocate(64, 1));
    assert_null(plain.allocate(1, 1));
}

struct counted {
    static int live;
    int a;
    alignas(32) int b;

    counted(int first, int second) : a(first), b(second) {
        if (first < 0)
            throw first;
        live++;
    }
    counted(const counted &) = delete;
    ~counted() {
        live--;
    }
};

int counted::live = 0;

void objects_are_created_and_destroyed(void **) {
    cutback::arena<1024, 8> arena;
    auto *object = cutback::create<counted>(arena, 1, 2);
    assert_int_equal(object->a + object->b, 3);
    assert_int_equal(reinterpret_cast<std::uintptr_t>(object) % 32, 0);
    assert_int_equal(counted::live, 1);
    cutback::destroy(arena, object);
    assert_int_equal(counted::live, 0);
    assert_int_equal(arena.used(), 0);
    cutback::destroy<counted>(arena, nullptr);
    const auto *constant = cutback::create<const int>(arena, 7);
    assert_int_equal(*constant, 7);
    cutback::destroy(arena, constant);
    assert_int_equal(arena.used(), 0);
}

void an_object_that_does_not_fit_is_null(void **) {
    cutback::arena<64, 8> arena;
    using large = unsigned char[100];
    struct wrapped {
        large bytes;
    };
    assert_null(cutback::create<wrapped>(arena));
    assert_false(static_cast<bool>(cutback::make_unique<wrapped>(arena)));
    assert_int_equal(arena.stats().failed_requests, 2);
}

void a_constructor_that_throws_leaves_nothing(void **) {
    cutback::arena<1024, 8> arena;
    int thrown = 0;
    try {
        cutback::destroy(arena, cutback::create<counted>(arena, -5, 0));
    } catch (int value) {
        thrown = value;
    }
    assert_int_equal(thrown, -5);
    assert_int_equal(arena.used(), 0);
    assert_int_equal(counted::live, 0);
}

void unique_pointers_destroy_in_the_arena(void **) {
    cutback::arena<1024, 8> arena;
    {
        auto first = cutback::make_unique<counted>(arena, 1, 2);
        auto second = cutback::make_unique<counted>(arena, 3, 4);
        first = std::move(second); /* the first object is destroyed; its block lies under the other */
        assert_int_equal(counted::live, 1);
        assert_int_equal(first->a, 3);
    }
    assert_int_equal(counted::live, 0);
    assert_int_equal(arena.used(), 0);
}

void containers_take_the_allocator(void **) {
    cutback::arena<8192, 32> arena;
    cutback::arena<8192, 32> other;
    {
        std::vector<int, cutback::allocator<int>> numbers(arena);
        for (int i = 0; i < 100; i++)
            numbers.push_back(i);
        assert_true(arena.owns(numbers.data()));
        std::vector<int, cutback::allocator<int>> copy(numbers, other);
        assert_true(other.owns(copy.data()));
        assert_true(copy == numbers);
        int *place = copy.data();
        numbers = std::move(copy); /* keeps the arena of its elements */
        assert_ptr_equal(numbers.data(), place);
        assert_ptr_equal(&numbers.get_allocator().arena(), &static_cast<cutback_arena &>(other));
        using entry = std::pair<const int, int>;
        std::map<int, int, std::less<>, cutback::allocator<entry>> map(arena);
        for (int i = 0; i < 20; i++)
            map[i * 7 % 20] = i;
        assert_int_equal(map[7], 1);
    }
    assert_int_equal(arena.used(), 0);
    assert_int_equal(other.used(), 0);
    assert_true(cutback::allocator<int>(arena) == cutback::allocator<char>(arena));
    assert_true(cutback::allocator<int>(arena) != cutback::allocator<int>(other));
}

void an_allocator_that_is_full_throws(void **) {
    cutback::arena<64, 8> arena;
    cutback::allocator<int> allocator(arena);
    const std::size_t counts[] = {17, SIZE_MAX / 4, SIZE_MAX / 2 + 2}; /* the last times 4 is 4 */
    int thrown = 0;
    for (std::size_t count : counts)
        try {
            allocator.deallocate(allocator.allocate(count), count);
        } catch (const std::bad_alloc &) {
            thrown++;
        }
    assert_int_equal(thrown, 3);
}

void a_scope_resets_at_its_end(void **) {
    static bed b;
    {
        cutback::scope scope(b.arena);
        assert_true(scope.is_open());
        assert_non_null(cutback_alloc(&b.arena, 100, 8));
    }
    assert_int_equal(cutback_used(&b.arena), 0);
}

void a_committed_scope_keeps(void **) {
    static bed b;
    {
        cutback::scope scope(b.arena);
        assert_non_null(cutback_alloc(&b.arena, 100, 8));
        assert_true(scope.commit());
        assert_false(scope.is_open());
        assert_false(scope.reset());
    }
    assert_int_equal(cutback_used(&b.arena), 100);
}

cutback::scope opened_in_a_function(cutback_arena &arena) {
    cutback::scope scope(arena);
    assert_non_null(cutback_alloc(&arena, 10, 1));
    return scope;
}

void a_scope_moves(void **) {
    static_assert(!std::is_copy_constructible_v<cutback::scope> &&
                  !std::is_copy_assignable_v<cutback::scope>);
    cutback::arena<256, 8> arena;
    {
        cutback::scope outer = opened_in_a_function(arena);
        assert_int_equal(arena.used(), 10);
        cutback::scope moved(std::move(outer));
        assert_true(moved.is_open());
        assert_false(outer.is_open());
        cutback::scope inner(arena);
        assert_non_null(arena.allocate(20, 1));
        inner = std::move(moved); /* resets the scope that it had */
        assert_true(inner.is_open());
        assert_int_equal(arena.used(), 10);
    }
    assert_int_equal(arena.used(), 0);
}

void a_scope_ends_with_the_one_around_it(void **) {
    cutback::arena<256, 8> arena;
    cutback::scope outer(arena);
    cutback::scope inner(arena);
    assert_true(outer.reset());
    assert_false(inner.is_open());
    assert_false(inner.commit());
    cutback_arena none{};
    assert_false(cutback::scope(none).is_open());
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(the_c_functions_link),
        cmocka_unit_test(containers_allocate_from_the_arena),
        cmocka_unit_test(exhaustion_is_bad_alloc),
        cmocka_unit_test(resources_of_one_arena_are_equal),
        cmocka_unit_test(what_does_not_fit_comes_from_the_upstream),
        cmocka_unit_test(containers_that_shrink_give_their_memory_back),
        cmocka_unit_test(an_arena_owns_its_memory),
        cmocka_unit_test(objects_are_created_and_destroyed),
        cmocka_unit_test(an_object_that_does_not_fit_is_null),
        cmocka_unit_test(a_constructor_that_throws_leaves_nothing),
        cmocka_unit_test(unique_pointers_destroy_in_the_arena),
        cmocka_unit_test(containers_take_the_allocator),
        cmocka_unit_test(an_allocator_that_is_full_throws),
        cmocka_unit_test(a_scope_resets_at_its_end),
        cmocka_unit_test(a_committed_scope_keeps),
        cmocka_unit_test(a_scope_moves),
        cmocka_unit_test(a_scope_ends_with_the_one_around_it),
    };
    return cmocka_run_group_tests_name("arena: C++ surface", tests, nullptr, nullptr);
}
