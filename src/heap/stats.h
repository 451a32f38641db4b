/*
 * stats.h: figures about the whole process.
 *
 * Layer: heap. Threads: any; figures of running threads are read without stopping them.
 */
#ifndef CB_HEAP_STATS_H
#define CB_HEAP_STATS_H

#include "heap/pages.h"

struct cb_stats {
    struct cb_pages_totals pages;
    size_t metadata;   /* bytes mapped for maps, tables, heaps and rings */
    size_t rooms;      /* bytes of address space behind large objects that grow */
    size_t blocks;     /* bytes of blocks handed to runs */
    size_t dead;       /* of these, bytes in dead runs */
    size_t dead_pages; /* of these, bytes in whole pages that are still resident */
    size_t heaps;
};

void cb_stats_read(struct cb_stats *stats);

/* Writes the line that stats=1 prints at exit. */
void cb_stats_report(void);

#endif
