/* Runs a program and says what it cost, as one line of JSON on standard output:
 *
 *     launcher [--preload LIB]... [--repeat N] [--stdin FILE] [--stdout FILE] [--stderr FILE] [--cd DIR] --
 * PROGRAM [ARG...]
 *
 * user, sys: processor seconds of the program and of all it waited for; wall: seconds; maxrss: peak resident
 * bytes of the largest single process; faults: page faults; status: the exit status, or 128 + signal. With
 * --repeat the program runs N times, one after the other, and times and faults are sums. Libraries are preloaded
 * in the order given. "mapped" says whether the first was seen in the program's own map of its memory (null: it
 * ended before anybody looked, or there is nothing to look for).
 *
 * The program is started by vfork from this small process, so that the peak of whatever started the launcher
 * does not count as the program's. Standard output of the program goes to /dev/null unless told otherwise. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LAST_LOOK 128000 /* microseconds: 2 ms times a power of 4 */

extern char **environ;

struct options {
    char *preload; /* the value of LD_PRELOAD, or NULL */
    char *first;   /* the path of the first library in it, without links, or NULL */
    const char *in, *out, *err, *cd;
    long repeat;
    char **command;
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double of_timeval(struct timeval t) {
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

static _Noreturn void usage(const char *why) {
    fprintf(stderr,
            "launcher: %s\nusage: launcher [--preload LIB]... [--repeat N] [--stdin FILE] [--stdout FILE] "
            "[--stderr FILE] [--cd DIR] -- PROGRAM [ARG...]\n",
            why);
    exit(2);
}

/* Adds a library to those that are preloaded. */
static void add_library(struct options *o, const char *library) {
    char *real = realpath(library, NULL);
    char *before = o->preload;
    if (!real) {
        fprintf(stderr, "launcher: %s: %s\n", library, strerror(errno));
        exit(2);
    }
    if (asprintf(&o->preload, "%s%s%s", before ? before : "", before ? ":" : "", library) < 0) {
        exit(2);
    }
    free(before);
    if (o->first) {
        free(real);
    } else {
        o->first = real;
    }
}

static struct options parse(int argc, char **argv) {
    struct options o = {.repeat = 1, .in = "/dev/null", .out = "/dev/null"};
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--") != 0; i += 2) {
        if (i + 1 >= argc) {
            usage("an option without its value");
        }
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--preload") == 0) {
            add_library(&o, value);
        } else if (strcmp(argv[i], "--repeat") == 0) {
            o.repeat = strtol(value, NULL, 10);
        } else if (strcmp(argv[i], "--stdin") == 0) {
            o.in = value;
        } else if (strcmp(argv[i], "--stdout") == 0) {
            o.out = value;
        } else if (strcmp(argv[i], "--stderr") == 0) {
            o.err = value;
        } else if (strcmp(argv[i], "--cd") == 0) {
            o.cd = value;
        } else {
            usage("an option it does not know");
        }
    }
    if (i + 1 >= argc) {
        usage("no program");
    }
    if (o.repeat < 1) {
        usage("--repeat must be at least 1");
    }
    o.command = argv + i + 1;
    return o;
}

static int open_or_die(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0) {
        fprintf(stderr, "launcher: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    return fd;
}

/* The environment of the program: ours, with LD_PRELOAD as told. */
static char **environment(const char *preload) {
    size_t n = 0;
    while (environ[n]) {
        n++;
    }
    char **env = calloc(n + 2, sizeof *env);
    char *setting = NULL;
    if (!env || (preload && asprintf(&setting, "LD_PRELOAD=%s", preload) < 0)) {
        exit(2);
    }
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0) {
            env[k++] = environ[i];
        }
    }
    if (setting) {
        env[k] = setting;
    }
    return env;
}

/* 1: the library is in the process's map; 0: not (yet); -1: cannot be read. */
static int is_mapped(pid_t pid, const char *library) {
    char path[64], line[4352];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    if (!maps) {
        return -1;
    }
    int found = 0;
    while (!found && fgets(line, sizeof line, maps)) {
        found = strstr(line, library) != NULL;
    }
    fclose(maps);
    return found;
}

int main(int argc, char **argv) {
    struct options o = parse(argc, argv);
    char **env = environment(o.preload);
    int in = open_or_die(o.in, O_RDONLY);
    int out = open_or_die(o.out, O_WRONLY | O_CREAT | O_TRUNC);
    int err = o.err ? open_or_die(o.err, O_WRONLY | O_CREAT | O_TRUNC) : -1;

    double user = 0, sys = 0, wall = 0;
    long maxrss = 0, faults = 0;
    int status = 0, mapped = -1;
    for (long round = 0; round < o.repeat && status == 0; round++) {
        volatile int failure = 0;
        double start = now();
        if (o.repeat > 1) {
            lseek(in, 0, SEEK_SET);
        }
        pid_t pid = vfork();
        if (pid == 0) {
            if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || (err >= 0 && dup2(err, 2) < 0) ||
                (o.cd && chdir(o.cd) != 0)) {
                failure = errno;
                _exit(127);
            }
            environ = env;
            execvp(o.command[0], o.command);
            failure = errno;
            _exit(127);
        }
        if (pid < 0) {
            perror("launcher: vfork");
            return 2;
        }
        /* Look a few times, ever later, whether the library is really there; not at all in a long series. */
        for (useconds_t wait = 2000; o.first && mapped != 1 && o.repeat == 1 && wait <= LAST_LOOK;
             wait *= 4) {
            usleep(wait);
            siginfo_t info = {0};
            if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0) {
                break;
            }
            int seen = is_mapped(pid, o.first);
            if (seen == 1 || (seen == 0 && wait == LAST_LOOK)) {
                mapped = seen; /* looked at earlier, it may not have got to loading it */
            }
        }
        struct rusage usage;
        int state;
        while (wait4(pid, &state, 0, &usage) < 0) {
            if (errno != EINTR) {
                perror("launcher: wait4");
                return 2;
            }
        }
        wall += now() - start;
        user += of_timeval(usage.ru_utime);
        sys += of_timeval(usage.ru_stime);
        faults += usage.ru_minflt + usage.ru_majflt;
        if (usage.ru_maxrss > maxrss) {
            maxrss = usage.ru_maxrss;
        }
        if (failure) {
            fprintf(stderr, "launcher: %s: %s\n", o.command[0], strerror(failure));
        }
        status = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    }
    printf(
        "{\"user\": %.6f, \"sys\": %.6f, \"wall\": %.6f, \"maxrss\": %ld, \"faults\": %ld, \"status\": %d, "
        "\"mapped\": %s}\n",
        user, sys, wall, maxrss * 1024, faults, status,
        mapped < 0 ? "null"
        : mapped   ? "true"
                   : "false");
    return 0;
}
