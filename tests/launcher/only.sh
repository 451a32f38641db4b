#!/bin/bash
# --only: of a tree of programs those that are named get the library, and nothing else about them changes.
# shellcheck source=tests/launcher/common.sh
. "$(dirname "$0")/common.sh"
gate=$(realpath "$(dirname "$run")/libcutback_only.so") || exit 1

# programs_where 1, programs_where 0: the programs of the last traced command with the library in them, and without.
traced() {
    rm -f by.*
    try 0 env LD_DEBUG=files LD_DEBUG_OUTPUT="$PWD/by" "$run" "$@"
}
programs_where() {
    local file
    for file in by.*; do
        awk -v library="$preload" -v want="$1" '
            index($0, "calling init: " library) { has = 1 }
            /initialize program: / { name = $NF; sub(".*/", "", name); had = has; has = 0 }
            END { if (had + 0 == want + 0) print name }' "$file"
    done | sort -u
}

echo "a compiler: cc1 and nothing else"
if command -v gcc >/dev/null; then
    echo 'int main(void) { return 0; }' >a.c
    traced --only cc1 gcc -O1 a.c -o a
    [ "$(programs_where 1)" = cc1 ] || wrong "with the library: $(programs_where 1 | tr '\n' ' ')"
    for name in gcc as collect2; do
        programs_where 0 | grep -qx $name || wrong "$name is not among those without: $(programs_where 0 | tr '\n' ' ')"
    done
    ./a || wrong "what gcc made does not run"
    traced --only as,cc1 gcc -O1 -c a.c -o a.o
    [ "$(programs_where 1 | tr '\n' ' ')" = 'as cc1 ' ] || wrong "with the library: $(programs_where 1 | tr '\n' ' ')"
fi

# has PID, has_not PID: by its memory map.
maps='grep -c libcutback_preload /proc/$$/maps; grep -c libcutback_preload /proc/self/maps'

echo "a shell and what it starts"
try 0 "$run" --only sh sh -c "$maps; :"
[ "$(sed -n 1p out)" -gt 0 ] || wrong "the shell is without the library"
[ "$(sed -n 2p out)" = 0 ] || wrong "grep, which the shell started, has it"
try 0 "$run" --only grep sh -c "$maps; :"
[ "$(sed -n 1p out)" = 0 ] || wrong "the shell has the library"
[ "$(sed -n 2p out)" -gt 0 ] || wrong "grep is without it"
try 0 "$run" --only none sh -c "$maps; :"
[ "$(tr '\n' ' ' <out)" = '0 0 ' ] || wrong "somebody has the library, though nobody is named"

echo "nothing else changes: process, name, arguments, environment, streams, status, signals"
"$run" --only sh sh -c 'echo $$; cat /proc/$$/comm' >out &
wait $!
[ "$(cat out)" = "$!
sh" ] || wrong "another process or name: $(cat out), not $! and sh"
try 7 "$run" --only bash bash -c 'printf "<%s>" "$0" "$@"; exit 7' a '' 'b c'
[ "$(cat out)" = '<a><><b c>' ] || wrong "arguments: $(cat out)"
try 0 env A=1 "$run" --only env env
said A=1
said "LD_PRELOAD=$gate"
try 0 env LD_PRELOAD=libm.so.6 "$run" --only sh sh -c 'echo "$LD_PRELOAD"'
[ "$(cat out)" = "$gate:libm.so.6" ] || wrong "LD_PRELOAD is $(cat out)"
try 0 bash -c 'exec "$0" --only other-name bash -c "exec -a other-name sh -c \"$1\""' "$run" "$maps; :"
[ "$(sed -n 1p out)" -gt 0 ] || wrong "a program is not known by its argv[0]"
echo input | "$run" --only cat cat >out
[ "$(cat out)" = input ] || wrong "standard input: $(cat out)"
try 143 "$run" --only sh sh -c 'kill -TERM $$'

echo "scripts, by their own name and by that of the interpreter"
printf '#!/bin/sh\n%s\n:\n' "$maps" >script && chmod +x script
try 0 "$run" --only script ./script
[ "$(sed -n 1p out)" -gt 0 ] || wrong "a script is not known by its name"
[ "$(sed -n 2p out)" = 0 ] || wrong "grep, which the script started, has the library"
try 0 "$run" --only sh ./script
[ "$(sed -n 2p out)" = 0 ] || wrong "grep, which the script started, has the library"

echo "the loader as the program; a library that is not there: the program runs as it is"
loader=$(awk '/ld-linux.*\.so/ { print $NF; exit }' /proc/self/maps)
if [ -x "$loader" ]; then
    try 0 "$run" --only cat "$loader" "$(command -v cat)" script
    cmp -s out script || wrong "cat by the loader prints something else"
fi
try 0 env LD_PRELOAD="$gate" CUTBACK_ONLY=echo CUTBACK_ONLY_PRELOAD=/no/such/library.so /bin/echo here
said here
try 0 env LD_PRELOAD="$gate" CUTBACK_ONLY=echo /bin/echo here
said here

echo "wrong names"
for names in '' ',' 'a,' ',a' a,,b a/b; do
    try 2 "$run" --only "$names" true
    one_line
done

done_testing
