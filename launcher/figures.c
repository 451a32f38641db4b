/*
 * figures.c: medians. See figures.h.
 *
 * Layer: launcher, above nothing. Threads: any.
 */
#include "figures.h"

#include <math.h>
#include <stdlib.h>

#define ROUNDS_FOR_SPREAD 3
#define SPREADS 2.0
#define LEAST_DIFFERENCE 0.01

static int compare(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare);
    return count % 2 != 0 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

struct cb_figures cb_figures_of(double *values, size_t count) {
    struct cb_figures figures = {.count = count};
    if (count == 0) {
        return figures;
    }
    figures.median = median(values, count);
    figures.least = values[0];
    figures.most = values[count - 1];
    for (size_t i = 0; i < count; i++) {
        values[i] = fabs(values[i] - figures.median);
    }
    figures.spread = median(values, count);
    return figures;
}

bool cb_figures_tie(const struct cb_figures *ratios) {
    double difference = fabs(ratios->median - 1);
    bool within_spread = ratios->count >= ROUNDS_FOR_SPREAD && difference <= SPREADS * ratios->spread;
    return within_spread || difference < LEAST_DIFFERENCE;
}
