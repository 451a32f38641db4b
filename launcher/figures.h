/*
 * figures.h: the middle and the spread of a few measurements, and when two of them are a tie.
 *
 * Layer: launcher, above nothing. Threads: any.
 */
#ifndef CB_LAUNCHER_FIGURES_H
#define CB_LAUNCHER_FIGURES_H

#include <stdbool.h>
#include <stddef.h>

struct cb_figures {
    size_t count;          /* 0: the others say nothing */
    double median, spread; /* spread: the median of the distances from the median */
    double least, most;
};

/* Uses up the values: what they are afterwards is of no meaning. */
struct cb_figures cb_figures_of(double *values, size_t count);

/*
 * Whether ratios, each of two measurements of one round, say that the two are equal: when their median
 * differs from 1 by no more than twice their spread, or by less than a hundredth. Fewer than three have no
 * spread to speak of, and only the hundredth counts. Taken within a round, since what slows down one of its
 * runs slows down the other.
 */
bool cb_figures_tie(const struct cb_figures *ratios);
#define CB_FIGURES_RULE                                                                                      \
    "the ratio to glibc is the median of those within each round; it is a tie when it differs from 1 by at " \
    "most twice their MAD, or by less than 1 %"

#endif
