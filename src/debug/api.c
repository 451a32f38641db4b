/*
 * api.c: the allocation functions of libc, with checks. See types.h.
 *
 * Layer: debug, the top. Threads: any. The contracts are those of heap/malloc.h; malloc_usable_size is
 * exactly what was asked for, and realloc always moves, so that old pointers are found out.
 */
#include "debug/types.h"

#include "heap/found.h"
#include "heap/foreign.h"
#include "heap/malloc.h"
#include "os/os.h"

#include <errno.h>
#include <string.h>

/* C23, and a relic: no header of glibc 2.36 declares them. */
void cfree(void *ptr);
void free_sized(void *ptr, size_t size);
void free_aligned_sized(void *ptr, size_t align, size_t size);

static void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

static void release(const struct cb_call *call, void *ptr) {
    int saved = errno;
    if (ptr != NULL && cb_object_free(call, ptr) == CB_OBJECT_FOREIGN) {
        cb_foreign_free(ptr);
    }
    errno = saved;
}

/* For those of the free family that are told the size. */
static void release_sized(const struct cb_call *call, void *ptr, size_t size) {
    struct cb_record record;
    int saved = errno;
    if (ptr != NULL && cb_object_look(call->where, ptr, &record) == CB_OBJECT_OURS && record.size != size) {
        cb_tell(&(struct cb_finding){.where = call->where,
                                     .what = "wrong size given for",
                                     .address = record.address,
                                     .bytes = record.size,
                                     .object = &record,
                                     .place = "called at"});
    }
    errno = saved;
    release(call, ptr);
}

static void *resize(const struct cb_call *call, void *ptr, size_t size) {
    struct cb_record old;
    if (ptr == NULL) {
        return cb_object_new(call, size, CB_GRANULE, false);
    }
    switch (cb_object_look(call->where, ptr, &old)) {
    case CB_OBJECT_FOREIGN:
        return cb_foreign_realloc(ptr, size);
    case CB_OBJECT_BAD:
        return no_memory();
    case CB_OBJECT_OURS:
        break;
    }
    void *to = NULL;
    if (size != 0) {
        to = cb_object_new(call, size, CB_GRANULE, false);
        if (to == NULL) {
            return NULL;
        }
        memcpy(to, ptr, old.size < size ? old.size : size);
    }
    release(call, ptr);
    return to;
}

/* As glibc's: an alignment that is not a power of two is rounded up to one. */
static void *new_aligned(const struct cb_call *call, size_t align, size_t size) {
    size_t power = cb_power_of_two_from(align);
    if (power == 0) {
        errno = EINVAL;
        return NULL;
    }
    return cb_object_new(call, size, power, false);
}

CB_EXPORT void *malloc(size_t size) {
    struct cb_call call = CB_CALL("malloc()");
    return cb_object_new(&call, size, CB_GRANULE, false);
}

CB_EXPORT void *calloc(size_t count, size_t size) {
    struct cb_call call = CB_CALL("calloc()");
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return no_memory();
    }
    return cb_object_new(&call, bytes, CB_GRANULE, true);
}

CB_EXPORT void *realloc(void *ptr, size_t size) {
    struct cb_call call = CB_CALL("realloc()");
    return resize(&call, ptr, size);
}

static void *own_realloc(void *ptr, size_t size) __attribute__((alias("realloc")));

CB_EXPORT void *reallocarray(void *ptr, size_t count, size_t size) {
    struct cb_call call = CB_CALL("reallocarray()");
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return no_memory();
    }
    return cb_found_is(own_realloc) ? resize(&call, ptr, bytes) : cb_found_realloc(ptr, bytes);
}

CB_EXPORT void free(void *ptr) {
    struct cb_call call = CB_CALL("free()");
    release(&call, ptr);
}

CB_EXPORT void cfree(void *ptr) {
    struct cb_call call = CB_CALL("cfree()");
    release(&call, ptr);
}

CB_EXPORT void free_sized(void *ptr, size_t size) {
    struct cb_call call = CB_CALL("free_sized()");
    release_sized(&call, ptr, size);
}

CB_EXPORT void free_aligned_sized(void *ptr, size_t align, size_t size) {
    struct cb_call call = CB_CALL("free_aligned_sized()");
    (void)align;
    release_sized(&call, ptr, size);
}

CB_EXPORT int posix_memalign(void **out, size_t align, size_t size) {
    struct cb_call call = CB_CALL("posix_memalign()");
    if (!cb_is_power_of_two(align) || align % sizeof(void *) != 0) {
        return EINVAL;
    }
    int saved = errno;
    void *p = cb_object_new(&call, size, align, false);
    errno = saved;
    if (p == NULL) {
        return ENOMEM;
    }
    *out = p;
    return 0;
}

CB_EXPORT void *memalign(size_t align, size_t size) {
    struct cb_call call = CB_CALL("memalign()");
    return new_aligned(&call, align, size);
}

CB_EXPORT void *aligned_alloc(size_t align, size_t size) {
    struct cb_call call = CB_CALL("aligned_alloc()");
    if (!cb_is_power_of_two(align)) {
        errno = EINVAL;
        return NULL;
    }
    return new_aligned(&call, align, size);
}

CB_EXPORT void *valloc(size_t size) {
    struct cb_call call = CB_CALL("valloc()");
    return new_aligned(&call, cb_os_page_size(), size);
}

CB_EXPORT void *pvalloc(size_t size) {
    struct cb_call call = CB_CALL("pvalloc()");
    size_t page = cb_os_page_size();
    if (size > SIZE_MAX - page) {
        return no_memory();
    }
    return new_aligned(&call, page, cb_align_up(size, page));
}

CB_EXPORT size_t malloc_usable_size(void *ptr) {
    struct cb_record record;
    if (ptr == NULL) {
        return 0;
    }
    switch (cb_object_look("malloc_usable_size()", ptr, &record)) {
    case CB_OBJECT_FOREIGN:
        return cb_foreign_usable_size(ptr);
    case CB_OBJECT_BAD:
        return 0;
    case CB_OBJECT_OURS:
        break;
    }
    return record.size;
}

/* ---- The state of the heap, red zones and all ---- */

CB_EXPORT int malloc_trim(size_t pad) {
    return cb_malloc_trim(pad);
}

CB_EXPORT void malloc_stats(void) {
    cb_malloc_stats();
}

CB_EXPORT int malloc_info(int options, FILE *stream) {
    return cb_malloc_info(options, stream);
}

CB_EXPORT struct mallinfo mallinfo(void) {
    return cb_mallinfo();
}

CB_EXPORT struct mallinfo2 mallinfo2(void) {
    return cb_mallinfo2();
}

CB_EXPORT int mallopt(int parameter, int value) {
    return cb_mallopt(parameter, value);
}
