/*
 * file.h: a file of our own that grows while the program runs, and is written to through mappings.
 *
 * Layer: os. Threads: any, once the file has been created. As for os.h: no function here changes errno, runs code of
 * the program's or is a cancellation point.
 *
 * The program may close any descriptor and open another file under its number; it may also leave the folder, or the
 * root, it was in. So the file has an absolute path, its descriptor is looked at before each use, and where it leads
 * elsewhere the file is opened anew.
 */
#ifndef CB_OS_FILE_H
#define CB_OS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CB_FILE_PATH 1024 /* bytes of a path, its end included */

struct cb_file {
    char path[CB_FILE_PATH];
    uint64_t device, inode;
    _Atomic int descriptor; /* relaxed: the kernel is asked what it is */
};

/* Makes `path` absolute, in place: `room` bytes. False: it does not fit, or the folder has no path. */
bool cb_file_absolute(char *path, size_t room);

/* Creates the file at file->path, which must not be there. 0, or an errno: EEXIST if it is. */
int cb_file_create(struct cb_file *file);

/*
 * Has the file reach at least to offset + size, with room on its disk, and maps that part of it, shared. 0, or an
 * errno. Sends no signal where the file must not grow (EFBIG).
 */
int cb_file_map(struct cb_file *file, uint64_t offset, size_t size, void **mapped);

/* Closes the descriptor if it is still the file's. */
void cb_file_close(struct cb_file *file);

/* The target of a symbolic link, ended by a zero byte: its length, or 0. */
size_t cb_file_link(const char *path, char *to, size_t room);

/* Nanoseconds since 1970. */
uint64_t cb_file_now(void);

#endif
