/*
 * Libraries opened with RTLD_DEEPBIND. They exchange with the program what libc allocated, both ways; the flag
 * is dropped, or kept with deepbind=keep, which is seen from whose function of a name such a library finds;
 * and whoever opens a library by its name has it looked for where its own RUNPATH and $ORIGIN say.
 *
 * usage: deepbind PLUGIN CALLER
 */
#include "fixture.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define THREADS 8

/* The dlopen that programs were linked with before glibc 2.34; on other machines there is but one. */
#if defined(__x86_64__)
#define OLD_VERSION "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define OLD_VERSION "GLIBC_2.17"
#endif
#ifdef OLD_VERSION
extern void *old_dlopen(const char *file, int mode);
__asm__(".symver old_dlopen, dlopen@" OLD_VERSION);
#else
#define old_dlopen dlopen
#endif

int deepbind_mark(void);
void *caller_open(const char *name, int mode);
void *caller_open_in(Lmid_t space, const char *name, int mode);
void *caller_early(void);

static const char *plugin_path;
static bool kept; /* the flag */

int deepbind_mark(void) {
    return 1;
}

static void *function(void *library, const char *name) {
    void *found = dlsym(library, name);
    CHECK(found != NULL);
    return found;
}

static int mark(void *library) {
    return ((int (*)(void))function(library, "plugin_mark"))();
}

static void drop_in(void *library, void *p) {
    CHECK(p != NULL);
    ((void (*)(void *))function(library, "plugin_free"))(p);
}

static void exchange(void *library) {
    void *(*resize)(void *, size_t) = (void *(*)(void *, size_t))function(library, "plugin_resize");
    char *(*duplicate)(const char *) = (char *(*)(const char *))function(library, "plugin_duplicate");
    char *(*print)(int) = (char *(*)(int))function(library, "plugin_print");
    char *(*line_of)(FILE *) = (char *(*)(FILE *))function(library, "plugin_line");
    FILE *file = tmpfile();
    CHECK(file != NULL);
    for (int i = 0; i < 300; i++) {
        CHECK(fprintf(file, "%*d\n", i * 7, i) > 0);
    }
    rewind(file);
    for (int i = 0; i < 100; i++) {
        char *text = NULL, *line = NULL;
        size_t size = 0;
        CHECK(asprintf(&text, "%*d", i * 11, i) > 0 && getline(&line, &size, file) > 0);
        drop_in(library, text);
        drop_in(library, line);
        drop_in(library, strdup("program"));
        drop_in(library, realpath("/", NULL));
        text = resize(strdup("resized"), 100 + (size_t)i * 1000);
        CHECK(text != NULL && strcmp(text, "resized") == 0);
        free(text);
        text = duplicate("library");
        CHECK(text != NULL && strcmp(text, "library") == 0);
        free(text);
        text = print(i);
        CHECK(text != NULL && strncmp(text, "number", 6) == 0);
        text = realloc(text, 5000);
        CHECK(text != NULL);
        free(text);
        free(line_of(file));
    }
    fclose(file);
}

static void check_library(void *library) {
    CHECK(library != NULL);
    void *its_malloc = ((void *(*)(void))function(library, "plugin_malloc"))();
    CHECK(mark(library) == (kept ? 2 : 1));
    CHECK((its_malloc == dlsym(RTLD_DEFAULT, "malloc")) == !kept);
    if (!kept) {
        exchange(library);
    }
}

static void open_and_check(void *(*open)(const char *, int)) {
    void *library = open(plugin_path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    check_library(library);
    CHECK(dlclose(library) == 0);
}

/* Their addresses are not taken: dlsym could then find a stub in the program. */
static void *open_here(const char *name, int mode) {
    void *volatile library = dlopen(name, mode);
    return library;
}

static void *open_old(const char *name, int mode) {
    void *volatile library = old_dlopen(name, mode);
    return library;
}

static void *open_in_base(const char *name, int mode) {
    void *volatile library = dlmopen(LM_ID_BASE, name, mode);
    return library;
}

/* A name space of its own has a libc of its own; what is opened there works, by itself. */
static void other_name_space(void) {
    static const int modes[] = {RTLD_NOW, RTLD_NOW | RTLD_DEEPBIND};
    for (int i = 0; i < 2; i++) {
        void *library = dlmopen(LM_ID_NEWLM, plugin_path, modes[i]);
        CHECK(library != NULL && mark(library) == 2);
        char *text = ((char *(*)(int))function(library, "plugin_print"))(5);
        CHECK(strcmp(text, "number 5") == 0);
        drop_in(library, text);
        CHECK(dlclose(library) == 0);
    }
}

static pthread_barrier_t begin;

static void *in_thread(void *argument) {
    pthread_barrier_wait(&begin);
    open_and_check(argument == NULL ? open_here : open_in_base);
    return NULL;
}

/* The first in this process, where nothing was opened early. */
static void from_many_threads_at_once(void) {
    pthread_t thread[THREADS];
    CHECK(pthread_barrier_init(&begin, NULL, THREADS) == 0);
    for (uintptr_t i = 0; i < THREADS; i++) {
        thread[i] = fixture_thread(in_thread, (void *)(i % 2));
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(thread[i], NULL) == 0);
    }
}

/* They are those of the library under test, under each version that a program may be linked with. */
static void versions(void) {
    static const char *const names[] = {"dlopen", "dlmopen"};
    for (int i = 0; i < 2; i++) {
        Dl_info info;
        CHECK(dladdr(dlsym(RTLD_DEFAULT, names[i]), &info) != 0);
        CHECK(strstr(info.dli_fname, "libcutback_preload") != NULL);
    }
    open_and_check(open_old);
}

static void copy(const char *from, const char *to) {
    struct stat status;
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0700);
    CHECK(in >= 0 && out >= 0 && fstat(in, &status) == 0);
    CHECK(sendfile(out, in, NULL, (size_t)status.st_size) == status.st_size);
    close(in);
    close(out);
}

typedef void *opener(const char *, int);
typedef void *opener_in(Lmid_t, const char *, int);

static void expect_found(void *library, bool found) {
    CHECK((library != NULL) == found);
    if (found) {
        CHECK(mark(library) > 0 && dlclose(library) == 0);
    } else {
        CHECK(strstr(dlerror(), "cannot open shared object file") != NULL);
    }
}

/* The caller lies in FOLDER and the plugin in FOLDER/below, which is the RUNPATH of the caller alone. */
static void found_by_its_caller(const char *caller_path) {
    char folder[] = "/tmp/cutback-deepbind-XXXXXX", below[60], caller[60], plugin[90];
    CHECK(mkdtemp(folder) != NULL);
    snprintf(below, sizeof below, "%s/below", folder);
    snprintf(caller, sizeof caller, "%s/caller.so", folder);
    snprintf(plugin, sizeof plugin, "%s/libdeepbind_below.so", below);
    CHECK(mkdir(below, 0700) == 0);
    copy(caller_path, caller);
    copy(plugin_path, plugin);
    void *library = dlopen(caller, RTLD_NOW | RTLD_DEEPBIND);
    CHECK(library != NULL);
    opener *open = (opener *)function(library, "caller_open");
    opener_in *open_in = (opener_in *)function(library, "caller_open_in");
    static const char *const names[] = {"libdeepbind_below.so", "$ORIGIN/below/libdeepbind_below.so"};
    static const int modes[] = {RTLD_NOW, RTLD_NOW | RTLD_DEEPBIND};
    for (int i = 0; i < 4; i++) {
        const char *name = names[i / 2];
        int mode = modes[i % 2];
        expect_found(open(name, mode), true);
        expect_found(open_in(LM_ID_BASE, name, mode), true);
        expect_found(dlopen(name, mode), false);
        expect_found(open_in_base(name, mode), false);
    }
    CHECK(dlclose(library) == 0);
    CHECK(unlink(plugin) == 0 && unlink(caller) == 0 && rmdir(below) == 0 && rmdir(folder) == 0);
}

/* The program's own RUNPATH: $ORIGIN, where the plugin is. */
static void found_by_the_program(void) {
    const char *name = strrchr(plugin_path, '/');
    CHECK(name != NULL);
    expect_found(dlopen(name + 1, RTLD_NOW | RTLD_DEEPBIND), true);
    expect_found(open_in_base(name + 1, RTLD_NOW | RTLD_DEEPBIND), true);
}

int main(int count, char **argument) {
    fixture_begin(120);
    CHECK(count == 3);
    const char *options = getenv("CUTBACK_OPTIONS");
    plugin_path = argument[1];
    kept = options != NULL && strstr(options, "deepbind=keep") != NULL;
    if (getenv("DEEPBIND_EARLY") != NULL) {
        check_library(caller_early());
        CHECK(dlclose(caller_early()) == 0);
    }
    from_many_threads_at_once();
    open_and_check(open_here);
    open_and_check(open_in_base);
    versions();
    other_name_space();
    found_by_its_caller(argument[2]);
    found_by_the_program();
    CHECK(dlopen(NULL, RTLD_NOW) != NULL && dlopen("/nowhere/at/all.so", RTLD_NOW) == NULL &&
          dlerror() != NULL);
    return 0;
}
