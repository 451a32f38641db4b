#!/bin/bash
# The traces of real programs in bench/traces, replayed under cutback and under glibc's malloc with all contents checked; what
# the advisor says of them is computed once more.
# shellcheck source=tests/launcher/common.sh
. "$(dirname "$0")/../launcher/common.sh"
here=$(cd "$(dirname "$0")" && pwd)
replay=${CUTBACK_REPLAY:?cutback-replay}
traces=${CUTBACK_SOURCE:?the source tree}/bench/traces

total=0
for packed in "$traces"/*.trace.xz; do
    name=$(basename "$packed" .trace.xz)
    echo "$name"
    python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' "$packed" >"$name" ||
        wrong "$packed cannot be unpacked"
    for malloc in cutback glibc; do
        try 0 "$replay" --malloc $malloc --check all "$name"
        quiet
        calls=$(sed -nE 's/^calls: ([0-9]+) .*/\1/p' out)
        [ "${calls:-0}" -gt 100000 ] || { wrong "$tried: few calls" && cat out >&2; }
    done
    try 0 "$replay" --advise "$name"
    quiet
    said 'it does not suit an arena'
    # of redis this takes too long for every day
    [ "$name" = redis ] || python3 "$here/advise.py" "$replay" "$name" || wrong "$name: the advice is not right"
    total=$((total + $(stat -c %s "$packed")))
done
[ $total -gt 100000 ] && [ $total -le 2097152 ] || wrong "they have $total bytes together"

done_testing
