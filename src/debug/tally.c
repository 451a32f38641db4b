/*
 * tally.c: tells whoever started the program how many faults were found, and where nothing was. See types.h.
 *
 * CUTBACK_DEBUG_TALLY names a file that is there already; each process adds lines to it, of its number and
 * a word: "7 begin", "7 fault WHAT", "7 end". cutback-run --debug reads them when the program has ended.
 *
 * Layer: debug. Threads: any; the name is noted at start. Nothing here allocates.
 */
#include "debug/types.h"

#include "heap/line.h"
#include "os/os.h"

#include <string.h>
#include <unistd.h>

#define LONGEST 64 /* bytes of the name, with its end; a longer one is not used */

static char file[LONGEST]; /* written at start; empty: nobody wants to know */

static void add_line(const char *word, const char *what) {
    struct cb_line line = {.length = 0};
    if (file[0] != '\0') {
        cb_line_number(&line, cb_os_process());
        cb_line_string(&line, word);
        cb_line_string(&line, what);
        cb_line_string(&line, "\n");
        cb_os_append(file, line.text, line.length);
    }
}

/* Not getenv, which somebody may interpose. */
void cb_tally_begin(void) {
    static const char name[] = "CUTBACK_DEBUG_TALLY=";
    for (char **entry = environ; entry != NULL && *entry != NULL && cb_os_is_trusted(); entry++) {
        const char *value = *entry + sizeof name - 1;
        if (strncmp(*entry, name, sizeof name - 1) == 0 && strlen(value) < sizeof file) {
            memcpy(file, value, strlen(value) + 1);
            break;
        }
    }
    add_line(" begin", "");
}

void cb_tally_fault(const char *what) {
    add_line(" fault ", what);
}

void cb_tally_end(void) {
    add_line(" end", "");
}
