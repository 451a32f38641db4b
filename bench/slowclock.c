/* Preloaded beside an allocator by tools/cost under cachegrind and strace: clocks that stand nearly still.
 *
 * A program is many times slower there, and slower still on a busy machine. By the true clock its allocator would find
 * that memory was unused for seconds that are milliseconds in life, and differently in every run. Here each look at a
 * clock moves it on by a microsecond. Waits with a time-out are the kernel's and take as long as ever. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <time.h>

enum { NOON = 1700000000, SECOND = 1000000000, STEP = 1000 /* nanoseconds */ };

static int look(clockid_t clock, struct timespec *out) {
    static _Atomic uint64_t began, looks; /* by a clock whose end a wait may be given: not ahead of it */
    uint64_t moved = atomic_fetch_add(&looks, 1) * STEP;
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) {
        if (atomic_load(&began) == 0) {
            int (*next)(clockid_t, struct timespec *) =
                (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
            struct timespec now;
            if (next(CLOCK_MONOTONIC, &now) != 0) {
                return -1;
            }
            uint64_t none = 0;
            atomic_compare_exchange_strong(&began, &none, (uint64_t)now.tv_sec * SECOND);
        }
        moved += atomic_load(&began);
    } else {
        moved += (uint64_t)NOON * SECOND;
    }
    *out = (struct timespec){(time_t)(moved / SECOND), (long)(moved % SECOND)};
    return 0;
}

int clock_gettime(clockid_t clock, struct timespec *out) {
    return look(clock, out);
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    struct timespec now;
    (void)zone;
    look(CLOCK_REALTIME, &now);
    *out = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

/* An image like the one that the kernel maps into each process, for who looks for the kernel's clock there. */
static struct {
    Elf64_Ehdr header;
    Elf64_Phdr part[2];
    Elf64_Dyn dynamic[4];
    Elf64_Sym symbol[3];
    uint32_t hash[2]; /* no bucket; so many symbols */
    char string[48];
} image = {
    .header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
               .e_type = ET_DYN,
               .e_phoff = sizeof(Elf64_Ehdr),
               .e_phentsize = sizeof(Elf64_Phdr),
               .e_phnum = 2},
    .part = {{.p_type = PT_LOAD, .p_filesz = sizeof image, .p_memsz = sizeof image},
             {.p_type = PT_DYNAMIC, .p_vaddr = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr)}},
    .symbol = {{0},
               {.st_name = 1, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_shndx = SHN_ABS},
               {.st_name = 22, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_shndx = SHN_ABS}},
    .hash = {0, 3},
    .string = "\0__vdso_clock_gettime\0__kernel_clock_gettime",
};

#define AT(member) ((uintptr_t)&image.member - (uintptr_t)&image)

unsigned long getauxval(unsigned long type) {
    if (type == AT_SYSINFO_EHDR) {
        image.dynamic[0] = (Elf64_Dyn){.d_tag = DT_SYMTAB, .d_un.d_ptr = AT(symbol)};
        image.dynamic[1] = (Elf64_Dyn){.d_tag = DT_STRTAB, .d_un.d_ptr = AT(string)};
        image.dynamic[2] = (Elf64_Dyn){.d_tag = DT_HASH, .d_un.d_ptr = AT(hash)};
        image.symbol[1].st_value = image.symbol[2].st_value = (uintptr_t)look - (uintptr_t)&image;
        return (unsigned long)&image;
    }
    unsigned long (*next)(unsigned long) = (unsigned long (*)(unsigned long))dlsym(RTLD_NEXT, "getauxval");
    return next(type);
}
