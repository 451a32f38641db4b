#!/bin/bash
# A program that allocates and frees the same amount in a loop: its system calls once it has settled, counted by strace.
# Not more than with glibc's malloc, and at most one madvise for each 256 KiB freed.
#
# usage: loop.sh PROGRAM KIND BYTES ROUNDS      (see loop.c)
set -u
unset LD_PRELOAD CUTBACK_OPTIONS GLIBC_TUNABLES MALLOC_PERTURB_
preload=${CUTBACK_PRELOAD:?the preload library to test}
program=$1 kind=$2 bytes=$3 rounds=$4

command -v strace >/dev/null || { echo "SKIP: strace is not installed"; exit 77; }
scratch=$(mktemp -d "${TMPDIR:-/tmp}/cutback-loop.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
strace -o "$scratch/probe" true 2>/dev/null || { echo "SKIP: strace may not trace here"; exit 77; }

# counted NAME [STRACE-ARGUMENTS...]: the calls between the two marks go to $scratch/NAME.
counted() {
    local name=$1
    shift
    strace -f "$@" -o "$scratch/trace" "$program" "$kind" "$bytes" "$rounds" || { echo "FAILED: the program"; exit 1; }
    awk '/getppid\(/ { marks++; next } marks == 1' "$scratch/trace" >"$scratch/$name"
    [ "$(grep -c 'getppid(' "$scratch/trace")" = 2 ] || { echo "FAILED: no marks"; exit 1; }
}
counted glibc
counted cutback -E "LD_PRELOAD=$preload"

glibc=$(wc -l <"$scratch/glibc")
cutback=$(wc -l <"$scratch/cutback")
madvise=$(grep -c 'madvise(' "$scratch/cutback")
allowed=$((bytes * rounds / 262144))
echo "$kind of $bytes bytes, $rounds rounds: $cutback system calls ($madvise madvise, $allowed allowed); glibc $glibc"
[ "$madvise" -le "$allowed" ] || { echo "FAILED: more than one madvise per 256 KiB"; exit 1; }
[ "$cutback" -le "$glibc" ] || {
    echo "FAILED: more system calls than glibc"
    sed 's/^[0-9]* *//; s/(.*//' "$scratch/cutback" | sort | uniq -c | sort -rn | head
    exit 1
}
