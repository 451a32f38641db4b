/*
 * status.h: what the system call statx fills in, as the kernel has it. Not every C library declares it (musl does not).
 *
 * Layer: os; included by the files of os/ only. Threads: none.
 */
#ifndef CB_STATUS_H
#define CB_STATUS_H

#include <stdint.h>

#define CB_STATUS_TYPE 0x1U
#define CB_STATUS_INODE 0x100U
#define CB_STATUS_BIRTH 0x800U /* when the file was made */

struct cb_status_time {
    int64_t seconds;
    uint32_t nanoseconds;
    int32_t unused;
};

struct cb_status {
    uint32_t mask; /* CB_STATUS_...: which of these are known */
    uint32_t block_size;
    uint64_t attributes;
    uint32_t links, user, group;
    uint16_t mode, unused;
    uint64_t inode, size, blocks, attributes_mask;
    struct cb_status_time accessed, birth, changed, modified;
    uint32_t device_of_node[2], device_major, device_minor;
    uint64_t spare[14];
};

_Static_assert(sizeof(struct cb_status) == 256, "the kernel fills in 256 bytes");

#endif
