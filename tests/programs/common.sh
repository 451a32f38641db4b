# shellcheck shell=bash
# Shared by the program tests; each of them sources this file first.
#
# A test names its programs with `need`, puts its inputs into $input, defines a function `work` that does something in
# an empty folder, and calls `same`. That runs `work` twice in the same place, once plainly and once with the preload
# library, and fails unless standard output, exit status and the files left behind are equal. `mapped PROGRAM...` then
# makes sure that the library really was in those programs: ld.so only warns when it cannot load one.
#
# CUTBACK_PRELOAD is the library under test (any other malloc will do), and has no default.

set -u
unset LD_PRELOAD LD_DEBUG LD_DEBUG_OUTPUT CUTBACK_OPTIONS MAKEFLAGS MALLOC_CONF MALLOC_ARENA_MAX MALLOC_PERTURB_ PYTHONMALLOC
export LC_ALL=C TZ=UTC

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# skip REASON: meson shows exit status 77 as a skipped test.
skip() {
    echo "SKIP: $*"
    exit 77
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
preload=${CUTBACK_PRELOAD:?the preload library to test}
[ -s "$preload" ] || fail "there is no $preload"
preload=$(realpath "$preload")

scratch=$(mktemp -d "${TMPDIR:-/tmp}/cutback-$(basename "$0" .sh).XXXXXX") || exit 1
input=$scratch/input
loaded=$scratch/loaded
mkdir "$input" "$loaded"
export HOME=$scratch TMPDIR=$scratch
trap 'rm -rf "$scratch"' EXIT
trap 'exit 143' INT TERM

# need PROGRAM...: skips the test when one of them is not installed.
need() {
    local program
    for program in "$@"; do
        PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || skip "$program is not installed"
    done
}

# generate FILE [ARGS...]: a source file for compilers.
generate() {
    local file=$1
    shift
    python3 "$top/tools/generate-source.py" "$@" >"$file"
}

# run_work MODE: calls `work` in a fresh $scratch/here and keeps what it left in $scratch/MODE*.
run_work() {
    local mode=$1 status
    mkdir "$scratch/here"
    (
        cd "$scratch/here" || exit 99
        if [ "$mode" = preloaded ]; then
            export LD_DEBUG=files LD_DEBUG_OUTPUT=$loaded/by LD_PRELOAD=$preload
        fi
        work
    ) >"$scratch/$mode.out" 2>"$scratch/$mode.err" </dev/null
    status=$?
    echo "exit status $status" >>"$scratch/$mode.out"
    mv "$scratch/here" "$scratch/$mode"
}

# same: `work` must do the same with the preload library as without, and succeed (unless MAY_FAIL is set).
same() {
    local mode
    run_work plain
    run_work preloaded
    if ! diff -r "$scratch/plain" "$scratch/preloaded" >"$scratch/differences" 2>&1 ||
        ! diff "$scratch/plain.out" "$scratch/preloaded.out" >>"$scratch/differences"; then
        echo "--- the differences (plain, preloaded)"
        head -c 4000 "$scratch/differences"
        for mode in plain preloaded; do
            echo "--- standard error, $mode"
            tail -n 20 "$scratch/$mode.err"
        done
        fail "the preload library changes what the program does"
    fi
    if [ -z "${MAY_FAIL:-}" ] && ! grep -qx 'exit status 0' "$scratch/plain.out"; then
        tail -n 20 "$scratch/plain.out" "$scratch/plain.err"
        fail "it fails even without the preload library"
    fi
}

# mapped PROGRAM...: each was started, and the library was in each process that the preloaded run started.
mapped() {
    local program file started with
    for program in "$@"; do
        cat "$loaded"/by.* 2>/dev/null | sed -n "s:.*initialize program\: \\(.*/\\)\\?::p" | grep -qxF -e "${program##*/}" ||
            fail "$program was not started with the preload library"
    done
    for file in "$loaded"/by.*; do
        started=$(grep -c 'initialize program: ' "$file")
        with=$(grep -cF "calling init: $preload" "$file")
        if [ "$with" -lt "$started" ]; then
            grep 'initialize program: ' "$file"
            fail "$preload is not in one of these"
        fi
    done
    echo "equal output; the library was in $(cat "$loaded"/by.* | grep -c 'initialize program: ') processes"
}

# inside PID: the library is mapped into this running process.
inside() {
    grep -qF "$preload" "/proc/$1/maps" || fail "$preload is not mapped into process $1"
}

# free_port: prints a port of 127.0.0.1 on which nothing listens.
free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)); do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

# listening PID PORT: waits until the server answers; false when it has ended instead.
listening() {
    local i
    for ((i = 0; i < 300; i++)); do
        kill -0 "$1" 2>/dev/null || return 1
        (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null && return 0
        sleep 0.1
    done
    return 1
}
