/*
 * arguments.c: reads the command line. See arguments.h.
 *
 * Layer: launcher, above environment. Threads: one.
 */
#include "arguments.h"

#include "environment.h"
#include "say.h"

#include "heap/options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_MOST 1000
#define COLUMNS 79

enum identifier {
    FIRST = 1000, /* above every letter */
#define IDENTIFIER(identifier, ...) ARGUMENT_##identifier,
    CB_ARGUMENTS(IDENTIFIER)
#undef IDENTIFIER
};

/* Whether an option has a value, for getopt_long. */
static int kind_of(const char *value) {
    return value == NULL ? no_argument : value[0] == '[' ? optional_argument : required_argument;
}

static void print_option(const char *name, int letter, const char *value, const char *help) {
    const char *space = value != NULL && value[0] != '[' ? " " : "";
    value = value != NULL ? value : "";
    char *left = letter != 0 ? cb_text("-%c, --%s%s%s", letter, name, space, value)
                             : cb_text("--%s%s%s", name, space, value);
    printf("  %-22s %s\n", left, help);
    free(left);
}

/* In lines of a terminal's width, indented; returns the column where the next one goes. */
static size_t print_word(const char *word, size_t column) {
    size_t length = strlen(word) + 1;
    bool breaks = column + length > COLUMNS;
    printf("%s %s", column == 0 ? " " : breaks ? "\n " : "", word);
    return (column == 0 || breaks ? 1 : column) + length;
}

static void print_help(void) {
    puts("usage: cutback-run [OPTIONS] [--] PROGRAM [ARGS...]\n"
         "\n"
         "Runs a program, and all that it starts, on cutback's malloc.\n");
#define PRINT(identifier, name, letter, value, help) print_option(name, letter, value, help);
    CB_ARGUMENTS(PRINT)
#undef PRINT
    puts("\nOptions of cutback, for --option or CUTBACK_OPTIONS (NAME=VALUE,...):");
    size_t column = 0;
#define NAME(name, ...) column = print_word(#name, column);
    CB_OPTIONS(NAME, NAME, NAME, NAME, NAME)
#undef NAME
    puts("\n\nThe manual page says more: man cutback-run");
}

_Noreturn static void answer(enum identifier which) {
    if (which == ARGUMENT_HELP) {
        print_help();
    } else {
        puts("cutback-run " CB_VERSION);
    }
    exit(cb_finish(0));
}

/* Tells what is wrong with the value of --option. */
_Noreturn static void refuse_option(const char *text) {
    size_t length = strcspn(text, "=");
    bool known = false;
#define IS_NAME(name, ...) known |= length == sizeof #name - 1 && strncmp(text, #name, length) == 0;
    CB_OPTIONS(IS_NAME, IS_NAME, IS_NAME, IS_NAME, IS_NAME)
#undef IS_NAME
    if (length == 0 || text[length] == '\0') {
        cb_die(CB_STATUS_USAGE, "--option wants NAME=VALUE, not %s", text);
    } else if (!known) {
        cb_die(CB_STATUS_USAGE, "cutback has no option %.*s (cutback-run --help lists them)", (int)length,
               text);
    } else if (strchr(text, ',') != NULL) {
        cb_die(CB_STATUS_USAGE, "an --option for each, and no comma in it: %s", text);
    }
    cb_die(CB_STATUS_USAGE, "%.*s has no such value: %s (man 7 cutback says which)", (int)length, text,
           text + length + 1);
}

static unsigned read_rounds(const char *text) {
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || number < 1 || number > ROUNDS_MOST) {
        cb_die(CB_STATUS_USAGE, "the number of rounds is from 1 to %d, not %s", ROUNDS_MOST, text);
    }
    return (unsigned)number;
}

static void set_stats_format(const char *format) {
    char *option = cb_text("stats_format=%s", format);
    if (!cb_environment_option(option)) {
        cb_die(CB_STATUS_USAGE, "the format of --stats is text or json, not %s", format);
    }
    free(option);
}

/* One without %p and %t is opened once, so that it is told now if it cannot be written to. */
static void try_stats_file(const char *path) {
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    if (file < 0) {
        cb_die(CB_STATUS_OURS, "%s cannot be written to: %s", path, strerror(errno));
    }
    close(file);
}

/* A path is followed from the launcher's folder, whatever folder the processes go to. */
static void set_stats_file(const char *path) {
    char *folder = path[0] != '/' ? getcwd(NULL, 0) : NULL;
    char *option =
        folder != NULL ? cb_text("stats_file=%s/%s", folder, path) : cb_text("stats_file=%s", path);
    if (!cb_environment_option(option)) {
        cb_die(CB_STATUS_USAGE,
               "no path for --stats-file: %s (no comma; %%p is the process, %%t the time, %%%% is %%)",
               strchr(option, '=') + 1);
    }
    if (strchr(option, '%') == NULL) {
        try_stats_file(strchr(option, '=') + 1);
    }
    free(option);
    free(folder);
}

/* Where the value of an option is kept as it is given; NULL: it is not. */
static const char **kept_value(struct cb_arguments *arguments, int which) {
    switch (which) {
    case ARGUMENT_PREPARE:
        return &arguments->prepare;
    case ARGUMENT_JSON:
        return &arguments->json;
    case ARGUMENT_ONLY:
        return &arguments->only;
    case ARGUMENT_STATS_FILE:
        return &arguments->stats_file;
    case ARGUMENT_RECORD:
        return &arguments->record;
    case ARGUMENT_REPORT:
        return &arguments->report;
    default:
        return NULL;
    }
}

static void read_one(struct cb_arguments *arguments, int which, const char *value) {
    const char **kept = kept_value(arguments, which);
    if (kept != NULL) {
        *kept = value;
        return;
    }
    switch (which) {
    case ARGUMENT_CHECK:
        arguments->check = true;
        break;
    case ARGUMENT_COMPARE:
        arguments->compare = true;
        break;
    case ARGUMENT_ROUNDS:
    case 'n':
        arguments->rounds = read_rounds(value);
        break;
    case ARGUMENT_OPTION:
        if (!cb_environment_option(value)) {
            refuse_option(value);
        }
        break;
    case ARGUMENT_STATS:
        arguments->stats = true;
        if (value != NULL) {
            set_stats_format(value);
        }
        break;
    case ARGUMENT_DEBUG:
        arguments->debug = true;
        break;
    default:
        answer((enum identifier)which);
    }
}

/* The words that getopt_long refuses are told in its place: it would tell them under argv[0]. */
_Noreturn static void refuse(int how, char **words) {
    const char *word = optopt > 0 && optopt < FIRST ? cb_text("-%c", optopt) : words[optind - 1];
    if (how == '?' && optopt > FIRST) {
        cb_die(CB_STATUS_USAGE, "%.*s takes no value (see cutback-run --help)", (int)strcspn(word, "="),
               word);
    }
    cb_die(CB_STATUS_USAGE,
           how == ':' ? "%s wants a value (see cutback-run --help)"
                      : "there is no option %s (see cutback-run --help)",
           word);
}

/* Which of these options do not go together, or not without another. */
static void check_together(const struct cb_arguments *arguments) {
    const struct {
        bool wrong;
        const char *text;
    } rules[] = {
        {arguments->program[0] == NULL, "which program? (see cutback-run --help)"},
        {arguments->only != NULL && !cb_environment_only_names(arguments->only),
         "--only wants names of programs, without folders, separated by commas"},
        {arguments->check && arguments->compare, "--check and --compare do not go together"},
        {arguments->check && arguments->only != NULL,
         "--check and --only do not go together: check each by itself"},
        {arguments->compare && arguments->debug, "--compare and --debug do not go together"},
        {arguments->compare && arguments->stats, "--compare and --stats do not go together"},
        {arguments->record != NULL && (arguments->check || arguments->compare || arguments->debug),
         "--record does not go together with --check, --compare or --debug"},
        {arguments->report != NULL &&
             (arguments->check || arguments->debug || arguments->stats || arguments->record != NULL),
         "--report does not go together with --check, --debug, --stats or --record"},
        {!arguments->stats && arguments->stats_file != NULL, "--stats-file is for --stats"},
        {!arguments->compare && arguments->rounds != 0, "--rounds is for --compare"},
        {!arguments->compare && arguments->prepare != NULL, "--prepare is for --compare"},
        {!arguments->compare && arguments->json != NULL, "--json is for --compare"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (rules[i].wrong) {
            cb_die(CB_STATUS_USAGE, "%s", rules[i].text);
        }
    }
}

struct cb_arguments cb_arguments_read(int count, char **words) {
    const struct option options[] = {
#define OPTION(identifier, name, letter, value, help) {name, kind_of(value), NULL, ARGUMENT_##identifier},
        CB_ARGUMENTS(OPTION)
#undef OPTION
            {NULL, 0, NULL, 0}};
    struct cb_arguments arguments = {.rounds = 0};
    int which;
    opterr = 0;
    while ((which = getopt_long(count, words, "+:n:", options, NULL)) != -1) {
        if (which == '?' || which == ':') {
            refuse(which, words);
        }
        read_one(&arguments, which, optarg);
    }
    arguments.program = words + optind;
    check_together(&arguments);
    if (arguments.stats) {
        cb_environment_option("stats=exit");
    }
    if (arguments.stats_file != NULL) {
        set_stats_file(arguments.stats_file);
    }
    return arguments;
}
