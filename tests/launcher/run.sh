#!/bin/bash
# The launcher becomes the program: the same process, arguments, environment, streams, terminal, exit status and
# signals; the library is in it. Wrong usage and programs that cannot run give one line and the right status.
# shellcheck source=tests/launcher/common.sh
. "$(dirname "$0")/common.sh"

echo "the library is there, before what was there already"
try 0 "$run" grep -c "$preload" /proc/self/maps
quiet
try 0 env LD_PRELOAD=libm.so.6 "$run" sh -c 'echo "$LD_PRELOAD"'
[ "$(cat out)" = "$preload:libm.so.6" ] || wrong "LD_PRELOAD is $(cat out)"
try 0 "$run" "$run" sh -c 'echo "$LD_PRELOAD"'
[ "$(cat out)" = "$preload" ] || wrong "twice: LD_PRELOAD is $(cat out)"
try 0 env "LD_PRELOAD=libm.so.6 libdl.so.2" "$run" sh -c 'echo "$LD_PRELOAD"'
[ "$(cat out)" = "$preload:libm.so.6:libdl.so.2" ] || wrong "LD_PRELOAD is $(cat out)"

echo "process, arguments, streams"
"$run" sh -c 'echo $$' >out &
wait $!
[ "$(cat out)" = $! ] || wrong "another process: $(cat out), not $!"
try 0 "$run" -- printf '<%s>' one '' 'two words' --help -n '*'
[ "$(cat out)" = '<one><><two words><--help><-n><*>' ] || wrong "arguments: $(cat out)"
try 0 "$run" printf '<%s>' --check
said '<--check>'
echo input | "$run" cat >out || wrong "cat failed"
[ "$(cat out)" = input ] || wrong "standard input: $(cat out)"
try 0 bash -c 'exec -a other-name "$0" sh -c "echo \$0"' "$run"
said sh
printf 'echo "no first line: $1"\n' >plain && chmod +x plain
try 0 "$run" ./plain given
said 'no first line: given'
if command -v script >/dev/null; then
    script -qec "'$run' sh -c 'test -t 0 && test -t 1 && test -t 2 && tty'" /dev/null >out </dev/null ||
        wrong "no terminal: $(cat out)"
fi

echo "exit status and signals"
for status in 0 1 2 77 126 127 255; do
    try $status "$run" sh -c "exit $status"
    quiet
done
"$run" sleep 60 &
while ! grep -q sleep "/proc/$!/comm"; do sleep 0.01; done
kill -USR1 $!
wait $! 2>/dev/null
[ $? = $((128 + 10)) ] || wrong "SIGUSR1 does not end it"
"$run" sh -c 'trap "echo caught; exit 5" TERM; : >ready; while :; do sleep 0.05; done' >out &
while [ ! -e ready ]; do sleep 0.01; done
kill $!
wait $!
[ $? = 5 ] && [ "$(cat out)" = caught ] || wrong "SIGTERM is not caught"

echo "options of the heap"
try 0 env CUTBACK_OPTIONS=purge=lazy "$run" --option reserve=2M --option on_error=warn sh -c 'echo "$CUTBACK_OPTIONS"'
[ "$(cat out)" = purge=lazy,reserve=2M,on_error=warn ] || wrong "CUTBACK_OPTIONS is $(cat out)"
try 0 "$run" --stats cat /dev/null
told ', at exit'
try 0 "$run" --stats=text --stats-file 'stats-%p.%%' bash -c 'echo $$; cd /'
quiet
grep -q "process $(cat out) (bash), at exit" stats-*.% || wrong "no statistics in $(echo stats-*)"
try 0 "$run" --stats=json --stats-file "$PWD/stats" bash -c 'cat /dev/null; exit'
[ "$(grep -c '^{"version":1,.*"program":"\(bash\|cat\)".*}$' stats)" = 2 ] || wrong "in the file: $(cat stats)"
try 0 "$run" --option stats=1 --option stats_format=json true
told '"program":"true"'
try 125 "$run" --stats --stats-file /no/such/folder/file true
one_line
told '/no/such/folder/file cannot be written to'
while IFS=: read -r option text; do
    try 2 "$run" --option "$option" true
    one_line
    told "$text"
done <<'END'
stat=1:cutback has no option stat
stats=maybe:stats has no such value: maybe
stats:--option wants NAME=VALUE, not stats
=1:--option wants NAME=VALUE
:--option wants NAME=VALUE
reserve=1X:reserve has no such value: 1X
purge=now,stats=1:an --option for each
END

echo "--help and --version"
try 0 "$run" --help
said 'usage: cutback-run [OPTIONS] [--] PROGRAM [ARGS...]'
quiet
try 0 "$run" --version
grep -qxE 'cutback-run [0-9]+\.[0-9]+\.[0-9]+' out || wrong "version: $(cat out)"
for stream in '>/dev/full' '>&-'; do
    try 125 sh -c '"$1" --help '"$stream" sh "$run"
    one_line
    try 125 sh -c '"$1" --check true '"$stream" sh "$run"
    one_line
done
try 0 sh -c '"$1" sh -c "for i in 0 1 2 3; do test -e /proc/\$\$/fd/\$i && echo \$i; done; :" <&- 2>&-' sh "$run"
[ "$(tr -d '\n' <out)" = 1 ] || wrong "of closed streams these are open in the program: $(tr '\n' ' ' <out)"

echo "wrong usage"
try 2 "$run"
one_line
told 'which program?'
try 2 "$run" --nonsense true
told 'there is no option --nonsense'
try 2 "$run" --check=1 true
told '--check takes no value'
try 2 "$run" --report
told '--report wants a value'
try 127 "$run" --stats json true
one_line
told 'json: not found in PATH (--stats=json?)'
try 127 "$run" --compare 3 true
one_line
told '3: not found in PATH (-n 3?)'
for words in --nonsense -x --check=1 --rounds '--rounds 0 --compare true' '--rounds 1001 --compare true' '-n 3x --compare true' \
    '-n -1 --compare true' '-n 3 true' '--json x true' '--prepare x true' '--check --compare true' --option --check \
    '--stats=xml true' '--stats= true' '--stats-file x true' '--stats --stats-file' '--stats --stats-file a,b true' \
    '--stats --stats-file %x true' '--compare --debug true' '--compare --stats true' '--check --only a true'; do
    # shellcheck disable=SC2086
    try 2 "$run" $words
    one_line
done

echo "programs that are not there, or cannot run"
try 127 "$run" no-such-program
one_line
told 'no-such-program: not found in PATH'
try 127 "$run" ./no-such-program
one_line
try 127 "$run" ''
one_line
try 127 "$run" ./out/below
one_line
: >not-executable
try 126 "$run" ./not-executable
one_line
try 126 env PATH="$PWD" "$run" not-executable
one_line
try 126 "$run" /tmp
one_line
printf '#!/no/such/interpreter\n' >script && chmod +x script
try 126 "$run" ./script
one_line
told 'interpreter'
printf '\177ELF and then nonsense' >broken && chmod +x broken
try 126 "$run" ./broken
one_line

echo "programs that cutback cannot be in"
if echo 'int main(void) { return 0; }' | ${CC:-gcc} -x c - -static -o static 2>/dev/null; then
    try 0 "$run" ./static
    quiet
    try 0 "$run" --stats ./static
    one_line
    told 'runs without cutback, and tells nothing of itself: it is linked statically'
    try 0 "$run" --stats --only static ./static
    quiet
fi

echo "folders that ld.so does not take, and none"
mkdir -p 'a folder/launcher' 'a folder/preload' elsewhere
cp "$run" 'a folder/launcher/' && cp "$preload" 'a folder/preload/' && cp "$run" elsewhere/
try 125 'a folder/launcher/cutback-run' true
one_line
try 125 elsewhere/cutback-run true
one_line
told libcutback_preload.so

done_testing
