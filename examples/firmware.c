/*
 * Firmware for a Cortex-M0, the BBC micro:bit (16 KiB of memory): a console on its serial port.
 *
 *     > sort 80 4 3
 *     3 4 80
 *     > reverse one two
 *     two one
 *     > memory              bytes of the arena that the commands so far took at most
 *     56
 *     > off                 ends the emulator
 *
 * It shows an arena in place of a heap. It is initialised without a call, as part of the data section. Each line is a
 * scope; while it is read it is on top, and grows with each character. Nothing fails after days because the memory has
 * come to pieces: each line begins with an empty arena. Built and run, with $cutback the folder src of a clone:
 *
 *     clang --target=thumbv6m-none-eabi -Os -ffreestanding -nostdlib -fuse-ld=lld -I$cutback -T firmware.ld firmware.c \
 *         firmware_start.c $(find $cutback/arena -name '*.c') -o firmware.elf
 *     qemu-system-arm -M microbit -display none -serial stdio -semihosting -kernel firmware.elf
 */
#include <cutback_util.h>
#define UART(offset) (*(volatile uint32_t *)(0x40002000u + (offset)))

static unsigned char bytes[1024];
static cutback_slot ring[8];
static cutback_arena arena = CUTBACK_INIT(bytes, ring);

static char read_byte(void) {
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

/* From 0 to 65535. */
static void print_number(unsigned number) {
    char digits[] = "00000";
    char *at = digits + 5;
    do { /* number / 10, on a machine that cannot divide: times 0xCCCD / 2^19 */
        unsigned tenth = number * 0xCCCDu >> 19;
        *--at = (char)('0' + number - tenth * 10);
        number = tenth;
    } while (number != 0);
    print(at);
}

static unsigned number_of(const char *text) {
    unsigned number = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        number = (number * 10 + (unsigned)(*text - '0')) & 0xFFFF;
    return number;
}

static bool equal(const char *a, const char *b) {
    for (; *a != 0 && *a == *b; a++)
        b++;
    return *a == *b;
}

/* A line, without its end, on top of the arena; NULL if it does not fit. */
static char *read_line(void) {
    size_t size = 1;
    char *line = cutback_array(&arena, char, size);
    for (char byte = read_byte(); byte != '\r' && byte != '\n'; byte = read_byte()) {
        char *grown = line != NULL ? cutback_resize(&arena, char, line, size, size + 1) : NULL;
        if (grown != NULL)
            grown[size++ - 1] = byte;
        line = grown;
    }
    if (line != NULL)
        line[size - 1] = 0;
    return line;
}

/* The words of a line, which is cut up: an array on top of the arena, grown by each; NULL if it does not fit. */
static char **split(char *line, size_t *count) {
    char **words = cutback_array(&arena, char *, 0);
    for (*count = 0; words != NULL;) {
        while (*line == ' ')
            *line++ = 0;
        if (*line == 0)
            break;
        words = cutback_resize(&arena, char *, words, *count, *count + 1);
        if (words != NULL)
            words[(*count)++] = line;
        while (*line != 0 && *line != ' ')
            line++;
    }
    return words;
}

static void sort(char **words, size_t count) {
    unsigned *numbers = cutback_array(&arena, unsigned, count);
    if (numbers == NULL) {
        print("too many");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        size_t k = i;
        for (; k > 0 && numbers[k - 1] > number_of(words[i]); k--)
            numbers[k] = numbers[k - 1];
        numbers[k] = number_of(words[i]);
    }
    for (size_t i = 0; i < count; i++, print(" "))
        print_number(numbers[i]);
}

/* False for the command that ends it all. */
static bool execute(char *line) {
    size_t count = 0;
    char **words = split(line, &count);
    if (words == NULL)
        print("too many");
    else if (count != 0 && equal(words[0], "sort"))
        sort(words + 1, count - 1);
    else if (count != 0 && equal(words[0], "reverse"))
        for (; --count != 0; print(" "))
            print(words[count]);
    else if (count != 0 && equal(words[0], "memory"))
        print_number((unsigned)cutback_get_stats(&arena).peak);
    else if (count != 0 && !equal(words[0], "off"))
        print("sort, reverse, memory or off");
    return words == NULL || count == 0 || !equal(words[0], "off");
}

int main(void) {
    UART(0x500) = 4; /* enable */
    UART(0x000) = 1; /* receive */
    UART(0x008) = 1; /* transmit */
    for (bool on = true; on;) {
        cutback_mark mark = cutback_mark_set(&arena);
        print("> ");
        char *line = read_line();
        if (line == NULL)
            print("too long");
        else
            on = execute(line);
        print("\r\n");
        cutback_reset(&arena, mark);
    }
    return 0;
}
