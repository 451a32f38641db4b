/*
 * The machine under the tests: it can print and stop. machine.c says how, for each.
 *
 * Layer: tests. Threading: none.
 */
#ifndef CB_TESTS_MACHINES_MACHINE_H
#define CB_TESTS_MACHINES_MACHINE_H

#include <stddef.h>

/* The name of the test that runs. */
extern const char *machine_current;

void machine_print(const char *text);
void machine_print_number(size_t number);

/* Ends the program. Status 0 or 1. */
_Noreturn void machine_exit(int status);

/* Says which test demanded what and where, and ends the program with status 1. */
_Noreturn void machine_fail(const char *what, const char *file, int line);

int main(void);

#endif
