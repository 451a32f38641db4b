/*
 * Firmware for a Cortex-M0, the BBC micro:bit (16 KiB of memory): a console on its serial port.
 *
 *     > sort 8 -4 3
 *     -4 3 8
 *     > reverse one two
 *     two one
 *     > memory              bytes of the arena that the commands so far took at most
 *     56
 *     > off                 ends the emulator
 *
 * It shows an arena in place of a heap. It is initialised without a call, as part of the data section. A line is read
 * into the block on top, which grows with each character; what a command needs is in the scope of the command. Nothing
 * fails after days because the memory has come to pieces: each line begins with an empty arena.
 *
 * Built and run, with $cutback the folder src of a clone:
 *
 *     clang --target=thumbv6m-none-eabi -Os -ffreestanding -nostdlib -fuse-ld=lld -I$cutback -T firmware.ld firmware.c \
 *         firmware_start.c $(find $cutback/arena -name '*.c') -o firmware.elf
 *     qemu-system-arm -M microbit -display none -serial stdio -semihosting -kernel firmware.elf
 */
#include <cutback.h>
#include <stdalign.h>

static unsigned char bytes[1024];
static cutback_slot ring[8];
static cutback_arena arena = CUTBACK_INIT(bytes, ring);

/* ---- the serial port ---- */

#define UART(offset) (*(volatile uint32_t *)(0x40002000u + (offset)))

static void uart_start(void) {
    UART(0x500) = 4; /* enable */
    UART(0x000) = 1; /* receive */
    UART(0x008) = 1; /* transmit */
}

static char uart_read(void) {
    while (UART(0x108) == 0)
        continue;
    UART(0x108) = 0;
    return (char)UART(0x518);
}

static void print(const char *text) {
    for (; *text != 0; text++) {
        UART(0x11C) = 0;
        UART(0x51C) = (unsigned char)*text;
        while (UART(0x11C) == 0)
            continue;
    }
}

static void print_number(int number) {
    char digits[12];
    char *at = digits + sizeof digits - 1;
    unsigned rest = number < 0 ? 0u - (unsigned)number : (unsigned)number;
    *at = 0;
    do { /* rest / 10, on a machine that cannot divide: times 0xCCCD / 2^19, for less than 2^16 */
        unsigned tenth = rest * 0xCCCDu >> 19;
        *--at = (char)('0' + rest - tenth * 10);
        rest = tenth;
    } while (rest != 0);
    if (number < 0)
        print("-");
    print(at);
}

/* ---- commands ---- */

struct word {
    char *text;
    struct word *before;
};

/* A number from -65535 to 65535; what is none counts as far as it is one. */
static int number_of(const char *text) {
    bool negative = *text == '-';
    int number = 0;
    for (text += negative; *text >= '0' && *text <= '9'; text++)
        number = (number * 10 + (*text - '0')) & 0xFFFF;
    return negative ? -number : number;
}

static bool equal(const char *a, const char *b) {
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* The words of a line, which is cut up; the last one first. */
static struct word *split(char *line) {
    struct word *last = NULL;
    bool inside = false;
    for (; *line != 0; line++) {
        bool space = *line == ' ';
        if (!space && !inside) {
            struct word *word = cutback_alloc(&arena, sizeof *word, alignof(struct word));
            if (word == NULL)
                break;
            *word = (struct word){line, last};
            last = word;
        }
        inside = !space;
        if (space)
            *line = 0;
    }
    return last;
}

static void sort(const struct word *word) {
    size_t count = 0;
    for (const struct word *w = word; w->before != NULL; w = w->before)
        count++;
    int *numbers = cutback_calloc(&arena, count, sizeof *numbers, alignof(int));
    if (numbers == NULL) {
        print("too many");
        return;
    }
    for (size_t i = 0; i < count; i++, word = word->before) {
        int number = number_of(word->text);
        size_t k = i;
        for (; k > 0 && numbers[k - 1] > number; k--)
            numbers[k] = numbers[k - 1];
        numbers[k] = number;
    }
    for (size_t i = 0; i < count; i++) {
        print_number(numbers[i]);
        print(" ");
    }
}

/* False for the command that ends it all. */
static bool execute(char *line) {
    cutback_mark mark = cutback_mark_set(&arena);
    const struct word *last = split(line);
    const struct word *command = last;
    while (command != NULL && command->before != NULL)
        command = command->before;
    bool off = command != NULL && equal(command->text, "off");
    if (command != NULL && equal(command->text, "sort"))
        sort(last);
    else if (command != NULL && equal(command->text, "reverse"))
        for (; last != command; last = last->before) {
            print(last->text);
            print(" ");
        }
    else if (command != NULL && equal(command->text, "memory"))
        print_number((int)cutback_get_stats(&arena).peak);
    else if (command != NULL && !off)
        print("sort, reverse, memory or off");
    cutback_reset(&arena, mark);
    print("\r\n");
    return !off;
}

/* A line, without its end, on top of the arena; NULL if it does not fit. */
static char *read_line(size_t *size) {
    char *line = cutback_alloc(&arena, 1, 1);
    *size = 1;
    for (char byte = uart_read(); byte != '\r' && byte != '\n'; byte = uart_read()) {
        char *grown = line != NULL ? cutback_realloc(&arena, line, *size, *size + 1, 1) : NULL;
        if (grown != NULL)
            grown[(*size)++ - 1] = byte;
        line = grown;
    }
    if (line != NULL)
        line[*size - 1] = 0;
    return line;
}

int main(void) {
    bool on = true;
    uart_start();
    while (on) {
        size_t size = 0;
        print("> ");
        char *line = read_line(&size);
        if (line == NULL)
            print("too long\r\n");
        else
            on = execute(line);
        cutback_clear(&arena);
    }
    return 0;
}
