/*
 * Before and after main on a Cortex-M: the table of vectors, the sections, the end; and the three functions that the arena
 * and compilers need where there is no C library. firmware.ld says where things lie.
 */
#include <stddef.h>
#include <stdint.h>

extern uint32_t stack_end[], data_start[], data_end[], data_load[], bss_start[], bss_end[]; /* firmware.ld */

int main(void);
_Noreturn void reset_handler(void);

_Noreturn void reset_handler(void) {
    for (uint32_t *to = data_start, *from = data_load; to < data_end;)
        *to++ = *from++;
    for (uint32_t *to = bss_start; to < bss_end;)
        *to++ = 0;
    int status = main();
    register uint32_t call __asm__("r0") = 0x18; /* of the debugger or emulator: exit */
    register uint32_t reason __asm__("r1") = status == 0 ? 0x20026 : 0x20023;
    __asm__ volatile("bkpt 0xAB" : "+r"(call) : "r"(reason) : "memory");
    for (;;)
        continue;
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_end, (const void *)reset_handler, (const void *)reset_handler, (const void *)reset_handler};

/* Needed by the arena, and by compilers. */
void *memset(void *to, int byte, size_t size) {
    for (unsigned char *at = to; size != 0; size--)
        *at++ = (unsigned char)byte;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    const unsigned char *byte = from;
    for (unsigned char *at = to; size != 0; size--)
        *at++ = *byte++;
    return to;
}

void *memmove(void *to, const void *from, size_t size) {
    const unsigned char *byte = from;
    unsigned char *at = to;
    for (size_t i = 0; at < byte && i < size; i++)
        at[i] = byte[i];
    while (at > byte && size-- != 0)
        at[size] = byte[size];
    return to;
}
