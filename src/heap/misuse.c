/*
 * misuse.c: what to say of a pointer into our memory at which no live object starts.
 *
 * Layer: heap. Threads: any; another owner may be changing the map meanwhile, which can make the words wrong
 * but not the finding, which was made before.
 */
#include "heap/malloc.h"
#include "heap/map.h"
#include "heap/pages.h"
#include "heap/report.h"

#include <string.h>

enum finding { FREE, INSIDE_LIVE };

/* Walks the block that p is in to what contains p. Stores the length of a freed object that is still known.
 */
static enum finding look_in_block(uintptr_t p, size_t *bytes) {
    struct cb_block *block = cb_block_of(p);
    const uint8_t *m = cb_map_at(cb_block_start(block)), *end = m + CB_BLOCK_GRANULES - 1, *at = cb_map_at(p);
    while (m <= at && m < end) {
        size_t state = cb_map_get(m) & CB_STATE, length = cb_map_length(m);
        if (length == 0) {
            length = 1; /* in a run, or fresh */
        }
        if (at < m + length) {
            bool whole = at == m && (state == CB_PARKED || state == CB_REMOTE) && cb_map_length(m) != 0;
            *bytes = whole ? length << CB_GRANULE_SHIFT : 0;
            return state == CB_LIVE ? INSIDE_LIVE : FREE;
        }
        m += length;
    }
    return FREE;
}

CB_COLD void cb_bad_pointer(const char *function, uintptr_t p) {
    size_t bytes = 0;
    if ((p & (CB_GRANULE - 1)) != 0) {
        cb_report_misuse(function, "unaligned pointer", p, 0);
        return;
    }
    bool in_block = atomic_load_explicit(&cb_block_of(p)->owner, memory_order_relaxed) != NULL;
    enum finding finding = in_block ? look_in_block(p, &bytes) : cb_pages_are_free(p) ? FREE : INSIDE_LIVE;
    const char *what = finding == INSIDE_LIVE          ? "pointer into the middle of an object:"
                       : strcmp(function, "free") == 0 ? "double free of"
                                                       : "use after free of";
    cb_report_misuse(function, what, p, bytes);
}
