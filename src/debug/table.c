/*
 * table.c: the records, by address. See types.h.
 *
 * Layer: debug. Threads: any; takes no lock. The thread that makes an object, or has claimed it to free it, is the
 * only one to change its record; claims are by compare-and-swap. Each record becomes valid, or another, by one word.
 *
 * The table is the heap's addresses over again: 16 bytes for each line of 64, and 8 where no traces are kept. No two
 * objects begin in the same line, since at least two red zones lie between their addresses. The part that the heap does
 * not use, or that large objects cover, is never touched. A leaf holds the lines of 1 MiB; a node, 8192 leaves; both are mapped
 * when they are needed.
 */
#include "debug/types.h"

#include "heap/options.h"
#include "os/os.h"

#define LINE ((uintptr_t)64)
#define LEAF_SHIFT 20
#define NODE_SHIFT 33
#define ADDRESS_SHIFT 48
#define LINES (((size_t)1 << LEAF_SHIFT) / LINE)
#define LEAVES ((size_t)1 << (NODE_SHIFT - LEAF_SHIFT))
#define NODES ((size_t)1 << (ADDRESS_SHIFT - NODE_SHIFT))
#define PARTS 64 /* of a leaf; those that were never written need not be looked at */
#define LINES_OF_PART (LINES / PARTS)

_Static_assert(2 * CB_RED >= LINE, "two objects do not begin in one line");

/*
 * The word of a record, from the lowest bit: state 2, shut 1, guarded 1, granule of the line 2, unused 2, binary
 * logarithm of the alignment 6, unused 2, size 48. 0: none. Release where it begins to be one, acquire by who reads it.
 * The word behind it has the numbers of the traces, where the object was allocated in the lower half, and where it was
 * freed in the upper; relaxed: they are for people.
 */
typedef _Atomic uint64_t atomic_word;

enum { STATE = 3, SHUT = 4, GUARDED = 8 };
#define GRANULE_SHIFT 4
#define ALIGN_SHIFT 8
#define SIZE_SHIFT 16

struct leaf {
    _Atomic uint64_t written;    /* a bit for each part; relaxed: set before a record is there */
    atomic_word word[2 * LINES]; /* of line n at n << traced; the rest is never touched */
};

struct node {
    struct leaf *_Atomic leaf[LEAVES]; /* written once; release in leaf_for, acquire by who reads it */
};

static struct node *_Atomic nodes[NODES]; /* as the leaves */

/*
 * 1: traces are kept, and a record is two words; 0: they are not, and it is one. Decided once, before the first leaf is
 * there; relaxed: who finds a leaf sees it, by the release and acquire of the leaf.
 */
#define UNDECIDED 2u
static _Atomic unsigned traced = UNDECIDED;

static inline unsigned is_traced(void) {
    return atomic_load_explicit(&traced, memory_order_relaxed);
}

/* ---- Finding ---- */

static struct leaf *leaf_at(uintptr_t address) {
    if (address >> ADDRESS_SHIFT != 0) {
        return NULL;
    }
    struct node *node = atomic_load_explicit(&nodes[address >> NODE_SHIFT], memory_order_acquire);
    return node != NULL
               ? atomic_load_explicit(&node->leaf[(address >> LEAF_SHIFT) % LEAVES], memory_order_acquire)
               : NULL;
}

static uint64_t granule_bits(uintptr_t address) {
    return address % LINE / CB_GRANULE << GRANULE_SHIFT;
}

/* Whether the word is the record of an object that begins at this address. */
static bool is_of(uint64_t word, uintptr_t address) {
    return word != 0 && (word & granule_bits(LINE - 1)) == granule_bits(address) && address % CB_GRANULE == 0;
}

static atomic_word *entry_in(struct leaf *leaf, size_t line) {
    return &leaf->word[line << is_traced()];
}

static atomic_word *entry_at(uintptr_t address) {
    struct leaf *leaf = leaf_at(address);
    return leaf != NULL ? entry_in(leaf, address / LINE % LINES) : NULL;
}

/* The memory that was mapped for the place; NULL: none. Another thread may be faster. */
static void *map_once(void *_Atomic *place, size_t bytes) {
    void *expected = NULL, *new = cb_os_map(0, cb_align_up(bytes, cb_os_page_size()));
    if (new == NULL) {
        return atomic_load_explicit(place, memory_order_acquire);
    }
    if (!atomic_compare_exchange_strong_explicit(place, &expected, new, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        cb_os_unmap(new, cb_align_up(bytes, cb_os_page_size()));
        return expected;
    }
    return new;
}

CB_NOINLINE static struct leaf *leaf_for(uintptr_t address) {
    unsigned undecided = UNDECIDED;
    if (address >> ADDRESS_SHIFT != 0) {
        return NULL;
    }
    atomic_compare_exchange_strong_explicit(&traced, &undecided, cb_options.traces, memory_order_relaxed,
                                            memory_order_relaxed);
    struct node *_Atomic *in = &nodes[address >> NODE_SHIFT];
    struct node *node = atomic_load_explicit(in, memory_order_acquire);
    if (node == NULL) {
        node = map_once((void *_Atomic *)in, sizeof *node);
    }
    if (node == NULL) {
        return NULL;
    }
    return map_once((void *_Atomic *)&node->leaf[(address >> LEAF_SHIFT) % LEAVES], sizeof(struct leaf));
}

/* ---- Packing ---- */

static uint64_t pack(const struct cb_record *record) {
    return (uint64_t)record->size << SIZE_SHIFT | (uint64_t)record->align_shift << ALIGN_SHIFT |
           granule_bits(record->address) | (record->guarded ? GUARDED : 0) | (record->shut ? SHUT : 0) |
           record->state;
}

static void unpack(const atomic_word *entry, uint64_t word, uintptr_t address, struct cb_record *record) {
    uint64_t traces = is_traced() ? atomic_load_explicit(&entry[1], memory_order_relaxed) : 0;
    *record = (struct cb_record){
        .address = address,
        .size = word >> SIZE_SHIFT,
        .allocated = (uint32_t)traces,
        .freed = (uint32_t)(traces >> 32),
        .align_shift = word >> ALIGN_SHIFT & 0x3f,
        .state = word & STATE,
        .guarded = (word & GUARDED) != 0,
        .shut = (word & SHUT) != 0,
    };
    cb_record_lay_out(record);
}

/* ---- Records ---- */

bool cb_table_insert(const struct cb_record *record) {
    struct leaf *leaf = leaf_at(record->address);
    if (CB_UNLIKELY(leaf == NULL)) {
        leaf = leaf_for(record->address);
        if (leaf == NULL) {
            return false;
        }
    }
    size_t line = record->address / LINE % LINES;
    uint64_t bit = (uint64_t)1 << line / LINES_OF_PART;
    if (CB_UNLIKELY((atomic_load_explicit(&leaf->written, memory_order_relaxed) & bit) == 0)) {
        atomic_fetch_or_explicit(&leaf->written, bit, memory_order_relaxed);
    }
    atomic_word *entry = entry_in(leaf, line);
    if (is_traced()) {
        atomic_store_explicit(&entry[1], record->allocated, memory_order_relaxed);
    }
    /* release: publishes the traces to who finds the word */
    atomic_store_explicit(entry, pack(record), memory_order_release);
    return true;
}

bool cb_table_find(uintptr_t address, struct cb_record *record) {
    atomic_word *entry = entry_at(address);
    uint64_t word = entry != NULL ? atomic_load_explicit(entry, memory_order_acquire) : 0;
    if (!is_of(word, address)) {
        return false;
    }
    unpack(entry, word, address, record);
    return true;
}

bool cb_table_claim(uintptr_t address, struct cb_record *record) {
    atomic_word *entry = entry_at(address);
    uint64_t word = entry != NULL ? atomic_load_explicit(entry, memory_order_acquire) : 0;
    /* acquire: partner of the release in cb_table_insert */
    while (is_of(word, address) && (word & STATE) == CB_RECORD_LIVE &&
           !atomic_compare_exchange_weak_explicit(entry, &word, (word & ~(uint64_t)STATE) | CB_RECORD_FREEING,
                                                  memory_order_acquire, memory_order_acquire)) {
    }
    if (!is_of(word, address)) {
        return false;
    }
    unpack(entry, word, address, record);
    return true;
}

void cb_table_set_freed(uintptr_t address, uint32_t trace) {
    if (is_traced()) {
        atomic_word *traces = entry_at(address) + 1; /* nobody else writes it */
        uint64_t allocated = (uint32_t)atomic_load_explicit(traces, memory_order_relaxed);
        atomic_store_explicit(traces, (uint64_t)trace << 32 | allocated, memory_order_relaxed);
    }
}

void cb_table_set(const struct cb_record *record) {
    /* release: as cb_table_insert */
    atomic_store_explicit(entry_at(record->address), pack(record), memory_order_release);
}

void cb_table_erase(uintptr_t address) {
    /* release: the last that its thread does with the record, before the memory is another object's */
    atomic_store_explicit(entry_at(address), 0, memory_order_release);
}

void cb_table_prefetch(uintptr_t address) {
    __builtin_prefetch(entry_at(address), 1);
}

/* ---- All records ---- */

/* The first address from this one on, in a leaf, of which there may be a record; the end of the leaf: none. */
static bool next_in_leaf(struct leaf *leaf, uintptr_t *at, struct cb_record *record) {
    uint64_t written = atomic_load_explicit(&leaf->written, memory_order_relaxed);
    size_t line = *at / LINE % LINES;
    while (line < LINES) {
        if ((written >> line / LINES_OF_PART & 1) == 0) {
            line = (line / LINES_OF_PART + 1) * LINES_OF_PART;
            continue;
        }
        const atomic_word *entry = entry_in(leaf, line++);
        uint64_t word = atomic_load_explicit(entry, memory_order_acquire);
        if (word != 0) {
            uintptr_t start = (*at & ~(((uintptr_t)1 << LEAF_SHIFT) - 1)) + (line - 1) * LINE;
            *at = start + LINE;
            unpack(entry, word, start + (word >> GRANULE_SHIFT & 3) * CB_GRANULE, record);
            return true;
        }
    }
    return false;
}

/* The next multiple. */
static uintptr_t beyond(uintptr_t at, unsigned shift) {
    return ((at >> shift) + 1) << shift;
}

bool cb_table_next(uintptr_t *at, struct cb_record *record) {
    while (*at >> ADDRESS_SHIFT == 0) {
        struct leaf *leaf = leaf_at(*at);
        if (atomic_load_explicit(&nodes[*at >> NODE_SHIFT], memory_order_relaxed) == NULL) {
            *at = beyond(*at, NODE_SHIFT);
            continue;
        }
        uintptr_t end = beyond(*at, LEAF_SHIFT);
        if (leaf != NULL && next_in_leaf(leaf, at, record)) {
            return true;
        }
        *at = end;
    }
    return false;
}

bool cb_table_around(uintptr_t p, struct cb_record *record) {
    size_t page = cb_os_page_size();
    uintptr_t at = 0;
    while (cb_table_next(&at, record)) {
        if (p - record->base < record->total + (record->guarded ? page : 0)) {
            return true;
        }
    }
    return false;
}
