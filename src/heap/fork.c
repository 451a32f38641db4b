/*
 * fork.c: see fork.h. When a forked child is repaired, and by whom.
 *
 * Layer: heap. Threads: any. Lock: none; `word` says who repairs.
 *
 * The word holds the generation of the process: 1 more in each child. A thread remembers the generation that
 * it has last seen, so one comparison tells that all is well. Where the kernel can, the word is in a page that
 * reads as zero in a child. Where it cannot (Linux before 4.14), only fork() is noticed: while a fork is under
 * way, its upper half is not zero, so every thread takes the slow path and asks whether the process is still
 * the same.
 */
#include "heap/fork.h"

#include <pthread.h>

enum { CHILD = 0, REPAIRING = 1, AWAITED = 2 /* and somebody waits for it */, FIRST = 3 };
#define GENERATION ((uint32_t)0xFFFF)
#define FORK_UNDER_WAY ((uint32_t)0x10000) /* one of them */

/* Relaxed: written before word_at is, and always the same. */
static const struct cb_fork_parts *_Atomic parts;

static _Atomic uint32_t plain_word = FIRST; /* the word, where no page is wiped; orders as said at each use */
static _Atomic uint32_t *_Atomic word_at;   /* release in cb_fork_begin, acquire by whoever reads it */

/* Written by the thread that repairs, before it releases the word; of a child, a copy. */
static uint32_t generation = FIRST;
static uint64_t process; /* which one it is; only where no page is wiped */

/* Where no page is wiped: the generation in which the thread has begun to fork, 0 in a parent that is done. */
static _Thread_local uint32_t forks CB_TLS_MODEL;

static const struct cb_fork_parts *get_parts(void) {
    return atomic_load_explicit(&parts, memory_order_relaxed);
}

static bool is_wiped(const _Atomic uint32_t *word) {
    return word != &plain_word;
}

static bool is_child(const _Atomic uint32_t *word, uint32_t now) {
    return is_wiped(word) ? now == CHILD : now >= FORK_UNDER_WAY && cb_os_process() != process;
}

/* Whoever has changed the word to REPAIRING. May begin again in a child that is made meanwhile. */
static void repair(_Atomic uint32_t *word) {
    for (void (*const *part)(void) = get_parts()->repair; *part != NULL; part++) {
        (*part)();
    }
    if (!is_wiped(word)) {
        process = cb_os_process();
    }
    generation = generation < GENERATION ? generation + 1 : FIRST;
    /* release: whoever looks at the word sees the repaired state */
    if (atomic_exchange_explicit(word, generation, memory_order_release) == AWAITED) {
        cb_os_wake(word);
    }
}

/* The word was `now`, which says that this is a child. False when somebody else has come first. */
static bool try_repair(_Atomic uint32_t *word, uint32_t now) {
    /* acquire: partner of the release in repair; a word that was wiped has none */
    if (!atomic_compare_exchange_strong_explicit(word, &now, REPAIRING, memory_order_acquire,
                                                 memory_order_relaxed)) {
        return false;
    }
    repair(word);
    return true;
}

static void wait_for_repair(_Atomic uint32_t *word, uint32_t now) {
    if (now == AWAITED || atomic_compare_exchange_strong_explicit(word, &now, AWAITED, memory_order_relaxed,
                                                                  memory_order_relaxed)) {
        cb_os_wait(word, AWAITED);
        cb_os_wake(word); /* one wakes the next */
    }
}

static CB_NOINLINE void look_closer(_Atomic uint32_t *word) {
    uint32_t now;
    /* acquire: partner of the release in repair */
    while ((now = atomic_load_explicit(word, memory_order_acquire)) == REPAIRING || now == AWAITED ||
           is_child(word, now)) {
        if (now == REPAIRING || now == AWAITED) {
            wait_for_repair(word, now);
        } else {
            try_repair(word, now);
        }
    }
    if (cb_thread.generation != (now & GENERATION)) {
        bool was_there = cb_thread.generation != 0;
        cb_thread.generation = now & GENERATION;
        get_parts()->came_over(was_there);
    }
}

CB_NOINLINE void cb_fork_repair_if_child(void) {
    /* acquire: partner of the release in cb_fork_begin, and of that in repair */
    _Atomic uint32_t *word = atomic_load_explicit(&word_at, memory_order_acquire);
    uint32_t now = word != NULL ? atomic_load_explicit(word, memory_order_acquire) : cb_thread.generation;
    /* A thread that has never looked has the generation that a child which nobody has repaired shows. */
    if (CB_UNLIKELY(now != cb_thread.generation || (now == CHILD && word != NULL))) {
        look_closer(word);
    }
}

bool cb_fork_is_settled(void) {
    /* acquire: partner of the release in repair */
    _Atomic uint32_t *word = atomic_load_explicit(&word_at, memory_order_acquire);
    uint32_t now = word != NULL ? atomic_load_explicit(word, memory_order_acquire) : FIRST;
    return now != REPAIRING && now != AWAITED && (word == NULL || !is_child(word, now));
}

/* ---- Around fork(): where no page is wiped, and so that it is done early ---- */

static _Atomic uint32_t *get_word(void) {
    /* acquire: partner of the release in cb_fork_begin */
    return atomic_load_explicit(&word_at, memory_order_acquire);
}

static void before_fork(void) {
    _Atomic uint32_t *word = get_word();
    cb_fork_repair_if_child(); /* this process may be a child itself */
    if (!is_wiped(word)) {
        /* relaxed: it is for this thread, which forks, and whoever comes from it */
        forks = atomic_fetch_add_explicit(word, FORK_UNDER_WAY, memory_order_relaxed) & GENERATION;
    }
}

static void in_parent(void) {
    _Atomic uint32_t *word = get_word();
    forks = 0; /* the thread may be inside a handler of an outer fork: that child is repaired already */
    uint32_t now = atomic_load_explicit(word, memory_order_relaxed);
    /* A child that was repaired while it was forking itself has forgotten that it was. */
    while (!is_wiped(word) && now >= FORK_UNDER_WAY &&
           !atomic_compare_exchange_weak_explicit(word, &now, now - FORK_UNDER_WAY, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

/* Handlers that ran before may have allocated, and started threads: then all this is done already. */
static void in_child(void) {
    _Atomic uint32_t *word = get_word();
    uint32_t now;
    /* acquire: partner of the release in repair */
    while (!is_wiped(word) && (now = atomic_load_explicit(word, memory_order_acquire)) >= FIRST &&
           (now & GENERATION) == forks && !try_repair(word, now)) {
    }
    cb_fork_repair_if_child();
    get_parts()->came_over(true);
}

void cb_fork_begin(const struct cb_fork_parts *all) {
    if (get_word() != NULL) {
        return;
    }
    atomic_store_explicit(&parts, all, memory_order_relaxed);
    _Atomic uint32_t *word = cb_os_map(0, cb_os_page_size()), *none = NULL;
    bool wiped = word != NULL && cb_os_wipe_on_fork(word);
    if (wiped) {
        atomic_store_explicit(word, generation, memory_order_relaxed);
    } else {
        process = cb_os_process();
    }
    /* release: partner of the acquire in cb_fork_repair_if_child and get_word */
    bool first = atomic_compare_exchange_strong_explicit(&word_at, &none, wiped ? word : &plain_word,
                                                         memory_order_release, memory_order_relaxed);
    if (word != NULL && (!first || !wiped)) {
        cb_os_unmap(word, cb_os_page_size());
    }
}

void cb_fork_watch(void) {
    static _Atomic bool watching; /* relaxed: of two threads that come at once, one registers */
    if (!atomic_exchange_explicit(&watching, true, memory_order_relaxed)) {
        pthread_atfork(before_fork, in_parent, in_child);
    }
}
