/*
 * debug.c: counts what the processes of a program under the debug variant have found. See debug.h.
 *
 * Each of them adds lines to a file in memory (src/debug/tally.c says which), that the launcher keeps
 * open and that is gone with it.
 *
 * Layer: launcher, above child. Threads: one.
 */
#include "debug.h"

#include "child.h"
#include "say.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KINDS_MOST 32 /* of faults that are told apart */

struct process {
    unsigned long number;
    bool ended, faulty;
};

struct tally {
    struct process *processes;
    size_t process_count;
    unsigned long faults;
    struct {
        char what[64];
        unsigned long count;
    } kinds[KINDS_MOST];
    size_t kind_count;
};

/* The one with this number; a new one where there is none. */
static struct process *process_of(struct tally *tally, unsigned long number) {
    for (size_t i = tally->process_count; i > 0; i--) {
        if (tally->processes[i - 1].number == number) {
            return &tally->processes[i - 1];
        }
    }
    struct process *longer = reallocarray(tally->processes, tally->process_count + 1, sizeof *longer);
    if (longer == NULL) {
        cb_die(CB_STATUS_OURS, "out of memory");
    }
    tally->processes = longer;
    longer[tally->process_count] = (struct process){.number = number};
    return &longer[tally->process_count++];
}

/* "overflow of" is counted as "overflow". */
static void count_fault(struct tally *tally, char *what) {
    size_t length = strlen(what);
    if (length > 3 && strcmp(what + length - 3, " of") == 0) {
        what[length - 3] = '\0';
    }
    tally->faults++;
    for (size_t i = 0; i < tally->kind_count; i++) {
        if (strcmp(tally->kinds[i].what, what) == 0) {
            tally->kinds[i].count++;
            return;
        }
    }
    if (tally->kind_count < KINDS_MOST) {
        snprintf(tally->kinds[tally->kind_count].what, sizeof tally->kinds->what, "%s", what);
        tally->kinds[tally->kind_count++].count = 1;
    }
}

static void read_line(struct tally *tally, char *line) {
    char *word;
    unsigned long number = strtoul(line, &word, 10);
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(word, " begin") == 0) {
        process_of(tally, number)->ended = false;
    } else if (strcmp(word, " end") == 0) {
        process_of(tally, number)->ended = true;
    } else if (strncmp(word, " fault ", 7) == 0) {
        process_of(tally, number)->faulty = true;
        count_fault(tally, word + 7);
    }
}

static struct tally read_tally(int file) {
    struct tally tally = {.faults = 0};
    char *line = NULL;
    size_t room = 0;
    FILE *from = fdopen(file, "r");
    rewind(from);
    while (getline(&line, &room, from) > 0) {
        read_line(&tally, line);
    }
    free(line);
    fclose(from);
    return tally;
}

static const char *plural(size_t count, const char *one, const char *more) {
    return count == 1 ? one : more;
}

static void tell_faults(const struct tally *tally, size_t faulty) {
    char *list = cb_text("%s", "");
    for (size_t i = 0; i < tally->kind_count; i++) {
        char *longer =
            cb_text("%s%s%lu %s", list, i > 0 ? ", " : "", tally->kinds[i].count, tally->kinds[i].what);
        free(list);
        list = longer;
    }
    cb_say("%lu %s found in %zu of %zu %s: %s", tally->faults, plural(tally->faults, "fault", "faults"),
           faulty, tally->process_count, plural(tally->process_count, "process", "processes"), list);
    free(list);
}

static void tell(const struct tally *tally) {
    size_t faulty = 0, cut_off = 0;
    for (size_t i = 0; i < tally->process_count; i++) {
        faulty += tally->processes[i].faulty;
        cut_off += !tally->processes[i].ended && !tally->processes[i].faulty;
    }
    if (tally->process_count == 0) {
        cb_say("cutback was in no process, so nothing was looked at: see --check");
    } else if (tally->faults > 0) {
        tell_faults(tally, faulty);
    } else if (cut_off > 0) {
        cb_say(
            "no fault found in %zu %s (%zu ended by _exit or a signal, and what they left was not looked at)",
            tally->process_count, plural(tally->process_count, "process", "processes"), cut_off);
    } else {
        cb_say("no fault found in %zu %s", tally->process_count,
               plural(tally->process_count, "process", "processes"));
    }
}

_Noreturn void cb_debug_run(const char *path, char **words) {
    int file = memfd_create("cutback-debug", MFD_CLOEXEC);
    char *name = cb_text("/proc/%d/fd/%d", (int)getpid(), file);
    if (file < 0 || setenv("CUTBACK_DEBUG_TALLY", name, 1) != 0) {
        cb_die(CB_STATUS_OURS, "no file in memory: %s", strerror(errno));
    }
    free(name);
    struct cb_outcome outcome = cb_child_run(path, words, (struct cb_streams){-1, -1, -1});
    if (outcome.error != 0) {
        cb_child_refuse(words[0], outcome.error);
    }
    struct tally tally = read_tally(file);
    tell(&tally);
    free(tally.processes);
    cb_child_end_like(&outcome);
}
