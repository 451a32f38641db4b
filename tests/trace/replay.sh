#!/bin/bash
# cutback-replay: under several mallocs, what it prints, what it finds, what it refuses, what it shrinks.
# shellcheck source=tests/launcher/common.sh
. "$(dirname "$0")/../launcher/common.sh"
replay=${CUTBACK_REPLAY:?cutback-replay}
workload=${CUTBACK_WORKLOAD:?the program whose calls are known}

# own_line: exactly one, on standard error.
own_line() {
    if [ "$(wc -l <err)" != 1 ] || ! grep -q '^cutback-replay: ' err; then
        wrong "$tried: not one line of its own" && cat err >&2
    fi
}

for name in single threads kill; do
    "$run" --record $name.trace "$workload" $name 2>/dev/null
done

echo "under several mallocs"
for malloc in glibc cutback "$preload" jemalloc mimalloc tcmalloc; do
    case $malloc in jemalloc | mimalloc | tcmalloc) ldconfig -p | grep -q "lib$malloc" || continue ;; esac
    for name in single threads kill; do
        for check in ends all none; do
            [ "$malloc" = cutback ] || [ $check = all ] || continue
            try 0 "$replay" --malloc "$malloc" --check $check $name.trace
            quiet
            said "page faults: "
        done
    done
    said "20001 by 1 thread"
done
try 0 env LD_PRELOAD="$preload" "$replay" threads.trace
said "by 53 threads"
said "resident / live: "
try 0 "$replay" -m glibc -c all -- threads.trace

echo "text and summary"
try 0 "$replay" --dump=text single.trace
mv out text
try 0 "$replay" --dump single.trace
cmp -s text out || wrong "--dump is not --dump=text"
try 0 "$replay" --dump=json threads.trace
python3 - out <<'END' || wrong "the summary is not right"
import json
import sys

summary = json.load(open(sys.argv[1]))
assert summary["version"] == 1 and summary["command"][1] == "threads", summary["command"]
assert len(summary["threads"]) == 53 and summary["complete"] and summary["parent"] == 0
assert summary["calls"]["realloc"] >= 3334 and summary["calls"]["malloc"] >= 35000
assert sum(lifetime["objects"] for lifetime in summary["lifetimes"]) == summary["frees"]
END

for malloc in cutback glibc; do
    try 0 "$replay" --json --malloc $malloc threads.trace
    quiet
    python3 - out $malloc <<'END' || wrong "$tried: the figures are not right"
import json
import sys

found = json.load(open(sys.argv[1]))
assert found["version"] == 1 and ("cutback" in found["malloc"]) == (sys.argv[2] == "cutback"), found["malloc"]
samples = found["samples"]
assert 300 <= len(samples) <= 402 and [s[0] for s in samples] == sorted(s[0] for s in samples) and samples[-1][0] <= found["calls"]
assert [s[1] for s in samples] == sorted(s[1] for s in samples)
assert max(s[2] for s in samples) == found["peak_bytes"] and found["peak_resident"] >= found["end_resident"]
END
done
try 0 "$replay" --advise threads.trace
quiet
said ' 1,024 slots '

echo "a fault, found and shrunk"
bad=${CUTBACK_BAD_MALLOC:?the malloc with a fault}
cat >two.c <<'END'
#include <stdlib.h>
int main(void) {
    void *volatile keep[3000];
    for (int i = 0; i < 3000; i++) keep[i] = malloc(i % 1000 == 500 ? 7919 : 100 + i % 50);
    for (int i = 0; i < 3000; i++) free(keep[i]);
    return 0;
}
END
if "${CC:-cc}" -O0 two.c -o two 2>/dev/null; then
    try 0 "$run" --record two.trace ./two
    try 0 "$replay" --malloc "$preload" two.trace
    try 1 "$replay" --malloc "$bad" two.trace
    own_line
    told 'an object of 7919 bytes at '
    try 0 "$replay" --malloc "$bad" --shrink small.trace two.trace
    said 'small.trace: 4 of '
    try 1 "$replay" --malloc "$bad" small.trace
    try 0 "$replay" --dump small.trace
    [ "$(grep -c 'malloc 7919' out)" = 2 ] && [ "$(wc -l <out)" = 4 ] || { wrong "not the smallest" && cat out >&2; }
    # shellcheck disable=SC2016 # the command's own
    try 0 "$replay" --test '! "'"$replay"'" --dump "$1" | grep -q "malloc 149 "' --shrink smaller.trace two.trace
    try 0 "$replay" --dump smaller.trace
    [ "$(wc -l <out)" = 2 ] || { wrong "not one object" && cat out >&2; }
fi
try 125 "$replay" --malloc glibc --shrink x single.trace
told 'does not fail'
[ ! -e x ] && [ ! -e x.part ] || wrong "files are left"
echo text >text-file
for out in text-file . /no/such/folder/x single.trace; do
    try 125 "$replay" --test 'exit 1' --shrink $out single.trace
    own_line
done
told 'single.trace is the trace itself'
[ "$(cat text-file)" = text ] || wrong "a file that is no trace was written over"

echo "what cannot be read"
head -c 5000 kill.trace >short.trace
head -c 100 kill.trace >shorter.trace
: >empty.trace
echo 'not a trace at all' >other.trace
{ head -c 8 kill.trace && printf '\7' && tail -c +10 kill.trace; } >newer.trace
{ head -c 4128 kill.trace && printf '\77' && tail -c +4130 kill.trace; } >damaged.trace
while IFS=: read -r name text; do
    for how in --check=ends --json --dump --dump=json --advise --advise=json --shrink=y; do
        try 125 "$replay" "$how" "$name.trace"
        own_line
        told "$text"
    done
done <<END
missing:No such file or directory
short:truncated: 5000 of 36864 bytes
shorter:truncated: 100 bytes
empty:not a trace
other:not a trace
newer:version 7
damaged:damaged at byte 4128: not a record
END
try 125 "$replay" .
own_line

echo "wrong usage"
for options in '' 'a b' '--dump=xml x' '--check=some x' '--dump --shrink y x' '--dump -m glibc x' '--test true x' '--advise=xml x' '--advise --advise=json x' '--advise --dump x' '--advise -m glibc x' \
    '--json --dump x' '--json --advise x' '-z x' '--rounds x' \
    '--malloc' '--shrink y --test true -m glibc x' '--json=2 x' '--nonsense x'; do
    # shellcheck disable=SC2086 # words
    try 2 "$replay" $options
    own_line
done
try 127 "$replay" --malloc nosuchmalloc single.trace
own_line
told 'no malloc is known as nosuchmalloc, but glibc, cutback, jemalloc'
try 127 "$replay" --malloc ./nosuch.so single.trace
own_line
told './nosuch.so: No such file'
try 127 "$replay" --malloc /bin/true single.trace
own_line
try 0 "$replay" --help
said 'usage: '
try 0 "$replay" --version
said cutback-replay
if [ -e /dev/full ]; then
    for how in --check=ends --json --dump --dump=json --advise --advise=json --help; do
        "$replay" $how single.trace >/dev/full 2>err
        [ $? = 125 ] && tried=$how && own_line || wrong "$how: a full disk goes unnoticed"
    done
fi

echo "the manual page names the options of --help"
page=${CUTBACK_MANUAL:?the manual page}
for option in $("$replay" --help | sed -nE 's/^  (-., )?(--[a-z]+).*/\2/p'); do
    grep -qE "Fl -${option#--}( |$)" "$page" || wrong "$option is not in the manual page"
done

echo "completion"
# complete_words WORD...: what is offered for the last of them; bash takes --dump=text for three words.
complete_words() {
    COMP_WORDS=(cutback-replay "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _cutback_replay "$replay" "${!#}" cutback-replay
    printf '%s\n' "${COMPREPLY[@]}" | sort -u | tr '\n' ' '
}
# shellcheck source=/dev/null
. "${CUTBACK_COMPLETION:?the completion of bash}"
[ "$(complete_words --)" = "$("$replay" --help | sed -nE 's/^  (-., )?(--[a-z]+).*/\2/p' | sort -u | tr '\n' ' ')" ] || wrong "options: $(complete_words --)"
while IFS=: read -r words offered; do
    # shellcheck disable=SC2086 # words
    [ "$(complete_words $words)" = "$offered" ] || wrong "$words is completed as: $(complete_words $words)"
done <<END
--shr:--shrink 
--dump =:json text 
--advise = j:json 
--check a:all 
-c e:ends 
--check =:all ends none 
--malloc jem:jemalloc 
--malloc = ./two.t:./two.trace 
--malloc glibc two.t:two.trace 
--dump two.t:two.trace 
--shrink two.t:two.trace 
--test mktem:mktemp 
END
for name in $(sed -nE 's/^    \{"([a-z]+)",( \{".*|)$/\1/p' "$CUTBACK_SOURCE/launcher/mallocs.c"); do
    [ "$(complete_words --malloc "$name")" = "$name " ] || wrong "$name is not completed"
done

done_testing
