/* The part of string.h that the tests of the arena use; machine.c defines it. */
#ifndef CB_TESTS_MACHINES_STRING_H
#define CB_TESTS_MACHINES_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);

#endif
