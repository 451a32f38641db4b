#!/bin/bash
# What --check says of programs that work, and of each kind that does not; by its exit status, too.
# shellcheck source=tests/launcher/common.sh
. "$(dirname "$0")/common.sh"
cc=${CC:-gcc}
command -v "$cc" >/dev/null || skip "there is no $cc"
printf '#include <stdlib.h>\nint main(void) { void *volatile p = malloc(1); free(p); return 0; }\n' >plain.c
"$cc" plain.c -o plain || exit 1

# works PROGRAM, fails PROGRAM
works() { try 0 "$run" --check "$1" && said ': works' && unsaid '  no:' && quiet; }
fails() { try 1 "$run" --check "$1" && said ': will not work' && said '  no:' && quiet; }

echo "ordinary programs"
works ./plain
[ "$(wc -l <out)" = 1 ] || wrong "more than one line for a program that works"
for program in sh "$cc" python3 /bin/ls; do
    ! command -v "$program" >/dev/null || works "$program"
done

echo "programs into which nothing can be preloaded"
if "$cc" -static plain.c -o static 2>/dev/null; then
    fails ./static
    said 'statically'
    said '-lcutback_malloc'
    ! "$cc" -static-pie plain.c -o static-pie 2>/dev/null || fails ./static-pie
fi
"$cc" plain.c -o musl -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1 || exit 1
fails ./musl
said musl
"$cc" plain.c -o bionic -Wl,--dynamic-linker=/system/bin/linker64 || exit 1
fails ./bionic
said /system/bin/linker64
"$cc" plain.c -o no-loader -Wl,--dynamic-linker=/no/such/ld-linux.so.2 || exit 1
fails ./no-loader
said /no/such/ld-linux.so.2
cp plain 32-bit && printf '\1' | dd of=32-bit bs=1 seek=4 conv=notrunc 2>/dev/null
fails ./32-bit
said 32-bit
head -c 500 plain >damaged && chmod +x damaged
fails ./damaged
said damaged
cp plain unreadable && chmod 111 unreadable
[ "$(id -u)" = 0 ] || { works ./unreadable && said 'cannot be read'; }

echo "rights"
cp plain setuid && chmod u+s setuid
works ./setuid
said setuid
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    chmod 755 . && cp plain setgid && chgrp 1 setgid && chmod g+s setgid
    nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    if "${nobody[@]}" test -x "$run" -a -r "$preload"; then
        try 1 "${nobody[@]}" "$run" --check ./setuid
        said 'it is setuid'
        try 1 "${nobody[@]}" "$run" --check ./setgid
        said 'it is setgid'
        try 0 "${nobody[@]}" --no-new-privs "$run" --check ./setuid
        said 'no more rights'
        if command -v setcap >/dev/null && cp plain capable && setcap cap_net_raw+ep capable 2>/dev/null; then
            try 1 "${nobody[@]}" "$run" --check ./capable
            said 'given capabilities'
        fi
    fi
fi

echo "other allocators, and sanitizers"
malloc='void *malloc(size_t n) { static char room[99999], *at = room; at += 64; return at + 0 * n; } void free(void *p) { (void)p; }'
{ echo '#include <stddef.h>' && echo "$malloc"; } >own.c
"$cc" -fno-builtin -w plain.c own.c -o built-in || exit 1
fails ./built-in
said 'malloc built in'
printf 'void *je_malloc(unsigned long n) { return (void *)n; }\n' >je.c
"$cc" -fno-builtin -w plain.c je.c -o own-names || exit 1
fails ./own-names
said 'je_malloc'
"$cc" -fno-builtin -w -shared -fPIC own.c -o libjemalloc-own.so || exit 1
printf 'void inner(void) {}\n' >inner.c
"$cc" -shared -fPIC inner.c -o libinner.so -Wl,--no-as-needed ./libjemalloc-own.so || exit 1
"$cc" plain.c -o needs -L. -Wl,--no-as-needed,-rpath,'$ORIGIN' -linner || exit 1
works ./needs
said 'another malloc (./libjemalloc-own.so'
printf 'void *mallocx(unsigned long n, int flags) { return (void *)(n + (unsigned long)flags); }\n' >>own.c
"$cc" -fno-builtin -w -shared -fPIC own.c -o libjemalloc-own.so || exit 1
printf 'void *mallocx(unsigned long, int); int main(void) { return mallocx(1, 2) != (void *)3; }\n' >asks.c
"$cc" asks.c -o asks -Wl,-rpath,. ./libjemalloc-own.so || exit 1
fails ./asks
said 'mallocx'
printf 'void *mallocx(unsigned long, int) __attribute__((weak)); int main(void) { return mallocx != 0; }\n' >weak.c
"$cc" weak.c -o weak && works ./weak
rm libinner.so
fails ./needs
said 'libinner.so, which it needs, is not found'
if "$cc" -fsanitize=address plain.c -o asan 2>/dev/null; then
    fails ./asan
    said AddressSanitizer
fi
if command -v clang >/dev/null && clang -fsanitize=thread plain.c -o tsan 2>/dev/null; then
    fails ./tsan
    said ThreadSanitizer
fi
printf 'void *__libc_malloc(unsigned long); void *malloc(unsigned long n) { return __libc_malloc(n); }\n' >through.c
"$cc" -fno-builtin -w -shared -fPIC through.c -o through.so || exit 1
try 0 env LD_PRELOAD="$PWD/through.so" "$run" --check ./plain
said 'LD_PRELOAD holds another malloc already'

echo "Go, and scripts"
printf 'char info[16] __attribute__((section(".go.buildinfo"))) = "Go";\n' >go.c
if "$cc" -static plain.c go.c -o go 2>/dev/null; then
    fails ./go
    said 'Go program'
fi
printf 'int main(void) { return 0; }\n' >nothing.c
"$cc" nothing.c go.c -o dynamic-go || exit 1
fails ./dynamic-go
said 'Go program'
"$cc" plain.c go.c -o cgo || exit 1
works ./cgo
said 'C parts'
printf '#!%s\n' "$PWD/musl" >script && chmod +x script
fails ./script
said "its interpreter, $PWD/musl"
printf '#!/usr/bin/env -S A=1 %s -x\n' "$PWD/plain" >by-env && chmod +x by-env
works ./by-env
said "its interpreter, $PWD/plain"
printf '#!/no/such/interpreter\n' >lost && chmod +x lost
fails ./lost
said /no/such/interpreter
printf '#!%s\n' "$PWD/loop" >loop && chmod +x loop
fails ./loop
printf 'exit 0\n' >no-line && chmod +x no-line
works ./no-line
said /bin/sh

echo "limits"
try 0 sh -c 'ulimit -v 200000; exec "$1" --check ./plain' sh "$run"
said 'the address space is limited to 195 MiB'
said 'ulimit -v'

cat >filtered.c <<'END'
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int count, char **words) {
    struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    struct sock_fprog filter = {1, &allow};
    (void)count;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
    execv(words[1], words + 1);
    return 1;
}
END
if "$cc" filtered.c -o filtered 2>/dev/null; then
    try 0 ./filtered "$run" --check ./plain
    said 'a seccomp filter is in force'
fi
mkdir -p noexec/launcher noexec/preload && cp "$run" noexec/launcher/
cat >mounted.sh <<'END'
mount -t tmpfs -o noexec none noexec/preload 2>/dev/null || exit 77
cp "$2" noexec/preload/ && exec noexec/launcher/cutback-run --check ./plain
END
if unshare -m sh mounted.sh sh "$preload" >/dev/null 2>&1 || [ $? != 77 ] && unshare -m true 2>/dev/null; then
    try 1 unshare -m sh mounted.sh sh "$preload"
    said 'on a file system mounted noexec'
fi

echo "a library that does not load"
mkdir -p damaged-tree/launcher damaged-tree/preload
cp "$run" damaged-tree/launcher/ && echo nonsense >damaged-tree/preload/libcutback_preload.so
try 1 damaged-tree/launcher/cutback-run --check ./plain
said 'tried here, the library does not work (exit status 1)'

echo "what cannot be found or started has the status that the shell gives it"
try 127 "$run" --check ./no-such-program
one_line
: >not-executable
try 126 "$run" --check ./not-executable
one_line
try 2 "$run" --check
one_line

done_testing
