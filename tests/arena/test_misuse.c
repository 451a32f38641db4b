/*
 * A second free of a forgotten block is the caller's fault, and is taken for the free of another block. The model does
 * not say what comes of it; here it is made sure that the arena's own invariants survive any such sequence.
 *
 * Layer: tests. Threading: none.
 */
#include "fixture.h"
#include "../support/random.h"

#ifndef ROUNDS
#define ROUNDS 600
#endif

enum { MISUSE_BLOCKS = 256, MISUSE_MARKS = 64 };

static uint64_t misuse_state;

static unsigned misuse_random(unsigned below) {
    return (unsigned)fixture_random(&misuse_state) % below;
}

static unsigned misuse_recent(unsigned count, unsigned reach, unsigned limit) {
    return (count - 1 - misuse_random(count < reach ? count : reach)) % limit;
}

static void frees_of_what_was_freed_before_leave_the_invariants(void **state) {
    (void)state;
    static const size_t lengths[] = {1, 2, 3, 8, 16, 33};
    for (uint32_t seed = 1; seed <= ROUNDS; seed++) {
        cutback_arena *arena = fixture_make(BED_MEMORY, lengths[seed % 6]);
        void *blocks[MISUSE_BLOCKS];
        size_t sizes[MISUSE_BLOCKS];
        cutback_mark marks[MISUSE_MARKS];
        unsigned block_count = 0;
        unsigned mark_count = 0;
        misuse_state = seed;
        for (int step = 0; step < 400; step++) {
            unsigned choice = misuse_random(16);
            if (choice < 7) {
                size_t size = 1 + misuse_random(24);
                void *block = cutback_alloc(arena, size, (size_t)1 << misuse_random(4));
                if (block != NULL) {
                    blocks[block_count % MISUSE_BLOCKS] = block;
                    sizes[block_count++ % MISUSE_BLOCKS] = size;
                }
            } else if (choice < 13 && block_count != 0) {
                unsigned reach = misuse_random(3) != 0 ? 12 : MISUSE_BLOCKS;
                unsigned which = misuse_recent(block_count, reach, MISUSE_BLOCKS);
                cutback_free(arena, blocks[which], sizes[which]);
            } else if (choice == 13) {
                marks[mark_count++ % MISUSE_MARKS] = cutback_mark_set(arena);
            } else if (mark_count != 0) {
                unsigned which = misuse_recent(mark_count, 6, MISUSE_MARKS);
                if (choice == 14)
                    cutback_reset(arena, marks[which]);
                else
                    cutback_commit(arena, marks[which]);
            }
            assert_null(cb_arena_check(arena));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frees_of_what_was_freed_before_leave_the_invariants),
    };
    return cmocka_run_group_tests_name("arena: misuse", tests, NULL, NULL);
}
