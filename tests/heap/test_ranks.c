/*
 * Locks are taken in the order of their ranks: a thread that is about to wait for one out of turn is told in one line
 * that names both, and ends. All other tests of the heap run with that on.
 *
 * Layer:     tests.
 * Threading: none; children of fork.
 */
#include "child.h"

#include "heap/extent.h"
#include "heap/thread.h"

#include <signal.h>

static cb_lock low = CB_LOCK_INIT("low", 1), high = CB_LOCK_INIT("high", 2),
               beside = CB_LOCK_INIT("beside", 2), unranked;

static int message[2];

static void say_to_pipe(void) {
    dup2(message[1], STDERR_FILENO);
    close(message[1]);
    cb_os_note_stderr();
}

/* Runs it in a child, which is to abort with this line. */
static void assert_abort(void (*work)(void), const char *line) {
    char text[300];
    assert_int_equal(pipe(message), 0);
    int status = status_of_child(work);
    close(message[1]);
    fixture_read_all(message[0], text, sizeof text);
    close(message[0]);
    assert_string_equal(text, line);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void take_lower(void) {
    say_to_pipe();
    cb_lock_take(&high);
    cb_lock_take(&low);
}

static void take_equal(void) {
    say_to_pipe();
    cb_lock_take(&high);
    cb_lock_until(&beside, CB_LOCK_WAIT);
}

static void take_twice(void) {
    say_to_pipe();
    cb_lock_take(&high);
    cb_lock_take(&high);
}

static void take_below_what_was_tried(void) {
    say_to_pipe();
    if (cb_lock_try(&high)) {
        cb_lock_take(&low);
    }
}

static void take_unranked(void) {
    say_to_pipe();
    cb_lock_take(&unranked);
}

static void drop_free(void) {
    say_to_pipe();
    cb_lock_drop(&low);
}

static void take_two_heaps(void) {
    static struct cb_heap other = {.lock = CB_LOCK_INIT("heap->lock", CB_RANK_HEAP)};
    cb_free(cb_malloc(1));
    say_to_pipe();
    if (cb_fork_lock(cb_thread.heap)) {
        cb_lock_take(&other.lock);
    }
}

static void trim_under_the_page_allocator(void) {
    cb_free(cb_malloc(1));
    say_to_pipe();
    cb_extent_lock();
    cb_heaps_trim();
}

static void a_lock_out_of_turn_ends_the_process(void **state) {
    (void)state;
    assert_abort(take_lower, "cutback: low (rank 1) is waited for by a thread that holds high (rank 2)\n");
    assert_abort(take_equal, "cutback: beside (rank 2) is waited for by a thread that holds high (rank 2)\n");
    assert_abort(take_twice, "cutback: high (rank 2) is waited for by a thread that holds high (rank 2)\n");
    assert_abort(take_below_what_was_tried,
                 "cutback: low (rank 1) is waited for by a thread that holds high (rank 2)\n");
    assert_abort(take_unranked, "cutback: a lock without a rank (rank 0) is waited for\n");
    assert_abort(drop_free, "cutback: low (rank 1) is dropped by a thread that does not hold it\n");
}

static void the_locks_of_the_heap_have_their_ranks(void **state) {
    (void)state;
    assert_abort(take_two_heaps,
                 "cutback: heap->lock (rank 2) is waited for by a thread that holds heap->lock (rank 2)\n");
    assert_abort(
        trim_under_the_page_allocator,
        "cutback: heaps.lock (rank 1) is waited for by a thread that holds cb_extents.lock (rank 4)\n");
}

static void in_turn(void) {
    cb_lock_take(&low);
    cb_lock_take(&high);
    DEMAND(cb_lock_try(&beside)); /* who tries waits for nobody */
    cb_lock_drop(&low);
    cb_lock_drop(&beside);
    DEMAND(cb_lock_until(&low, 0)); /* nor does he for long who waits until a time */
    cb_lock_drop(&high);
    cb_lock_take(&beside);
    cb_lock_reset(&beside); /* as in a forked child */
    cb_lock_drop(&low);
    cb_lock_take(&low);
}

static void locks_in_turn_are_taken(void **state) {
    (void)state;
    in_child(in_turn);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_out_of_turn_ends_the_process),
        cmocka_unit_test(the_locks_of_the_heap_have_their_ranks),
        cmocka_unit_test(locks_in_turn_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
