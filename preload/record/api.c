/*
 * api.c: the allocation functions of libc, recorded. See record.h.
 *
 * Layer: record, the top. Threads: any. The contracts are those of heap/names.h.
 *
 * A free is written before it is done: afterwards another thread may have the address. An allocation is written
 * after it was done, and before the program has the object: no other thread can have named it.
 */
#include "record.h"

#include "heap/found.h"
#include "heap/foreign.h"
#include "heap/names.h"
#include "heap/range.h"
#include "os/os.h"

#include <errno.h>

/* C23, and a relic: no header of glibc 2.36 declares them. */
void cfree(void *ptr);
void free_sized(void *ptr, size_t size);
void free_aligned_sized(void *ptr, size_t align, size_t size);

#define SITE ((uintptr_t)__builtin_return_address(0))

/* The object at ptr, of this process; else 0, and how many bytes it has, where that is known. */
static uint64_t look(void *ptr, size_t *bytes) {
    uint32_t lane;
    uint64_t object = cb_range_owns((uintptr_t)ptr) ? cb_object_get((uintptr_t)ptr) : 0;
    *bytes = 0;
    if (object == 0 || cb_object_is_ours(object, &lane)) {
        return object;
    }
    *bytes = cb_malloc_usable_size(ptr);
    return 0;
}

static void forget(void *ptr, uint64_t object) {
    if (object != 0) {
        cb_object_set((uintptr_t)ptr, 0);
    }
}

/* After an allocation, whatever came of it. */
static void *note(struct cb_lane *lane, enum cb_trace_function function, size_t size, unsigned align, void *p,
                  uintptr_t site) {
    if (lane == NULL) {
        return p;
    }
    if (p != NULL) {
        cb_write_new(lane, function, size, align, p, site);
    } else {
        cb_write_failed(lane, function, size, align);
    }
    return p;
}

static void release(enum cb_trace_function function, void *ptr) {
    bool entered;
    size_t bytes;
    struct cb_lane *lane = cb_record_begin(&entered);
    if (ptr == NULL) {
        if (lane != NULL) {
            cb_write_free_null(lane, function);
        }
    } else {
        if (lane != NULL) {
            uint64_t object = look(ptr, &bytes);
            cb_write_free(lane, function, object, bytes);
        }
        forget(ptr, cb_range_owns((uintptr_t)ptr) ? 1 : 0);
        cb_free(ptr);
    }
    cb_record_end(entered);
}

/* ptr is not NULL, and neither is the lane. */
static void *resize_recorded(struct cb_lane *lane, enum cb_trace_function function, void *ptr, size_t size,
                             uintptr_t site) {
    size_t bytes;
    uint64_t object = look(ptr, &bytes);
    if (size == 0) {
        cb_write_free(lane, function, object, bytes);
    }
    forget(ptr, object); /* afterwards another thread may have the address */
    void *to = cb_realloc(ptr, size);
    if (size == 0) {
        return to;
    }
    if (to != NULL && cb_range_owns((uintptr_t)to)) {
        cb_write_resized(lane, function, object, bytes, size, to, site);
        return to;
    }
    if (to != NULL) {
        cb_write_free(lane, function, 0, 0); /* libc's own, and it still is */
        return to;
    }
    if (object != 0) {
        cb_object_set((uintptr_t)ptr, object);
    }
    cb_write_not_resized(lane, function, object, size);
    return NULL;
}

static void *resize(enum cb_trace_function function, void *ptr, size_t size, uintptr_t site) {
    bool entered;
    void *to;
    struct cb_lane *lane = cb_record_begin(&entered);
    if (ptr == NULL) {
        to = note(lane, function, size, 0, cb_realloc(NULL, size), site);
    } else if (lane != NULL) {
        to = resize_recorded(lane, function, ptr, size, site);
    } else {
        forget(ptr, cb_range_owns((uintptr_t)ptr) ? 1 : 0);
        to = cb_realloc(ptr, size);
    }
    cb_record_end(entered);
    return to;
}

/* The power of two that is no less. */
static unsigned log2_of(size_t align) {
    return align <= 1 ? 0 : 64 - (unsigned)__builtin_clzl(align - 1);
}

CB_EXPORT void *malloc(size_t size) {
    bool entered;
    struct cb_lane *lane = cb_record_begin(&entered);
    void *p = note(lane, CB_FUNCTION_MALLOC, size, 0, cb_malloc(size), SITE);
    cb_record_end(entered);
    return p;
}

CB_EXPORT void *calloc(size_t count, size_t size) {
    bool entered;
    size_t bytes;
    struct cb_lane *lane = cb_record_begin(&entered);
    bytes = __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
    void *p = note(lane, CB_FUNCTION_CALLOC, bytes, 0, cb_calloc(count, size), SITE);
    cb_record_end(entered);
    return p;
}

CB_EXPORT void *realloc(void *ptr, size_t size) {
    return resize(CB_FUNCTION_REALLOC, ptr, size, SITE);
}

static void *own_realloc(void *ptr, size_t size) __attribute__((alias("realloc")));

CB_EXPORT void *reallocarray(void *ptr, size_t count, size_t size) {
    size_t bytes;
    bytes = __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
    if (!cb_found_is(own_realloc)) {
        return cb_found_realloc(ptr, bytes); /* of a program with a malloc of its own */
    }
    return resize(CB_FUNCTION_REALLOCARRAY, ptr, bytes, SITE); /* no object has SIZE_MAX bytes */
}

CB_EXPORT void free(void *ptr) {
    release(CB_FUNCTION_FREE, ptr);
}

CB_EXPORT void cfree(void *ptr) {
    release(CB_FUNCTION_CFREE, ptr);
}

CB_EXPORT void free_sized(void *ptr, size_t size) {
    (void)size;
    release(CB_FUNCTION_FREE_SIZED, ptr);
}

CB_EXPORT void free_aligned_sized(void *ptr, size_t align, size_t size) {
    (void)align;
    (void)size;
    release(CB_FUNCTION_FREE_ALIGNED_SIZED, ptr);
}

/* Calls with alignments that cannot be are not recorded. */
CB_EXPORT int posix_memalign(void **out, size_t align, size_t size) {
    bool entered;
    struct cb_lane *lane = cb_record_begin(&entered);
    void *p = NULL;
    int error = cb_posix_memalign(&p, align, size);
    if (error != EINVAL) {
        note(lane, CB_FUNCTION_POSIX_MEMALIGN, size, log2_of(align), p, SITE);
    }
    cb_record_end(entered);
    if (error == 0) {
        *out = p;
    }
    return error;
}

CB_EXPORT void *memalign(size_t align, size_t size) {
    bool entered;
    struct cb_lane *lane = cb_record_begin(&entered);
    void *p = cb_memalign(align, size);
    if (align <= SIZE_MAX / 2 + 1) {
        note(lane, CB_FUNCTION_MEMALIGN, size, log2_of(align), p, SITE);
    }
    cb_record_end(entered);
    return p;
}

CB_EXPORT void *aligned_alloc(size_t align, size_t size) {
    bool entered;
    struct cb_lane *lane = cb_record_begin(&entered);
    void *p = cb_aligned_alloc(align, size);
    if (align != 0 && (align & (align - 1)) == 0) {
        note(lane, CB_FUNCTION_ALIGNED_ALLOC, size, log2_of(align), p, SITE);
    }
    cb_record_end(entered);
    return p;
}

CB_EXPORT void *valloc(size_t size) {
    bool entered;
    struct cb_lane *lane = cb_record_begin(&entered);
    void *p = note(lane, CB_FUNCTION_VALLOC, size, log2_of(cb_os_page_size()), cb_valloc(size), SITE);
    cb_record_end(entered);
    return p;
}

CB_EXPORT void *pvalloc(size_t size) {
    bool entered;
    struct cb_lane *lane = cb_record_begin(&entered);
    void *p = note(lane, CB_FUNCTION_PVALLOC, size, log2_of(cb_os_page_size()), cb_pvalloc(size), SITE);
    cb_record_end(entered);
    return p;
}

CB_EXPORT size_t malloc_usable_size(void *ptr) {
    bool entered;
    size_t bytes;
    struct cb_lane *lane = cb_record_begin(&entered);
    if (lane != NULL && ptr != NULL) {
        cb_write_usable(lane, look(ptr, &bytes));
    }
    size_t size = cb_malloc_usable_size(ptr);
    cb_record_end(entered);
    return size;
}

/* ---- The state of the heap: the call alone is recorded ---- */

/* Not as a whole: malloc_info and malloc_stats may write to a stream, which allocates. */
static void note_other(enum cb_trace_function function) {
    bool entered;
    struct cb_lane *lane = cb_record_begin(&entered);
    if (lane != NULL) {
        cb_write_other(lane, function);
    }
    cb_record_end(entered);
}

CB_EXPORT int malloc_trim(size_t pad) {
    note_other(CB_FUNCTION_MALLOC_TRIM);
    return cb_malloc_trim(pad);
}

CB_EXPORT void malloc_stats(void) {
    note_other(CB_FUNCTION_MALLOC_STATS);
    cb_malloc_stats();
}

CB_EXPORT int malloc_info(int options, FILE *stream) {
    note_other(CB_FUNCTION_MALLOC_INFO);
    return cb_malloc_info(options, stream);
}

CB_EXPORT struct mallinfo mallinfo(void) {
    note_other(CB_FUNCTION_MALLINFO);
    return cb_mallinfo();
}

CB_EXPORT struct mallinfo2 mallinfo2(void) {
    note_other(CB_FUNCTION_MALLINFO2);
    return cb_mallinfo2();
}

CB_EXPORT int mallopt(int parameter, int value) {
    note_other(CB_FUNCTION_MALLOPT);
    return cb_mallopt(parameter, value);
}
