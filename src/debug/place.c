/*
 * place.c: where an object lies in the block that the heap gives for it. See types.h.
 *
 * Layer: debug; the only caller of the heap's malloc and free. Threads: any.
 *
 *   plain:    base [ ... red zone ][ object ][ red zone ]
 *   guarded:  base [ ... red zone ][ object ][ red zone, less than the alignment ][ guard page ]
 */
#include "debug/types.h"

#include "heap/names.h"
#include "os/os.h"

static uintptr_t block_for(size_t size, size_t align, bool zero) {
    return (uintptr_t)(align > CB_GRANULE ? cb_memalign(align, size)
                       : zero             ? cb_calloc(1, size)
                                          : cb_malloc(size));
}

/* An object that ends at a guard page. False: not possible. */
static bool lay_out_guarded(struct cb_record *record, size_t align, bool zero) {
    size_t page = cb_os_page_size(), lead = align > page ? align : page, body = cb_align_up(record->size, page);
    uintptr_t base = block_for(lead + body + page, align > page ? align : CB_GRANULE, zero);
    if (base == 0) {
        return false;
    }
    size_t total = lead + body;
    if ((base & (page - 1)) != 0 || !cb_guard_set(base, total)) {
        cb_free((void *)base);
        return false;
    }
    record->base = base;
    record->total = total;
    record->address = align > page ? base + lead : base + total - cb_align_up(record->size, align);
    record->guarded = true;
    return true;
}

static bool lay_out_plain(struct cb_record *record, size_t align, bool zero) {
    size_t lead = align > CB_RED ? align : CB_RED, total = lead + cb_align_up(record->size, CB_GRANULE) + CB_RED;
    uintptr_t base = block_for(total, align, zero);
    if (base == 0) {
        return false;
    }
    record->base = base;
    record->total = total;
    record->address = base + lead;
    return true;
}

bool cb_place_take(struct cb_record *record, size_t align, bool zero) {
    return (record->size >= CB_GUARD_LEAST && lay_out_guarded(record, align, zero)) ||
           lay_out_plain(record, align, zero);
}

void cb_place_give_back(const struct cb_record *record) {
    if (!record->guarded || cb_guard_lift(record)) {
        cb_free((void *)record->base);
    }
}
