#!/bin/bash
# --compare: what is run, how often, with which input and output; the table and the file; and what is said when a
# program, or what prepares it, fails. Nothing here depends on how long anything takes.
# shellcheck source=tests/launcher/common.sh
. "$(dirname "$0")/common.sh"
sample=$(realpath "${CUTBACK_SAMPLE:?a program to run}") || exit 1

echo "the table"
try 0 "$run" --compare -n 3 "$sample" 8
quiet
[ "$(head -n 1 out)" = 1 ] || wrong "the output of the first run is not there"
said "$sample 8: 3 rounds"
for title in 'user+sys time, s' 'wall time, s' 'peak memory, MiB' 'page faults'; do
    grep -A 2 -F "$title " out | grep -q '^  glibc  .* 1$' || wrong "no row of glibc under: $title"
    grep -A 3 -F "$title " out | grep -qE '^  cutback .*(tie|-|[0-9]\.[0-9]{3})$' || wrong "no row of cutback under: $title"
done
said 'cutback against glibc: user+sys time: '
said 'it is a tie when'
rows=$(grep -c '^  [a-z]' out)
[ $((rows % 4)) = 0 ] || wrong "$rows rows in 4 tables"

echo "peak memory is the program's"
awk '/^peak memory/ { here = 1 } /^$/ { here = 0 }
    here && /^  / { if ($2 < 8 || $2 > 40) print "peak of " $1 ": " $2 }' out >peaks
[ ! -s peaks ] || wrong "$(cat peaks)"

echo "a run for each round and malloc, and the first; each with its library, and prepared"
cat >count <<'END'
#!/bin/sh
echo "$(cat prepared) $(grep -o 'lib[a-z]*malloc[^/]*$\|libcutback_preload.so' /proc/$$/maps | head -n 1)" >>runs
rm prepared
echo shown
echo shown >&2
cksum >>input
END
chmod +x count
echo "some input" >given
"$run" --compare -n 2 --prepare 'echo prepared >prepared; echo prepare' --json file.json ./count <given >out 2>err ||
    wrong "--compare fails: $(cat err)"
tried="--compare with --prepare"
mallocs=$((rows / 4))
[ "$(grep -c '^prepared' runs)" = $((1 + 2 * mallocs)) ] || wrong "$(wc -l <runs) runs of $mallocs mallocs"
[ "$(grep -c cutback_preload runs)" = 2 ] || wrong "cutback was in other than 2 runs: $(cat runs)"
[ "$(grep -c '^prepared $' runs)" = 3 ] || wrong "glibc was in other than 3 runs: $(cat runs)"
[ "$(grep -c '^shown$' out)" = 1 ] || wrong "output of other than the first run"
[ "$(grep -c '^shown$' err)" = 1 ] || wrong "standard error of other than the first run"
[ "$(grep -c '^prepare$' out)" = 1 ] || wrong "output of the preparation of other than the first run"
[ "$(sort -u input)" = "$(cksum <given)" ] || wrong "not always the same input: $(sort -u input)"

echo "input from a pipe, and from the middle of a file"
rm -f input
(echo skipped && echo read) >two-lines
{ read -r _ && "$run" --compare -n 1 --prepare 'echo >prepared' ./count >out 2>&1; } <two-lines
# bash reads a file of its own byte by byte, and leaves the rest
[ "$(sort -u input)" = "$(echo read | cksum)" ] || wrong "from the middle of a file: $(sort -u input)"
rm -f input
seq 30000 | "$run" --compare -n 1 --prepare 'echo >prepared' ./count >out 2>&1
[ "$(sort -u input)" = "$(seq 30000 | cksum)" ] || wrong "from a pipe: $(sort -u input)"

echo "the file"
if command -v python3 >/dev/null; then
    try 0 env A=1 "$run" --compare -n 3 --json file.json "$sample" 3
    python3 - file.json "$sample" <<'END' || wrong "the file is not as it should be"
import json, statistics, sys
data = json.load(open(sys.argv[1]))
assert data["version"] == 1 and data["rounds"] == 3 and data["program"] == [sys.argv[2], "3"], data
assert [each["name"] for each in data["mallocs"]][:2] == ["glibc", "cutback"]
assert data["mallocs"][0]["library"] is None and data["mallocs"][1]["library"].endswith("libcutback_preload.so")
for each in data["mallocs"]:
    runs = each["runs"]
    assert len(runs) == 3 and each["runs_that_ended_otherwise"] == 0
    assert all(run["exit_status"] == 0 and run["signal"] is None and run["peak_kib"] > 3000 for run in runs)
    wall = [run["wall_s"] for run in runs]
    assert abs(each["wall_s"]["median"] - statistics.median(wall)) < 2e-6
    assert abs(each["wall_s"]["least"] - min(wall)) < 2e-6 and abs(each["wall_s"]["most"] - max(wall)) < 2e-6
    peak = [run["peak_kib"] / 1024 for run in runs]
    assert abs(each["peak_mib"]["median"] - statistics.median(peak)) < 2e-6
assert abs(data["mallocs"][1]["peak_mib"]["ratio"] - statistics.median(
    b["peak_kib"] / a["peak_kib"] for a, b in zip(data["mallocs"][0]["runs"], data["mallocs"][1]["runs"]))) < 2e-6
assert all(data["mallocs"][0][name]["tie"] for name in ("wall_s", "peak_mib", "page_faults"))
END
    try 0 "$run" --compare -n 1 --json file.json sh -c ':' $'quote " back \\ tab \t bad \xff good \xc3\xa9'
    python3 -c 'import json; print(ascii(json.load(open("file.json"))["program"][-1]))' >out
    [ "$(cat out)" = "'quote \" back \\\\ tab \\t bad \\xff good \\xe9'" ] || wrong "text in the file: $(cat out)"
fi
try 125 "$run" --compare -n 1 --json /no/such/folder/file true
one_line
[ ! -s out ] || wrong "it ran before it found that the file cannot be written"
try 125 "$run" --compare -n 1 --json /dev/full "$sample"
one_line
try 125 sh -c '"$1" --compare -n 1 "$2" >/dev/full' sh "$run" "$sample"

echo "--only"
try 0 "$run" --compare -n 1 --only cat sh -c 'grep -l preload /proc/$$/maps; cat /proc/self/maps | grep -c libcutback_preload >>cats; :'
[ "$(grep -vc '^0$' cats)" = 1 ] || wrong "cat had the library other than once: $(tr '\n' ' ' <cats)"

echo "a malloc in LD_PRELOAD does not hide the others"
printf 'void *__libc_malloc(unsigned long); void *malloc(unsigned long n) { return __libc_malloc(n); }\n' >through.c
if ${CC:-gcc} -fno-builtin -w -shared -fPIC through.c -o through.so 2>/dev/null; then
    try 0 env LD_PRELOAD="$PWD/through.so" "$run" --compare -n 1 sh -c 'grep -c through.so /proc/$$/maps >>through; :'
    [ "$(sort -u through)" = 0 ] || wrong "another malloc was in the runs"
fi

echo "a program that is linked with another malloc: glibc's is compared all the same"
printf 'void abort(void); void *malloc(unsigned long n) { abort(); return (void *)n; }\n' >aborts.c
printf 'void *malloc(unsigned long); int main(void) { return malloc(1) == 0; }\n' >linked.c
if ${CC:-gcc} -fno-builtin -w -shared -fPIC aborts.c -o libaborts.so 2>/dev/null; then
    ${CC:-gcc} -fno-builtin -w linked.c -o linked -Wl,--no-as-needed,-rpath,. ./libaborts.so || exit 1
    try 0 "$run" --compare -n 1 ./linked
fi

echo "programs that fail"
try 0 "$run" --compare -n 1 sh -c 'exit 3' "it's" ''
said "sh -c 'exit 3' 'it'\\''s' '': 1 round,"
said 'Each run ends with exit status 3'
ulimit -c 0
try 139 "$run" --compare -n 1 sh -c 'kill -SEGV $$'
one_line
told 'killed by SIGSEGV under glibc already'
try 1 "$run" --compare -n 3 sh -c '! grep -q libcutback_preload /proc/$$/maps || kill -ABRT $$'
said 'cutback: 3 of 3 runs ended otherwise than the first: killed by SIGABRT, not exit status 0'
unsaid 'cutback against glibc'
try 1 "$run" --compare -n 2 sh -c 'grep -q libcutback_preload /proc/$$/maps && exit 9; exit 0'
said 'cutback: 2 of 2 runs ended otherwise than the first: exit status 9, not exit status 0'
try 127 "$run" --compare no-such-program
one_line
printf '#!/no/such/interpreter\n' >script && chmod +x script
try 1 "$run" --compare ./script
one_line
if echo 'int main(void) { return 0; }' | ${CC:-gcc} -x c - -static -o static 2>/dev/null; then
    try 1 "$run" --compare ./static
    one_line
    told 'will not work on cutback: it is linked statically'
fi
try 125 "$run" --compare -n 1 --prepare 'exit 4' true
one_line
told '--prepare: exit 4: exit status 4'

echo "a signal ends it, and the program"
rm -f started
"$run" --compare -n 9 sh -c 'echo $$ >>started; exec sleep 60' >out 2>err &
while [ ! -s started ]; do sleep 0.01; done
kill $!
wait $! 2>/dev/null
[ $? = 143 ] || wrong "SIGTERM does not end it"
tried="--compare and SIGTERM"
one_line
! kill -0 "$(cat started)" 2>/dev/null || wrong "the program still runs"

if command -v script >/dev/null; then
    echo "progress, on a terminal only"
    script -qec "'$run' --compare -n 2 '$sample'" /dev/null >out </dev/null || wrong "--compare fails on a terminal"
    grep -q 'round 2 of 2: cutback' out || wrong "no progress on a terminal"
fi

done_testing
