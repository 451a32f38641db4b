/*
 * foreign.c: see foreign.h.
 *
 * Layer: heap. Threads: any.
 *
 * libc's own functions are called by their __libc_ names, which glibc exports and a static program may lack.
 * They believe what they are given, so a pointer is looked at first. Whatever lies in the calling thread's stack
 * or inside a loaded program or library cannot be theirs. Anything else is theirs only if the words around it
 * are those of a chunk of glibc's that is in use. This is what is relied on, of such a chunk at c with the
 * object at c + 16:
 *
 *   c          a mapped chunk: how far behind the start of its mapping c is, a multiple of 16 (newer versions
 *              keep a flag in the lowest bit); any other: nothing, or the end of the object before it
 *   c + 8      its size, a multiple of 16 and at least 32, and three flags
 *   c + size   unless mapped, the next chunk, with a size of at least 16 and the flag that this one is in use
 *   heap       the chunks of the arenas of other threads lie in heaps, aligned to a power of two; a heap
 *              starts with a pointer to its arena, one to another heap and the size of what is in use of it
 *
 * No word is read before the system has said that it can be.
 */
#include "heap/foreign.h"

#include "heap/misuse.h"
#include "heap/types.h"
#include "os/os.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#if defined(CB_PREFIXED) || !defined(__GLIBC__)
/* Built with prefixed names, or for another libc, there is no other allocator whose pointers could come here. */
static void (*const libc_free)(void *) = NULL;
static void *(*const libc_realloc)(void *, size_t) = NULL;
#else
void __libc_free(void *ptr) __attribute__((weak));
void *__libc_realloc(void *ptr, size_t size) __attribute__((weak));
#define libc_free __libc_free
#define libc_realloc __libc_realloc
#endif

#define STACK_MOST                                                                                           \
    ((uintptr_t)8 << 20) /* on an alternate stack the end found below is another's: do not go far */

/*
 * Between this frame and the end of the thread's stack. Above the stack of any thread but the first libc
 * puts its descriptor, which is what pthread_self() points to.
 */
static bool in_stack(uintptr_t p) {
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), self = (uintptr_t)pthread_self();
    uintptr_t end = self > here ? self : cb_os_stack_end();
    return p > here && p < end && p - here < STACK_MOST;
}

#ifdef __GLIBC__
int _dl_find_object(void *address, struct dl_find_object *result) __attribute__((weak)); /* since 2.35 */

static bool in_loaded_object(void *ptr) {
    struct dl_find_object found;
    return _dl_find_object != NULL && _dl_find_object(ptr, &found) == 0;
}
#else
static bool in_loaded_object(void *ptr) {
    Dl_info found;
    return dladdr(ptr, &found) != 0;
}
#endif

/* The flags in the word of a chunk's size. */
enum { IN_USE_BEFORE = 1, MAPPED = 2, OTHER_ARENA = 4, FLAGS = 7 };
#define CHUNK_LEAST 32

/* The alignment of a heap: 64 MiB; four huge pages where glibc was told to use them. */
#define HEAP_SHIFT_FIRST 26
#define HEAP_SHIFT_LEAST 20
#define HEAP_SHIFT_MOST 36

static size_t word_at(uintptr_t p) {
    return *(const size_t *)p;
}

static size_t chunk_size(uintptr_t chunk) {
    return word_at(chunk + sizeof(size_t)) & ~(size_t)FLAGS;
}

/* One that has a mapping of its own: it ends where that ends. */
static bool is_mapped_chunk(uintptr_t chunk, size_t size) {
    size_t before = word_at(chunk) & ~(CB_GRANULE - 1), page = cb_os_page_size() - 1;
    return before <= chunk && ((chunk - before) & page) == 0 && ((chunk + size) & page) == 0 &&
           cb_os_readable(chunk - before) && cb_os_readable(chunk + size - 1);
}

static bool is_followed_by_chunk(uintptr_t chunk, size_t size) {
    uintptr_t next = chunk + size;
    return cb_os_readable(next) && chunk_size(next) >= CB_GRANULE &&
           (word_at(next + sizeof(size_t)) & IN_USE_BEFORE) != 0;
}

static bool is_in_heap(uintptr_t chunk, size_t size, unsigned shift) {
    uintptr_t heap = chunk & ~(((uintptr_t)1 << shift) - 1);
    if (heap == 0 || !cb_os_readable(heap)) {
        return false;
    }
    uintptr_t arena = word_at(heap);
    size_t used = word_at(heap + 2 * sizeof(size_t));
    return used <= (size_t)1 << shift && chunk - heap < used && size < used && arena != 0 &&
           arena % sizeof(size_t) == 0 && cb_os_readable(arena);
}

static bool is_in_any_heap(uintptr_t chunk, size_t size) {
    bool found = is_in_heap(chunk, size, HEAP_SHIFT_FIRST);
    for (unsigned shift = HEAP_SHIFT_LEAST; shift <= HEAP_SHIFT_MOST && !found; shift++) {
        found = is_in_heap(chunk, size, shift);
    }
    return found;
}

/* Says what p is if it is not the start of an object of libc's; NULL if it is one, as far as can be known. */
static const char *look_for_chunk(uintptr_t p) {
    uintptr_t chunk = p - 2 * sizeof(size_t);
    if (!cb_os_readable(p) || !cb_os_readable(chunk)) {
        return "pointer to inaccessible memory:";
    }
    size_t size = chunk_size(chunk), flags = word_at(chunk + sizeof(size_t)) & FLAGS;
    bool good = size >= CHUNK_LEAST && (size & (CB_GRANULE - 1)) == 0 && chunk + size > chunk;
    if ((flags & MAPPED) != 0) {
        good = good && is_mapped_chunk(chunk, size);
    } else {
        good = good && is_followed_by_chunk(chunk, size) &&
               ((flags & OTHER_ARENA) == 0 || is_in_any_heap(chunk, size));
    }
    return good ? NULL : "pointer to memory that is not from malloc:";
}

/* Reports a pointer that no allocator can have returned. True when it may be libc's. */
static bool plausible(const char *function, void *ptr) {
    uintptr_t p = (uintptr_t)ptr;
    const char *what = NULL;
    if ((p & (CB_GRANULE - 1)) != 0) {
        what = "unaligned pointer";
    } else if (in_stack(p)) {
        what = "pointer into the stack:";
    } else if (in_loaded_object(ptr)) {
        what = "pointer into a program or library:";
    } else if (libc_free == NULL) {
        what = "invalid pointer";
    } else {
        what = look_for_chunk(p);
    }
    if (what != NULL) {
        cb_misuse_report(function, what, p, 0);
    }
    return what == NULL;
}

static _Atomic size_t frees; /* relaxed: a figure for people */

size_t cb_foreign_frees(void) {
    return atomic_load_explicit(&frees, memory_order_relaxed);
}

void cb_foreign_free(void *ptr) {
    int saved = errno;
    atomic_fetch_add_explicit(&frees, 1, memory_order_relaxed);
    if (plausible("free", ptr)) {
        libc_free(ptr);
    }
    errno = saved;
}

void *cb_foreign_realloc(void *ptr, size_t size) {
    if (!plausible("realloc", ptr)) {
        errno = ENOMEM; /* as for what is ours, and not the start of an object */
        return NULL;
    }
    return libc_realloc(ptr, size);
}

/*
 * glibc exports no __libc_malloc_usable_size. A chunk mapped on its own has two words that are not the
 * object's, any other one: the object may use the first word of the next.
 */
size_t cb_foreign_usable_size(void *ptr) {
    if (!plausible("malloc_usable_size", ptr)) {
        return 0;
    }
    uintptr_t chunk = (uintptr_t)ptr - 2 * sizeof(size_t);
    bool mapped = (word_at(chunk + sizeof(size_t)) & MAPPED) != 0;
    return chunk_size(chunk) - (mapped ? 2 : 1) * sizeof(size_t);
}
