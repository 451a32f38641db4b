/*
 * layout.c: see layout.h.
 *
 * Layer: heap. Threads: constant.
 */
#include "heap/layout.h"

#include "heap/map.h"
#include "heap/pages.h"
#include "heap/range.h"
#include "heap/room.h"
#include "heap/thread.h"

#define ADDRESS(member, value) .member = (value),
#define NUMBER(member, value) .member = (value),
const struct cb_layout cutback_layout = {
    .magic = "cutback layout", .version = CB_LAYOUT_VERSION, CB_LAYOUT(ADDRESS, NUMBER)};
