/*
 * stats.c: figures for malloc_stats, malloc_info, mallinfo, and the report at exit; malloc_trim and mallopt.
 *
 * Layer: heap, and public functions. Threads: any.
 */
#include "heap/stats.h"

#include "heap/malloc.h"
#include "heap/meta.h"
#include "heap/options.h"
#include "heap/range.h"
#include "heap/release.h"
#include "heap/remote.h"
#include "heap/report.h"
#include "heap/reserve.h"
#include "heap/ring.h"
#include "heap/room.h"
#include "heap/thread.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>

#define MAP_PART 16 /* of what is free and dirty, its map: a byte per granule */

static size_t read_figure(const size_t *figure) {
    return __atomic_load_n(figure, __ATOMIC_RELAXED); /* partner: cb_count */
}

static void add_heap(struct cb_heap *heap, void *context) {
    struct cb_stats *stats = context;
    stats->blocks += read_figure(&heap->used) << CB_GRANULE_SHIFT;
    stats->dead += read_figure(&heap->dead) << CB_GRANULE_SHIFT;
    stats->dead_pages += read_figure(&heap->dead_pages) << 12;
    stats->heaps++;
}

void cb_stats_read(struct cb_stats *stats) {
    *stats = (struct cb_stats){.heaps = 0};
    cb_pages_totals(&stats->pages);
    stats->rooms = cb_room_total();
    cb_heaps_each(add_heap, stats);
    stats->metadata = cb_meta_total() + (stats->pages.mapped >> CB_GRANULE_SHIFT) +
                      (stats->pages.mapped >> CB_BLOCK_SHIFT) * sizeof(struct cb_block);
}

/* Bytes in objects: live, or parked in a ring for the next request of their size. */
static size_t in_use(const struct cb_stats *stats) {
    size_t taken = stats->pages.mapped - stats->pages.free, unused = stats->dead + stats->rooms;
    return taken > unused ? taken - unused : 0;
}

static struct cb_line figures(void) {
    struct cb_stats stats;
    struct cb_line line = {.length = 0};
    cb_stats_read(&stats);
    cb_line_string(&line, "cutback: mapped: ");
    cb_line_number(&line, stats.pages.mapped >> 10);
    cb_line_string(&line, " KiB, in use: ");
    cb_line_number(&line, in_use(&stats) >> 10);
    cb_line_string(&line, " KiB, metadata: ");
    cb_line_number(&line, stats.metadata >> 10);
    cb_line_string(&line, " KiB, threads' heaps: ");
    cb_line_number(&line, stats.heaps);
    cb_line_string(&line, ", returned to the system: ");
    cb_line_number(&line, stats.pages.purged >> 10);
    cb_line_string(&line, " KiB in ");
    cb_line_number(&line, stats.pages.purges);
    cb_line_string(&line, " calls");
    return line;
}

void cb_stats_report(void) {
    struct cb_line line = figures();
    cb_line_write(&line);
}

CB_EXPORT void CB_NAME(malloc_stats)(void) {
    struct cb_line line = figures();
    cb_line_print(&line);
}

CB_EXPORT int CB_NAME(malloc_info)(int options, FILE *stream) {
    struct cb_stats stats;
    if (options != 0) {
        errno = EINVAL;
        return -1;
    }
    cb_stats_read(&stats);
    int cancelling; /* what stdio calls is a cancellation point */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelling);
    fprintf(stream,
            "<malloc version=\"1\">\n"
            "<heap nr=\"0\">\n"
            "<total type=\"fast\" count=\"0\" size=\"0\"/>\n"
            "<total type=\"rest\" count=\"1\" size=\"%zu\"/>\n"
            "</heap>\n"
            "<total type=\"fast\" count=\"0\" size=\"0\"/>\n"
            "<total type=\"rest\" count=\"1\" size=\"%zu\"/>\n"
            "<total type=\"mmap\" count=\"0\" size=\"0\"/>\n"
            "<system type=\"current\" size=\"%zu\"/>\n"
            "<system type=\"max\" size=\"%zu\"/>\n"
            "<aspace type=\"total\" size=\"%zu\"/>\n"
            "<aspace type=\"mprotect\" size=\"%zu\"/>\n"
            "</malloc>\n",
            stats.pages.mapped - in_use(&stats), stats.pages.mapped - in_use(&stats), stats.pages.mapped,
            stats.pages.mapped, stats.pages.mapped, stats.pages.mapped);
    pthread_setcancelstate(cancelling, NULL);
    return 0;
}

CB_EXPORT struct mallinfo2 CB_NAME(mallinfo2)(void) {
    struct cb_stats stats;
    cb_stats_read(&stats);
    return (struct mallinfo2){.arena = stats.pages.mapped,
                              .ordblks = 1,
                              .uordblks = in_use(&stats),
                              .fordblks = stats.pages.mapped - in_use(&stats),
                              .keepcost = stats.pages.dirty + stats.pages.dirty / MAP_PART + stats.dead_pages};
}

static int to_int(size_t n) {
    return n > INT_MAX ? INT_MAX : (int)n;
}

/* The fields of the old structure are ints: they stop at INT_MAX rather than wrap. */
CB_EXPORT struct mallinfo CB_NAME(mallinfo)(void) {
    struct mallinfo2 wide = CB_NAME(mallinfo2)();
    return (struct mallinfo){.arena = to_int(wide.arena),
                             .ordblks = to_int(wide.ordblks),
                             .uordblks = to_int(wide.uordblks),
                             .fordblks = to_int(wide.fordblks),
                             .keepcost = to_int(wide.keepcost)};
}

/* Returns 1 when memory went back to the system, like glibc's. Other running threads keep their rings, and no more. */
CB_EXPORT int CB_NAME(malloc_trim)(size_t pad) {
    struct cb_pages_totals before, after;
    cb_pages_totals(&before);
    struct cb_heap *heap = cb_thread.heap;
    if (heap != NULL) {
        cb_remote_take_in(heap);
        cb_ring_empty_all(heap);
        cb_release_all(heap);
    }
    cb_heaps_trim();
    cb_room_give_back();
    cb_pages_purge(pad);
    cb_reserve_forget();
    cb_pages_totals(&after);
    return after.purged > before.purged;
}

/* M_TRIM_THRESHOLD is the reserve; glibc's other parameters mean nothing here and are accepted. */
CB_EXPORT int CB_NAME(mallopt)(int parameter, int value) {
    if (parameter == M_TRIM_THRESHOLD && value >= 0) {
        cb_options_set_reserve((size_t)value);
    }
    return 1;
}
