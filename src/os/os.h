/*
 * os.h: what the heap asks of the operating system.
 *
 * Layer: os, the lowest. Nothing else in the project calls mmap, munmap, madvise, mremap, mprotect, futex or
 * write.
 * Threads: every function may be called from any thread at any time.
 * Must not include: anything of the heap or of the preload.
 *
 * Every function here leaves errno as it found it: the callers decide what a failure means to the program.
 * None runs code of the program's or of another library, and none is a cancellation point, but cb_os_begin and
 * cb_os_abort: these are called without any lock.
 */
#ifndef CB_OS_H
#define CB_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Asks libc, which others may interpose, what the functions below need to know of the process, and notes
 * what standard error is. The functions do so themselves where nobody has; whoever is about to take a lock
 * for the first time calls this before. False while the answers are still to come: this is called by an
 * interposed function that it called.
 */
bool cb_os_begin(void);

/* False when the process has, or may have, more rights than its user (AT_SECURE). */
bool cb_os_is_trusted(void);

/* Bytes per page of the system; a power of two. Constant. */
size_t cb_os_page_size(void);

/*
 * One past the highest address that the program can have, rounded up to a power of two: 2^47 on x86-64, less
 * under valgrind and on small address spaces. Found from where the stack is.
 */
uintptr_t cb_os_address_end(void);

/*
 * An address above every frame of the first thread, in the mapping of its stack: where the kernel put what it had to tell.
 * 0 while that is not known.
 */
uintptr_t cb_os_stack_end(void);

/* A number that differs from process to process, for the placement of the heap; not for secrets. */
uint64_t cb_os_random(void);

/*
 * Maps `size` bytes of zeroed, readable and writable memory exactly at `where`, or, with `where` 0, anywhere.
 * Nothing that is mapped already is replaced. NULL when that is not possible.
 */
void *cb_os_map(uintptr_t where, size_t size);

/* Unmaps what cb_os_map returned. */
void cb_os_unmap(void *start, size_t size);

/*
 * Gives the pages of [start, start+size) back; the range stays mapped and reads as zero from now on. False
 * when the system refused (the contents are then unchanged). start and size are multiples of the page size.
 */
bool cb_os_purge(void *start, size_t size);

/*
 * Moves the pages at `from` to `to` without copying, replacing what is mapped at `to`; `from` stays mapped
 * and reads as zero. False, with nothing changed, where the system cannot (Linux before 5.7; an emulator).
 */
bool cb_os_move(void *from, void *to, size_t size);

/* Maps the range anew: the old contents are gone, it reads as zero and is one with its neighbours again. */
bool cb_os_renew(void *start, size_t size);

/* Makes the range readable and writable, or neither. start and size are multiples of the page size. */
bool cb_os_protect(void *start, size_t size, bool usable);

/*
 * True when the page is locked in memory (mlock, mlockall), or the system does not say: then it must neither
 * be moved nor mapped anew, for what comes of that is not locked.
 */
bool cb_os_is_locked(void *page);

/*
 * Whether the system would map so many bytes if it were to account for them. Not, when that is the only
 * reason against it: under the usual overcommit rule, more than there is memory and swap. Unknown, when it
 * maps so many in no case, for want of addresses, by a limit, or because it accounts for everything.
 */
enum cb_os_grant { CB_OS_REFUSED, CB_OS_GRANTED, CB_OS_UNKNOWN };
enum cb_os_grant cb_os_grant(size_t size);

/*
 * Marks one page so that a forked child finds it zeroed. False on a system that cannot (Linux before 4.14; an
 * emulator).
 */
bool cb_os_wipe_on_fork(void *page);

/* The number of the process. */
uint64_t cb_os_process(void);

/*
 * False when reading the byte at `address` would certainly fault; true when it would not, or when the system
 * does not say. Asked by madvise, the one call for it that a filter which lets the heap work allows.
 */
bool cb_os_readable(uintptr_t address);

/* Advises (or forbids) huge pages for the range. */
void cb_os_huge(void *start, size_t size, bool wanted);

/* Sleeps while *word == expected, until woken; may return early. */
void cb_os_wait(_Atomic uint32_t *word, uint32_t expected);

/* Wakes one sleeper on word. */
void cb_os_wake(_Atomic uint32_t *word);

/* Lets another thread run. */
void cb_os_yield(void);

/*
 * Writes the text to the file that standard error was when the process started: through the copy that was
 * kept, or descriptor 2, whichever still leads there. Where neither does, where it cannot be known, and where
 * the file does not take it (within a second, if descriptor 2 does not block), the text is lost. Sends no
 * signal. Not async-cancellable, and no cancellation point.
 */
void cb_os_message(const char *text, size_t length);

/* The same to descriptor 2, whatever it is: for what the program asks to be written there. */
void cb_os_print(const char *text, size_t length);

/* Adds the text to the end of a file, which must be there, in one write. False: it could not. */
bool cb_os_append(const char *path, const char *text, size_t length);

/* Notes which file standard error is. cb_os_begin does it, before the second thread. */
void cb_os_note_stderr(void);

/* Adds the text to the end of a file, which is made if it is not there, in one write if it can. False: it could not. */
bool cb_os_save(const char *path, const char *text, size_t length);

/* Reads the first `room` bytes of a file, or fewer. Returns how many; 0 where it cannot be read. */
size_t cb_os_load(const char *path, char *text, size_t room);

/* Keeps a copy of standard error, closed by exec, for messages that come after the program has closed it. */
void cb_os_keep_stderr(void);

/* Ends the process with SIGABRT. */
_Noreturn void cb_os_abort(void);

/* Milliseconds of a clock that never goes back and moves in steps of up to 10. Mostly no system call. */
uint64_t cb_os_milliseconds(void);

/* Seconds since 1970. */
uint64_t cb_os_time(void);

/* Calls of one kind that succeeded in this process, and in those that it was forked from before that. */
struct cb_os_count {
    size_t calls, bytes;
};

struct cb_os_tally {
    struct cb_os_count map, unmap, purge, move;
};

void cb_os_tally(struct cb_os_tally *tally);

/*
 * Fault injection, in the build for tests only, where the environment may also say how large pages are
 * (CUTBACK_TEST_PAGE_SIZE: larger than they are) and where addresses end (CUTBACK_TEST_ADDRESS_BITS): after
 * `calls` more system calls that can run out of
 * memory (map, purge, move), each of them fails until this is called again; a negative number switches it
 * off.
 */
#ifdef CB_TESTING
void cb_os_inject(int calls);

/* How many such calls there were, refused ones included. */
int cb_os_calls(void);

/*
 * From now on the system seems to follow an overcommit rule (0 to 2, as in /proc/sys/vm/overcommit_memory;
 * -1: whichever it really has), with `left` bytes of memory: under rule 0 nothing larger is mapped when it is
 * to be accounted for, under rule 2 no more than that is mapped in all.
 */
void cb_os_assume(int rule, size_t left);

/* How many calls have failed for that reason, ever. */
size_t cb_os_injected(void);

/* From now on this is what cb_os_milliseconds says; a negative number: what the clock says again. */
void cb_os_assume_time(int64_t milliseconds);
#endif

#endif
