/*
 * Large objects that keep growing: they move once per doubling at most, however many grow in turn and however
 * small the steps; what they have ahead of them is no memory, and is taken back when something else needs it.
 *
 * Layer:     tests.
 * Threading: one that takes rooms away while another grows into them; children of fork.
 */
#include "fixture.h"

#include "heap/pages.h"
#include "heap/room.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define SCALE (BED_SANITIZED ? 8 : 1) /* sanitizers make it slow */

static unsigned log2_of(size_t n) {
    return 63 - (unsigned)__builtin_clzl(n);
}

static size_t rooms(void) {
    size_t total;
    assert_true(cb_room_total_until(&total, CB_LOCK_WAIT));
    return total;
}

/* One word in each page says what and where it is. */
static void stamp(unsigned char *p, size_t from, size_t to, size_t what) {
    for (size_t at = from; at < to; at += 4096) {
        *(size_t *)(void *)(p + at) = what ^ at;
    }
}

static bool stamped(const unsigned char *p, size_t to, size_t what) {
    for (size_t at = 0; at < to; at += 4096) {
        if (*(const size_t *)(const void *)(p + at) != (what ^ at)) {
            return false;
        }
    }
    return true;
}

/* Grows `count` buffers in turn to `most` bytes each, and looks at how often they moved. */
static void grow_in_turn(size_t count, size_t step, size_t most) {
    static unsigned char *p[100];
    size_t moves = 0, before = fixture_mappings();
    int calls = cb_os_calls();
    memset(p, 0, sizeof p);
    for (size_t size = step; size <= most; size += step) {
        for (size_t i = 0; i < count; i++) {
            unsigned char *q = cb_realloc(p[i], size);
            assert_non_null(q);
            moves += p[i] != NULL && q != p[i];
            stamp(q, size - step, size, i);
            p[i] = q;
        }
    }
    /*
     * sixteen sizes per doubling up to 32 KiB, for which there is no room; and the steps that are no small
     * ones yet
     */
    size_t bound = count * (8 + 2 * log2_of(most / step));
    if (moves > bound) {
        print_error("%zu buffers, %zu KiB steps to %zu KiB: %zu moves\n", count, step / KIB, most / KIB,
                    moves);
    }
    assert_true(moves <= bound);
    /* a move takes a piece of memory, may ask and move and renew up to ten pieces, and purge a few times */
    assert_true((size_t)(cb_os_calls() - calls) <= 40 + 20 * moves);
    assert_true(fixture_mappings() <= before + 200);
    for (size_t i = 0; i < count; i++) {
        assert_true(stamped(p[i], most / step * step, i));
    }
    assert_heap();
    for (size_t i = 0; i < count; i++) {
        cb_free(p[i * 7 % count]); /* counts are no multiples of 7 */
    }
    assert_heap();
    assert_true(fixture_mappings() <= before + 20);
}

static void any_number_of_buffers_grows_in_turn_with_few_moves(void **state) {
    (void)state;
    static const size_t count[] = {1, 2, 10, 100}, step[] = {4 * KIB, 64 * KIB};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 2; k++) {
            grow_in_turn(count[i], step[k], 256 * MIB / SCALE / count[i]);
        }
    }
}

/* A second buffer behind the first. */
/* A move of less than 4 MiB copies: the room that a small block gets lasts until it is as large. */
static void what_grows_in_turn_is_copied_while_it_is_small(void **state) {
    enum { BUFFERS = 100, STEPS = 40 };
    unsigned char *buffer[BUFFERS] = {NULL};
    const size_t step = 64 * KIB;
    size_t copied = 0;
    (void)state;
    for (size_t k = 1; k <= STEPS; k++) {
        for (size_t i = 0; i < BUFFERS; i++) {
            unsigned char *p = cb_realloc(buffer[i], k * step);
            assert_non_null(p);
            copied += p != buffer[i] ? (k - 1) * step : 0;
            buffer[i] = p;
        }
    }
    assert_true(copied <= (size_t)BUFFERS * STEPS * step / 5);
    for (size_t i = 0; i < BUFFERS; i++) {
        cb_free(buffer[i]);
    }
    assert_heap();
}

static void a_block_that_has_moved_grows_where_it_is(void **state) {
    (void)state;
    size_t moves = 0, size = 64 * KIB;
    unsigned char *p = cb_malloc(size), *behind = cb_malloc(size);
    stamp(p, 0, size, 1);
    for (; size < 256 * MIB / SCALE; size += 64 * KIB) {
        unsigned char *q = cb_realloc(p, size + 64 * KIB);
        assert_non_null(q);
        moves += q != p;
        p = q;
        stamp(p, size, size + 64 * KIB, 1);
    }
    assert_true(moves <= 16);
    assert_true(stamped(p, size, 1));
    cb_free(behind);
    cb_free(p);
    assert_heap();
}

/* A block that grew in small steps. */
struct grown {
    unsigned char *p;
    size_t size, what;
};

static void grow(struct grown *block, size_t more) {
    block->p = cb_realloc(block->p, block->size + more);
    assert_non_null(block->p);
    stamp(block->p, block->size, block->size + more, block->what);
    block->size += more;
}

static bool intact(const struct grown *block) {
    return stamped(block->p, block->size, block->what);
}

static void *taken[4096];
static size_t taken_count;

/* All free memory is taken, untouched, so that what grows from now on has to move. */
static void take_all_free_memory(void) {
    cb_malloc_trim(0);
    cb_os_inject(0);
    for (size_t size = 1024 * MIB; size >= 64 * KIB; size /= 2) {
        for (void *p; taken_count < 4096 && (p = cb_malloc(size)) != NULL;) {
            taken[taken_count++] = p;
        }
    }
    cb_os_inject(-1);
    assert_true(taken_count < 4096);
}

static void free_all_taken(void) {
    while (taken_count > 0) {
        cb_free(taken[--taken_count]);
    }
    assert_heap();
}

/* One that has `least` bytes at least, has moved, and can grow by 7 MiB where it is. */
static struct grown grown(size_t least, size_t what) {
    struct grown block = {.what = what};
    while (block.size < least || rooms() < 7 * MIB) {
        if (block.size % (4 * MIB) == 0) {
            take_all_free_memory(); /* what lies ahead as well: the next step moves the block */
        }
        grow(&block, 64 * KIB);
        assert_true(block.size < 256 * MIB);
    }
    return block;
}

static void what_lies_ahead_is_not_in_use(void **state) {
    (void)state;
    size_t before = cb_mallinfo2().uordblks;
    struct grown block = grown(8 * MIB, 2);
    free_all_taken();
    size_t during = cb_mallinfo2().uordblks;
    assert_true(rooms() >= 7 * MIB);
    assert_true(during + 512 * KIB >= before + block.size && during <= before + block.size + 512 * KIB);
    assert_int_equal(cb_malloc_usable_size(block.p), block.size);
    cb_free(block.p);
    assert_true(cb_mallinfo2().uordblks <= before + 512 * KIB);
    assert_int_equal(rooms(), 0);
    assert_heap();
}

static size_t resident(const unsigned char *p, size_t size) {
    static unsigned char in_core[MIB / 4];
    size_t pages = 0;
    assert_true(size / cb_page_size <= sizeof in_core);
    assert_int_equal(mincore((void *)(uintptr_t)p, size, in_core), 0);
    for (size_t i = 0; i < size / cb_page_size; i++) {
        pages += in_core[i] & 1;
    }
    return pages * cb_page_size;
}

/* A vector that grows by half each time gets none, however its bytes fall into pages: what it left is used again. */
static void what_grows_by_half_has_nothing_ahead(void **state) {
    (void)state;
    for (size_t first = 33000; first < 66000; first += 1111) {
        void *behind = NULL, *p = cb_malloc(first);
        for (size_t size = first; size < 4 * MIB; size += size / 2 + 8) {
            void *next = cb_malloc(40000); /* in the way */
            p = cb_realloc(p, size + size / 2 + 8);
            assert_non_null(p);
            assert_int_equal(rooms(), 0);
            cb_free(behind);
            behind = next;
        }
        cb_free(behind);
        cb_free(p);
    }
    assert_heap();
}

/* Dirty memory is all that there is to take room from, and yet what is ahead is not resident. */
static void what_lies_ahead_is_not_resident(void **state) {
    (void)state;
    enum { OBJECTS = 40 };
    unsigned char *p[OBJECTS];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < OBJECTS; i++) {
            p[i] = cb_malloc(MIB);
            memset(p[i], 1, MIB);
        }
        if (round == 1) {
            take_all_free_memory();
        }
        for (size_t i = 0; i < OBJECTS; i++) {
            cb_free(p[i]);
        }
    }
    struct grown block = grown(3 * MIB, 3);
    assert_true(resident(block.p + block.size, 4 * MIB) <= 64 * KIB);
    cb_free(block.p);
    free_all_taken();
}

/* What could not be given back when it became room is not taken for zero afterwards. */
static void what_was_ahead_is_zero_for_calloc(void **state) {
    (void)state;
    enum { OBJECTS = 40 };
    unsigned char *p[OBJECTS];
    for (size_t i = 0; i < OBJECTS; i++) {
        p[i] = cb_malloc(MIB);
        memset(p[i], 1, MIB);
    }
    take_all_free_memory();
    cb_os_inject(0);
    for (size_t i = 0; i < OBJECTS; i++) {
        cb_free(p[i]);
    }
    struct grown block = {.what = 10}, other = {.what = 11};
    while (block.size < 2 * MIB || rooms() < 64 * KIB) {
        grow(&block, 64 * KIB); /* in turn, so that both have to move */
        grow(&other, 64 * KIB);
    }
    cb_os_inject(-1);
    for (size_t i = 0; i < OBJECTS; i++) {
        if (i == OBJECTS / 2) {
            cb_room_give_back();
        }
        p[i] = cb_calloc(1, MIB);
        for (size_t at = 0; at < MIB; at += 512) {
            assert_int_equal(p[i][at], 0);
        }
        memset(p[i], 1, MIB);
    }
    assert_true(intact(&block) && intact(&other));
    cb_free(block.p);
    cb_free(other.p);
    for (size_t i = 0; i < OBJECTS; i++) {
        cb_free(p[i]);
    }
    free_all_taken();
}

static void what_lies_ahead_is_given_back_when_memory_is_refused(void **state) {
    (void)state;
    enum { MOST = 2000 };
    static unsigned char *rest[MOST];
    struct grown block = grown(8 * MIB, 4);
    size_t count = 0;
    bool inside = false;
    cb_os_inject(0); /* nothing more comes from the system */
    while (count < MOST && (rest[count] = cb_malloc(MIB)) != NULL) {
        inside = inside || (size_t)(rest[count] - block.p) < block.size + 7 * MIB;
        count++;
    }
    cb_os_inject(-1);
    assert_true(count < MOST);
    assert_true(inside);
    grow(&block, 64 * KIB);
    assert_true(intact(&block));
    while (count > 0) {
        cb_free(rest[--count]);
    }
    cb_free(block.p);
    free_all_taken();
}

static void trim_gives_back_what_lies_ahead(void **state) {
    (void)state;
    struct grown block = grown(8 * MIB, 5);
    struct cb_pages_totals before, after;
    cb_pages_totals(&before);
    cb_malloc_trim(0);
    cb_pages_totals(&after);
    assert_true(after.free >= before.free + 7 * MIB);
    assert_int_equal(rooms(), 0);
    grow(&block, 20 * MIB);
    assert_true(intact(&block));
    cb_free(block.p);
    free_all_taken();
}

/* A moved block: each shrink gives back at once, and what is taken again reads as zero with calloc. */
static void a_moved_block_shrinks_like_any_other(void **state) {
    (void)state;
    struct grown block = grown(33 * MIB, 6);
    for (size_t size = 16 * MIB; size >= 128 * KIB; size /= 2) {
        size_t before = cb_mallinfo2().uordblks;
        assert_ptr_equal(cb_realloc(block.p, size), block.p);
        assert_int_equal(cb_malloc_usable_size(block.p), size);
        assert_true(cb_mallinfo2().uordblks <= before - size + 64 * KIB);
        block.size = size;
        assert_true(intact(&block));
        assert_heap();
        unsigned char *zero = cb_calloc(1, 2 * size);
        for (size_t at = 0; at < 2 * size; at += 512) {
            assert_int_equal(zero[at], 0);
        }
        cb_free(zero);
    }
    cb_free(block.p);
    free_all_taken();
}

static void refused_growth_changes_nothing(void **state) {
    (void)state;
    for (int calls = 0; calls < 12; calls++) {
        struct grown block = grown(5 * MIB, 7);
        cb_os_inject(calls);
        for (size_t more = 3 * MIB; block.size < 60 * MIB; more += 3 * MIB) {
            unsigned char *q = cb_realloc(block.p, block.size + more);
            if (q == NULL) {
                assert_int_equal(errno, ENOMEM);
                break;
            }
            block.p = q;
            stamp(q, block.size, block.size + more, 7);
            block.size += more;
        }
        cb_os_inject(-1);
        assert_true(intact(&block));
        assert_heap();
        cb_free(block.p);
        free_all_taken();
    }
}

static _Atomic bool done;

static void *trim(void *unused) {
    while (!atomic_load(&done)) {
        cb_malloc_trim(0);
    }
    return unused;
}

static void rooms_are_taken_away_while_objects_grow_into_them(void **state) {
    (void)state;
    pthread_t thread;
    atomic_store(&done, false);
    assert_int_equal(pthread_create(&thread, NULL, trim, NULL), 0);
    for (size_t round = 0; round < 40 / SCALE; round++) {
        unsigned char *p[3] = {NULL};
        for (size_t size = 32 * KIB; size <= 2 * MIB; size += 32 * KIB) {
            for (size_t i = 0; i < 3; i++) {
                p[i] = cb_realloc(p[i], size);
                assert_non_null(p[i]);
                stamp(p[i], size - 32 * KIB, size, i);
            }
        }
        for (size_t i = 0; i < 3; i++) {
            assert_true(stamped(p[i], 2 * MIB, i));
            cb_free(p[i]);
        }
    }
    atomic_store(&done, true);
    pthread_join(thread, NULL);
    assert_heap();
}

/* In the child, moved blocks grow, shrink and go. */
static void a_child_has_moved_blocks_as_well(void **state) {
    (void)state;
    struct grown a = grown(9 * MIB, 8), b = grown(6 * MIB, 9);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool good = intact(&a) && intact(&b);
        a.p = cb_realloc(a.p, a.size + 40 * MIB);
        b.p = cb_realloc(b.p, b.size = MIB);
        good = good && a.p != NULL && b.p != NULL && intact(&a) && intact(&b);
        cb_free(a.p);
        cb_free(b.p);
        cb_malloc_trim(0);
        _exit(good && cb_heap_check() == NULL ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(intact(&a) && intact(&b));
    cb_free(a.p);
    cb_free(b.p);
    free_all_taken();
}

/*
 * Lists that grow by an entry at a time, beside short objects that live as long: each place that a list leaves is filled
 * by them up to a part, too short for any list. With room for the next entries the lists leave few.
 */
static void small_lists_that_grow_by_entries_leave_few_holes(void **state) {
    (void)state;
    enum { LISTS = 400, ENTRIES = 56 };
    static unsigned char *list[LISTS], *beside[LISTS * ENTRIES];
    size_t moves = 0, made = 0, before = cb_thread.heap != NULL ? cb_thread.heap->blocks : 0;
    for (size_t length = 16; length <= (size_t)16 * ENTRIES; length += 16) {
        for (size_t i = 0; i < LISTS; i++) {
            unsigned char *moved = cb_realloc(list[i], length);
            assert_non_null(moved);
            assert_true(length == 16 || moved[length - 17] == (unsigned char)i);
            moves += moved != list[i];
            list[i] = moved;
            memset(moved + length - 16, (int)i, 16);
            beside[made++] = cb_malloc(24);
        }
    }
    /* 1.0 MB live: 18 moves each and 4 MB of blocks; 56 moves and 12 MB without room. */
    assert_in_range(moves, LISTS, LISTS * 20);
    assert_in_range((cb_thread.heap->blocks - before) << CB_BLOCK_SHIFT, MIB, 6 * MIB);
    for (size_t i = 0; i < made; i++) {
        cb_free(beside[i]);
    }
    for (size_t i = 0; i < LISTS; i++) {
        cb_free(list[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_buffers_grows_in_turn_with_few_moves),
        cmocka_unit_test(what_grows_in_turn_is_copied_while_it_is_small),
        cmocka_unit_test(a_block_that_has_moved_grows_where_it_is),
        cmocka_unit_test(small_lists_that_grow_by_entries_leave_few_holes),
        cmocka_unit_test(what_lies_ahead_is_not_in_use),
        cmocka_unit_test(what_grows_by_half_has_nothing_ahead),
        cmocka_unit_test(what_lies_ahead_is_not_resident),
        cmocka_unit_test(what_was_ahead_is_zero_for_calloc),
        cmocka_unit_test(what_lies_ahead_is_given_back_when_memory_is_refused),
        cmocka_unit_test(trim_gives_back_what_lies_ahead),
        cmocka_unit_test(a_moved_block_shrinks_like_any_other),
        cmocka_unit_test(refused_growth_changes_nothing),
        cmocka_unit_test(rooms_are_taken_away_while_objects_grow_into_them),
        cmocka_unit_test(a_child_has_moved_blocks_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
