/*
 * stats.c: figures for malloc_info, mallinfo, and the report that print.c writes; malloc_trim and mallopt.
 *
 * Layer: heap, and public functions. Threads: any.
 */
#include "heap/stats.h"

#include "heap/foreign.h"
#include "heap/fork.h"
#include "heap/meta.h"
#include "heap/names.h"
#include "heap/options.h"
#include "heap/release.h"
#include "heap/remote.h"
#include "heap/reserve.h"
#include "heap/bin.h"
#include "heap/room.h"
#include "heap/thread.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#define MAP_PART 16      /* of what is free and dirty, its map: a byte per granule */
#define STATUS_MOST 1024 /* bytes of /proc/self/status, in which what is resident comes about the 20th */

static size_t read_figure(const size_t *figure) {
    return __atomic_load_n(figure, __ATOMIC_RELAXED); /* partner: cb_count */
}

static void add_heap(struct cb_heap *heap, void *context) {
    struct cb_stats *stats = context;
    stats->blocks += read_figure(&heap->used) << CB_GRANULE_SHIFT;
    stats->dead += read_figure(&heap->dead) << CB_GRANULE_SHIFT;
    stats->dead_pages += read_figure(&heap->dead_pages) << CB_UNIT_SHIFT;
    stats->heaps++;
    stats->running += atomic_load_explicit(&heap->state, memory_order_relaxed) == CB_HEAP_RUNNING;
    stats->swept += read_figure(&heap->swept) << CB_GRANULE_SHIFT;
    stats->revived += read_figure(&heap->revived) << CB_GRANULE_SHIFT;
    stats->sweeps += read_figure(&heap->sweeps);
    stats->overflowed += read_figure(&heap->overflowed);
    stats->taken_in += read_figure(&heap->taken_in);
    stats->collected += read_figure(&heap->collected);
}

/* False where a lock was not to be had: then all that is taken counts as in use. */
static bool read_totals(struct cb_stats *stats, uint64_t milliseconds) {
    *stats = (struct cb_stats){.heaps = 0};
    bool whole = cb_pages_totals_until(&stats->pages, milliseconds);
    whole = cb_room_total_until(&stats->rooms, milliseconds) && whole;
    cb_heaps_each(add_heap, stats);
    stats->metadata = cb_meta_total() + (stats->pages.mapped >> CB_GRANULE_SHIFT) +
                      (stats->pages.mapped >> CB_BLOCK_SHIFT) * sizeof(struct cb_block);
    stats->taken = stats->pages.mapped - stats->pages.free;
    size_t unused = stats->dead + stats->rooms;
    stats->in_use = stats->taken > unused ? stats->taken - unused : 0;
    stats->free = stats->pages.mapped - stats->in_use;
    stats->trimmable = stats->pages.dirty + stats->pages.dirty / MAP_PART + stats->dead_pages;
    stats->foreign = cb_foreign_frees();
    return whole;
}

void cb_stats_read(struct cb_stats *stats) {
    cb_fork_repair_if_child();
    read_totals(stats, CB_LOCK_WAIT);
}

/* The bytes that a line of /proc/self/status tells in kB. 0: it does not. */
static size_t read_line(const char *text, const char *name) {
    const char *at = strstr(text, name);
    size_t kib = 0;
    if (at == NULL) {
        return 0;
    }
    for (at += strlen(name); *at == ' ' || *at == '\t'; at++) {
    }
    for (; *at >= '0' && *at <= '9'; at++) {
        kib = kib * 10 + (size_t)(*at - '0');
    }
    return kib << 10;
}

/* Not getrusage, whose peak is also that of what the process was before exec. */
static void read_resident(struct cb_stats *stats) {
    char text[STATUS_MOST + 1];
    text[cb_os_load("/proc/self/status", text, STATUS_MOST)] = '\0';
    stats->resident = read_line(text, "\nVmRSS:");
    stats->resident_most = read_line(text, "\nVmHWM:");
}

static unsigned left_out(const struct cb_stats *stats, bool totals) {
    return (totals ? 0U : CB_LEFT_OUT_PAGES) |
           (stats->census.blocks_left_out != 0 ? CB_LEFT_OUT_BLOCKS : 0U) |
           (stats->census.large_left_out ? CB_LEFT_OUT_LARGE : 0U) |
           (stats->resident == 0 || stats->resident_most == 0 ? CB_LEFT_OUT_RESIDENT : 0U);
}

void cb_stats_read_all(struct cb_stats *stats, uint64_t milliseconds, bool interrupting) {
    if (!interrupting) {
        cb_fork_repair_if_child();
    } else if (!cb_fork_is_settled()) {
        *stats = (struct cb_stats){.left_out = CB_LEFT_OUT_PAGES | CB_LEFT_OUT_BLOCKS | CB_LEFT_OUT_LARGE |
                                               CB_LEFT_OUT_RESIDENT};
        return;
    }
    bool totals = read_totals(stats, milliseconds);
    cb_reserve_read(&stats->reserve);
    cb_os_tally(&stats->system);
    if (stats->taken > stats->reserve.most_in_use) {
        stats->reserve.most_in_use = stats->taken; /* something is being given back at this moment */
    }
    read_resident(stats);
    cb_census_take(&stats->census, milliseconds);
    stats->left_out = left_out(stats, totals);
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
            stats.free, stats.free, stats.pages.mapped, stats.pages.mapped, stats.pages.mapped,
            stats.pages.mapped);
    pthread_setcancelstate(cancelling, NULL);
    return 0;
}

CB_EXPORT struct mallinfo2 CB_NAME(mallinfo2)(void) {
    struct cb_stats stats;
    cb_stats_read(&stats);
    return (struct mallinfo2){.arena = stats.pages.mapped,
                              .ordblks = 1,
                              .uordblks = stats.in_use,
                              .fordblks = stats.free,
                              .keepcost = stats.trimmable};
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

/* Returns 1 when memory went back to the system, like glibc's. Other running threads keep their bins, and no more. */
CB_EXPORT int CB_NAME(malloc_trim)(size_t pad) {
    struct cb_pages_totals before, after;
    cb_pages_totals(&before);
    struct cb_heap *heap = cb_thread.heap;
    if (heap != NULL) {
        cb_remote_take_in(heap);
        cb_bin_empty_all(&cb_thread);
        cb_release_all(heap);
    }
    cb_heaps_trim();
    cb_room_give_back();
    cb_excess_purge(pad);
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
