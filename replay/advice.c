/*
 * advice.c: prints what advise.c has found, for people and as JSON. See replay.h, and doc/trace.md for the fields.
 *
 * Layer: replay, above advise. Threads: one.
 */
#include "advise.h"
#include "replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1 /* of the JSON */
#define BAR 40    /* characters for 100 % */

typedef unsigned long long number;

static double percent(uint64_t part, uint64_t all) {
    return all > 0 ? 100.0 * (double)part / (double)all : 0;
}

static double times(uint64_t bytes, uint64_t base) {
    return base > 0 ? (double)bytes / (double)base : 0;
}

/* ---- The sentence ---- */

static void say_bytes(FILE *to, uint64_t bytes) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;
    double value = (double)bytes;
    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    fprintf(to, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

/* The name of ring i. */
static const char *slots_of(unsigned ring) {
    static const char *const names[CB_RINGS] = {"1 slot",    "2 slots",   "4 slots",    "8 slots",
                                                "16 slots",  "32 slots",  "64 slots",   "128 slots",
                                                "256 slots", "512 slots", "1,024 slots"};
    return names[ring];
}

static uint64_t of_suitable_sites(const struct cb_advice *advice, unsigned *count) {
    uint64_t allocations = 0;
    *count = 0;
    for (uint32_t i = 0; i < advice->site_count; i++) {
        if (cb_advice_ring(&advice->sites[i].part) < CB_RINGS) {
            allocations += advice->sites[i].part.allocations;
            ++*count;
        }
    }
    return allocations;
}

static void say_unsuitable(FILE *to, const struct cb_advice *advice, const char *each) {
    const struct cb_advice_part *all = &advice->all;
    unsigned sites;
    fprintf(to, "As a whole it does not suit an arena%s: even with ", each);
    fprintf(to, "%s", slots_of(CB_RINGS - 1));
    fprintf(to, " one would hold ");
    say_bytes(to, all->most[CB_RINGS - 1]);
    fprintf(to, " at most, %.1f times what is in use; a heap suits it.",
            times(all->most[CB_RINGS - 1], all->peak));
    uint64_t allocations = of_suitable_sites(advice, &sites);
    if (sites > 0) {
        fprintf(to,
                sites == 1
                    ? " But %u of its call sites, with %.0f %% of the allocations, would suit an arena of "
                      "its own."
                    : " But %u of its call sites, with %.0f %% of the allocations, would suit arenas of "
                      "their own.",
                sites, percent(allocations, all->allocations));
    }
}

static void say_verdict(FILE *to, const struct cb_advice *advice) {
    const struct cb_advice_part *all = &advice->all;
    unsigned ring = cb_advice_ring(all);
    const char *each = advice->lanes > 1 ? " for each thread" : "";
    if (all->allocations == 0) {
        fprintf(to, "It allocates nothing.");
        return;
    }
    if (cb_advice_plain(all)) {
        fprintf(to, "It suits an arena%s, and needs no ring: all that it ever allocates is ", each);
        say_bytes(to, all->bytes);
        fprintf(to, ", %.2f times what is in use at most.", times(all->bytes, all->peak));
        return;
    }
    if (ring < CB_RINGS) {
        fprintf(to, "It suits an arena%s with ", each);
        fprintf(to, "%s", slots_of(ring));
        fprintf(to, ", which would hold ");
        say_bytes(to, all->most[ring]);
        fprintf(to, " at most, %.2f times what is in use; a plain bump would hold ",
                times(all->most[ring], all->peak));
        say_bytes(to, all->bytes);
        fprintf(to, ".");
        return;
    }
    say_unsuitable(to, advice, each);
}

/* ---- For people ---- */

static void print_bar(double share) {
    for (int left = (int)(share * BAR / 100 + 0.5); left > 0; left--) {
        putchar('#');
    }
    putchar('\n');
}

static void print_range(uint64_t from, uint64_t to) {
    char range[48];
    snprintf(range, sizeof range, from == to ? "%llu" : "%llu to %llu", (number)from, (number)to);
    printf("  %21s", range);
}

static void print_distances(const struct cb_advice *advice) {
    printf("\nLive blocks above the freed one, on the stack of its thread:\n");
    for (unsigned i = 0; i < CB_DISTANCES; i++) {
        if (advice->distances[i] > 0) {
            double share = percent(advice->distances[i], advice->all.frees);
            print_range(i > 0 ? UINT64_C(1) << (i - 1) : 0, (UINT64_C(1) << i) - 1);
            printf("  %6.2f %%  ", share);
            print_bar(share);
        }
    }
}

static void print_ring(const char *name, double share, uint64_t most, uint64_t peak) {
    printf("  %21s  %6.2f %%  ", name, share);
    say_bytes(stdout, most);
    printf(" at most, %.2f times what is in use\n", times(most, peak));
}

static void print_rings(const struct cb_advice *advice) {
    const struct cb_advice_part *all = &advice->all;
    printf("\nA ring of so many slots takes back so many frees at once, and its arena holds:\n");
    for (unsigned i = 0; i < CB_RINGS; i++) {
        print_ring(slots_of(i), percent(all->remembered[i], all->frees), all->most[i], all->peak);
    }
    print_ring("no ring: plain bump", 0, all->bytes, all->peak);
}

static void print_place(const struct cb_trace_reader *reader, uint32_t index) {
    struct cb_trace_site site = cb_trace_site(reader, index);
    struct cb_trace_module module = cb_trace_module(reader, site.module);
    printf("%.*s+0x%llx\n", module.path != NULL ? (int)module.length : 1,
           module.path != NULL ? module.path : "?", (number)site.offset);
}

static void print_sites(const struct cb_advice *advice, const struct cb_trace_reader *reader) {
    if (advice->site_count == 0) {
        return;
    }
    printf("\nThe call sites with most allocations, each with an arena of its own:\n");
    for (uint32_t i = 0; i < advice->site_count; i++) {
        const struct cb_advice_part *part = &advice->sites[i].part;
        unsigned ring = cb_advice_ring(part);
        const char *verdict = cb_advice_plain(part) ? "needs no ring"
                              : ring < CB_RINGS     ? slots_of(ring)
                                                    : "unsuitable";
        printf("  %21s  %6.2f %%  ", verdict, percent(part->allocations, advice->all.allocations));
        print_place(reader, advice->sites[i].site);
    }
}

static void print_command(const struct cb_trace_header *header) {
    for (size_t at = 0; at < header->command_bytes;) {
        size_t length = strnlen(header->command + at, header->command_bytes - at);
        printf("%s%.*s", at > 0 ? " " : "", (int)length, header->command + at);
        at += length + 1;
    }
}

static void print_text(const struct cb_advice *advice, const struct cb_trace_reader *reader,
                       const char *verdict) {
    const struct cb_advice_part *all = &advice->all;
    print_command(reader->header);
    printf("\n%llu allocations of ", (number)all->allocations);
    say_bytes(stdout, all->bytes);
    printf(", at most ");
    say_bytes(stdout, all->peak);
    printf(" in use; %llu frees", (number)all->frees);
    if (advice->unknown > 0) {
        printf(", and %llu of blocks that were there before", (number)advice->unknown);
    }
    printf("\n");
    if (all->allocations > 0) {
        print_distances(advice);
        print_rings(advice);
        print_sites(advice, reader);
    }
    printf("\n%s\n", verdict);
}

/* ---- JSON ---- */

static void json_part(const struct cb_advice_part *part) {
    printf(
        "\"allocations\": %llu, \"frees\": %llu, \"bytes\": %llu, \"peak_bytes\": %llu, \"end_bytes\": %llu",
        (number)part->allocations, (number)part->frees, (number)part->bytes, (number)part->peak,
        (number)part->live);
}

static void json_rings(const struct cb_advice_part *part) {
    printf("\"rings\": [");
    for (unsigned i = 0; i < CB_RINGS; i++) {
        printf("%s\n    {\"slots\": %u, \"remembered\": %llu, \"most_bytes\": %llu, \"end_bytes\": %llu}",
               i > 0 ? "," : "", 1u << i, (number)part->remembered[i], (number)part->most[i],
               (number)part->held[i]);
    }
    printf("\n  ]");
}

static void json_verdict(const struct cb_advice_part *part) {
    unsigned ring = cb_advice_ring(part);
    printf("\"suits\": %s, \"needs_ring\": %s, ", ring < CB_RINGS ? "true" : "false",
           cb_advice_plain(part) ? "false" : "true");
}

static void json_distances(const struct cb_advice *advice) {
    const char *separator = "";
    printf("  \"distances\": [");
    for (unsigned i = 0; i < CB_DISTANCES; i++) {
        if (advice->distances[i] > 0) {
            printf("%s\n    {\"from\": %llu, \"to\": %llu, \"frees\": %llu}", separator,
                   i > 0 ? (number)1 << (i - 1) : 0, ((number)1 << i) - 1, (number)advice->distances[i]);
            separator = ",";
        }
    }
    printf("\n  ],\n");
}

static void json_lifetimes(const struct cb_advice *advice) {
    const char *separator = "";
    printf("  \"lifetimes\": [");
    for (unsigned size = 0; size < CB_LOGS - 1; size++) {
        const uint64_t *ages = advice->lifetimes[size];
        unsigned count = CB_LOGS;
        while (count > 0 && ages[count - 1] == 0) {
            count--;
        }
        if (count == 0 && advice->never_freed[size] == 0) {
            continue;
        }
        printf("%s\n    {\"from\": %llu, \"to\": %llu, \"never_freed\": %llu, \"objects\": [", separator,
               size > 0 ? (number)1 << (size - 1) : 0, ((number)1 << size) - 1,
               (number)advice->never_freed[size]);
        for (unsigned age = 1; age < count; age++) {
            printf("%s%llu", age > 1 ? ", " : "", (number)ages[age]);
        }
        printf("]}");
        separator = ",";
    }
    printf("\n  ],\n");
}

static void json_sites(const struct cb_advice *advice, const struct cb_trace_reader *reader) {
    printf("  \"sites\": [");
    for (uint32_t i = 0; i < advice->site_count; i++) {
        struct cb_trace_site site = cb_trace_site(reader, advice->sites[i].site);
        struct cb_trace_module module = cb_trace_module(reader, site.module);
        const struct cb_advice_part *part = &advice->sites[i].part;
        unsigned ring = cb_advice_ring(part);
        printf("%s\n   {\"module\": ", i > 0 ? "," : "");
        cb_json_text(module.path != NULL ? module.path : "", module.length);
        printf(", \"offset\": %llu, ", (number)site.offset);
        json_part(part);
        printf(", ");
        json_verdict(part);
        printf("\"slots\": ");
        printf(ring < CB_RINGS ? "%u" : "null", 1u << ring % CB_RINGS);
        printf(",\n   ");
        json_rings(part);
        printf("}");
    }
    printf("\n  ],\n");
}

static void json_skyline(const struct cb_skyline *skyline) {
    printf("  \"skyline\": {\"lane\": %u, \"calls\": %llu, \"points\": [", skyline->lane,
           (number)skyline->calls);
    for (uint32_t i = 0; i < skyline->count; i++) {
        const struct cb_skyline_point *point = &skyline->points[i];
        printf("%s\n    [%llu, %llu, %llu, %llu, %llu]", i > 0 ? "," : "", (number)point->calls,
               (number)point->least, (number)point->most, (number)point->live, (number)point->bytes);
    }
    printf("\n  ], \"close\": {\"first\": %llu, \"points\": [", (number)skyline->close_first);
    for (uint32_t i = 0; i < skyline->close_count; i++) {
        printf("%s[%llu, %llu]", i > 0 ? ", " : "", (number)skyline->close[i].held,
               (number)skyline->close[i].live);
    }
    printf("]}}\n");
}

static void print_json(const struct cb_advice *advice, const struct cb_trace_reader *reader, const char *path,
                       const char *verdict) {
    printf("{\n  \"version\": %d,\n  \"file\": ", VERSION);
    cb_json_text(path, strlen(path));
    printf(",\n");
    cb_json_command(reader->header);
    printf("  \"lanes\": %u,\n  \"unknown\": %llu,\n  ", advice->lanes, (number)advice->unknown);
    json_part(&advice->all);
    printf(",\n  ");
    json_verdict(&advice->all);
    printf("\"slots\": %u,\n  \"verdict\": ", advice->slots);
    cb_json_text(verdict, strlen(verdict));
    printf(",\n  ");
    json_rings(&advice->all);
    printf(",\n");
    json_distances(advice);
    json_lifetimes(advice);
    json_sites(advice, reader);
    json_skyline(&advice->skyline);
    printf("}\n");
}

static bool print_all(const struct cb_advice *advice, const struct cb_trace_reader *reader, const char *path,
                      bool json) {
    char *verdict = NULL;
    size_t length;
    FILE *to = open_memstream(&verdict, &length);
    if (to == NULL) {
        return false;
    }
    say_verdict(to, advice);
    bool good = fclose(to) == 0;
    if (good && json) {
        print_json(advice, reader, path, verdict);
    } else if (good) {
        print_text(advice, reader, verdict);
    }
    free(verdict);
    return good && fflush(stdout) == 0 && !ferror(stdout);
}

int cb_print_advice(const char *path, bool json) {
    static struct cb_advice advice;
    struct cb_trace_reader reader;
    bool read = cb_trace_open(&reader, path) && cb_advise(&advice, &reader);
    bool good = read && print_all(&advice, &reader, path, json);
    if (!good) {
        cb_complain("%s: %s", read ? "standard output" : path, read ? "cannot be written to" : reader.error);
    }
    cb_trace_close(&reader);
    return good ? 0 : CB_UNREADABLE;
}
