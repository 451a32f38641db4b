/*
 * advise.c: see advise.h.
 *
 * The first reading counts the whole program and each site. The second one gives the sites with most allocations arenas
 * of their own, and draws the skyline of the lane with most calls, since only then is the number of slots known.
 *
 * Memory: a record for each block that is live, a few bits for each place of a stack, and some 12 KiB for each lane, in
 * the second reading for each site and lane.
 *
 * Layer: replay. Threads: one.
 */
#include "advise.h"

#include "order.h"

#include <stdlib.h>
#include <string.h>

#define ENOUGH 0.95 /* of the frees that the largest ring remembers: more slots gain little */
#define DEAD_COUNTS                                                                                          \
    3 /* times more, for the closer look, what was dead already when the cursor fell over it */
#define NO_SITE CB_ADVICE_SITES

struct block {
    uint64_t size;
    uint64_t number;  /* in the rings of its lane */
    uint64_t of_site; /* second reading: the number in those of its site and lane */
    uint32_t place;   /* first reading: in the order of its lane */
    uint32_t lane;
    uint32_t rank; /* second reading: of the site; NO_SITE */
};

struct lane {
    struct cb_order order;
    struct cb_rings rings;
    uint64_t calls;
};

struct reading {
    struct cb_advice *advice;
    struct cb_trace_reader *reader;
    struct cb_vector blocks;              /* struct block, by the number of the object */
    struct cb_vector site_counts;         /* uint64_t: first reading: allocations by site */
    struct cb_vector ranks;               /* uint8_t: second reading: 1 + rank by site; 0: not looked at */
    struct lane **lanes;                  /* NULL where none is needed */
    struct cb_rings **of_sites;           /* second reading: by rank and lane */
    unsigned ring;                        /* second reading: of the skyline */
    uint64_t lane_live, lane_bytes;       /* second reading: of the skyline's lane */
    uint64_t falls;                       /* of the cursor in the calls in `window`, weighted */
    uint64_t most_falls;                  /* in those in `close` */
    uint64_t window[CB_SKYLINE_CLOSE][2]; /* held and live after the last calls */
};

static unsigned log_of(uint64_t number) {
    return number == 0 ? 0 : 64 - (unsigned)__builtin_clzll(number);
}

static struct block *block_at(const struct reading *reading, uint32_t object) {
    return (struct block *)reading->blocks.start + object;
}

/* ---- A part: all, or a site ---- */

static void part_allocates(struct cb_advice_part *part, struct cb_rings *rings, uint64_t size,
                           uint64_t *number) {
    part->allocations++;
    part->bytes += size;
    part->live += size;
    part->peak = part->live > part->peak ? part->live : part->peak;
    *number = cb_rings_push(rings, size);
    for (unsigned i = 0; i < CB_RINGS; i++) {
        part->held[i] += size;
        part->most[i] = part->held[i] > part->most[i] ? part->held[i] : part->most[i];
    }
}

static void part_frees(struct cb_advice_part *part, struct cb_rings *rings, uint64_t size, uint64_t number) {
    uint64_t before[CB_RINGS];
    memcpy(before, rings->held, sizeof before);
    part->frees++;
    part->live -= size;
    for (unsigned i = cb_rings_free(rings, number); i < CB_RINGS; i++) {
        part->remembered[i]++;
    }
    for (unsigned i = 0; i < CB_RINGS; i++) {
        part->held[i] -= before[i] - rings->held[i];
    }
}

unsigned cb_advice_ring(const struct cb_advice_part *part) {
    unsigned ring = 0;
    while (ring < CB_RINGS && (double)part->most[ring] > CB_ADVICE_WASTE * (double)part->peak) {
        ring++;
    }
    return ring;
}

bool cb_advice_plain(const struct cb_advice_part *part) {
    return (double)part->bytes <= CB_ADVICE_WASTE * (double)part->peak;
}

static void decide(struct cb_advice *advice) {
    const struct cb_advice_part *all = &advice->all;
    unsigned ring = cb_advice_ring(all);
    advice->suits = ring < CB_RINGS;
    if (!advice->suits) {
        ring = 0;
        while ((double)all->remembered[ring] < ENOUGH * (double)all->remembered[CB_RINGS - 1]) {
            ring++;
        }
    }
    advice->slots = 1u << ring;
}

/* ---- The first reading ---- */

static struct lane *lane_of(const struct reading *reading, uint32_t number) {
    if (reading->lanes[number] == NULL) {
        reading->lanes[number] = calloc(1, sizeof(struct lane));
        reading->advice->lanes += reading->lanes[number] != NULL;
    }
    return reading->lanes[number];
}

static bool first_allocates(struct reading *reading, const struct cb_trace_event *event) {
    struct lane *lane = lane_of(reading, event->lane);
    if (lane == NULL ||
        !cb_vector_reserve(&reading->blocks, (size_t)event->object + 1, sizeof(struct block)) ||
        !cb_vector_reserve(&reading->site_counts, (size_t)event->site + 1, sizeof(uint64_t))) {
        return false;
    }
    struct block *block = block_at(reading, event->object);
    block->size = event->size;
    block->lane = event->lane;
    lane->calls++;
    ((uint64_t *)reading->site_counts.start)[event->site]++;
    part_allocates(&reading->advice->all, &lane->rings, event->size, &block->number);
    reading->advice->never_freed[log_of(event->size)]++;
    struct block *blocks = reading->blocks.start;
    return cb_order_push(&lane->order, event->object,
                         (struct cb_order_places){(uint8_t *)&blocks->place, sizeof(struct block)});
}

static bool first_frees(struct reading *reading, const struct cb_trace_event *event) {
    struct cb_advice *advice = reading->advice;
    const struct block *block = block_at(reading, event->object);
    struct lane *lane = lane_of(reading, block->lane);
    lane->calls++;
    advice->distances[log_of(cb_order_above(&lane->order, block->place))]++;
    cb_order_remove(&lane->order, block->place);
    part_frees(&advice->all, &lane->rings, block->size, block->number);
    advice->never_freed[log_of(block->size)]--;
    advice->lifetimes[log_of(block->size)][log_of(event->age)]++;
    return true;
}

/* ---- The second reading ---- */

static void add_point(struct cb_skyline *skyline, const struct reading *reading, uint64_t held) {
    struct cb_skyline_point *points = skyline->points;
    if (skyline->calls % skyline->stride == 0) {
        if (skyline->count == CB_SKYLINE_POINTS) {
            for (uint32_t i = 0; i < CB_SKYLINE_POINTS / 2; i++) {
                const struct cb_skyline_point *a = &points[2 * i], *b = a + 1;
                uint64_t least = a->least < b->least ? a->least : b->least;
                uint64_t most = a->most > b->most ? a->most : b->most;
                points[i] = *b;
                points[i].least = least;
                points[i].most = most;
            }
            skyline->count /= 2;
            skyline->stride *= 2;
        }
        points[skyline->count++] = (struct cb_skyline_point){.least = held, .most = held};
    }
    struct cb_skyline_point *last = &points[skyline->count - 1];
    last->calls = ++skyline->calls;
    last->least = held < last->least ? held : last->least;
    last->most = held > last->most ? held : last->most;
    last->live = reading->lane_live;
    last->bytes = reading->lane_bytes;
}

/* Keeps those of the calls in a row in which the cursor fell most often. */
static void look_closely(struct reading *reading, uint64_t held) {
    struct cb_skyline *skyline = &reading->advice->skyline;
    uint32_t at = (uint32_t)((skyline->calls - 1) % CB_SKYLINE_CLOSE);
    reading->window[at][0] = held;
    reading->window[at][1] = reading->lane_live;
    bool whole = at + 1 == CB_SKYLINE_CLOSE;
    if (skyline->calls <= CB_SKYLINE_CLOSE || (whole && reading->falls > reading->most_falls)) {
        for (uint32_t i = 0; i <= at; i++) {
            skyline->close[i].held = reading->window[i][0];
            skyline->close[i].live = reading->window[i][1];
        }
        skyline->close_count = at + 1;
        skyline->close_first = skyline->calls - 1 - at;
        reading->most_falls = reading->falls;
    }
    reading->falls = whole ? 0 : reading->falls;
}

/* After a call of the skyline's lane. */
static void draw(struct reading *reading, uint64_t before, uint64_t freed) {
    uint64_t held = reading->lanes[reading->advice->skyline.lane]->rings.held[reading->ring];
    reading->falls += before > held;
    reading->falls += before > held && before - held > freed ? DEAD_COUNTS : 0;
    add_point(&reading->advice->skyline, reading, held);
    look_closely(reading, held);
}

static uint32_t rank_of(const struct reading *reading, uint32_t site) {
    return site < reading->ranks.bytes && ((uint8_t *)reading->ranks.start)[site] > 0
               ? ((uint8_t *)reading->ranks.start)[site] - 1u
               : NO_SITE;
}

static struct cb_rings *rings_of_site(const struct reading *reading, uint32_t rank, uint32_t lane) {
    struct cb_rings **rings = &reading->of_sites[(size_t)rank * reading->reader->lane_count + lane];
    if (*rings == NULL) {
        *rings = calloc(1, sizeof **rings);
    }
    return *rings;
}

static bool second_allocates(struct reading *reading, const struct cb_trace_event *event) {
    if (!cb_vector_reserve(&reading->blocks, (size_t)event->object + 1, sizeof(struct block))) {
        return false;
    }
    struct block *block = block_at(reading, event->object);
    *block = (struct block){.size = event->size, .lane = event->lane, .rank = rank_of(reading, event->site)};
    if (block->rank != NO_SITE) {
        struct cb_rings *rings = rings_of_site(reading, block->rank, block->lane);
        if (rings == NULL) {
            return false;
        }
        part_allocates(&reading->advice->sites[block->rank].part, rings, block->size, &block->of_site);
    }
    if (event->lane == reading->advice->skyline.lane) {
        struct lane *lane = reading->lanes[event->lane];
        uint64_t before = lane->rings.held[reading->ring];
        block->number = cb_rings_push(&lane->rings, event->size);
        reading->lane_live += event->size;
        reading->lane_bytes += event->size;
        draw(reading, before, 0);
    }
    return true;
}

static bool second_frees(struct reading *reading, const struct cb_trace_event *event) {
    const struct block *block = block_at(reading, event->object);
    if (block->rank != NO_SITE) {
        part_frees(&reading->advice->sites[block->rank].part,
                   rings_of_site(reading, block->rank, block->lane), block->size, block->of_site);
    }
    if (block->lane == reading->advice->skyline.lane) {
        struct lane *lane = reading->lanes[block->lane];
        uint64_t before = lane->rings.held[reading->ring];
        cb_rings_free(&lane->rings, block->number);
        reading->lane_live -= block->size;
        draw(reading, before, block->size);
    }
    return true;
}

/* ---- Both ---- */

typedef bool visit(struct reading *reading, const struct cb_trace_event *event);

static bool read_all(struct reading *reading, struct cb_trace_reader *reader, visit *allocates,
                     visit *frees) {
    struct cb_trace_event event;
    int more;
    while ((more = cb_trace_next(reader, &event)) > 0) {
        bool goes = event.kind == CB_CALL_FREE || event.kind == CB_CALL_RESIZE;
        bool comes =
            event.kind == CB_CALL_NEW || event.kind == CB_CALL_RESIZE || event.kind == CB_CALL_RESIZE_UNKNOWN;
        if ((goes && !frees(reading, &event)) || (comes && !allocates(reading, &event))) {
            strcpy(reader->error, "out of memory");
            return false;
        }
        reading->advice->unknown +=
            event.kind == CB_CALL_FREE_UNKNOWN || event.kind == CB_CALL_RESIZE_UNKNOWN;
    }
    return more == 0;
}

static void forget_lanes(const struct reading *reading) {
    for (uint32_t i = 0; i < reading->reader->lane_count; i++) {
        if (reading->lanes[i] != NULL) {
            cb_order_free(&reading->lanes[i]->order);
            free(reading->lanes[i]);
            reading->lanes[i] = NULL;
        }
    }
}

/* The sites with most allocations, in that order; and of what lane the skyline is. */
static bool choose(struct reading *reading) {
    struct cb_advice *advice = reading->advice;
    uint32_t site_count = reading->reader->site_count;
    uint64_t most = 0;
    if (!cb_vector_reserve(&reading->ranks, (size_t)site_count + 1, sizeof(uint8_t)) ||
        !cb_vector_reserve(&reading->site_counts, (size_t)site_count + 1, sizeof(uint64_t))) {
        return false;
    }
    const uint64_t *counts = reading->site_counts.start;
    for (uint32_t site = 1; site <= site_count && counts != NULL; site++) {
        if (counts[site] == 0 || counts[site] < advice->all.allocations / CB_ADVICE_RARE) {
            continue;
        }
        uint32_t at = advice->site_count;
        while (at > 0 && counts[advice->sites[at - 1].site] < counts[site]) {
            if (at < CB_ADVICE_SITES) {
                advice->sites[at].site = advice->sites[at - 1].site;
            }
            at--;
        }
        if (at < CB_ADVICE_SITES) {
            advice->sites[at].site = site;
            advice->site_count += advice->site_count < CB_ADVICE_SITES;
        }
    }
    for (uint32_t i = 0; i < advice->site_count; i++) {
        ((uint8_t *)reading->ranks.start)[advice->sites[i].site] = (uint8_t)(i + 1);
    }
    for (uint32_t i = 0; i < reading->reader->lane_count; i++) {
        if (reading->lanes[i] != NULL && reading->lanes[i]->calls > most) {
            most = reading->lanes[i]->calls;
            advice->skyline.lane = i;
        }
    }
    return true;
}

/* The first reading is over. */
static bool read_again(struct reading *reading) {
    struct cb_trace_reader again;
    struct cb_advice *advice = reading->advice;
    uint64_t unknown = advice->unknown;
    uint32_t lanes = advice->lanes, lane_count = reading->reader->lane_count;
    if (lanes == 0) {
        return true;
    }
    bool good = choose(reading);
    forget_lanes(reading);
    decide(advice);
    reading->ring = log_of(advice->slots) - 1;
    reading->of_sites = calloc((size_t)lane_count * (CB_ADVICE_SITES + 1), sizeof(struct cb_rings *));
    if (!good || reading->of_sites == NULL || lane_of(reading, advice->skyline.lane) == NULL ||
        !cb_trace_open_memory(&again, reading->reader->data, reading->reader->size)) {
        strcpy(reading->reader->error, "out of memory");
        return false;
    }
    good = read_all(reading, &again, second_allocates, second_frees);
    if (!good) {
        memcpy(reading->reader->error, again.error, sizeof again.error);
    }
    cb_trace_close(&again);
    advice->unknown = unknown;
    advice->lanes = lanes;
    return good;
}

bool cb_advise(struct cb_advice *advice, struct cb_trace_reader *reader) {
    struct reading reading = {.advice = advice, .reader = reader};
    memset(advice, 0, sizeof *advice);
    advice->skyline.stride = 1;
    reading.lanes = calloc((size_t)reader->lane_count + 1, sizeof(struct lane *));
    bool good = reading.lanes != NULL && read_all(&reading, reader, first_allocates, first_frees) &&
                read_again(&reading);
    if (reading.lanes != NULL) {
        forget_lanes(&reading);
    } else {
        strcpy(reader->error, "out of memory");
    }
    for (size_t i = 0; reading.of_sites != NULL && i < (size_t)reader->lane_count * CB_ADVICE_SITES; i++) {
        free(reading.of_sites[i]);
    }
    free(reading.of_sites);
    free(reading.lanes);
    cb_vector_free(&reading.blocks);
    cb_vector_free(&reading.site_counts);
    cb_vector_free(&reading.ranks);
    return good;
}
