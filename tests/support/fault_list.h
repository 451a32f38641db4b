/*
 * fault_list.h: the faults of heap/faults/faults.c, and what is said of each.
 *
 * Layer:     tests. Includes nothing.
 * Threading: none.
 */
#ifndef CB_TESTS_FAULT_LIST_H
#define CB_TESTS_FAULT_LIST_H

#define FREED "cutback: free(): double free of %s"
#define INSIDE "cutback: free(): pointer into the middle of an object: %s"

#define NOWHERE "inaccessible memory: %s"
#define NOT_MALLOC "memory that is not from malloc: %s"

/* name, report */
#define FAULTS_OF_PLAIN(FAULT)                                                                               \
    FAULT(double_free_at_once, FREED)                                                                        \
    FAULT(double_free_of_parked, FREED " (64 bytes)")                                                        \
    FAULT(double_free_later, FREED)                                                                          \
    FAULT(double_free_of_merged, FREED)                                                                      \
    FAULT(double_free_after_reuse, INSIDE)                                                                   \
    FAULT(double_free_medium, FREED " (5056 bytes)")                                                         \
    FAULT(double_free_medium_on_top, FREED " (5056 bytes)")                                                  \
    FAULT(double_free_large, FREED)                                                                          \
    FAULT(double_free_large_merged, FREED)                                                                   \
    FAULT(double_free_remote, FREED " (64 bytes)")                                                           \
    FAULT(double_free_both_remote, FREED " (64 bytes)")                                                      \
    FAULT(free_own_then_remote, FREED " (64 bytes)")                                                         \
    FAULT(free_of_stack, "cutback: free(): pointer into the stack: %s")                                      \
    FAULT(free_of_far_stack, "cutback: free(): pointer into the stack: %s")                                  \
    FAULT(free_of_thread_stack, "cutback: free(): pointer into the stack: %s")                               \
    FAULT(free_of_static, "cutback: free(): pointer into a program or library: %s")                          \
    FAULT(free_of_function, "cutback: free(): pointer into a program or library: %s")                        \
    FAULT(free_of_interior, INSIDE)                                                                          \
    FAULT(free_of_interior_medium, INSIDE)                                                                   \
    FAULT(free_of_interior_large, INSIDE)                                                                    \
    FAULT(free_of_interior_large_near, INSIDE)                                                               \
    FAULT(free_of_unaligned, "cutback: free(): unaligned pointer %s")                                        \
    FAULT(free_of_unaligned_by_one, "cutback: free(): unaligned pointer %s")                                 \
    FAULT(free_of_aligned_interior, INSIDE)                                                                  \
    FAULT(free_of_aligned_padding, FREED)                                                                    \
    FAULT(free_of_end, FREED)                                                                                \
    FAULT(realloc_of_freed, "cutback: realloc(): use after free of %s (64 bytes)")                           \
    FAULT(realloc_of_freed_large, "cutback: realloc(): use after free of %s")                                \
    FAULT(realloc_of_interior, "cutback: realloc(): pointer into the middle of an object: %s")               \
    FAULT(usable_size_of_freed, "cutback: malloc_usable_size(): use after free of %s (64 bytes)")            \
    FAULT(usable_size_of_interior,                                                                           \
          "cutback: malloc_usable_size(): pointer into the middle of an object: %s")                         \
    FAULT(free_of_nowhere, "cutback: free(): pointer to " NOWHERE)                                           \
    FAULT(realloc_of_nowhere, "cutback: realloc(): pointer to " NOWHERE)                                     \
    FAULT(usable_size_of_nowhere, "cutback: malloc_usable_size(): pointer to " NOWHERE)                      \
    FAULT(free_of_inaccessible, "cutback: free(): pointer to " NOWHERE)                                      \
    FAULT(free_behind_end_of_file, "cutback: free(): pointer to " NOWHERE)                                   \
    FAULT(free_of_mapping, "cutback: free(): pointer to " NOT_MALLOC)                                        \
    FAULT(free_of_unaligned_in_mapping, "cutback: free(): unaligned pointer %s")                             \
    FAULT(free_of_filled_mapping, "cutback: free(): pointer to " NOT_MALLOC)                                 \
    FAULT(free_of_file_mapping, "cutback: free(): pointer to " NOT_MALLOC)                                   \
    FAULT(free_of_forged_before_free, "cutback: free(): pointer to " NOT_MALLOC)                             \
    FAULT(free_of_forged_mapped, "cutback: free(): pointer to " NOT_MALLOC)                                  \
    FAULT(free_of_forged_in_no_heap, "cutback: free(): pointer to " NOT_MALLOC)                              \
    FAULT(free_of_forged_too_long, "cutback: free(): pointer to " NOT_MALLOC)                                \
    FAULT(realloc_of_mapping, "cutback: realloc(): pointer to " NOT_MALLOC)                                  \
    FAULT(usable_size_of_mapping, "cutback: malloc_usable_size(): pointer to " NOT_MALLOC)                   \
    FAULT(free_of_interior_of_foreign, "cutback: free(): pointer to " NOT_MALLOC)                            \
    FAULT(free_of_stack_of_other, "cutback: free(): pointer to " NOT_MALLOC)

#endif
