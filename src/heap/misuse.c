/*
 * misuse.c: what to say of a pointer into our memory at which no live object starts.
 *
 * Layer: heap. Threads: any; another owner may be changing the map meanwhile, which can make the words wrong
 * but not the finding, which was made before.
 */
#include "heap/misuse.h"

#include "heap/census.h"
#include "heap/map.h"
#include "heap/options.h"
#include "heap/pages.h"
#include "heap/line.h"
#include "os/os.h"

#include <string.h>

void cb_misuse_report(const char *function, const char *what, uintptr_t address, size_t bytes) {
    if (cb_options.on_error != CB_ERROR_IGNORE) {
        struct cb_line line = {.length = 0};
        cb_line_string(&line, "cutback: ");
        cb_line_string(&line, function);
        cb_line_string(&line, "(): ");
        cb_line_string(&line, what);
        cb_line_string(&line, " ");
        cb_line_address(&line, address);
        if (bytes != 0) {
            cb_line_string(&line, " (");
            cb_line_number(&line, bytes);
            cb_line_string(&line, " bytes)");
        }
        cb_line_write(&line);
    }
    if (cb_options.on_error == CB_ERROR_ABORT) {
        cb_os_abort();
    }
}

enum finding { FREE, INSIDE_LIVE };

/* Walks the block that p is in to what contains p. Stores the length of a freed object that is still known.
 */
static enum finding look_in_block(uintptr_t p, const struct cb_heap *owner, size_t *bytes) {
    const uint8_t *at = cb_map_in(cb_block_of(p), p >> CB_GRANULE_SHIFT);
    struct cb_walk walk = cb_walk_over(cb_block_of(p), owner == cb_thread.heap ? owner : NULL);
    while (walk.next <= at && walk.next < walk.end) {
        const uint8_t *m = walk.next;
        size_t state = cb_map_get(m) & CB_STATE, length = cb_walk_length(&walk, m);
        walk.next += length != 0 ? length : 1;
        if (at < walk.next) {
            bool whole =
                cb_map_of_object(p) == m && (state == CB_PARKED || state == CB_REMOTE) && length != 0;
            *bytes = whole ? length << walk.shift << CB_GRANULE_SHIFT : 0;
            return state == CB_LIVE ? INSIDE_LIVE : FREE;
        }
    }
    return FREE;
}

CB_COLD void cb_misuse_pointer(const char *function, uintptr_t p) {
    size_t bytes = 0;
    if ((p & (CB_GRANULE - 1)) != 0) {
        cb_misuse_report(function, "unaligned pointer", p, 0);
        return;
    }
    const struct cb_heap *owner = atomic_load_explicit(&cb_block_of(p)->owner, memory_order_relaxed);
    enum finding finding = owner != NULL          ? look_in_block(p, owner, &bytes)
                           : cb_pages_are_free(p) ? FREE
                                                  : INSIDE_LIVE;
    const char *what = finding == INSIDE_LIVE          ? "pointer into the middle of an object:"
                       : strcmp(function, "free") == 0 ? "double free of"
                                                       : "use after free of";
    cb_misuse_report(function, what, p, bytes);
}
