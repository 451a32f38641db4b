/*
 * advice.c: prints what advise.c has found, for people and as JSON. See replay.h, and doc/trace.md for the fields.
 *
 * Layer: replay, above advise. Threads: one.
 */
#include "advise.h"
#include "replay.h"

#include <stdarg.h>
#include <stdio.h>
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

struct text {
    char *at;
    size_t room;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *text, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int length = vsnprintf(text->at, text->room, format, values);
    va_end(values);
    size_t more = length > 0 && (size_t)length < text->room ? (size_t)length : 0;
    text->at += more;
    text->room -= more;
}

static void say_bytes(struct text *text, uint64_t bytes) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;
    double value = (double)bytes;
    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    say(text, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static void say_slots(struct text *text, unsigned slots) {
    say(text, slots == 1 ? "1 slot" : slots >= 1000 ? "1,%03u slots" : "%u slots", slots % 1000);
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

static void say_verdict(struct text *text, const struct cb_advice *advice) {
    const struct cb_advice_part *all = &advice->all;
    unsigned ring = cb_advice_ring(all), sites;
    const char *each = advice->lanes > 1 ? " for each thread" : "";
    if (all->allocations == 0) {
        say(text, "It allocates nothing.");
        return;
    }
    if (cb_advice_plain(all)) {
        say(text, "It suits an arena%s, and needs no ring: all that it ever allocates is ", each);
        say_bytes(text, all->bytes);
        say(text, ", %.2f times what is in use at most.", times(all->bytes, all->peak));
        return;
    }
    if (ring < CB_RINGS) {
        say(text, "It suits an arena%s with ", each);
        say_slots(text, 1u << ring);
        say(text, ", which would hold ");
        say_bytes(text, all->most[ring]);
        say(text, " at most, %.2f times what is in use; a plain bump would hold ",
            times(all->most[ring], all->peak));
        say_bytes(text, all->bytes);
        say(text, ".");
        return;
    }
    say(text, "As a whole it does not suit an arena%s: even with ", each);
    say_slots(text, CB_RING_MOST);
    say(text, " one would hold ");
    say_bytes(text, all->most[CB_RINGS - 1]);
    say(text, " at most, %.1f times what is in use; a heap suits it.",
        times(all->most[CB_RINGS - 1], all->peak));
    uint64_t allocations = of_suitable_sites(advice, &sites);
    if (sites > 0) {
        say(text,
            sites == 1 ? " But %u of its call sites, with %.0f %% of the allocations, would suit an arena of "
                         "its own."
                       : " But %u of its call sites, with %.0f %% of the allocations, would suit arenas of "
                         "their own.",
            sites, percent(allocations, all->allocations));
    }
}

/* ---- For people ---- */

static void print_bytes(uint64_t bytes) {
    char line[64];
    say_bytes(&(struct text){line, sizeof line}, bytes);
    printf("%s", line);
}

static void print_bar(double share) {
    for (double at = 100.0 / BAR / 2; at <= share; at += 100.0 / BAR) {
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
    print_bytes(most);
    printf(" at most, %.2f times what is in use\n", times(most, peak));
}

static void print_rings(const struct cb_advice *advice) {
    const struct cb_advice_part *all = &advice->all;
    printf("\nA ring of so many slots takes back so many frees at once, and its arena holds:\n");
    for (unsigned i = 0; i < CB_RINGS; i++) {
        char name[32];
        say_slots(&(struct text){name, sizeof name}, 1u << i);
        print_ring(name, percent(all->remembered[i], all->frees), all->most[i], all->peak);
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
        char verdict[32] = "unsuitable";
        if (cb_advice_plain(part)) {
            strcpy(verdict, "needs no ring");
        } else if (ring < CB_RINGS) {
            say_slots(&(struct text){verdict, sizeof verdict}, 1u << ring);
        }
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
    print_bytes(all->bytes);
    printf(", at most ");
    print_bytes(all->peak);
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

int cb_print_advice(const char *path, bool json) {
    static struct cb_advice advice;
    struct cb_trace_reader reader;
    char verdict[512] = "";
    int status = 0;
    bool good = cb_trace_open(&reader, path) && cb_advise(&advice, &reader);
    if (good) {
        say_verdict(&(struct text){verdict, sizeof verdict}, &advice);
        if (json) {
            print_json(&advice, &reader, path, verdict);
        } else {
            print_text(&advice, &reader, verdict);
        }
        status = fflush(stdout) == 0 && !ferror(stdout) ? 0 : CB_UNREADABLE;
    }
    if (!good || status != 0) {
        cb_complain("%s: %s", good ? "standard output" : path, good ? "cannot be written to" : reader.error);
        status = CB_UNREADABLE;
    }
    cb_trace_close(&reader);
    return status;
}
