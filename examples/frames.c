/*
 * A frame allocator, as games have it: boxes move in a field, and in each frame those that overlap are found.
 *
 *     frames [FRAMES]              for instance: frame 60: 37 pairs, 9 new; 17496 bytes at most, 8000 afterwards
 *
 * It shows a scope for each frame. What a frame allocates needs no free: the order of the boxes along one axis, a list
 * of pairs that grows on top, a scope inside that of the frame for what one of its steps needs. What was there before
 * the frame stays. What has to outlive its frame, here the pairs, to be compared with those of the next, is in one of
 * two arenas that take turns: each is cleared when it is its turn again.
 *
 * Exit status: 0; 1: out of memory; 2: wrong argument.
 */
#include <cutback_util.h>
#include <stdalign.h>
#include <stdlib.h>

enum { BOXES = 400, FIELD = 1000, SIDE = 15 };

struct box {
    int x, y, dx, dy;
};

struct pair {
    int a, b; /* a < b */
};

struct pairs {
    struct pair *list;
    size_t count;
};

static unsigned char memory[1 << 16];
static cutback_slot ring[16];
static cutback_arena frame = CUTBACK_INIT(memory, ring);

static unsigned char turn_memory[2][1 << 15];
static cutback_slot turn_ring[2][4];
static cutback_arena turns[2] = {CUTBACK_INIT(turn_memory[0], turn_ring[0]),
                                 CUTBACK_INIT(turn_memory[1], turn_ring[1])};

/* `count` of `size` bytes; ends the program if they do not fit. */
static void *array(cutback_arena *arena, size_t count, size_t size, size_t align) {
    void *block = cutback_calloc(arena, count, size, align);
    if (block == NULL) {
        (void)fputs("frames: the memory of the arena does not suffice\n", stderr);
        exit(1);
    }
    return block;
}

static int random_below(int limit) {
    static unsigned state = 1;
    state = state * 1103515245u + 12345u;
    return (int)((state >> 16) % (unsigned)limit);
}

static struct box *make_boxes(void) {
    struct box *boxes = array(&frame, BOXES, sizeof *boxes, alignof(struct box));
    for (int i = 0; i < BOXES; i++) {
        boxes[i].x = random_below(FIELD);
        boxes[i].y = random_below(FIELD);
        boxes[i].dx = random_below(7) - 3;
        boxes[i].dy = random_below(7) - 3;
    }
    return boxes;
}

/* The field has no border: who leaves it comes in on the other side. */
static void move(struct box *boxes) {
    for (int i = 0; i < BOXES; i++) {
        boxes[i].x = (boxes[i].x + boxes[i].dx + FIELD) % FIELD;
        boxes[i].y = (boxes[i].y + boxes[i].dy + FIELD) % FIELD;
    }
}

/* The numbers of the boxes by x. Counted in a table that is gone at the end of this function. */
static int *sorted(const struct box *boxes) {
    int *order = array(&frame, BOXES, sizeof *order, alignof(int));
    cutback_mark mark = cutback_mark_set(&frame);
    int *place = array(&frame, FIELD + 1, sizeof *place, alignof(int));
    for (int i = 0; i < BOXES; i++)
        place[boxes[i].x + 1]++;
    for (int x = 0; x < FIELD; x++)
        place[x + 1] += place[x];
    for (int i = 0; i < BOXES; i++)
        order[place[boxes[i].x]++] = i;
    cutback_reset(&frame, mark);
    return order;
}

/* Those that overlap: a list on top of the arena, which grows by doubling and is cut to length in the end. */
static struct pairs find_pairs(const struct box *boxes, const int *order, cutback_arena *arena) {
    size_t room = 16;
    struct pairs found = {array(arena, room, sizeof(struct pair), alignof(struct pair)), 0};
    for (int i = 0; i < BOXES; i++)
        for (int k = i + 1; k < BOXES && boxes[order[k]].x < boxes[order[i]].x + SIDE; k++) {
            int a = order[i] < order[k] ? order[i] : order[k];
            int b = order[i] < order[k] ? order[k] : order[i];
            if (abs(boxes[a].y - boxes[b].y) >= SIDE)
                continue;
            if (found.count == room) {
                struct pair *grown = cutback_resize(arena, struct pair, found.list, room, 2 * room);
                if (grown == NULL)
                    break; /* the rest is not seen in this frame */
                found.list = grown;
                room *= 2;
            }
            found.list[found.count++] = (struct pair){a, b};
        }
    return found;
}

/* How many of `now` are not among `before`. */
static size_t count_new(struct pairs now, struct pairs before) {
    unsigned char *seen = array(&frame, BOXES, BOXES / 8, 1);
    size_t count = 0;
    for (size_t i = 0; i < before.count; i++)
        seen[before.list[i].a * (BOXES / 8) + before.list[i].b / 8] |= 1u << before.list[i].b % 8;
    for (size_t i = 0; i < now.count; i++)
        count += (seen[now.list[i].a * (BOXES / 8) + now.list[i].b / 8] >> now.list[i].b % 8 & 1) == 0;
    return count;
}

int main(int argc, char **argv) {
    char *end = NULL;
    long frames = argc > 1 ? strtol(argv[1], &end, 10) : 60;
    if (argc > 2 || frames < 1 || (end != NULL && *end != 0)) {
        (void)fputs("usage: frames [FRAMES]\n", stderr);
        return 2;
    }
    struct box *boxes = make_boxes(); /* outlives all frames */
    struct pairs before = {NULL, 0};
    for (long i = 1; i <= frames; i++) {
        cutback_mark mark = cutback_mark_set(&frame);
        cutback_clear(&turns[i % 2]); /* of the frame before the last one */
        move(boxes);
        struct pairs now = find_pairs(boxes, sorted(boxes), &turns[i % 2]);
        size_t fresh = count_new(now, before);
        before = now;
        cutback_reset(&frame, mark);
        if (i == frames)
            printf("frame %ld: %zu pairs, %zu new; %zu bytes at most, %zu afterwards\n", i, now.count, fresh,
                   cutback_get_stats(&frame).peak, cutback_used(&frame));
    }
    return 0;
}
