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

static uintptr_t block_for(size_t size, size_t align, bool zero) {
    return (uintptr_t)(align > CB_GRANULE ? cb_memalign(align, size)
                       : zero             ? cb_calloc(1, size)
                                          : cb_malloc(size));
}

/* An object that ends at a guard page. False: not possible. */
static bool take_guarded(struct cb_record *record, bool zero) {
    size_t page = cb_os_page_size(), align = (size_t)1 << record->align_shift;
    size_t lead = cb_higher(align, page), total = lead + cb_align_up(record->size, page);
    uintptr_t base = block_for(total + page, align > page ? align : CB_GRANULE, zero);
    if (base == 0) {
        return false;
    }
    if ((base & (page - 1)) != 0 || !cb_guard_set(base, total)) {
        cb_free((void *)base);
        return false;
    }
    record->address = align > page ? base + lead : base + total - cb_align_up(record->size, align);
    record->guarded = true;
    return true;
}

static bool take_plain(struct cb_record *record, bool zero) {
    size_t align = (size_t)1 << record->align_shift, lead = cb_higher(align, CB_RED);
    uintptr_t base = block_for(lead + cb_align_up(record->size, CB_GRANULE) + CB_RED, align, zero);
    record->address = base + lead;
    record->guarded = false;
    return base != 0;
}

bool cb_place_take(struct cb_record *record, bool zero) {
    bool took = (record->size >= CB_GUARD_LEAST && take_guarded(record, zero)) || take_plain(record, zero);
    cb_record_lay_out(record);
    return took;
}

void cb_place_give_back(const struct cb_record *record) {
    if (!record->guarded || cb_guard_lift(record)) {
        cb_free((void *)record->base);
    }
}
