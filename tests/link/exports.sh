#!/bin/bash
# usage: exports.sh LIBRARY: it exports the names of malloc's family, one for debuggers, and no others, and needs libc alone.
set -eu
export LC_ALL=C
library=$1
intended=(aligned_alloc calloc cfree cutback_layout dlmopen dlopen free free_aligned_sized free_sized mallinfo mallinfo2 malloc malloc_info
malloc_stats malloc_trim malloc_usable_size mallopt memalign posix_memalign pvalloc realloc reallocarray valloc)
status=0
diff <(printf '%s\n' "${intended[@]}" | sort) <(nm -D --defined-only "$library" | awk '{ print $3 }' | sort) || {
    echo "FAILED: the exported names (>) are not those intended (<)"
    status=1
}
needed=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^ld-linux' | tr '\n' ' ')
[ "$needed" = 'libc.so.6 ' ] || {
    echo "FAILED: it needs $needed"
    status=1
}
exit $status
