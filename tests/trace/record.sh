#!/bin/bash
# The recorder writes every call, whatever becomes of the process: threads, forks, crashes, signals, closed descriptors.
# shellcheck source=tests/launcher/common.sh
. "$(dirname "$0")/../launcher/common.sh"
replay=${CUTBACK_REPLAY:?cutback-replay}
workload=${CUTBACK_WORKLOAD:?the program whose calls are known}

# record NAME STATUS: the workload of this name ends so, and leaves NAME.trace, and NAME.text, which it is as text.
record() {
    try "$2" "$run" --record "$1.trace" "$workload" "$1"
    as_text "$1.trace" "$1.text"
}
as_text() {
    "$replay" --dump "$1" >"$2" 2>read-err || { wrong "$1 cannot be read" && cat read-err >&2; }
}
# has FILE COUNT PATTERN: so many lines of it match.
has() {
    local count
    count=$(grep -cE -e "$3" "$1")
    [ "$count" = "$2" ] || wrong "$1 has $count lines, not $2, that match $3"
}

echo "every function"
record single 0
quiet
sed 's/^[0-9.]* //' single.text >calls
cat >expected <<END
0 malloc 7919 = #0
0 realloc #0 17389 (7919)
0 reallocarray #0 11143 (17389)
0 malloc_usable_size #0
0 free #0 (11143)
0 free NULL
0 calloc 6009 = #0
0 free_sized #0 (6009)
0 posix_memalign 4099 align 256 = #0
0 free #0 (4099)
0 aligned_alloc 12288 align 4096 = #0
0 memalign 5003 align 64 = #1
0 valloc 5009 align 4096 = #2
0 pvalloc 5011 align 4096 = #3
0 malloc 9223372036854775807 failed
0 malloc 5021 = #4
0 realloc #4 9223372036854775807 failed
0 malloc 5023 = #5
0 realloc #5 (5023)
0 malloc_trim
END
# other libraries of the process may call malloc, too
grep -vxF -f calls expected >missing
[ ! -s missing ] || { wrong "calls that are not in the trace" && cat missing calls >&2; }

echo "objects of the C library's own"
record foreign 0
quiet
has foreign.text 1 'realloc unknown'
has foreign.text 2 '[0-9] free unknown'
has foreign.text 0 '7919'

echo "threads, which hand objects to each other"
record threads 0
has threads.text 13334 '^[0-9.]+ 2 (free|realloc) #[0-9]+' # a third are resized first
has threads.text 25000 '^[0-9.]+ ([3-9]|[1-4][0-9]|5[0-2]) malloc '
[ "$(stat -c %s threads.trace)" -lt 1000000 ] || wrong "threads that have ended leave their chunks half empty"

echo "forks: files of their own"
for how in fork _Fork; do
    record $how 0
    has $how.text 2 'malloc 79(19|27) = '
    has $how.text 2 'free #[0-9]+ \(79(19|27)\)'
    children=("$how".trace.*)
    [ ${#children[@]} = 2 ] || wrong "$how: ${#children[@]} files of children"
    for child in "${children[@]}"; do
        as_text "$child" "$child.text"
    done
    cat "$how".trace.*.text >children.text
    has children.text 1 'realloc unknown 10007 = '
    has children.text 1 'free #[0-9]+ \(10007\)'
    has children.text 1 'free #[0-9]+ \(10009\)'
    has children.text 2 'free unknown'
done

echo "whatever ends the process, its last call is there"
for how in segv:139 kill:137 abort:134 _exit:0 exec:0; do
    record "${how%:*}" "${how#*:}" 2>/dev/null
    has "${how%:*}.text" 20000 'malloc [0-9]{2} = '
    has "${how%:*}.text" 1 'malloc 7919 = '
done

echo "signals"
record signals 0
has signals.text 0 'free unknown'
try 0 "$replay" --check all signals.trace

echo "a program that closes all descriptors"
record daemon 0
quiet
has daemon.text 1 'malloc 7919 = '
has daemon.text 100010 'malloc [0-9]{2} = '

echo "a file that may not grow"
record limited 0
told 'recording stops: the file cannot grow (file too large)'
[ "$(wc -l <err)" -le 1 ] || wrong "more than a line"
"$replay" limited.trace >out || wrong "what was written before cannot be replayed"

echo "names"
try 0 "$run" --record n.%p.%t.%% "$workload" single
ls n.*.*.% >out 2>/dev/null || wrong "no file: $(ls)"
try 0 "$run" --record again.trace "$workload" single
try 0 "$run" --record again.trace "$workload" single
[ "$(echo again.trace*)" = again.trace ] || wrong "an older trace is not replaced: $(echo again.trace*)"
try 0 env CUTBACK_OPTIONS=record=again.trace LD_PRELOAD="${CUTBACK_RECORDER:?}" "$workload" single
[ "$(echo again.trace* | wc -w)" = 2 ] || wrong "a file that was there was written to: $(echo again.trace*)"
echo text >text
try 125 "$run" --record text "$workload" single
one_line
[ "$(cat text)" = text ] || wrong "a file that is no trace was written over"
try 125 "$run" --record nowhere/x "$workload" single
one_line
cp again.trace kept.trace
try 127 "$run" --record kept.trace ./no-such-program
one_line
cmp -s again.trace kept.trace || wrong "an older trace is gone, though nothing was recorded"
if echo 'int main(void) { return 0; }' | ${CC:-gcc} -x c - -static -o static 2>/dev/null; then
    try 1 "$run" --record kept.trace ./static
    one_line
    told 'will not work on cutback: it is linked statically'
    cmp -s again.trace kept.trace || wrong "an older trace is gone, though nothing was recorded"
fi
try 2 "$run" --record 'a,b' "$workload" single
one_line
try 2 "$run" --record x --debug "$workload" single
one_line
try 0 env CUTBACK_OPTIONS=record=nowhere/x LD_PRELOAD="$CUTBACK_RECORDER" "$workload" single
told 'nothing is recorded (no such folder)'
try 0 env CUTBACK_OPTIONS=record=x LD_PRELOAD="$preload" "$workload" single
told 'record is for libcutback_preload_record.so'
[ "$(wc -l <err)" = 1 ] || wrong "not one line"
try 0 env LD_PRELOAD="$CUTBACK_RECORDER" "$workload" single
quiet

try 0 "$run" --only "$(basename "$workload")" --record only.trace sh -c "'$workload' single; true"
[ "$(echo only.trace*)" = only.trace ] || wrong "--only: $(echo only.trace*)"

echo "sites"
try 0 "$run" --record sites.trace --option record_sites=1 "$workload" single
as_text sites.trace sites.text
site=$(sed -nE 's/.* malloc 7919 = #0 (@[0-9]+)$/\1/p' sites.text)
[ -n "$site" ] || wrong "no site"
grep -qE "^$site = .*$(basename "$workload")\+0x[0-9a-f]+$" sites.text || wrong "$site is not in the workload"
[ "$(grep -oE ' @[0-9]+$' sites.text | sort -u | wc -l)" -ge 10 ] || wrong "few sites"

echo "bytes a call, of a compiler"
if command -v gcc >/dev/null; then
    try 0 "$run" --record cc.%p gcc -O2 -D_GNU_SOURCE -I "${CUTBACK_SOURCE:?}/src" -c "$CUTBACK_SOURCE/src/heap/pages.c" -o pages.o
    # shellcheck disable=SC2012 # names of our own
    largest=$(ls -S cc.* | head -n 1)
    "$replay" --dump=json "$largest" >summary.json || wrong "no summary"
    python3 - summary.json <<'END' || wrong "too many bytes a call"
import json
import sys

summary = json.load(open(sys.argv[1]))
print(f"{summary['bytes']} bytes, {summary['records']} calls: {summary['bytes'] / summary['records']:.2f} bytes a call")
assert summary["records"] > 100000 and summary["bytes"] <= 4 * summary["records"]
assert summary["complete"] and summary["lost"] == 0 and summary["peak"]["bytes"] > 1 << 20
assert len(summary["live"]) <= 2000 and max(most for _, _, _, most in summary["live"]) == summary["peak"]["bytes"]
assert sum(summary["calls"].values()) == summary["records"] == sum(t["calls"] for t in summary["threads"])
assert sum(size["allocations"] for size in summary["sizes"]) == summary["allocations"]
assert summary["allocations"] - summary["frees"] == summary["end"]["objects"]
assert summary["unknown"] == 0
END
fi

done_testing
