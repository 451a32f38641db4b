// The arena benchmarks: cutback_arena with rings of 1, 8, 32 and 256, and a chain of chunks of 64 KiB from malloc with
// rings of 256, beside other region allocators.
//
//     bench_arena [--benchmark_filter=REGEX ...]     Google Benchmark; names are WORKLOAD/ALLOCATOR
//     bench_arena --rounds=N [...]                   exactly N rounds of each, for tools/cost
//
// bump           an inline bump pointer that never frees: the limit
// bump_top       the same, taking back what is on top and nothing else
// obstack        glibc's
// monotonic      std::pmr::monotonic_buffer_resource
// pool           std::pmr::unsynchronized_pool_resource
// cutback_pmr    cutback with a ring of 256 as a std::pmr::memory_resource
// apr            APR pools        (where installed)
// talloc         talloc           (where installed)
//
// Workloads: lifo (64 objects, freed in reverse), pair (one object, freed at once), near_lifo (64 objects,
// freed in reverse by groups of eight, the order within a group shuffled; "held" is what the allocator still
// occupies at the end of 6,400 objects when all but one of 16 bytes are free), scope (mark, 100 objects,
// reset), realloc_top (the object on top grows in 16 steps). Those that cannot free one object are reset as a
// whole after each 6,400 objects; that is part of their time. An operation is one object, for realloc_top one
// growth. And two uses: json (a document of 2,000 values is parsed into a tree in a scope; an operation is one value),
// statements (each is split into tokens, parsed into a tree and compiled, in a scope; an operation is one statement).

#include "common.hpp"

#include "cutback.hpp"
#include "cutback_chain.h"

#include <benchmark/benchmark.h>

#include <memory_resource>
#include <string>
#include <utility>

#include <obstack.h>
#if HAVE_APR
#include <apr_pools.h>
#endif
#if HAVE_TALLOC
#include <talloc.h>
#endif

using namespace bench;
using benchmark::DoNotOptimize;
using benchmark::State;

namespace {

constexpr size_t kMemory = 4 << 20, kAlign = 8;

// The calls between a loop and an allocator are expanded for each of them: gcc would call some and expand others.
#define EXPANDED [[gnu::always_inline]] inline

unsigned char *memory() {
    static auto *p = own_memory<unsigned char>(kMemory);
    return p;
}

// Each has: alloc, free, grow (of the object on top), enter and leave (a scope), reset (all), held (bytes).

// The arena and the chain have the same functions under two names.
template <class Kind, class Mark, auto Alloc, auto Free, auto Realloc, auto MarkSet, auto Reset, auto Used>
class Region {
  public:
    EXPANDED void *alloc(size_t size) {
        return Alloc(&region_, size, kAlign);
    }
    EXPANDED void free(void *p, size_t size) {
        Free(&region_, p, size);
    }
    EXPANDED void *grow(void *p, size_t from, size_t to) {
        return Realloc(&region_, p, from, to, kAlign);
    }
    EXPANDED void enter() {
        mark_ = MarkSet(&region_);
    }
    EXPANDED void leave() {
        Reset(&region_, mark_);
    }
    size_t held() {
        return Used(&region_);
    }

  protected:
    Kind region_{};

  private:
    Mark mark_{};
};

using ArenaRegion = Region<cutback_arena, cutback_mark, cutback_alloc, cutback_free, cutback_realloc,
                           cutback_mark_set, cutback_reset, cutback_used>;
using ChainRegion =
    Region<cutback_chain, cutback_chain_mark, cutback_chain_alloc, cutback_chain_free, cutback_chain_realloc,
           cutback_chain_mark_set, cutback_chain_reset, cutback_chain_used>;

template <size_t Slots> class Cutback : public ArenaRegion {
  public:
    Cutback() {
        reset();
    }
    void reset() {
        cutback_init(&region_, memory(), kMemory, ring_, Slots);
    }

  private:
    cutback_slot ring_[Slots];
};

class Chain : public ChainRegion {
  public:
    Chain() {
        cutback_chain_init(&region_, {supply, take, nullptr}, 64 << 10, 256, true);
    }
    ~Chain() {
        cutback_chain_release(&region_);
    }
    Chain(const Chain &) = delete;
    Chain &operator=(const Chain &) = delete;
    void reset() {
        cutback_chain_clear(&region_);
    }

  private:
    static void *supply(void *, size_t *size) {
        return std::malloc(*size);
    }
    static void take(void *, void *chunk, size_t) {
        std::free(chunk);
    }
};

template <bool Top> class Bump {
  public:
    EXPANDED void *alloc(size_t size) {
        size_t at = (cursor_ + (kAlign - 1)) & ~(kAlign - 1);
        if (size > kMemory - at) {
            return nullptr;
        }
        cursor_ = at + size;
        return base_ + at;
    }
    EXPANDED void free(void *p, size_t size) {
        if (Top && static_cast<unsigned char *>(p) + size == base_ + cursor_) {
            cursor_ = static_cast<size_t>(static_cast<unsigned char *>(p) - base_);
        }
    }
    EXPANDED void *grow(void *p, size_t from, size_t to) {
        if (static_cast<unsigned char *>(p) + from == base_ + cursor_ && to - from <= kMemory - cursor_) {
            cursor_ += to - from;
            return p;
        }
        void *q = alloc(to);
        memcpy(q, p, from);
        return q;
    }
    EXPANDED void enter() {
        mark_ = cursor_;
    }
    EXPANDED void leave() {
        cursor_ = mark_;
    }
    void reset() {
        cursor_ = 0;
    }
    size_t held() {
        return cursor_;
    }

  private:
    unsigned char *base_ = memory();
    size_t cursor_ = 0, mark_ = 0;
};

void *obstack_chunk(size_t size) {
    void *p = std::malloc(size);
    if (p == nullptr) {
        out_of_memory();
    }
    return p;
}
#define obstack_chunk_alloc obstack_chunk
#define obstack_chunk_free std::free

// An obstack frees an object and all above it; so, like bump_top, it is asked only for the object on top.
class Obstack {
  public:
    Obstack() {
        obstack_begin(&stack_, kMemory);
        obstack_alignment_mask(&stack_) = kAlign - 1;
        bottom_ = obstack_alloc(&stack_, 0);
    }
    ~Obstack() {
        obstack_free(&stack_, nullptr);
    }
    Obstack(const Obstack &) = delete;
    Obstack &operator=(const Obstack &) = delete;
    EXPANDED void *alloc(size_t size) {
        return obstack_alloc(&stack_, size);
    }
    EXPANDED void free(void *p, size_t size) {
        if (static_cast<char *>(p) + ((size + kAlign - 1) & ~(kAlign - 1)) == obstack_next_free(&stack_)) {
            obstack_free(&stack_, p);
        }
    }
    // Growing without moving is what obstacks do best, but only for an object not finished yet: its base is
    // the bottom of the stack here.
    EXPANDED void *grow(void *, size_t from, size_t to) {
        obstack_blank(&stack_, static_cast<int>(to - from));
        return obstack_base(&stack_);
    }
    EXPANDED void enter() {
        mark_ = obstack_alloc(&stack_, 0);
    }
    EXPANDED void leave() {
        obstack_free(&stack_, mark_);
    }
    void reset() {
        obstack_free(&stack_, bottom_);
    }
    size_t held() {
        return static_cast<size_t>(static_cast<char *>(obstack_next_free(&stack_)) -
                                   static_cast<char *>(bottom_));
    }
    void *begin(size_t size) {
        obstack_blank(&stack_, static_cast<int>(size));
        return obstack_base(&stack_);
    }
    void end(void *, size_t) {
        void *p = obstack_finish(&stack_);
        obstack_free(&stack_, p);
    }

  private:
    struct obstack stack_;
    void *bottom_, *mark_ = nullptr;
};

std::pmr::memory_resource *opaque(std::pmr::memory_resource *p) { // called as containers call it
    DoNotOptimize(p);
    return p;
}

class CutbackPmr {
  public:
    CutbackPmr() {
        cutback_init(&arena_, memory(), kMemory, ring_, 256);
    }
    EXPANDED void *alloc(size_t size) {
        return resource_->allocate(size, kAlign);
    }
    EXPANDED void free(void *p, size_t size) {
        resource_->deallocate(p, size, kAlign);
    }
    EXPANDED void *grow(void *p, size_t from, size_t to) {
        void *q = alloc(to);
        memcpy(q, p, from);
        free(p, from);
        return q;
    }
    EXPANDED void enter() {
        mark_ = cutback_mark_set(&arena_);
    }
    EXPANDED void leave() {
        cutback_reset(&arena_, mark_);
    }
    void reset() {
        cutback_clear(&arena_);
    }
    size_t held() {
        return cutback_used(&arena_);
    }

  private:
    cutback_arena arena_{};
    cutback_slot ring_[256];
    cutback_mark mark_;
    cutback::memory_resource pool_{arena_};
    std::pmr::memory_resource *resource_ = opaque(&pool_);
};

// Counts how much a pool resource takes from the system.
class Counted final : public std::pmr::memory_resource {
  public:
    size_t live = 0;

  private:
    void *do_allocate(size_t size, size_t align) override {
        live += size;
        return std::pmr::new_delete_resource()->allocate(size, align);
    }
    void do_deallocate(void *p, size_t size, size_t align) override {
        live -= size;
        std::pmr::new_delete_resource()->deallocate(p, size, align);
    }
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
        return this == &other;
    }
};

class Pool {
  public:
    EXPANDED void *alloc(size_t size) {
        return resource_->allocate(size, kAlign);
    }
    EXPANDED void free(void *p, size_t size) {
        resource_->deallocate(p, size, kAlign);
    }
    EXPANDED void *grow(void *p, size_t from, size_t to) {
        void *q = alloc(to);
        memcpy(q, p, from);
        free(p, from);
        return q;
    }
    // As for monotonic.
    EXPANDED void enter() {}
    EXPANDED void leave() {
        pool_.release();
    }
    void reset() {
        pool_.release();
    }
    size_t held() {
        return system_.live;
    }

  private:
    Counted system_;
    std::pmr::unsynchronized_pool_resource pool_{&system_};
    std::pmr::memory_resource *resource_ = opaque(&pool_);
};

class Monotonic {
  public:
    EXPANDED void *alloc(size_t size) {
        return resource_->allocate(size, kAlign);
    }
    EXPANDED void free(void *p, size_t size) {
        resource_->deallocate(p, size, kAlign);
    }
    EXPANDED void *grow(void *p, size_t from, size_t to) {
        void *q = alloc(to);
        memcpy(q, p, from);
        free(p, from);
        return q;
    }
    // Scopes do not nest in one resource: a scope here is a release of all.
    EXPANDED void enter() {}
    EXPANDED void leave() {
        pool_.release();
    }
    void reset() {
        pool_.release();
    }
    size_t held() {
        return static_cast<size_t>(static_cast<unsigned char *>(alloc(1)) - memory());
    }

  private:
    std::pmr::monotonic_buffer_resource pool_{memory(), kMemory, std::pmr::null_memory_resource()};
    std::pmr::memory_resource *resource_ = opaque(&pool_);
};

#if HAVE_APR
class Apr {
  public:
    Apr() {
        static bool once = apr_initialize() == APR_SUCCESS;
        DoNotOptimize(once);
        apr_allocator_create(&allocator_);
        apr_pool_create_ex(&root_, nullptr, nullptr, allocator_);
        pool_ = root_;
    }
    ~Apr() {
        apr_pool_destroy(root_);
        apr_allocator_destroy(allocator_);
    }
    Apr(const Apr &) = delete;
    Apr &operator=(const Apr &) = delete;
    EXPANDED void *alloc(size_t size) {
        asked_ += (size + 7) & ~size_t(7);
        return apr_palloc(pool_, size);
    }
    EXPANDED void free(void *, size_t) {}
    EXPANDED void *grow(void *p, size_t from, size_t to) {
        void *q = alloc(to);
        memcpy(q, p, from);
        return q;
    }
    EXPANDED void enter() {
        apr_pool_create_ex(&pool_, root_, nullptr, allocator_);
    }
    EXPANDED void leave() {
        apr_pool_destroy(pool_);
        pool_ = root_;
    }
    void reset() {
        apr_pool_clear(root_);
        asked_ = 0;
    }
    size_t held() {
        return asked_;
    }

  private:
    apr_allocator_t *allocator_;
    apr_pool_t *root_, *pool_;
    size_t asked_ = 0;
};
#endif

#if HAVE_TALLOC
class Talloc {
  public:
    Talloc() : root_(talloc_new(nullptr)), context_(root_) {}
    ~Talloc() {
        talloc_free(root_);
    }
    Talloc(const Talloc &) = delete;
    Talloc &operator=(const Talloc &) = delete;
    EXPANDED void *alloc(size_t size) {
        return talloc_size(context_, size);
    }
    EXPANDED void free(void *p, size_t) {
        talloc_free(p);
    }
    EXPANDED void *grow(void *p, size_t, size_t to) {
        return talloc_realloc_size(context_, p, to);
    }
    EXPANDED void enter() {
        context_ = talloc_new(root_);
    }
    EXPANDED void leave() {
        talloc_free(context_);
        context_ = root_;
    }
    void reset() {
        talloc_free_children(root_);
    }
    size_t held() {
        return talloc_total_size(root_);
    }

  private:
    void *root_, *context_;
};
#endif

// ---- workloads
// -----------------------------------------------------------------------------------------------------

constexpr uint32_t kObjects = 6400;

const uint32_t *sizes() {
    static uint32_t *table = nullptr;
    if (table == nullptr) {
        table = own_memory<uint32_t>(kObjects);
        Sizes draw(8, 256);
        Random random(31);
        for (uint32_t i = 0; i < kObjects; i++) {
            table[i] = draw.of(random.next());
        }
    }
    return table;
}

template <class A> EXPANDED void *make(A &allocator, size_t size) {
    void *p = allocator.alloc(size);
    if (__builtin_expect(p == nullptr, 0)) {
        out_of_memory();
    }
    DoNotOptimize(p);
    touch(p, size, size);
    return p;
}

template <class A> void finish(State &state, double objects) {
    state.SetItemsProcessed(static_cast<int64_t>(objects));
    state.counters["ops"] = objects;
    state.counters["ns"] =
        benchmark::Counter(objects * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

template <class A> void pair(State &state) {
    const uint32_t *size = sizes();
    A allocator;
    for (auto _ : state) {
        for (uint32_t i = 0; i < kObjects; i++) {
            allocator.free(make(allocator, size[i]), size[i]);
        }
        allocator.reset();
    }
    finish<A>(state, double(state.iterations()) * kObjects);
}

template <class A> void lifo(State &state) {
    const uint32_t *size = sizes();
    A allocator;
    void *stack[64];
    for (auto _ : state) {
        for (uint32_t i = 0; i < kObjects; i += 64) {
            for (uint32_t k = 0; k < 64; k++) {
                stack[k] = make(allocator, size[i + k]);
            }
            for (uint32_t k = 64; k-- > 0;) {
                allocator.free(stack[k], size[i + k]);
            }
        }
        allocator.reset();
    }
    finish<A>(state, double(state.iterations()) * kObjects);
}

template <class A> void near_lifo(State &state) {
    const uint32_t *size = sizes();
    constexpr uint32_t kOrders = 256;
    static uint8_t orders[kOrders][8];
    Random random(37);
    for (auto &order : orders) {
        for (uint8_t k = 0; k < 8; k++) {
            order[k] = k;
        }
        for (uint32_t k = 7; k > 0; k--) {
            std::swap(order[k], order[random.below(k + 1)]);
        }
    }
    A allocator;
    void *stack[64];
    uint32_t turn = 0;
    double held = 0;
    for (auto _ : state) {
        make(allocator, 16); // lives to the end, so that the arena is never empty
        for (uint32_t i = 0; i < kObjects; i += 64) {
            for (uint32_t k = 0; k < 64; k++) {
                stack[k] = make(allocator, size[i + k]);
            }
            for (uint32_t group = 8; group-- > 0;) {
                const uint8_t *order = orders[turn++ % kOrders];
                for (uint32_t k = 0; k < 8; k++) {
                    uint32_t at = group * 8 + order[k];
                    allocator.free(stack[at], size[i + at]);
                }
            }
        }
        held = static_cast<double>(allocator.held());
        allocator.reset();
    }
    finish<A>(state, double(state.iterations()) * kObjects);
    state.counters["held"] = held;
}

template <class A> void scope(State &state) {
    const uint32_t *size = sizes();
    A allocator;
    for (auto _ : state) {
        for (uint32_t i = 0; i < kObjects; i += 100) {
            allocator.enter();
            for (uint32_t k = 0; k < 100; k++) {
                make(allocator, size[i + k]);
            }
            allocator.leave();
        }
    }
    finish<A>(state, double(state.iterations()) * kObjects);
}

template <class A> void realloc_top(State &state) {
    constexpr uint32_t kSteps = 16, kRounds = 64;
    A allocator;
    for (auto _ : state) {
        for (uint32_t round = 0; round < kRounds; round++) {
            size_t size = 64;
            void *p;
            if constexpr (std::is_same_v<A, Obstack>) {
                p = allocator.begin(size);
            } else {
                p = make(allocator, size);
            }
            for (uint32_t k = 0; k < kSteps; k++) {
                p = allocator.grow(p, size, size + 64);
                size += 64;
                DoNotOptimize(p);
                touch(p, size, k);
            }
            if constexpr (std::is_same_v<A, Obstack>) {
                allocator.end(p, size);
            } else {
                allocator.free(p, size);
            }
        }
        allocator.reset();
    }
    finish<A>(state, double(state.iterations()) * kRounds * kSteps);
}

// An array that grows, on top or not. What obstacks grow is an object that nothing has been allocated above.
template <class A> void *resize(A &allocator, void *p, size_t from, size_t to) {
    if constexpr (std::is_same_v<A, Obstack>) {
        void *q = allocator.alloc(to);
        memcpy(q, p, from);
        return q;
    } else {
        return allocator.grow(p, from, to);
    }
}

struct Value {
    char *text;     // of a number, a string or a name
    Value **inside; // of an array; of an object: names and values
    size_t count;
};

template <class A> class Json {
  public:
    Json(A &allocator, const char *text) : allocator_(allocator), at_(text) {}

    Value *parse() {
        auto *value = static_cast<Value *>(allocator_.alloc(sizeof(Value)));
        *value = {};
        values_++;
        if (*at_ == '[' || *at_ == '{') {
            size_t room = 4;
            value->inside = static_cast<Value **>(allocator_.alloc(room * sizeof(Value *)));
            do {
                at_++;
                Value *next = parse();
                if (value->count == room) {
                    value->inside = static_cast<Value **>(resize(
                        allocator_, value->inside, room * sizeof(Value *), 2 * room * sizeof(Value *)));
                    room *= 2;
                }
                value->inside[value->count++] = next;
            } while (*at_ == ',' || *at_ == ':');
            at_++;
        } else {
            size_t length = *at_ == '"' ? strcspn(at_ + 1, "\"") + 2 : strcspn(at_, ",:]}");
            value->text = static_cast<char *>(allocator_.alloc(length + 1));
            memcpy(value->text, at_, length);
            value->text[length] = 0;
            at_ += length;
        }
        return value;
    }

    size_t values() const {
        return values_;
    }

  private:
    A &allocator_;
    const char *at_;
    size_t values_ = 0;
};

const std::string &document() {
    static std::string text;
    if (text.empty()) {
        Random random(41);
        for (size_t i = 0; i < 250; i++) {
            text += (i == 0 ? "[{\"id\":" : ",{\"id\":") + std::to_string(i) + ",\"name\":\"" +
                    std::string(1 + random.below(40), 'n') + "\",\"tags\":[";
            for (uint32_t tags = 1 + random.below(8); tags > 0; tags--) {
                text += std::to_string(random.below(1000)) + (tags > 1 ? "," : "]}");
            }
        }
        text += "]";
    }
    return text;
}

template <class A> void json(State &state) {
    const std::string &text = document();
    A allocator;
    size_t values = 0;
    for (auto _ : state) {
        allocator.enter();
        Json<A> parser(allocator, text.c_str());
        DoNotOptimize(parser.parse());
        values += parser.values();
        allocator.leave();
    }
    finish<A>(state, static_cast<double>(values));
}

struct Token {
    char kind; // an operator, or n: a name or number
    Token *next;
};

struct Tree {
    char kind;
    Tree *left, *right;
};

// Operators of one level, from left to right; brackets. Tokens in, code out.
template <class A> class Compiler {
  public:
    explicit Compiler(A &allocator) : allocator_(allocator) {}

    size_t compile(const char *text) {
        Token **link = &token_;
        for (; *text != 0; text++) {
            *link = static_cast<Token *>(allocator_.alloc(sizeof(Token)));
            **link = {*text, nullptr};
            link = &(*link)->next;
        }
        Tree *tree = parse();
        code_ = static_cast<char *>(allocator_.alloc(room_));
        emit(tree);
        DoNotOptimize(code_);
        size_t size = size_;
        allocator_.free(code_, room_);
        return size;
    }

  private:
    Tree *node(char kind, Tree *left, Tree *right) {
        auto *tree = static_cast<Tree *>(allocator_.alloc(sizeof(Tree)));
        *tree = {kind, left, right};
        return tree;
    }

    Tree *operand() {
        char kind = token_->kind;
        token_ = token_->next;
        if (kind != '(') {
            return node(kind, nullptr, nullptr);
        }
        Tree *inside = parse();
        token_ = token_->next;
        return inside;
    }

    Tree *parse() {
        Tree *left = operand();
        while (token_ != nullptr && token_->kind != ')') {
            char kind = token_->kind;
            token_ = token_->next;
            left = node(kind, left, operand());
        }
        return left;
    }

    void emit(const Tree *tree) {
        if (tree->left != nullptr) {
            emit(tree->left);
            emit(tree->right);
        }
        if (size_ + 4 > room_) {
            code_ = static_cast<char *>(resize(allocator_, code_, room_, room_ + 16));
            room_ += 16;
        }
        memset(code_ + size_, tree->kind, 4);
        size_ += 4;
    }

    A &allocator_;
    Token *token_ = nullptr;
    char *code_ = nullptr;
    size_t size_ = 0, room_ = 16;
};

template <class A> void statements(State &state) {
    static const char *const texts[] = {"a+b",   "(a+b)*(c-d)", "a+b*c-(d+e)/(f-(g+h))",
                                        "((a))", "a-1",         "x*x+y*y-(z+1)*2"};
    A allocator;
    for (auto _ : state) {
        for (uint32_t i = 0; i < 1000; i++) {
            allocator.enter();
            DoNotOptimize(Compiler<A>(allocator).compile(texts[i % std::size(texts)]));
            allocator.leave();
        }
    }
    finish<A>(state, double(state.iterations()) * 1000);
}

long rounds = 0; // 0: as many as Google Benchmark wants

template <class A> void add(const char *name) {
    static const struct {
        const char *name;
        void (*run)(State &);
    } workloads[] = {
        {"pair", pair<A>},
        {"lifo", lifo<A>},
        {"near_lifo", near_lifo<A>},
        {"scope", scope<A>},
        {"realloc_top", realloc_top<A>},
        {"json", json<A>},
        {"statements", statements<A>},
    };
    for (const auto &w : workloads) {
        auto *made = benchmark::RegisterBenchmark((std::string(w.name) + "/" + name).c_str(), w.run);
        if (rounds > 0) {
            made->Iterations(rounds);
        }
    }
}

} // namespace

int main(int argc, char **argv) {
    if (argc > 1 && strncmp(argv[1], "--rounds=", 9) == 0) {
        rounds = std::strtol(argv[1] + 9, nullptr, 10);
        argv[1] = argv[0];
        argv++;
        argc--;
    }
    add<Cutback<1>>("cutback_1");
    add<Cutback<8>>("cutback_8");
    add<Cutback<32>>("cutback_32");
    add<Cutback<256>>("cutback_256");
    add<Chain>("chain_256");
    add<Bump<false>>("bump");
    add<Bump<true>>("bump_top");
    add<Obstack>("obstack");
    add<Monotonic>("monotonic");
    add<Pool>("pool");
    add<CutbackPmr>("cutback_pmr");
#if HAVE_APR
    add<Apr>("apr");
#endif
#if HAVE_TALLOC
    add<Talloc>("talloc");
#endif
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return 2;
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
