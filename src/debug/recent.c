/*
 * recent.c: the numbers of traces that were taken lately. See types.h.
 *
 * Layer: debug. Threads: any; no lock is taken.
 *
 * A walk depends on where it begins and on the words of the stack that it reads. Where it began with the same stack
 * pointer and return address before, and these words are what they were, its trace is the same.
 *
 * Lock-free: the version of an entry is odd while somebody writes it; who finds it odd does without, who finds that
 * it has changed meanwhile has read nothing of use. A writer that was lost in a fork leaves an entry that is not used
 * any more.
 */
#include "debug/types.h"

#define ENTRIES ((size_t)1 << 10)

struct entry {
    _Alignas(64) _Atomic uint32_t version;
    _Atomic uint32_t number; /* all of these relaxed, between two looks at the version */
    _Atomic uint64_t generation;
    _Atomic uintptr_t pc, sp, fp;
    _Atomic uint32_t count;
    _Atomic bool uses_fp;
    _Atomic uint32_t offset[CB_PATH];
    _Atomic uintptr_t word[CB_PATH];
};

static struct entry entries[ENTRIES];

#define GET(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define SET(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

static struct entry *entry_for(const struct cb_call *call) {
    uint64_t hash = (call->pc ^ call->sp << 20) * 0x9e3779b97f4a7c15ULL;
    return &entries[hash >> 40 & (ENTRIES - 1)];
}

static bool is_same(const struct entry *entry, const struct cb_call *call) {
    if (GET(entry->pc) != call->pc || GET(entry->sp) != call->sp ||
        GET(entry->generation) != cb_frame_generation() ||
        (GET(entry->uses_fp) && GET(entry->fp) != call->fp)) {
        return false;
    }
    size_t room = cb_stack.high - call->sp - sizeof(uintptr_t);
    for (uint32_t i = 0, count = GET(entry->count); i < count && i < CB_PATH; i++) {
        size_t offset = GET(entry->offset[i]);
        if (offset > room || *(const uintptr_t *)(call->sp + offset) != GET(entry->word[i])) {
            return false;
        }
    }
    return true;
}

uint32_t cb_recent_find(const struct cb_call *call) {
    struct entry *entry = entry_for(call);
    /* acquire: partner of the release in cb_recent_note */
    uint32_t version = atomic_load_explicit(&entry->version, memory_order_acquire);
    if (version % 2 != 0 || !is_same(entry, call)) {
        return 0;
    }
    uint32_t number = GET(entry->number);
    atomic_thread_fence(memory_order_acquire); /* what was read was read before the version is again */
    return GET(entry->version) == version ? number : 0;
}

void cb_recent_note(const struct cb_call *call, const struct cb_path *path, uint32_t number) {
    struct entry *entry = entry_for(call);
    uint32_t version = GET(entry->version);
    if (path->count > CB_PATH || version % 2 != 0 ||
        !atomic_compare_exchange_strong_explicit(&entry->version, &version, version + 1, memory_order_relaxed,
                                                 memory_order_relaxed)) {
        return;
    }
    atomic_thread_fence(memory_order_release); /* who sees any of it sees the odd version */
    SET(entry->number, number);
    SET(entry->generation, path->generation);
    SET(entry->pc, call->pc);
    SET(entry->sp, call->sp);
    SET(entry->fp, call->fp);
    SET(entry->uses_fp, path->uses_fp);
    SET(entry->count, path->count);
    for (uint32_t i = 0; i < path->count; i++) {
        SET(entry->offset[i], path->offset[i]);
        SET(entry->word[i], path->word[i]);
    }
    atomic_store_explicit(&entry->version, version + 2, memory_order_release);
}
