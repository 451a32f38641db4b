/*
 * Two hundred libraries with thread-local data, loaded and unloaded while threads use them; a library loaded
 * with RTLD_DEEPBIND, which gets libc's own malloc (with deepbind=keep) and exchanges pointers with the rest of
 * the program, both ways; and the size of the preload library's own thread-local data, of which there must be
 * little, for the room is scarce.
 *
 * usage: libraries PLUGIN...
 */
#include "fixture.h"

#include <fcntl.h>
#include <link.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

enum { LIBRARIES = 200, THREADS = 3, TLS_MOST = 256 };

static char folder[200];
static _Atomic bool stop;
/* release by main, acquire by the threads */
static int (*_Atomic touch)(void);
static _Atomic int inside;

static void name_of(char *path, size_t size, int i) {
    snprintf(path, size, "%s/lib%d.so", folder, i);
}

static void copy(const char *from, const char *to) {
    struct stat status;
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0700);
    CHECK(in >= 0 && out >= 0 && fstat(in, &status) == 0);
    off_t left = status.st_size;
    while (left > 0) {
        ssize_t done = sendfile(out, in, NULL, (size_t)left);
        CHECK(done > 0);
        left -= done;
    }
    close(in);
    close(out);
}

static void clean_up(void) {
    for (int i = 0; i < LIBRARIES; i++) {
        char path[256];
        name_of(path, sizeof path, i);
        unlink(path);
    }
    rmdir(folder);
}

static void *busy(void *argument) {
    uint64_t seed = (uintptr_t)argument;
    while (!atomic_load(&stop)) {
        atomic_fetch_add(&inside, 1);
        int (*call)(void) = atomic_load(&touch);
        CHECK(call == NULL || call() > 0);
        atomic_fetch_sub(&inside, 1);
        fixture_work(seed++, 10);
    }
    return NULL;
}

/* Threads that are born and end while libraries are loaded inherit what libc keeps of all of them. */
static void *brief(void *unused) {
    int (*call)(void) = atomic_load(&touch);
    CHECK(call == NULL || call() > 0);
    return unused;
}

static void load_and_unload(void) {
    static void *library[LIBRARIES];
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        thread[i] = fixture_thread(busy, (void *)(i + 1));
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < LIBRARIES; i++) {
            char path[256];
            name_of(path, sizeof path, i);
            library[i] = dlopen(path, RTLD_NOW | RTLD_LOCAL);
            CHECK(library[i] != NULL);
            int (*call)(void) = (int (*)(void))dlsym(library[i], "plugin_touch");
            CHECK(call != NULL && call() == 1);
            atomic_store(&touch, call);
            if (i % 10 == 0) {
                pthread_join(fixture_thread(brief, NULL), NULL);
            }
        }
        atomic_store(&touch, NULL);
        while (atomic_load(&inside) != 0) {
            sched_yield();
        }
        for (int i = LIBRARIES - 1; i >= 0; i--) {
            CHECK(dlclose(library[(i + round * 77) % LIBRARIES]) == 0);
        }
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
}

static void cross(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    CHECK(library != NULL);
    void *(*get)(size_t) = (void *(*)(size_t))dlsym(library, "plugin_get");
    void *(*resize)(void *, size_t) = (void *(*)(void *, size_t))dlsym(library, "plugin_resize");
    void (*drop)(void *) = (void (*)(void *))dlsym(library, "plugin_free");
    CHECK(get != NULL && resize != NULL && drop != NULL);
    void *(*its_malloc)(void) = (void *(*)(void))dlsym(library, "plugin_malloc");
    CHECK(its_malloc != NULL);
    CHECK(getenv("LD_PRELOAD") == NULL || its_malloc() != dlsym(RTLD_DEFAULT, "malloc"));
    static char *held[500];
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < 500; i++) {
            held[i] = get(16 + i * (i % 50 == 0 ? 1000 : 7));
            CHECK(strcmp(held[i], "from a plugin") == 0);
        }
        for (size_t i = 0; i < 500; i++) {
            CHECK(malloc_usable_size(held[i]) >= 16 + i * 7);
            if (i % 3 == 0) {
                held[i] = realloc(held[i], 30 + i * 20);
                CHECK(held[i] != NULL && strcmp(held[i], "from a plugin") == 0);
            }
            /* Realloc here may have made it ours; libc would not know it. What is still libc's it may free.
             */
            if (i % 3 == 1) {
                held[i] = resize(held[i], 5000);
                CHECK(held[i] != NULL && strcmp(held[i], "from a plugin") == 0);
                drop(held[i]);
            } else {
                free(held[i]);
            }
        }
    }
    CHECK(dlclose(library) == 0);
}

static int look_at_tls(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size;
    if (strstr(info->dlpi_name, "libcutback_preload") == NULL) {
        return 0;
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_TLS) {
            *(size_t *)data = info->dlpi_phdr[i].p_memsz;
        }
    }
    return 1;
}

int main(int argc, char **argv) {
    const char *in = getenv("TMPDIR");
    size_t tls = 0;
    fixture_begin(120);
    CHECK(argc > 1);
    dl_iterate_phdr(look_at_tls, &tls);
    CHECK(tls <= TLS_MOST);
    snprintf(folder, sizeof folder, "%s/cutback-libraries.XXXXXX", in != NULL ? in : "/tmp");
    CHECK(mkdtemp(folder) != NULL);
    atexit(clean_up);
    for (int i = 0; i < LIBRARIES; i++) {
        char path[256];
        name_of(path, sizeof path, i);
        copy(argv[1 + i % (argc - 1)], path);
    }
    load_and_unload();
    for (int i = 1; i < argc; i++) {
        cross(argv[i]);
    }
    printf("%d libraries, three times; %zu bytes of static thread-local data\n", LIBRARIES, tls);
    return 0;
}
