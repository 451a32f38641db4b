/*
 * A program with more rights than its user reads no options. This program has the library linked in, for
 * ld.so preloads nothing into such a program; a copy of it that belongs to root and has the set-user-ID bit
 * is run as nobody, with an option that makes the library report at exit. It must not. Skipped unless run by
 * root on a file system that knows the bit.
 */
#include "fixture.h"

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

enum { NOBODY = 65534 };

static char folder[200], program[256];

static void clean_up(void) {
    unlink(program);
    rmdir(folder);
}

static void copy_self(mode_t mode) {
    struct stat status;
    int in = open("/proc/self/exe", O_RDONLY), out = open(program, O_WRONLY | O_CREAT | O_TRUNC, 0700);
    CHECK(in >= 0 && out >= 0 && fstat(in, &status) == 0);
    off_t left = status.st_size;
    while (left > 0) {
        ssize_t done = sendfile(out, in, NULL, (size_t)left);
        CHECK(done > 0);
        left -= done;
    }
    CHECK(fchmod(out, mode) == 0);
    close(in);
    close(out);
}

/* Runs the copy as nobody. Returns its exit status; what it wrote to standard error goes into `text`. */
static int run_as_nobody(char *text, size_t room) {
    int ends[2], status = -1;
    size_t length = 0;
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        char *arguments[] = {program, "child", NULL};
        char *environment[] = {"CUTBACK_OPTIONS=stats=1", NULL};
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        CHECK(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
        execve(program, arguments, environment);
        _exit(98);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], text + length, room - 1 - length)) > 0;) {
        length += (size_t)got;
    }
    text[length] = '\0';
    close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(int argc, char **argv) {
    const char *in = getenv("TMPDIR");
    char text[4000];
    fixture_begin(60);
    if (argc > 1 && strcmp(argv[1], "child") == 0) {
        fixture_work(1, 1000);
        exit(getauxval(AT_SECURE) != 0 ? 10 : 20);
    }
    if (geteuid() != 0) {
        fixture_skip("not root");
    }
    snprintf(folder, sizeof folder, "%s/cutback-secure.XXXXXX", in != NULL ? in : "/tmp");
    CHECK(mkdtemp(folder) != NULL && chmod(folder, 0755) == 0);
    snprintf(program, sizeof program, "%s/program", folder);
    atexit(clean_up);
    copy_self(0755);
    if (run_as_nobody(text, sizeof text) != 20) {
        fixture_skip("nobody cannot run it");
    }
    CHECK(strstr(text, "cutback: mapped") != NULL); /* else the other half would prove nothing */
    copy_self(04755);
    if (run_as_nobody(text, sizeof text) != 10) {
        fixture_skip("the set-user-ID bit does nothing here");
    }
    CHECK(text[0] == '\0');
    puts("no options where there are more rights than the user's");
    return 0;
}
