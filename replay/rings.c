/*
 * rings.c: see rings.h.
 *
 * Layer: replay. Threads: one.
 */
#include "rings.h"

#include <string.h>

uint64_t cb_rings_push(struct cb_rings *rings, uint64_t size) {
    uint64_t number = rings->height++;
    rings->size[number % CB_RING_MOST] = size;
    rings->dead[number % CB_RING_MOST] = false;
    rings->live++;
    for (unsigned i = 0; i < CB_RINGS; i++) {
        rings->held[i] += size;
        rings->known[i] += rings->known[i] < 1u << i;
    }
    return number;
}

static void fall_back(struct cb_rings *rings) {
    while (rings->known[CB_RINGS - 1] > 0 && rings->dead[(rings->height - 1) % CB_RING_MOST]) {
        uint64_t size = rings->size[--rings->height % CB_RING_MOST];
        for (unsigned i = 0; i < CB_RINGS; i++) {
            if (rings->known[i] > 0) {
                rings->known[i]--;
                rings->held[i] -= size;
            }
        }
    }
}

unsigned cb_rings_free(struct cb_rings *rings, uint64_t number) {
    uint64_t above = rings->height - 1 - number;
    unsigned least = 0;
    while (least < CB_RINGS && above >= rings->known[least]) {
        least++;
    }
    if (least < CB_RINGS) {
        rings->dead[number % CB_RING_MOST] = true;
        fall_back(rings);
    }
    if (--rings->live == 0) {
        rings->height = 0;
        memset(rings->held, 0, sizeof rings->held);
        memset(rings->known, 0, sizeof rings->known);
    }
    return least;
}
