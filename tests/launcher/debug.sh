#!/bin/bash
# --debug: what was found is summed up in one line at the end, and the launcher ends as the program did.
# shellcheck source=tests/launcher/common.sh
. "$(dirname "$0")/common.sh"
faults=${CUTBACK_FAULTS:?a program that makes the mistake named}
ulimit -c 0

summary() {
    [ "$(grep -c '^cutback-run: ' err)" = 1 ] || { wrong "$tried: not one line at the end" && cat err >&2; }
    [ "$(tail -n 1 err)" = "cutback-run: $1" ] || wrong "$tried: tells '$(tail -n 1 err)', not '$1'"
}

echo "nothing is found: one line"
try 0 "$run" --debug "$faults" none
summary 'no fault found in 1 process'
[ "$(wc -l <err)" = 1 ] || wrong "more than one line where nothing is found"
if command -v gcc >/dev/null; then
    echo 'int main(void) { return 0; }' >a.c
    try 0 "$run" --debug gcc -c a.c -o a.o
    summary 'no fault found in 3 processes'
    try 0 "$run" --debug --only cc1 gcc -c a.c -o a.o
    summary 'no fault found in 1 process'
fi

echo "something is found"
try 134 "$run" --debug "$faults" double_free
told 'cutback: free(): double free of'
summary '1 fault found in 1 of 1 process: 1 double free'
try 0 "$run" --debug --option on_error=warn bash -c '"$0" double_free; "$0" overflow_of_calloc; :; "$0" none; exit 0' "$faults"
summary '2 faults found in 2 of 4 processes: 1 double free, 1 overflow'
try 139 "$run" --debug "$faults" large_overflow
summary '1 fault found in 1 of 1 process: 1 overflow'

echo "a program that becomes another, and one in a tree that is killed"
try 0 "$run" --debug bash -c 'exec "$0" none' "$faults"
summary 'no fault found in 1 process'
try 134 "$run" --debug bash -c 'exec "$0" double_free' "$faults"
summary '1 fault found in 1 of 1 process: 1 double free'
try 0 "$run" --debug bash -c 'bash -c "kill -KILL \$\$"; exit 0'
summary 'no fault found in 2 processes (1 ended by _exit or a signal, and what they left was not looked at)'
try 0 "$run" --debug bash -c '"$0" double_free; bash -c "kill -SEGV \$\$"; exec "$0" none' "$faults"
summary '1 fault found in 1 of 3 processes: 1 double free'
try 0 "$run" --debug --option traces=0 "$faults" none
summary 'no fault found in 1 process'

echo "processes that are not looked at to their end, or not at all"
try 137 "$run" --debug bash -c 'kill -KILL $$'
summary 'no fault found in 1 process (1 ended by _exit or a signal, and what they left was not looked at)'
if echo 'int main(void) { return 0; }' | ${CC:-gcc} -x c - -static -o static 2>/dev/null; then
    try 0 "$run" --debug ./static
    summary 'cutback was in no process, so nothing was looked at: see --check'
fi

echo "the end of the program is that of the launcher; signals reach it"
for status in 0 1 77; do
    try $status "$run" --debug bash -c "exit $status"
done
for signal in TERM INT HUP USR1; do
    rm -f ready
    # INT is ignored in what a shell starts in the background
    "$run" --debug env --default-signal=INT bash -c "trap 'echo caught; exit 5' $signal; : >ready; while :; do read -t 0.05 <>/dev/zero; done" \
        >out 2>err &
    while [ ! -e ready ]; do sleep 0.01; done
    kill -s $signal $!
    wait $!
    status=$?
    tried="a program that catches SIG$signal"
    [ $status = 5 ] && [ "$(cat out)" = caught ] || { wrong "$tried: exit status $status" && cat out err >&2; }
done
"$run" --debug sleep 60 2>/dev/null &
while [ -z "$(cat "/proc/$!/task/$!/children")" ]; do sleep 0.01; done
kill $!
wait $! 2>/dev/null
[ $? = 143 ] || wrong "SIGTERM does not end it"
echo input | "$run" --debug cat >out 2>/dev/null
[ "$(cat out)" = input ] || wrong "standard input: $(cat out)"

echo "programs that are not there, or cannot run"
try 127 "$run" --debug no-such-program
one_line
printf '#!/no/such/interpreter\n' >script && chmod +x script
try 126 "$run" --debug ./script
one_line

done_testing
