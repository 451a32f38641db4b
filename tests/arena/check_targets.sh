#!/bin/sh
# The arena compiles, without a warning, to objects for small machines that have no operating system, no libc, no
# division and no multiplication, and these objects too need nothing but memcpy, memmove and memset. So does what
# cutback_util.h expands to.
#
# Usage: check_targets.sh SOURCE_DIRECTORY. Exit status 0, 1, 77 (skipped: no clang).
set -eu

here=$(dirname "$0")
source=$1
command -v clang >/dev/null || { echo "skipped: no clang"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/util.c" <<'END'
#include "cutback_util.h"
int *cutback_test_array(cutback_arena *arena, size_t count);
char *cutback_test_copy(cutback_arena *arena, const char *string);
int *cutback_test_array(cutback_arena *arena, size_t count) { return cutback_array(arena, int, count); }
char *cutback_test_copy(cutback_arena *arena, const char *string) { return cutback_strdup(arena, string); }
END

check() { # NAME, then arguments for clang
  name=$1
  shift
  for level in -Os -O2; do
    rm -f "$work"/*.o "$work/arena.a"
    for file in "$source"/arena/*.c "$work/util.c"; do
      clang "$@" "$level" -std=c11 -ffreestanding -nostdlib -nostdinc -isystem "$headers" -I"$source" \
        -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -pedantic -Werror \
        -c "$file" -o "$work/$(basename "$file" .c).o"
    done
    ar crs "$work/arena.a" "$work"/*.o
    echo "$name $level:"
    "$here/check_symbols.sh" "$work/arena.a"
    clang "$@" "$level" -std=c11 -ffreestanding -nostdlib -nostdinc -isystem "$headers" -I"$source" -DCUTBACK_MINIMAL \
      -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -pedantic -Werror \
      -c "$source/arena/minimal.c" -o "$work/minimal.o"
    rm -f "$work/minimal.a"
    ar crs "$work/minimal.a" "$work/minimal.o"
    "$here/check_symbols.sh" "$work/minimal.a"
  done
}

headers=$(clang -print-resource-dir)/include
check ARMv6-M --target=thumbv6m-none-eabi
check RV32I --target=riscv32-unknown-elf -march=rv32i -mabi=ilp32
check RV32IMAC --target=riscv32-unknown-elf -march=rv32imac -mabi=ilp32
check RV64 --target=riscv64-unknown-elf -march=rv64imac -mabi=lp64
