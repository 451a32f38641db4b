/*
 * json.c: writes every run of a comparison. See compare.h.
 *
 * Layer: launcher, above figures. Threads: one.
 */
#include "compare.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define VERSION 1 /* of the layout of the file */

static const char *const names[CB_MEASURES] = {"cpu_s", "wall_s", "peak_mib", "page_faults"};

/* How many bytes of UTF-8 begin here; 0: none. */
static size_t character(const unsigned char *text) {
    size_t length = text[0] < 0x80                      ? 1
                    : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
                    : text[0] < 0xe0                    ? 0
                    : text[0] < 0xf0                    ? 3
                    : text[0] < 0xf5                    ? 4
                                                        : 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xf0 && text[1] < 0x90);
    bool no_character = (text[0] == 0xed && text[1] > 0x9f) || (text[0] == 0xf4 && text[1] > 0x8f);
    return length > 2 && (overlong || no_character) ? 0 : length;
}

/* Bytes that are not UTF-8 are taken for Latin-1. */
static void write_text(FILE *to, const char *string) {
    fputc('"', to);
    for (const unsigned char *at = (const unsigned char *)string; *at != '\0';) {
        size_t length = character(at);
        if (*at == '"' || *at == '\\') {
            fprintf(to, "\\%c", *at);
        } else if (length == 0 || *at < 0x20) {
            fprintf(to, "\\u%04x", *at);
        } else {
            fwrite(at, 1, length, to);
        }
        at += length != 0 ? length : 1;
    }
    fputc('"', to);
}

static double seconds(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static void write_run(FILE *to, const struct cb_outcome *run) {
    fprintf(
        to,
        "{\"user_s\": %.6f, \"system_s\": %.6f, \"wall_s\": %.6f, \"peak_kib\": %ld, \"minor_faults\": %ld, "
        "\"major_faults\": %ld, ",
        seconds(run->used.ru_utime), seconds(run->used.ru_stime), run->seconds, run->used.ru_maxrss,
        run->used.ru_minflt, run->used.ru_majflt);
    if (run->error == 0 && WIFSIGNALED(run->status)) {
        fprintf(to, "\"exit_status\": null, \"signal\": %d}", WTERMSIG(run->status));
    } else {
        fprintf(to, "\"exit_status\": %d, \"signal\": null}",
                run->error != 0 ? 126 : WEXITSTATUS(run->status));
    }
}

static void write_figures(FILE *to, const struct cb_contender *contender) {
    for (int measure = 0; measure < CB_MEASURES; measure++) {
        const struct cb_figures *of = &contender->figures[measure], *ratios = &contender->ratios[measure];
        if (of->count > 0) {
            fprintf(to, ",\n     \"%s\": {\"median\": %.6f, \"mad\": %.6f, \"least\": %.6f, \"most\": %.6f",
                    names[measure], of->median, of->spread, of->least, of->most);
            if (ratios->count > 0) {
                fprintf(to, ", \"ratio\": %.6f, \"ratio_mad\": %.6f, \"tie\": %s", ratios->median,
                        ratios->spread, cb_figures_tie(ratios) ? "true" : "false");
            }
            fputc('}', to);
        }
    }
}

static void write_contender(FILE *to, const struct cb_comparison *comparison,
                            const struct cb_contender *contender) {
    fprintf(to, "    {\"name\": \"%s\", \"library\": ", contender->name);
    if (contender->library != NULL) {
        write_text(to, contender->library);
    } else {
        fputs("null", to);
    }
    fprintf(to, ", \"runs_that_ended_otherwise\": %u,\n     \"runs\": [", contender->differing);
    for (unsigned round = 0; round < comparison->rounds; round++) {
        fputs(round > 0 ? ",\n       " : "\n       ", to);
        write_run(to, &contender->runs[round]);
    }
    fputc(']', to);
    write_figures(to, contender);
    fputc('}', to);
}

static void write_all(FILE *to, const struct cb_comparison *comparison) {
    struct utsname system;
    uname(&system);
    fprintf(to, "{\n  \"version\": %d,\n  \"written_by\": \"cutback-run %s\",\n  \"program\": [", VERSION,
            CB_VERSION);
    for (char **word = comparison->program; *word != NULL; word++) {
        fputs(word != comparison->program ? ", " : "", to);
        write_text(to, *word);
    }
    fprintf(to, "],\n  \"system\": {\"kernel\": \"%s %s\", \"machine\": \"%s\", \"processors\": %ld},\n",
            system.sysname, system.release, system.machine, sysconf(_SC_NPROCESSORS_ONLN));
    fprintf(to, "  \"rounds\": %u,\n  \"tie\": \"%s\",\n  \"mallocs\": [\n", comparison->rounds,
            CB_FIGURES_RULE);
    for (unsigned i = 0; i < comparison->count; i++) {
        write_contender(to, comparison, &comparison->contenders[i]);
        fputs(i + 1 < comparison->count ? ",\n" : "\n", to);
    }
    fputs("  ]\n}\n", to);
}

bool cb_compare_write(const struct cb_comparison *comparison, int file) {
    (void)!ftruncate(file, 0); /* of a pipe or a device there is nothing to cut off */
    FILE *to = fdopen(file, "w");
    if (to == NULL) {
        return false;
    }
    write_all(to, comparison);
    bool good = fflush(to) == 0 && ferror(to) == 0;
    return fclose(to) == 0 && good;
}
