/*
 * options.c: the parser of CUTBACK_OPTIONS. See options.h.
 *
 * Layer: heap. Threads: at start only. Allocates nothing and uses no stdio.
 */
#include "heap/options.h"

#include "heap/line.h"
#include "os/os.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_WORD(name, value, ...) .name = (value),
#define DEFAULT_OTHER(name, value) .name = (value),
#define DEFAULT_WHEN(name) .name = CB_STATS_OFF,
#define DEFAULT_PATH(name) .name = "",
struct cb_options cb_options = {
    CB_OPTIONS(DEFAULT_WORD, DEFAULT_OTHER, DEFAULT_OTHER, DEFAULT_WHEN, DEFAULT_PATH)};

/* A stretch of the text. */
struct part {
    const char *start;
    size_t length;
};

static bool is_word(struct part part, const char *word) {
    return strlen(word) == part.length && memcmp(word, part.start, part.length) == 0;
}

static bool parse_word(struct part part, const char *const *words, unsigned *value) {
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (is_word(part, words[i])) {
            *value = i;
            return true;
        }
    }
    return false;
}

/* Digits and at most one of K, M, G (or k, m, g). */
static bool parse_size(struct part part, size_t *value) {
    size_t number = 0, i = 0;
    for (; i < part.length && part.start[i] >= '0' && part.start[i] <= '9'; i++) {
        if (__builtin_mul_overflow(number, (size_t)10, &number) ||
            __builtin_add_overflow(number, (size_t)(part.start[i] - '0'), &number)) {
            return false;
        }
    }
    if (i == 0) {
        return false;
    }
    if (i + 1 == part.length) {
        const char *units = "kKmMgG", *unit = memchr(units, part.start[i], 6);
        if (unit == NULL ||
            __builtin_mul_overflow(number, (size_t)1 << ((unit - units) / 2 + 1) * 10, &number)) {
            return false;
        }
        i++;
    }
    if (i != part.length) {
        return false;
    }
    *value = number;
    return true;
}

static bool parse_flag(struct part part, unsigned *value) {
    static const char *const words[] = {"0", "1", NULL};
    return parse_word(part, words, value);
}

/* Those whose only purpose can be to print something; not those that tell of faults, end or stop a process. */
static const struct {
    char name[7];
    unsigned char number;
} signals[] = {
    {"ALRM", SIGALRM}, {"CONT", SIGCONT}, {"HUP", SIGHUP},       {"IO", SIGIO},
    {"PROF", SIGPROF}, {"PWR", SIGPWR},   {"QUIT", SIGQUIT},     {"URG", SIGURG},
    {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"VTALRM", SIGVTALRM}, {"WINCH", SIGWINCH},
};

static bool parse_signal(struct part part, unsigned *number) {
    if (part.length > 3 && memcmp(part.start, "SIG", 3) == 0) {
        part = (struct part){part.start + 3, part.length - 3};
    }
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        if (is_word(part, signals[i].name)) {
            *number = signals[i].number;
            return true;
        }
    }
    return false;
}

static bool parse_when(struct part part, unsigned *value) {
    unsigned number;
    if (parse_flag(part, value)) {
        return true;
    }
    if (is_word(part, "exit")) {
        *value = CB_STATS_EXIT;
        return true;
    }
    if (!parse_signal(part, &number)) {
        return false;
    }
    *value = CB_STATS_SIGNAL + number;
    return true;
}

/* Behind each % there is a letter that is known, or another %. */
static bool parse_path(struct part part, char *value) {
    if (part.length == 0 || part.length >= CB_OPTION_PATH) {
        return false;
    }
    for (size_t i = 0; i < part.length; i++) {
        if (part.start[i] == '%' && (++i == part.length || strchr("pt%", part.start[i]) == NULL)) {
            return false;
        }
    }
    memset(value, 0, CB_OPTION_PATH);
    memcpy(value, part.start, part.length);
    return true;
}

size_t cb_options_expand(const char *path, char *to, size_t room) {
    size_t length = 0;
    for (const char *at = path; *at != '\0'; at++) {
        struct cb_line part = {.length = 0};
        if (*at == '%' && *++at != '%') {
            cb_line_number(&part, (size_t)(*at == 'p' ? cb_os_process() : cb_os_time()));
        } else {
            cb_line_text(&part, at, 1);
        }
        if (part.length >= room - length) {
            to[length] = '\0';
            return room;
        }
        memcpy(to + length, part.text, part.length);
        length += part.length;
    }
    to[length] = '\0';
    return length;
}

/* Unknown key: false, *known false. */
static bool parse_one(struct cb_options *options, struct part key, struct part value, bool *known) {
    *known = true;
#define PARSE_WORD(name, default, ...)                                                                       \
    if (is_word(key, #name)) {                                                                               \
        static const char *const words[] = {__VA_ARGS__, NULL};                                              \
        return parse_word(value, words, &options->name);                                                     \
    }
#define PARSE_SIZE(name, default)                                                                            \
    if (is_word(key, #name)) {                                                                               \
        return parse_size(value, &options->name);                                                            \
    }
#define PARSE_FLAG(name, default)                                                                            \
    if (is_word(key, #name)) {                                                                               \
        return parse_flag(value, &options->name);                                                            \
    }
#define PARSE_WHEN(name)                                                                                     \
    if (is_word(key, #name)) {                                                                               \
        return parse_when(value, &options->name);                                                            \
    }
#define PARSE_PATH(name)                                                                                     \
    if (is_word(key, #name)) {                                                                               \
        return parse_path(value, options->name);                                                             \
    }
    CB_OPTIONS(PARSE_WORD, PARSE_SIZE, PARSE_FLAG, PARSE_WHEN, PARSE_PATH)
    *known = false;
    return false;
}

static void complain(struct part key, struct part value, bool known) {
    struct cb_line line = {.length = 0};
    cb_line_string(&line, known ? "cutback: CUTBACK_OPTIONS: bad value "
                                : "cutback: CUTBACK_OPTIONS: unknown option ");
    if (known) {
        cb_line_text(&line, value.start, value.length);
        cb_line_string(&line, " for ");
    }
    cb_line_text(&line, key.start, key.length);
    cb_line_write(&line);
}

unsigned cb_options_parse(struct cb_options *options, const char *text, bool quiet) {
    unsigned bad = 0;
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        const char *equals = memchr(text, '=', length);
        struct part key = {text, equals != NULL ? (size_t)(equals - text) : length};
        struct part value = {equals != NULL ? equals + 1 : text + length,
                             equals != NULL ? length - key.length - 1 : 0};
        bool known = true;
        if (length > 0 && !parse_one(options, key, value, &known)) {
            bad++;
            if (!quiet) {
                complain(key, value, known);
            }
        }
        text += length;
        text += *text == ',';
    }
    return bad;
}

/* Not getenv, which somebody may interpose, and which a program like bash defines for itself. */
static void read_environment(void) {
    static const char name[] = "CUTBACK_OPTIONS=";
    for (char **entry = environ; entry != NULL && *entry != NULL && cb_os_is_trusted(); entry++) {
        if (strncmp(*entry, name, sizeof name - 1) == 0) {
            cb_options_parse(&cb_options, *entry + sizeof name - 1, false);
            break;
        }
    }
}

/* The recorder is built with another one. */
#ifndef CB_RECORDS
static void check_record(void) {
    if (cb_options.record[0] != '\0') {
        struct cb_line line = {.length = 0};
        cb_line_string(
            &line, "cutback: CUTBACK_OPTIONS: record is for libcutback_preload_record.so: use cutback-run "
                   "--record FILE");
        cb_line_write(&line);
    }
}
#else
static void check_record(void) {}
#endif

void cb_options_begin(void) {
    static bool begun;
    if (!begun && environ != NULL && cb_os_begin()) {
        begun = true;
        read_environment();
        check_record();
        if (cb_options.stats != CB_STATS_OFF) {
            cb_os_keep_stderr();
        }
    }
}
