/*
 * cutback: conveniences over an arena: typed allocation, copies, strings.
 *
 * Purpose:   what most programs would write for themselves. All of it is in this header; nothing is linked.
 * Layer:     on top of cutback.h. Freestanding, as that is, but for cutback_printf and cutback_vprintf, which are
 *            there in a hosted program only and need its stdio.h.
 * Threading: as the arena: one thread at a time.
 * Errors:    NULL where cutback_alloc returns NULL, counted as a failed request, with nothing changed.
 *
 * A block is freed by cutback_free with its size: sizeof *p for cutback_new, n * sizeof *p for cutback_array, strlen(s)
 * + 1 for a string. In the macros, `type` is a type that becomes a pointer by a star behind it.
 */
#ifndef CUTBACK_UTIL_H
#define CUTBACK_UTIL_H

#include "cutback.h"

#if __STDC_HOSTED__
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#elif defined(__cplusplus)
extern "C" void *memcpy(void *to, const void *from, size_t size);
#else
void *memcpy(void *to, const void *from, size_t size);
#endif

/* cutback_alignment(type): the alignment of the type, in bytes. */
#if defined(__cplusplus)
#define cutback_alignment(type) alignof(type)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define cutback_alignment(type) _Alignof(type)
#elif defined(__GNUC__)
#define cutback_alignment(type) __alignof__(type)
#else
#define cutback_alignment(type)                                                                              \
    offsetof(                                                                                                \
        struct {                                                                                             \
            char before;                                                                                     \
            type it;                                                                                         \
        },                                                                                                   \
        it)
#endif

/* cutback_new(arena, type): room for one, uninitialised. */
#define cutback_new(arena, type) ((type *)cutback_alloc((arena), sizeof(type), cutback_alignment(type)))

/* cutback_array(arena, type, count): room for `count` of them, uninitialised. NULL as well if their size overflows. */
#define cutback_array(arena, type, count)                                                                    \
    ((type *)cutback_util_array((arena), (count), sizeof(type), SIZE_MAX / sizeof(type),                     \
                                cutback_alignment(type)))

/*
 * cutback_resize(arena, type, array, from, to): an array of `from` elements becomes one of `to`, as by cutback_realloc.
 * NULL, with the array untouched, also if their size overflows.
 */
#define cutback_resize(arena, type, array, from, to)                                                         \
    ((type *)cutback_util_resize((arena), (array), (from), (to), sizeof(type), SIZE_MAX / sizeof(type),      \
                                 cutback_alignment(type)))

/* ---- for the macros only ---- */

/* `most` is how many elements there can be: a constant, so that there is no division. */
static inline void *cutback_util_array(cutback_arena *arena, size_t count, size_t size, size_t most,
                                       size_t align) {
    if (count > most)
        return cutback_calloc(arena, count, size, align); /* refuses, and counts that */
    return cutback_alloc(arena, count * size, align);
}

static inline void *cutback_util_resize(cutback_arena *arena, void *array, size_t from, size_t to,
                                        size_t size, size_t most, size_t align) {
    if (to > most)
        return cutback_calloc(arena, to, size, align); /* as well */
    return cutback_realloc(arena, array, from * size, to * size, align);
}

/* ---- copies and strings ---- */

/* A copy of the `size` bytes at `from`, aligned to `align`. Of 0 bytes it is what cutback_alloc returns for 0. O(size).
 */
CUTBACK_USED static inline void *cutback_dup(cutback_arena *arena, const void *from, size_t size,
                                             size_t align) {
    void *copy = cutback_alloc(arena, size, align);
    if (copy != NULL && size != 0)
        memcpy(copy, from, size);
    return copy;
}

/*
 * A copy of the string, or of its first `most` bytes if it is longer, with a zero byte behind. No more than `most`
 * bytes are looked at. O(length).
 */
CUTBACK_USED static inline char *cutback_strndup(cutback_arena *arena, const char *string, size_t most) {
    size_t length = 0;
    char *copy = NULL;
    while (length < most && string[length] != '\0')
        length++;
    copy = (char *)cutback_alloc(arena, length + 1, 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, string, length);
    copy[length] = '\0';
    return copy;
}

/* A copy of the string. O(length). */
CUTBACK_USED static inline char *cutback_strdup(cutback_arena *arena, const char *string) {
    return cutback_strndup(arena, string, SIZE_MAX - 1);
}

#if __STDC_HOSTED__
#if defined(__GNUC__)
#define CUTBACK_FORMAT(string, first) __attribute__((format(printf, string, first)))
#else
#define CUTBACK_FORMAT(string, first)
#endif

/*
 * The text that printf would write, as a string. It is written once, where it stays, on top of the arena, and cut to
 * its length; twice if it is longer than 255 bytes.
 *
 * NULL as well if printf fails. The arguments are those of printf and vprintf.
 */
CUTBACK_USED CUTBACK_FORMAT(2, 0) static inline char *cutback_vprintf(cutback_arena *arena,
                                                                      const char *format, va_list arguments) {
    size_t room = cutback_remaining(arena);
    size_t size = 256;
    int length = 0;
    char *string = NULL;
    va_list again;
    if (room < size)
        size = room != 0 ? room : 1;
    string = (char *)cutback_alloc(arena, size, 1);
    if (string == NULL)
        return NULL;
    va_copy(again, arguments);
    length = vsnprintf(string, size, format, arguments);
    if (length < 0) {
        cutback_free(arena, string, size);
        string = NULL;
    } else {
        size_t exact = (size_t)length + 1;
        char *cut = (char *)cutback_realloc(arena, string, size, exact, 1);
        if (cut == NULL)
            cutback_free(arena, string, size);
        else if (exact > size)
            (void)vsnprintf(cut, exact, format, again);
        string = cut;
    }
    va_end(again);
    return string;
}

/* As above, with the arguments one by one. */
CUTBACK_USED CUTBACK_FORMAT(2, 3) static inline char *cutback_printf(cutback_arena *arena, const char *format,
                                                                     ...) {
    char *string = NULL;
    va_list arguments;
    va_start(arguments, format);
    string = cutback_vprintf(arena, format, arguments);
    va_end(arguments);
    return string;
}
#endif

#endif
