#!/bin/bash
# Limits on memory: a program gets at least 90 % of what it gets with glibc's malloc before the first NULL, and can then
# free and go on (limits.c).
#
# usage: limits.sh PROGRAM address KIB KIND     ulimit -v: the limit on addresses
#        limits.sh PROGRAM data KIB KIND        ulimit -d: on private writable mappings, which strict overcommit counts
#        limits.sh PROGRAM strict - KIND        strict overcommit: /proc/sys/vm/overcommit_memory is 2. It is the whole
#                                               machine's, so it is set for the test, and set back, only where the
#                                               environment says CUTBACK_TEST_SYSCTL=1
#        limits.sh PROGRAM cgroup KIB killed    a control group of its own, of version 1 or 2
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

# Makes a control group below the one we are in (version 1) or the root that we see (version 2), limited to $limit KiB.
make_group() {
    local parent bytes=memory.max more='memory.swap.max 0'
    parent=$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)
    if [ -n "$parent" ]; then
        parent=/sys/fs/cgroup/memory${parent%/}
        bytes=memory.limit_in_bytes more="memory.memsw.limit_in_bytes ${limit}K"
    else
        parent=/sys/fs/cgroup
        grep -qw memory $parent/cgroup.controllers 2>/dev/null || skip "no control groups with memory"
    fi
    group=$parent/cutback-test-$$
    mkdir "$group" 2>/dev/null || skip "control groups cannot be made here"
    trap 'rmdir "$group"' EXIT
    [ -w "$group/$bytes" ] || skip "this control group cannot limit memory"
    echo "${limit}K" >"$group/$bytes" || skip "this control group cannot be limited"
    [ ! -e "$group/${more% *}" ] || echo "${more#* }" >"$group/${more% *}" # no swapping instead
}

overcommit=/proc/sys/vm/overcommit_memory
group=
case $what in
strict)
    if [ "$(cat $overcommit)" != 2 ]; then
        [ "${CUTBACK_TEST_SYSCTL:-}" = 1 ] || skip "overcommit_memory is not 2; CUTBACK_TEST_SYSCTL=1 lets me set it"
        before=$(cat $overcommit)
        # shellcheck disable=SC2064
        trap "echo $before >$overcommit" EXIT
        { echo 2 >$overcommit; } 2>/dev/null || skip "overcommit_memory is not 2 here, and cannot be set"
    fi
    limit=262144
    ;;
cgroup) make_group ;;
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

# A control group kills who has too much. The program says until then how far it got.
if [ "$what" = cgroup ]; then
    for command in 'echo {1..20000} | tr " " "\n" | sort -n | tail -n 1' \
        'awk "BEGIN { for (i = 0; i < 99999; i++) a[i] = i \"x\"; print i }"'; do
        plain=$(limited '' bash -c "$command") || fail "$command, without the library"
        ours=$(limited "$preload" bash -c "$command") || fail "$command"
        [ "$plain" = "$ours" ] || fail "$command: $ours"
    done
fi

# killed LIBRARY: how many KiB the program had when it was killed.
killed() {
    local said status
    said=$(limited "$1" "$program" "$kind")
    status=$?
    [ $status = 137 ] || fail "the program was not killed: exit status $status"
    echo "${said##*$'\n'}"
}
if [ "$kind" = killed ]; then
    with_glibc=$(killed '') || { echo "$with_glibc"; exit 1; }
    got=$(killed "$preload") || { echo "$got"; exit 1; }
    echo "$what, $limit KiB: killed with $got KiB; with glibc $with_glibc ($((got * 1000 / with_glibc)) per mille)"
    [ "$((got * 10))" -ge "$((with_glibc * 9))" ] || fail "less than 90 % of what glibc gives"
    exit 0
fi

with_glibc=$(limited '' "$program" "$kind") # it may fail what it demands of malloc there
ours=$(limited "$preload" "$program" "$kind") || { echo "$ours"; fail "the program, under $limit KiB"; }
with_glibc=${with_glibc%%$'\n'*}
got=${ours%%$'\n'*}
echo "$ours"
echo "$what, $limit KiB, $kind: $got KiB before the first NULL; with glibc $with_glibc ($((got * 1000 / with_glibc)) per mille)"
[ "$((got * 10))" -ge "$((with_glibc * 9))" ] || fail "less than 90 % of what glibc gives"
