/*
 * vdso.h: functions that the kernel offers inside the process, in an image of its own.
 *
 * Layer: os. Threads: any; the image never changes.
 */
#ifndef CB_VDSO_H
#define CB_VDSO_H

#include <stdint.h>

/*
 * Where the function of that name starts, in the ELF image at `image`, which is what the loader says in
 * AT_SYSINFO_EHDR. 0 when there is no image (`image` 0), no such function, or no table to find it by.
 */
uintptr_t cb_vdso_find(uintptr_t image, const char *name);

#endif
