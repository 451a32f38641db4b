/*
 * table.c: prints a comparison for people. See compare.h.
 *
 * Layer: launcher, above figures. Threads: one.
 */
#include "compare.h"

#include "say.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define ROUNDS_FOR_A_TIE 3

static const struct {
    const char *title; /* of the table */
    const char *name;  /* in the sentence below it */
    int digits;        /* after the point */
} measures[CB_MEASURES] = {
    [CB_MEASURE_CPU] = {"user+sys time, s", "user+sys time", 3},
    [CB_MEASURE_WALL] = {"wall time, s", "wall time", 3},
    [CB_MEASURE_PEAK] = {"peak memory, MiB", "peak memory", 1},
    [CB_MEASURE_FAULTS] = {"page faults", "page faults", 0},
};

/* As a shell would take it. */
static void print_word(const char *word) {
    bool plain = word[0] != '\0';
    for (const char *at = word; *at != '\0'; at++) {
        plain = plain && (isalnum((unsigned char)*at) || strchr("_./=:,+@%-", *at) != NULL);
    }
    if (plain) {
        fputs(word, stdout);
        return;
    }
    putchar('\'');
    for (const char *at = word; *at != '\0'; at++) {
        fputs(*at == '\'' ? "'\\''" : (char[]){*at, '\0'}, stdout);
    }
    putchar('\'');
}

static void print_heading(const struct cb_comparison *comparison) {
    for (char **word = comparison->program; *word != NULL; word++) {
        fputs(word == comparison->program ? "" : " ", stdout);
        print_word(*word);
    }
    printf(": %u round%s, each malloc in turn, after one run that is not measured.\n"
           "That one was shown; what the others write went to /dev/null.\n",
           comparison->rounds, comparison->rounds != 1 ? "s" : "");
    if (WEXITSTATUS(comparison->first.status) != 0) {
        printf("Each run ends with exit status %d.\n", WEXITSTATUS(comparison->first.status));
    }
}

static void print_row(const struct cb_comparison *comparison, const struct cb_contender *contender,
                      int measure) {
    const struct cb_figures *of = &contender->figures[measure], *ratios = &contender->ratios[measure];
    int digits = measures[measure].digits;
    if (of->count == 0) {
        printf("  %-20s%11s\n", contender->name, "-");
        return;
    }
    printf("  %-20s%11.*f%10.*f%11.*f%11.*f", contender->name, digits, of->median, digits, of->spread, digits,
           of->least, digits, of->most);
    if (contender == comparison->contenders) {
        printf("%9s\n", "1");
    } else if (ratios->count == 0) {
        printf("%9s\n", "-");
    } else if (cb_figures_tie(ratios)) {
        printf("%9s\n", "tie");
    } else {
        printf("%9.3f\n", ratios->median);
    }
}

/* How often a contender ended otherwise, and how the first time. */
static void print_differing(const struct cb_comparison *comparison, const struct cb_contender *contender) {
    for (unsigned round = 0; round < comparison->rounds; round++) {
        const struct cb_outcome *run = &contender->runs[round];
        if (run->status != comparison->first.status || run->error != 0) {
            char *how = cb_child_describe(run), *expected = cb_child_describe(&comparison->first);
            printf("\n%s: %u of %u runs ended otherwise than the first: %s, not %s. They are in no figure.\n",
                   contender->name, contender->differing, comparison->rounds, how, expected);
            free(how);
            free(expected);
            return;
        }
    }
}

static char *in_words(const struct cb_figures *ratios, const char *name) {
    double ratio = ratios->median;
    if (ratios->count == 0) {
        return cb_text("%s: too little to compare", name);
    }
    if (cb_figures_tie(ratios)) {
        return cb_text("%s: a tie", name);
    }
    if (ratio >= 2) {
        return cb_text("%s: %.1f times", name, ratio);
    }
    return cb_text("%s: %.0f %% %s", name, (ratio < 1 ? 1 - ratio : ratio - 1) * 100,
                   ratio < 1 ? "less" : "more");
}

static void print_verdict(const struct cb_comparison *comparison) {
    const struct cb_contender *glibc = &comparison->contenders[0], *cutback = &comparison->contenders[1];
    if (glibc->figures[0].count == 0 || cutback->figures[0].count == 0) {
        return;
    }
    fputs("\ncutback against glibc: ", stdout);
    for (int measure = 0; measure < CB_MEASURES; measure++) {
        char *words = in_words(&cutback->ratios[measure], measures[measure].name);
        printf("%s%s", words, measure + 1 < CB_MEASURES ? "; " : ".\n");
        free(words);
    }
}

void cb_compare_print(const struct cb_comparison *comparison) {
    putchar('\n');
    print_heading(comparison);
    for (int measure = 0; measure < CB_MEASURES; measure++) {
        printf("\n%-22s%11s%10s%11s%11s%9s\n", measures[measure].title, "median", "MAD", "least", "most",
               "ratio");
        for (unsigned i = 0; i < comparison->count; i++) {
            print_row(comparison, &comparison->contenders[i], measure);
        }
    }
    for (unsigned i = 0; i < comparison->count; i++) {
        print_differing(comparison, &comparison->contenders[i]);
    }
    print_verdict(comparison);
    puts("The ratio to glibc is the median of those within each round; it is a tie when it differs from 1\n"
         "by at most twice their MAD (the median distance from the median), or by less than 1 %.");
    if (comparison->rounds < ROUNDS_FOR_A_TIE) {
        puts("With so few rounds there is no MAD to speak of: ask for more with -n.");
    }
}
