/*
 * shrink.c: looks for the smallest part of a trace that still fails. See replay.h.
 *
 * Layer: replay, above trace/writer.h. Threads: one.
 *
 * The trace is cut by units: all calls of one object are one, and each call that concerns none. Halves are left out,
 * then quarters, and so on down to one unit, as long as what is left fails; and single units again until none
 * can be left out.
 */
#include "replay.h"

#include "trace/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHELL_FAILED 125 /* from this status on a command could not be run: see env(1) */

struct call {
    struct cb_trace_event event;
    uint32_t unit;
};

struct shrinking {
    const struct cb_shrink *shrink;
    struct cb_trace_reader reader;
    struct cb_vector calls;     /* struct call */
    struct cb_vector by_object; /* uint32_t: the unit of an object */
    size_t call_count;
    uint32_t unit_count, left, tries;
    bool *out;           /* by unit */
    uint32_t *units;     /* those that are in */
    char part[PATH_MAX]; /* the file that is tried */
};

/* ---- Reading ---- */

static bool keep_call(struct shrinking *all, const struct cb_trace_event *event) {
    bool makes = event->kind == CB_CALL_NEW || event->kind == CB_CALL_RESIZE_UNKNOWN;
    bool names = event->kind == CB_CALL_RESIZE || event->kind == CB_CALL_FREE || event->kind == CB_CALL_USE ||
                 event->kind == CB_CALL_RESIZE_FAILED;
    if (!cb_vector_reserve(&all->calls, all->call_count + 1, sizeof(struct call)) ||
        !cb_vector_reserve(&all->by_object, (size_t)event->object + 1, sizeof(uint32_t))) {
        return false;
    }
    uint32_t *of_object = (uint32_t *)all->by_object.start + event->object;
    uint32_t unit = names ? *of_object : all->unit_count++;
    if (makes) {
        *of_object = unit;
    }
    ((struct call *)all->calls.start)[all->call_count++] = (struct call){*event, unit};
    return true;
}

static size_t out_bytes(const struct shrinking *all) {
    return ((size_t)all->unit_count + 1) * sizeof *all->out;
}

static size_t unit_bytes(const struct shrinking *all) {
    return ((size_t)all->unit_count + 1) * sizeof *all->units;
}

static bool read_all(struct shrinking *all) {
    struct cb_trace_event event;
    int more = cb_trace_open(&all->reader, all->shrink->trace) ? 1 : -1;
    while (more > 0 && (more = cb_trace_next(&all->reader, &event)) > 0) {
        if (event.kind != CB_CALL_FORK && !keep_call(all, &event)) {
            strcpy(all->reader.error, "out of memory");
            more = -1;
        }
    }
    all->out = cb_memory_map(out_bytes(all), false);
    all->units = cb_memory_map(unit_bytes(all), false);
    if (more == 0 && (all->out == NULL || all->units == NULL)) {
        strcpy(all->reader.error, "out of memory");
        more = -1;
    }
    for (uint32_t i = 0; more == 0 && i < all->unit_count; i++) {
        all->units[i] = i;
    }
    all->left = all->unit_count;
    return more == 0;
}

/* ---- Trying ---- */

static bool write_part(struct shrinking *all) {
    struct cb_trace_writer writer;
    bool written = cb_trace_write_begin(&writer, all->reader.header);
    const struct call *calls = all->calls.start;
    for (size_t i = 0; written && i < all->call_count; i++) {
        written = all->out[calls[i].unit] || cb_trace_write(&writer, &calls[i].event);
    }
    errno = ENOMEM;
    written = written && cb_trace_write_file(&writer, all->part);
    cb_trace_write_end(&writer);
    return written;
}

_Noreturn static void become_test(const struct shrinking *all) {
    const struct cb_shrink *shrink = all->shrink;
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(nowhere, STDIN_FILENO);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    if (shrink->command != NULL) {
        execl("/bin/sh", "sh", "-c", shrink->command, "sh", all->part, (char *)NULL);
    } else {
        size_t count = 0;
        while (shrink->words[count] != NULL) {
            count++;
        }
        const char **words = calloc(count + 2, sizeof *words);
        if (words != NULL) {
            memcpy(words, shrink->words, count * sizeof *words);
            words[count] = all->part;
            execv(words[0], (char *const *)(const void *)words);
        }
    }
    _exit(SHELL_FAILED);
}

enum outcome { PASSES, FAILS, BROKEN };

/* Of what is in now. */
static enum outcome try_part(struct shrinking *all) {
    int status = 0;
    if (!write_part(all)) {
        cb_complain("%s: %s", all->part, strerror(errno));
        return BROKEN;
    }
    pid_t child = fork();
    if (child == 0) {
        become_test(all);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    all->tries++;
    if (child < 0 ||
        (WIFEXITED(status) && WEXITSTATUS(status) >= SHELL_FAILED && WEXITSTATUS(status) < 128)) {
        cb_complain("the test cannot be run");
        return BROKEN;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? PASSES : FAILS;
}

static void set_out(struct shrinking *all, uint32_t from, uint32_t count, bool out) {
    for (uint32_t i = from; i < from + count; i++) {
        all->out[all->units[i]] = out;
    }
}

/* Tries without `count` units from `from` on. */
static enum outcome try_without(struct shrinking *all, uint32_t from, uint32_t count) {
    set_out(all, from, count, true);
    enum outcome outcome = try_part(all);
    if (outcome == FAILS) {
        memmove(all->units + from, all->units + from + count,
                (all->left - from - count) * sizeof *all->units);
        all->left -= count;
        if (rename(all->part, all->shrink->out) != 0) {
            cb_complain("%s: %s", all->shrink->out, strerror(errno));
            return BROKEN;
        }
    } else {
        set_out(all, from, count, false);
    }
    return outcome;
}

/* Leaves out pieces of this length, the last first. Whether any was; BROKEN stands apart. */
static enum outcome pass(struct shrinking *all, uint32_t piece) {
    enum outcome any = PASSES;
    for (uint32_t end = all->left; end > 0;) {
        uint32_t count = piece < end ? piece : end;
        enum outcome outcome = count < all->left ? try_without(all, end - count, count) : PASSES;
        if (outcome == BROKEN) {
            return BROKEN;
        }
        any = outcome == FAILS ? FAILS : any;
        end -= count;
    }
    return any;
}

static bool shrink_all(struct shrinking *all) {
    enum outcome outcome = try_without(all, 0, 0);
    if (outcome == PASSES) {
        cb_complain("%s: does not fail: there is nothing to shrink", all->shrink->trace);
    }
    if (outcome != FAILS) {
        return false;
    }
    uint32_t piece = all->left / 2;
    while (piece > 0 && outcome != BROKEN) {
        outcome = pass(all, piece);
        if (isatty(STDERR_FILENO)) {
            fprintf(stderr, "\r%u of %u objects and calls left, %u tries ", all->left, all->unit_count,
                    all->tries);
        }
        piece = piece > 1 ? piece / 2 : outcome == FAILS ? 1 : 0;
    }
    if (isatty(STDERR_FILENO)) {
        fputc('\n', stderr);
    }
    return outcome != BROKEN;
}

/* Nothing is written over but another trace. */
static bool may_write(const struct cb_shrink *shrink) {
    struct stat from, to;
    char start[CB_TRACE_MAGIC_BYTES] = "";
    int file = open(shrink->out, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0 && errno == ENOENT) {
        return true;
    }
    bool good = file >= 0 && read(file, start, sizeof start) == (ssize_t)sizeof start &&
                memcmp(start, CB_TRACE_MAGIC, sizeof start) == 0;
    bool same = good && fstat(file, &to) == 0 && stat(shrink->trace, &from) == 0 &&
                from.st_dev == to.st_dev && from.st_ino == to.st_ino;
    if (file >= 0) {
        close(file);
    }
    if (!good) {
        cb_complain("--shrink: %s is there, and is no trace: it is not written over", shrink->out);
    } else if (same) {
        cb_complain("--shrink: %s is the trace itself: name another file", shrink->out);
    }
    return good && !same;
}

int cb_shrink(const struct cb_shrink *shrink) {
    struct shrinking all = {.shrink = shrink};
    if (!may_write(shrink)) {
        return CB_UNREADABLE;
    }
    if (snprintf(all.part, sizeof all.part, "%s.part", shrink->out) >= (int)sizeof all.part) {
        cb_complain("%s: the name is too long", shrink->out);
        return CB_UNREADABLE;
    }
    bool shrunk = read_all(&all);
    if (!shrunk) {
        cb_complain("%s: %s", shrink->trace, all.reader.error);
    } else {
        shrunk = shrink_all(&all);
        unlink(all.part);
    }
    if (shrunk) {
        size_t calls = 0;
        for (size_t i = 0; i < all.call_count; i++) {
            calls += !all.out[((const struct call *)all.calls.start)[i].unit];
        }
        printf("%s: %zu of %zu calls, found in %u tries\n", shrink->out, calls, all.call_count, all.tries);
    }
    cb_memory_unmap(all.out, out_bytes(&all));
    cb_memory_unmap(all.units, unit_bytes(&all));
    cb_vector_free(&all.calls);
    cb_vector_free(&all.by_object);
    cb_trace_close(&all.reader);
    return shrunk ? 0 : CB_UNREADABLE;
}
