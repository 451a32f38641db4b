/*
 * The surface as C++17 sees it: cutback.h compiles and links as C++, and cutback.hpp does what it says.
 *
 * Layer: tests. Threading: none.
 */
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
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
    cutback::resource resource(b.arena);
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
    cutback::resource resource(b.arena);
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
    assert_true(cutback::resource(b.arena) == cutback::resource(b.arena));
    assert_false(cutback::resource(b.arena) == cutback::resource(c.arena));
    assert_false(cutback::resource(b.arena) == *std::pmr::new_delete_resource());
}

void a_scope_resets_at_its_end(void **) {
    static bed b;
    {
        cutback::scope scope(b.arena);
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
        assert_false(scope.reset());
    }
    assert_int_equal(cutback_used(&b.arena), 100);
}

} // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(the_c_functions_link),      cmocka_unit_test(containers_allocate_from_the_arena),
        cmocka_unit_test(exhaustion_is_bad_alloc),   cmocka_unit_test(resources_of_one_arena_are_equal),
        cmocka_unit_test(a_scope_resets_at_its_end), cmocka_unit_test(a_committed_scope_keeps),
    };
    return cmocka_run_group_tests_name("arena: C++ surface", tests, nullptr, nullptr);
}
