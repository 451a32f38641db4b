#!/bin/bash
# cutback-run --report: what it refuses, how it ends, what it leaves, and the page itself (page.py).
# shellcheck source=tests/launcher/common.sh
. "$(dirname "$0")/../launcher/common.sh"
here=$(cd "$(dirname "$0")" && pwd)
workload=${CUTBACK_WORKLOAD:?the program whose calls are known}
built=$(dirname "$(dirname "$run")")
mkdir recordings
export TMPDIR=$PWD/recordings

# left_nothing: neither a page nor a recording.
left_nothing() {
    [ ! -e page.html ] || { wrong "$tried: a page is left" && rm page.html; }
    [ -z "$(ls -A recordings)" ] || wrong "$tried: recordings are left: $(ls -R recordings)"
}

# tree NAME: a copy of what the launcher needs, with a program in Python of its own from standard input.
tree() {
    mkdir -p "$1"/{launcher,preload/record,replay,report}
    cp "$run" "$built/launcher/libcutback_only.so" "$1/launcher/"
    cp "$preload" "$1/preload/"
    cp "$built/preload/record/libcutback_preload_record.so" "$1/preload/record/"
    cp "$built/replay/cutback-replay" "$1/replay/"
    cat >"$1/report/report.py"
}
tree quick <<'END'
import os, sys
if sys.argv[1] != "--can-draw":
    words = sys.argv[1:]
    traces = os.listdir(words[words.index("--traces") + 1])
    print("<!DOCTYPE html>\n", words[words.index("--run") + 1], len(traces), words[words.index("--") + 1:],
          os.environ.get("CUTBACK_OPTIONS"), "LD_PRELOAD" in os.environ)
END
tree blind <<'END'
import sys
sys.exit(1)
END
tree broken <<'END'
import sys
sys.exit(0 if sys.argv[1] == "--can-draw" else 1)
END
quick=$PWD/quick/launcher/cutback-run

echo "what is missing, or cannot be written to"
try 125 blind/launcher/cutback-run --report page.html true
one_line
told 'apt-get install python3-matplotlib'
left_nothing
rm blind/report/report.py
try 125 blind/launcher/cutback-run --report page.html true
one_line
told 'report.py is neither in'
try 125 broken/launcher/cutback-run --report page.html true
one_line
told 'there is no report'
left_nothing
try 125 "$quick" --report nowhere/page.html true
one_line
told 'nowhere/page.html cannot be written to: No such file or directory'
try 125 "$quick" --report . true
one_line
echo 'int main' >program.c
try 125 "$quick" --report program.c true
one_line
told 'is no page: it is not written over'
grep -qx 'int main' program.c || wrong "$tried: it is written over"
try 125 env TMPDIR="$PWD/nowhere" "$quick" --report page.html true
one_line
mkdir 'a,b'
try 125 env TMPDIR="$PWD/a,b" "$quick" --report page.html true
one_line
rmdir 'a,b' || wrong "$tried: something is left"
if [ -e /dev/full ]; then
    try 125 "$quick" --report /dev/full "$workload" single
    told '/dev/full cannot be written to'
fi
# a pipe that nobody reads, before or after the program has ended
try 125 bash -c '"$0" --report /dev/stdout "$1" single 2>err | :; exit ${PIPESTATUS[0]}' "$quick" "$workload"
left_nothing

if [ -x /usr/bin/python3 ]; then
    echo "the system's python draws where the first of PATH has no matplotlib"
    tree system <<'END'
import sys
if sys.prefix != "/usr":
    sys.exit(1)
if sys.argv[1] != "--can-draw":
    print("<!DOCTYPE html>")
END
    mkdir -p venv/bin && ln -s /usr/bin/python3 venv/bin/ && echo 'home = /usr/bin' >venv/pyvenv.cfg
    try 0 env PATH="$PWD/venv/bin:$PATH" system/launcher/cutback-run --report page.html "$workload" single
    told 'the report is in page.html'
    rm -f page.html
fi

echo "programs that cannot be recorded, and wrong usage"
try 127 "$quick" --report page.html no-such-program
one_line
: >not-executable
try 126 "$quick" --report page.html ./not-executable
one_line
printf '#!/no/such/interpreter\n' >script && chmod +x script
try 126 "$quick" --only x --report page.html ./script
one_line
static=$(command -v ldconfig) && ! readelf -l "$static" 2>/dev/null | grep -q INTERP && {
    try 1 "$quick" --report page.html "$static" -V
    one_line
    told 'linked statically'
}
for words in '--check' '--debug' '--stats' '--record x'; do
    # shellcheck disable=SC2086 # words
    try 2 "$quick" --report page.html $words true
    one_line
done
try 2 "$quick" --report
one_line
left_nothing

echo "it ends as the program does"
export CUTBACK_OPTIONS=purge=lazy # of the user, which the program in Python gets as it was
try 0 "$quick" --report page.html "$workload" single
one_line
told 'the report is in page.html'
grep -q "exit status 0 1 .*'single'\] purge=lazy False" page.html || { wrong "$tried: not what was run" && cat page.html >&2; }
try 7 "$quick" --report page.html sh -c "'$workload' single; exit 7"
grep -q 'exit status 7 [12] ' page.html || { wrong "$tried: not what was run" && cat page.html >&2; }
for name in kill:137 segv:139 abort:134; do
    "$quick" --report page.html "$workload" "${name%:*}" >/dev/null 2>err
    status=$?
    tried="--report of $name"
    [ $status = "${name#*:}" ] || wrong "$tried: exit status $status"
    told 'the report is in page.html'
    grep -qiE "killed by SIG(${name%:*}|abrt) 1 " page.html || { wrong "$tried: not what was run" && cat page.html >&2; }
done
"$quick" --report /dev/stdout "$workload" single 2>err | grep -q '<!DOCTYPE html>' || wrong "no page on standard output"
rm page.html

echo "signals are the program's"
# shellcheck disable=SC2016 # the shell's own
"$quick" --report page.html sh -c 'trap "echo got it; exit 5" TERM; echo $$ >ready; while :; do sleep 0.1; done' >out 2>err &
launcher=$!
for ((i = 0; i < 200; i++)); do
    [ ! -s ready ] || break
    sleep 0.1
done
kill -TERM $launcher
wait $launcher
status=$?
tried="--report of a program that gets SIGTERM"
[ $status = 5 ] || wrong "$tried: exit status $status"
said 'got it'
told 'the report is in page.html'
rm -f page.html
left_nothing
unset CUTBACK_OPTIONS

echo "the page"
drawer=${CUTBACK_DRAWER:?report.py}
if ! python3 "$drawer" --can-draw && ! /usr/bin/python3 "$drawer" --can-draw; then
    [ $failures = 0 ] || done_testing
    skip "the page itself: there is no matplotlib"
fi
try 125 "$run" --report page.html --only no-such-program true
one_line
told 'nothing was recorded'
left_nothing
try 0 "$run" --report page.html --compare -n 1 "$workload" threads
one_line
said 'user+sys time'
[ -z "$(ls -A recordings)" ] || wrong "$tried: recordings are left"
python3 "$here/page.py" page.html || wrong "the page is not as it should be"

done_testing
