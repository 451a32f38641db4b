/*
 * cutback for C++17: an arena as a std::pmr::memory_resource, and a scope that ends with its block.
 *
 * Layer:     on top of cutback.h; header only. Needs a hosted C++ library, for std::pmr.
 * Threading: as the arena: one thread at a time.
 */
#ifndef CUTBACK_HPP
#define CUTBACK_HPP

#include <cstddef>
#include <cstdlib>
#include <memory_resource>
#include <new>

#include "cutback.h"

namespace cutback {

/*
 * An arena that containers of std::pmr allocate from: std::pmr::vector<int> numbers(&resource). Throws
 * std::bad_alloc where the arena returns NULL; compiled without exceptions, it calls std::abort() there. The
 * arena is the caller's and outlives the resource. Two resources are equal if they are of the same arena;
 * compiled without run-time type information, a resource is equal to itself only, and a container that is
 * moved from one to another moves its elements one by one.
 */
class resource final : public std::pmr::memory_resource {
  public:
    explicit resource(cutback_arena &arena) noexcept : arena_(&arena) {}

    cutback_arena &arena() const noexcept {
        return *arena_;
    }

  private:
    void *do_allocate(std::size_t size, std::size_t align) override {
        void *block = cutback_alloc(arena_, size, align);
        if (block == nullptr) {
#ifdef __cpp_exceptions
            throw std::bad_alloc();
#else
            std::abort();
#endif
        }
        return block;
    }

    void do_deallocate(void *block, std::size_t size, std::size_t) override {
        cutback_free(arena_, block, size);
    }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
#ifdef __cpp_rtti
        const auto *same = dynamic_cast<const resource *>(&other);
        return same != nullptr && same->arena_ == arena_;
#else
        return &other == this;
#endif
    }

    cutback_arena *arena_;
};

/*
 * Opens a scope of an arena, and resets it at the end of the block unless it was ended before. Objects with
 * destructors that live in the scope must be gone by then.
 */
class scope {
  public:
    explicit scope(cutback_arena &arena) noexcept : arena_(&arena), mark_(cutback_mark_set(&arena)) {}

    scope(const scope &) = delete;
    scope &operator=(const scope &) = delete;

    ~scope() {
        cutback_reset(arena_, mark_);
    }

    /* Keeps what was allocated. False if the scope has ended already, or could not be opened. */
    bool commit() noexcept {
        return cutback_commit(arena_, mark_);
    }

    /* Gives back what was allocated, now. False as for commit. */
    bool reset() noexcept {
        return cutback_reset(arena_, mark_);
    }

  private:
    cutback_arena *arena_;
    cutback_mark mark_;
};

} // namespace cutback

#endif
