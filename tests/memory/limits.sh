#!/bin/bash
# Limits on memory: a program gets at least 90 % of what it gets with glibc's malloc before the first NULL, and can then
# free and go on (limits.c).
#
# usage: limits.sh PROGRAM address KIB KIND     ulimit -v: the limit on addresses
#        limits.sh PROGRAM data KIB KIND        ulimit -d: on private writable mappings, which strict overcommit counts
#        limits.sh PROGRAM strict - KIND        /proc/sys/vm/overcommit_memory is 2 already; it is never changed here,
#                                               for it is the whole machine's
#        limits.sh PROGRAM cgroup KIB KIND      a control group (version 2) of its own
#        limits.sh - start KIB                  programs start under ulimit -v
set -u
unset LD_PRELOAD CUTBACK_OPTIONS GLIBC_TUNABLES MALLOC_PERTURB_
preload=${CUTBACK_PRELOAD:?the preload library to test}
program=$1 what=$2 limit=$3 kind=${4-}

fail() {
    echo "FAILED: $*"
    exit 1
}
skip() {
    echo "SKIP: $*"
    exit 77
}

group=
case $what in
strict)
    [ "$(cat /proc/sys/vm/overcommit_memory)" = 2 ] || skip "overcommit_memory is not 2 here, and is not ours to set"
    limit=262144
    ;;
cgroup)
    grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null || skip "no control groups of version 2 with memory"
    group=/sys/fs/cgroup/cutback-test-$$
    mkdir "$group" 2>/dev/null || { group=; skip "control groups cannot be made here"; }
    trap 'rmdir "$group"' EXIT
    [ -w "$group/memory.max" ] || skip "this control group cannot limit memory"
    echo "${limit}K" >"$group/memory.max"
    [ ! -e "$group/memory.swap.max" ] || echo 0 >"$group/memory.swap.max"
    ;;
esac
if [ "${limit//[0-9]/}" = "" ] && [ "$limit" -ge 4194304 ]; then
    available=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
    [ "$available" -gt $((limit + limit / 2)) ] || skip "only $available KiB of memory are available"
fi

# limited LIBRARY COMMAND...: under the limit, with LIBRARY preloaded unless it is empty.
limited() (
    library=$1
    shift
    case $what in
    address | start) ulimit -v "$limit" ;;
    data | strict) ulimit -d "$limit" ;;
    cgroup) echo "$BASHPID" >"$group/cgroup.procs" ;;
    esac || exit 99
    [ -z "$library" ] || export LD_PRELOAD=$library
    exec "$@"
)

if [ "$what" = start ]; then
    for command in 'true' 'echo {1..2000} | wc -w' 'ls -l / | sort | head -n 3' 'awk "BEGIN { for (i = 0; i < 9999; i++) a[i] = i; print i }"'; do
        for library in '' "$preload"; do
            limited "$library" bash -c "$command" >/dev/null || fail "$command, with '$library', under $limit KiB"
        done
    done
    echo "programs start under $limit KiB"
    exit 0
fi

# A control group kills who has too much: there, programs with less than the limit run, and no more is asked.
if [ "$what" = cgroup ]; then
    for command in 'echo {1..20000} | tr " " "\n" | sort -n | tail -n 1' \
        'awk "BEGIN { for (i = 0; i < 99999; i++) a[i] = i \"x\"; print i }"'; do
        plain=$(limited '' bash -c "$command") || fail "$command, without the library"
        ours=$(limited "$preload" bash -c "$command") || fail "$command"
        [ "$plain" = "$ours" ] || fail "$command: $ours"
    done
    exit 0
fi

with_glibc=$(limited '' "$program" "$kind") # it may fail what it demands of malloc there
ours=$(limited "$preload" "$program" "$kind") || { echo "$ours"; fail "the program, under $limit KiB"; }
with_glibc=${with_glibc%%$'\n'*}
got=${ours%%$'\n'*}
echo "$ours"
echo "$what, $limit KiB, $kind: $got KiB before the first NULL; with glibc $with_glibc ($((got * 1000 / with_glibc)) per mille)"
[ "$((got * 10))" -ge "$((with_glibc * 9))" ] || fail "less than 90 % of what glibc gives"
