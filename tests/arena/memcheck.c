/*
 * Valgrind knows what is free in an arena: each wrong access, and no right one, adds to the errors that it counts.
 * Run under valgrind by check_memcheck.sh. Prints how many it should have reported.
 *
 * Exit status: 0; 1 if an access was reported that should not have been, or the other way round; 77 if memcheck is not
 * there, or the library was compiled without its headers.
 *
 * Layer: tests. Threading: none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena/hooks.h"
#include "cutback_chain.h"

#if defined(CB_HOOK_MEMCHECK)

static _Alignas(64) unsigned char memory[1024];
static cutback_slot ring[4];
static cutback_arena arena;
static bool well = true;
static unsigned reports;

/* Reads the byte; volatile, so that the access is made. */
static void touch(const unsigned char *byte) {
    volatile unsigned char sink = *(const volatile unsigned char *)byte;
    (void)sink;
}

/* Decides something by the byte. */
static void decide(const unsigned char *byte) {
    if (*(const volatile unsigned char *)byte == 1)
        puts("1");
}

static void expect(void (*access)(const unsigned char *), const unsigned char *byte, bool report,
                   const char *what) {
    unsigned before = VALGRIND_COUNT_ERRORS;
    access(byte);
    bool reported = VALGRIND_COUNT_ERRORS != before;
    reports += report;
    if (reported != report) {
        fprintf(stderr, "%s: %s\n", what, reported ? "reported" : "not reported");
        well = false;
    }
}

static unsigned char *make(size_t size, size_t align) {
    unsigned char *block = cutback_alloc(&arena, size, align);
    if (block == NULL)
        abort();
    return block;
}

static void blocks(void) {
    unsigned char *a = make(13, 1);
    expect(decide, a, true, "use of a block before it is written");
    memset(a, 0, 13);
    expect(decide, a + 12, false, "use of a block");
    expect(touch, a + 13, true, "one byte beyond a block");
    unsigned char *b = make(16, 64);
    expect(touch, b - 1, true, "padding");
    expect(touch, memory + 1000, true, "memory that was never handed out");
    cutback_free(&arena, a, 13);
    expect(touch, a, true, "use after a free that is not on top");
    cutback_free(&arena, b, 16);
    expect(touch, b, true, "use after a free on top");
}

static void resized(void) {
    unsigned char *a = make(10, 1);
    memset(a, 0, 10);
    a = cutback_realloc(&arena, a, 10, 100, 1);
    if (a == NULL)
        abort();
    expect(decide, a + 9, false, "what was in a block that grew");
    expect(decide, a + 10, true, "what a block gained");
    a = cutback_realloc(&arena, a, 100, 100, 64);
    if (a == NULL)
        abort();
    expect(decide, a + 9, false, "what was in a block that slid");
    make(1, 1);
    if (cutback_realloc(&arena, a, 100, 5, 1) != a)
        abort();
    expect(touch, a + 5, true, "what a shrink cut off");
}

static void scopes(void) {
    cutback_mark mark = cutback_mark_set(&arena);
    unsigned char *a = make(10, 1);
    cutback_reset(&arena, mark);
    expect(touch, a, true, "use after reset");
    a = make(10, 1);
    cutback_clear(&arena);
    expect(touch, a, true, "use after clear");
}

static void *supply(void *context, size_t *size) {
    (void)context;
    return malloc(*size);
}

static void take(void *context, void *chunk, size_t size) {
    (void)context;
    memset(chunk, 0, size); /* the chunk is the source's again: no report */
    free(chunk);
}

static void chunks(void) {
    static cutback_chain chain;
    cutback_source source = {supply, take, NULL};
    if (!cutback_chain_init(&chain, source, 100, 4, true))
        abort();
    unsigned char *a = cutback_chain_alloc(&chain, 60, 1);
    unsigned char *b = cutback_chain_alloc(&chain, 60, 1);
    if (a == NULL || b == NULL)
        abort();
    expect(touch, b + 60, true, "one byte beyond a block of a chain");
    expect(touch, b + 59, false, "the last byte of a block of a chain");
    cutback_chain_free(&chain, b, 60);
    expect(touch, b, true, "a block in a chunk that is kept");
    unsigned before = VALGRIND_COUNT_ERRORS;
    cutback_chain_release(&chain);
    if (VALGRIND_COUNT_ERRORS != before)
        well = false;
}

int main(void) {
    if (!cb_hook_active()) {
        puts("skipped: not under memcheck");
        return 77;
    }
    if (!cutback_init(&arena, memory, sizeof memory, ring, 4))
        return 1;
    blocks();
    resized();
    scopes();
    chunks();
    printf("%u\n", reports);
    return well ? 0 : 1;
}
#else
int main(void) {
    puts("skipped: built without valgrind's headers");
    return 77;
}
#endif
