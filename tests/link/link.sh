#!/bin/bash
# Links a program with -lcutback_malloc and runs it.
#
# usage: link.sh COMPILER KIND [FLAGS...]
#   KIND: archive  libcutback_malloc.a into a dynamic program
#         shared   libcutback_malloc.so
#         static   the archive into a program without any shared library (-static, -static-pie)
#   CUTBACK_LIBRARIES is the folder with both libraries.
#
# That the program really uses them is seen three ways: from its symbols (malloc is defined in it, libc's _int_malloc is
# not, or it needs the shared library), from where the dynamic linker finds malloc at run time, and from the statistics
# that the heap prints at exit when asked.
set -eu
unset LD_PRELOAD CUTBACK_OPTIONS MALLOC_PERTURB_
export LC_ALL=C

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

compiler=$1
kind=$2
shift 2
libraries=$(realpath "${CUTBACK_LIBRARIES:?the folder with libcutback_malloc.a and .so}")
here=$(dirname "$(realpath "$0")")
command -v "$compiler" >/dev/null || {
    echo "SKIP: $compiler is not installed"
    exit 77
}
early=()
case $compiler:$* in
clang*-flto*)
    command -v ld.lld >/dev/null || {
        echo "SKIP: lld is not installed"
        exit 77
    }
    set -- "$@" -fuse-ld=lld
    ;;
esac
case $compiler:$* in
*++:* | gcc:*-flto*)
    # Without these the linker passes over a library that nothing seems to want: a C++ program may call malloc through
    # libstdc++ alone, which comes later; and of the builtins that a program calls, gcc's LTO tells it too late.
    early=('-Wl,-u,malloc' '-Wl,--no-as-needed')
    ;;
esac
scratch=$(mktemp -d "${TMPDIR:-/tmp}/cutback-link.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

case $compiler in
*++) source=$here/program.cc standard=c++17 ;;
*) source=$here/program.c standard=gnu11 ;;
esac
case $kind in
archive) link=("${early[@]}" "-L$libraries" '-Wl,-Bstatic' -lcutback_malloc '-Wl,-Bdynamic') ;;
shared) link=("${early[@]}" "-L$libraries" -lcutback_malloc "-Wl,-rpath,$libraries") ;;
static) link=(-DSTATIC "${early[@]}" "-L$libraries" -lcutback_malloc) ;;
*) fail "what is a $kind?" ;;
esac

program=$scratch/program
echo "$compiler -O2 $* $(basename "$source") ${link[*]}"
"$compiler" -std=$standard -O2 -D_GNU_SOURCE "$@" "$source" -o "$program" "${link[@]}" -pthread 2>"$scratch/errors" || {
    cat "$scratch/errors"
    fail "it does not link"
}
cat "$scratch/errors"

nm "$program" >"$scratch/symbols"
if [ "$kind" = shared ]; then
    readelf -d "$program" | grep -q 'NEEDED.*libcutback_malloc' || fail "it does not need libcutback_malloc.so"
else
    grep -qE ' [TtW] malloc$' "$scratch/symbols" || fail "malloc is not defined in the program"
    grep -qE ' [tT] _int_malloc$' "$scratch/symbols" && fail "libc's malloc is in the program too"
fi
readelf -l "$program" | grep -q INTERP && interpreted=yes || interpreted=no
[ "$kind:$interpreted" != static:yes ] || fail "the program is not static"

"$program" >"$scratch/out" || fail "the program ended with status $?"
cat "$scratch/out"
case $kind in
archive) grep -qF "malloc is in $program" "$scratch/out" || fail "malloc is someone else's" ;;
shared) grep -qF "malloc is in $libraries/libcutback_malloc.so" "$scratch/out" || fail "malloc is someone else's" ;;
esac
CUTBACK_OPTIONS=stats=1 "$program" >"$scratch/out" 2>&1 || fail "with statistics, the program ended with status $?"
grep 'returned to the system' "$scratch/out" || fail "no statistics at exit (is the object that prints them drawn from the archive?)"
