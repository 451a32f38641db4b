#!/bin/bash
# The libraries that a program needs are found where ld.so finds them, by ldd's account; a malloc in any of them is told,
# with who needs it and what to do.
# shellcheck source=tests/launcher/common.sh
. "$(dirname "$0")/common.sh"
needed=${CUTBACK_NEEDED:?the program that prints what is found}
cc=${CC:-gcc}
command -v "$cc" >/dev/null && command -v ldd >/dev/null || skip "there is no $cc, or no ldd"

# library FILE NAME [OPTION...]: a shared library with a function of this name, and what the options link it with.
library() {
    local file=$1 name=$2
    shift 2
    mkdir -p "$(dirname "$file")"
    echo "int $name(void) { return 0; }" | "$cc" -fno-builtin -w -shared -fPIC -x c - -x none -o "$file" -Wl,--no-as-needed "$@" || exit 1
}
# program FILE [OPTION...]
program() {
    local file=$1
    shift
    echo 'int main(void) { return 0; }' | "$cc" -x c - -x none -o "$file" -Wl,--no-as-needed,--allow-shlib-undefined "$@" || exit 1
}
old=-Wl,--disable-new-dtags # DT_RPATH, not DT_RUNPATH

# same_as_ldd PROGRAM: both find the same.
same_as_ldd() {
    ldd "$1" 2>/dev/null | sed -nE 's/^\t(\S+) => not found/\1 not found/p; s/^\t(\S+) => (.*) \(0x.*/\1 \2/p; s/^\t(\.\S+) \(0x.*/\1 \1/p' |
        grep -v ld-linux | sort -u >by-ldd
    "$needed" "$1" | grep -v ld-linux | sort -u >by-us
    grep -q libc.so by-ldd || wrong "ldd finds no libc for $1"
    cmp -s by-ldd by-us || { wrong "$1: not where ldd finds them" && diff by-ldd by-us >&2; }
}

echo "the system's folders, and its cache"
for name in "$cc" python3 bash ldd redis-server; do
    ! path=$(command -v "$name") || ! ldd "$path" >/dev/null 2>&1 || same_as_ldd "$(realpath "$path")"
done

echo "DT_RPATH is that of all who led to a library, DT_RUNPATH only of who needs it"
library deep/libinner.so inner
library deep/libmiddle.so middle -Ldeep -linner
library top/libouter.so outer $old -Ldeep -lmiddle -Wl,-rpath,'$ORIGIN/../deep'
program by-rpath $old -Ltop -louter -Wl,-rpath,'$ORIGIN/top'
same_as_ldd "$PWD"/by-rpath
grep -q 'libinner.so /' by-us || wrong "libinner.so is not found: $(cat by-us)"
library top/libouter.so outer -Ldeep -lmiddle -Wl,-rpath,'$ORIGIN/../deep'
same_as_ldd "$PWD"/by-rpath
grep -q 'libinner.so not found' by-us || wrong "libinner.so is found: $(cat by-us)"

echo "LD_LIBRARY_PATH comes before DT_RUNPATH, and behind DT_RPATH"
library other/libouter.so outer
for kind in "$old" -Wl,--enable-new-dtags; do
    program asks "$kind" -Ltop -louter -Wl,-rpath,'${ORIGIN}/top' -Wl,-rpath-link,deep
    for folders in other nowhere:other 'nowhere;$ORIGIN/other' :nowhere; do
        export LD_LIBRARY_PATH=$folders
        same_as_ldd "$PWD"/asks
        unset LD_LIBRARY_PATH
    done
done

echo "names in folders; a library by its path; one that is known by the name it gives itself"
lib=$(ldd ./asks | sed -nE 's/.*libc\.so.* => \/(usr\/)?(.*)\/libc\.so.*/\2/p')
library "place/$lib/x/libouter.so" outer
program by-name -L"place/$lib/x" -louter -Wl,-rpath,'$ORIGIN/$NOTHING:$ORIGIN/place/$LIB/x'
same_as_ldd "$PWD"/by-name
grep -q "libouter.so /.*/place/$lib/x" by-us || wrong "\$LIB: $(cat by-us)"
library ./libpath.so path -Wl,-soname,libknown.so
library ./libuser.so user -Wl,--allow-shlib-undefined ./libpath.so
cp libpath.so libother-name.so
program by-path ./libother-name.so ./libuser.so -Wl,-rpath,'$ORIGIN'
same_as_ldd "$PWD"/by-path

echo "a malloc in a library, who needs it, and what to do"
malloc='void *malloc(unsigned long n) { static char room[99999], *at = room; return at += 64 + 0 * n; } void free(void *p) { (void)p; }'
# own FILE CODE [OPTION...]
own() {
    local file=$1 code=$2
    shift 2
    echo "$code" | "$cc" -fno-builtin -w -shared -fPIC -x c - -x none -o "$file" "$@" || exit 1
}
# says TEXT: --check of a program with libfirst.so, which needs libown.so, says this, and that it works.
says() {
    library ./libfirst.so first -L. -lown
    program has-own -L. -lfirst -Wl,-rpath-link,. -Wl,-rpath,'$ORIGIN' $old
    try 0 "$run" --check ./has-own
    said "$1"
    said 'needed by libfirst.so'
    quiet
    [ "$(wc -l <out)" = 2 ] || { wrong "not one line of it" && cat out >&2; }
}
own libown.so "$malloc"
says 'it is linked with another malloc (libown.so'
own libown.so "$malloc" -Wl,-Bsymbolic
says 'link that library without -Bsymbolic'
own libown.so 'void *je_malloc(unsigned long n) { return (void *)n; }'
says 'a library has jemalloc built in, under names of its own such as je_malloc (libown.so'
own libtcmalloc.so "$malloc void *tc_malloc(unsigned long n) { return malloc(n); }"
own libown.so 'void *tc_malloc(unsigned long); void *f(void) { return tc_malloc(1); }' ./libtcmalloc.so
library ./libfirst.so first -L. -lown
program has-own -L. -lfirst -Wl,-rpath-link,. -Wl,-rpath,'$ORIGIN' $old
try 0 "$run" --check ./has-own
said 'a library asks tcmalloc by name for memory, by tc_malloc (libown.so'
said 'it is linked with another malloc (./libtcmalloc.so, ./libtcmalloc.so, needed by libown.so)'
rm libown.so
try 1 "$run" --check ./has-own
said 'the library libown.so, which libfirst.so needs, is not found'

done_testing
