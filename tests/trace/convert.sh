#!/bin/bash
# A trace becomes an input of the fuzzer of malloc and the other way: the same calls, and the fault that they show.
# shellcheck source=tests/launcher/common.sh
. "$(dirname "$0")/../launcher/common.sh"
convert=${CUTBACK_CONVERT:?fuzz_convert}
fuzzer=${CUTBACK_FUZZER:?fuzz_malloc}
replay=${CUTBACK_REPLAY:?cutback-replay}
corpus=${CUTBACK_CORPUS:?inputs of the fuzzer}
bad=${CUTBACK_BAD_MALLOC:?the malloc with a fault}

# calls TRACE: thread, function, sizes and objects, as far as an input can have them. Objects are numbered as they come:
# their numbers in a trace are only unique among those that are live.
calls() {
    "$replay" --dump "$1" | sed -E 's/^[0-9.]+ //; / failed$/d' | awk '
        { for (i = 1; i <= NF; i++) if ($i ~ /^#/) {
              if ($(i - 1) == "=") number[$i] = ++made
              $i = "#" number[$i] }
          if (!($1 in thread)) thread[$1] = threads++
          $1 = thread[$1]; print }'
}

echo "inputs of the corpus become traces, these inputs again, and those the same calls"
same=0
for input in "$corpus"/*; do
    name=$(basename "$input")
    try 0 "$convert" "$input" first.trace
    quiet
    try 0 "$convert" first.trace "$name.input"
    ! grep -q 'are left out' err || continue
    quiet
    try 0 "$convert" "$name.input" second.trace
    quiet
    try 0 "$convert" second.trace again.input
    cmp -s "$name.input" again.input || wrong "$name: another input from the same calls"
    if ! calls first.trace | awk '{ for (i = 3; i <= NF; i++) if ($i + 0 > 32768) exit 1 }'; then
        continue # an input has such a size to 4 bytes at best
    fi
    same=$((same + 1))
    calls first.trace >first
    calls second.trace >second
    cmp -s first second || { wrong "$name: other calls" && diff first second | head >&2; }
done
[ $same -ge 20 ] || wrong "only $same inputs have been compared by their calls"

echo "the fuzzer takes what was made of traces"
rm -f again.input
try 0 "$fuzzer" ./*.input

echo "a fault shows in the trace of an input, and in the input of its shortest part"
# 300 objects of 40 bytes and, twice, one of 7919
{
    printf '\0\0\0\12\357\36\0\0'
    for ((i = 0; i < 300; i++)); do printf '\0\0\0\0\50\0\0\0'; done
    printf '\0\0\0\12\357\36\0\0'
} >report.input
try 0 "$convert" report.input report.trace
try 0 "$replay" --malloc cutback --check all report.trace
try 1 "$replay" --malloc "$bad" report.trace
told 'an object of 7919 bytes at '
try 0 "$replay" --malloc "$bad" --shrink small.trace report.trace
try 0 "$convert" small.trace small.input
[ "$(stat -c %s small.input)" = 32 ] || wrong "an input of $(stat -c %s small.input) bytes for two allocations and two frees"
try 0 "$convert" small.input small-again.trace
try 1 "$replay" --malloc "$bad" small-again.trace
try 0 "$fuzzer" small.input

echo "threads, and calls that an input cannot have"
if "$run" --record threads.trace "${CUTBACK_WORKLOAD:?the program whose calls are known}" threads; then
    try 1 "$convert" threads.trace threads.input
    told 'more calls than an input may have'
fi
try 0 "$run" --record single.trace "$CUTBACK_WORKLOAD" single
try 0 "$convert" single.trace single.input
quiet
try 0 "$fuzzer" single.input
try 0 "$convert" single.input single-again.trace
calls single-again.trace >out
sed -E 's/ #[0-9]+//; s/ =$//' out >single.calls
for call in 'malloc 7919' 'realloc 17389 (7919)' 'reallocarray 11143 (17389)' 'calloc 6009' 'posix_memalign 4099 align 256' \
    'aligned_alloc 12288 align 4096' 'memalign 5009 align 4096' 'realloc (5023)' malloc_trim; do
    grep -qxF "0 $call" single.calls || { wrong "not in the input: $call" && cat single.calls >&2; }
done

echo "what cannot be converted"
try 2 "$convert" one
try 1 "$convert" nowhere out.input
told 'nowhere: No such file'
head -c 5000 single.trace >short.trace
try 1 "$convert" short.trace out.input
told 'truncated: 5000 of'
try 1 "$convert" single.trace /no/such/folder
try 1 "$convert" report.input /no/such/folder

done_testing
