/*
 * cutback for C++17: arenas that own their memory, objects in them, allocators for containers, scopes.
 *
 * Layer:     on top of cutback.h; header only. memory_resource needs a hosted C++ library, for std::pmr; without one it
 *            is left out. Works without exceptions and without run-time type information.
 * Threading: as the arena: one thread at a time.
 * Errors:    what returns a pointer returns nullptr when there is no room. Allocators of containers cannot: they throw
 *            std::bad_alloc, or call std::abort() where there are no exceptions.
 *
 * Arenas are handed over as cutback_arena &, which an arena<Capacity, Slots> converts to. They outlive what refers to
 * them: scopes, allocators, resources, deleters.
 */
#ifndef CUTBACK_HPP
#define CUTBACK_HPP

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#if __has_include(<memory_resource>)
#include <memory_resource>
#endif

#include "cutback.h"

#if defined(__SANITIZE_ADDRESS__)
#define CUTBACK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CUTBACK_ASAN 1
#endif
#endif
#if defined(CUTBACK_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace cutback {

namespace detail {

[[noreturn]] inline void no_memory() {
#ifdef __cpp_exceptions
    throw std::bad_alloc();
#else
    std::abort();
#endif
}

} // namespace detail

/*
 * An arena and its memory in one object: `Capacity` bytes, and a ring for the last `Slots` blocks. It can be static, on
 * the stack, or a member; it is neither copied nor moved.
 */
template <std::size_t Capacity, std::size_t Slots = 32> class arena {
  public:
    arena() noexcept {
        cutback_init(&arena_, memory_, Capacity, ring_, Slots);
    }

    arena(const arena &) = delete;
    arena &operator=(const arena &) = delete;

#if defined(CUTBACK_ASAN)
    ~arena() { /* what is free is poisoned, and the memory is going to be something else */
        __asan_unpoison_memory_region(memory_, Capacity);
    }
#endif

    operator cutback_arena &() noexcept {
        return arena_;
    }

    operator const cutback_arena &() const noexcept {
        return arena_;
    }

    /* As cutback_alloc. */
    [[nodiscard]] void *allocate(std::size_t size, std::size_t align = alignof(std::max_align_t)) noexcept {
        return cutback_alloc(&arena_, size, align);
    }

    /* As cutback_free. */
    void deallocate(void *block, std::size_t size) noexcept {
        cutback_free(&arena_, block, size);
    }

    /* As cutback_clear. No destructor is called. */
    void clear() noexcept {
        cutback_clear(&arena_);
    }

    [[nodiscard]] bool owns(const void *pointer) const noexcept {
        return cutback_owns(&arena_, pointer);
    }

    [[nodiscard]] std::size_t used() const noexcept {
        return cutback_used(&arena_);
    }

    [[nodiscard]] std::size_t remaining() const noexcept {
        return cutback_remaining(&arena_);
    }

    [[nodiscard]] cutback_stats stats() const noexcept {
        return cutback_get_stats(&arena_);
    }

  private:
    cutback_arena arena_{};
    cutback_slot ring_[Slots != 0 ? Slots : 1];
    alignas(std::max_align_t) unsigned char memory_[Capacity];
};

/*
 * Makes a T in the arena, of these arguments. Returns nullptr if there is no room. If the constructor throws, the block
 * is freed. Ends with destroy; or with its scope or arena, and then without the destructor.
 */
template <class T, class... Arguments>
[[nodiscard]] T *create(cutback_arena &arena, Arguments &&...arguments) {
    static_assert(!std::is_array_v<T>, "one object: for more there is cutback::allocator");
    struct guard {
        ~guard() {
            cutback_free(arena, block, sizeof(T));
        }
        cutback_arena *arena;
        void *block;
    } guarded{&arena, cutback_alloc(&arena, sizeof(T), alignof(T))};
    if (guarded.block == nullptr) {
        return nullptr;
    }
    T *made = ::new (guarded.block) T(std::forward<Arguments>(arguments)...);
    guarded.block = nullptr;
    return made;
}

/* Destroys what create<T> made: T is the same type, not one of its bases. nullptr is ignored. */
template <class T> void destroy(cutback_arena &arena, T *object) noexcept {
    if (object != nullptr) {
        object->~T();
        cutback_free(&arena, const_cast<std::remove_cv_t<T> *>(object), sizeof(T));
    }
}

/* Destroys in an arena: for std::unique_ptr. */
template <class T> class deleter {
  public:
    explicit deleter(cutback_arena &arena) noexcept : arena_(&arena) {}

    void operator()(T *object) const noexcept {
        destroy(*arena_, object);
    }

  private:
    cutback_arena *arena_;
};

template <class T> using unique_ptr = std::unique_ptr<T, deleter<T>>;

/* As create, with an owner. Empty if there is no room. It must not outlive the scope that it was made in. */
template <class T, class... Arguments>
[[nodiscard]] unique_ptr<T> make_unique(cutback_arena &arena, Arguments &&...arguments) {
    return unique_ptr<T>(create<T>(arena, std::forward<Arguments>(arguments)...), deleter<T>(arena));
}

/*
 * An allocator for containers: std::vector<int, cutback::allocator<int>> numbers(arena). Two are equal if they are of
 * the same arena. A container that is moved or swapped keeps the arena of its elements.
 */
template <class T> class allocator {
  public:
    using value_type = T;
    using is_always_equal = std::false_type;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap = std::true_type;

    allocator(cutback_arena &arena) noexcept : arena_(&arena) {}

    template <std::size_t Capacity, std::size_t Slots>
    allocator(cutback::arena<Capacity, Slots> &arena) noexcept
        : allocator(static_cast<cutback_arena &>(arena)) {}

    template <class U> allocator(const allocator<U> &other) noexcept : arena_(&other.arena()) {}

    [[nodiscard]] T *allocate(std::size_t count) {
        void *block = nullptr;
        if (count <= SIZE_MAX / sizeof(T)) {
            block = cutback_alloc(arena_, count * sizeof(T), alignof(T));
        }
        if (block == nullptr) {
            detail::no_memory();
        }
        return static_cast<T *>(block);
    }

    void deallocate(T *block, std::size_t count) noexcept {
        cutback_free(arena_, block, count * sizeof(T));
    }

    [[nodiscard]] cutback_arena &arena() const noexcept {
        return *arena_;
    }

    template <class U> bool operator==(const allocator<U> &other) const noexcept {
        return arena_ == &other.arena();
    }

    template <class U> bool operator!=(const allocator<U> &other) const noexcept {
        return arena_ != &other.arena();
    }

  private:
    cutback_arena *arena_;
};

#if __has_include(<memory_resource>)
/*
 * An arena that containers of std::pmr allocate from: std::pmr::vector<int> numbers(&resource). For what does not fit
 * into the arena it asks `upstream`, if there is one.
 *
 * Two are equal if they have the same arena and the same upstream. Without run-time type information each is equal to
 * itself only, and a container that is moved from one to another moves its elements one by one.
 */
class memory_resource final : public std::pmr::memory_resource {
  public:
    explicit memory_resource(cutback_arena &arena, std::pmr::memory_resource *upstream = nullptr) noexcept
        : arena_(&arena), upstream_(upstream) {}

    [[nodiscard]] cutback_arena &arena() const noexcept {
        return *arena_;
    }

    /* nullptr: none. */
    [[nodiscard]] std::pmr::memory_resource *upstream_resource() const noexcept {
        return upstream_;
    }

  private:
    void *do_allocate(std::size_t size, std::size_t align) override {
        void *block = cutback_alloc(arena_, size, align);
        if (block == nullptr) {
            if (upstream_ == nullptr) {
                detail::no_memory();
            }
            block = upstream_->allocate(size, align);
        }
        return block;
    }

    void do_deallocate(void *block, std::size_t size, std::size_t align) override {
        if (upstream_ == nullptr || size == 0 || cutback_owns(arena_, block)) {
            cutback_free(arena_, block, size);
        } else {
            upstream_->deallocate(block, size, align);
        }
    }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
#ifdef __cpp_rtti
        const auto *same = dynamic_cast<const memory_resource *>(&other);
        return same != nullptr && same->arena_ == arena_ && same->upstream_ == upstream_;
#else
        return &other == this;
#endif
    }

    cutback_arena *arena_;
    std::pmr::memory_resource *upstream_;
};
#endif

/*
 * Opens a scope of an arena, and resets it at the end of the block unless it was ended before. Objects with
 * destructors that live in the scope must be gone by then.
 */
class [[nodiscard]] scope {
  public:
    explicit scope(cutback_arena &arena) noexcept : arena_(&arena), mark_(cutback_mark_set(&arena)) {}

    /* The scope goes over; `other` is not open any more. */
    scope(scope &&other) noexcept : arena_(other.arena_), mark_(std::exchange(other.mark_, cutback_mark{})) {}

    /* Resets the scope that it had. */
    scope &operator=(scope &&other) noexcept {
        if (this != &other) {
            reset();
            arena_ = other.arena_;
            mark_ = std::exchange(other.mark_, cutback_mark{});
        }
        return *this;
    }

    ~scope() {
        reset();
    }

    /* Keeps what was allocated. False if the scope is not open. */
    bool commit() noexcept {
        return cutback_commit(arena_, mark_);
    }

    /* Gives back what was allocated, now. False as for commit. */
    bool reset() noexcept {
        return cutback_reset(arena_, mark_);
    }

    /* Whether the scope was opened and has not ended: by commit, by reset, or with one around it. */
    [[nodiscard]] bool is_open() const noexcept {
        return cutback_mark_open(arena_, mark_);
    }

  private:
    cutback_arena *arena_;
    cutback_mark mark_;
};

} // namespace cutback

#endif
