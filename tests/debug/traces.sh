#!/bin/bash
# The debug variant's traces are those of libgcc's unwinder, frame by frame, in programs of many kinds. CUTBACK_BOTH is a
# build of it that compares many and ends the process where they differ; see both.c. CUTBACK_STACKS is stacks.cpp and its
# arguments.
# shellcheck disable=SC2016  # dollars of other languages
set -u
both=${CUTBACK_BOTH:?} preload=${CUTBACK_PRELOAD:?} stacks=${CUTBACK_STACKS:?}
unset LD_PRELOAD CUTBACK_OPTIONS
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
ulimit -c 0
failed=0 total=0

# tried LEAST PROGRAM ARGUMENT...: it ends well, and at least so many traces were compared; hardly any were not simple.
tried() {
    local least=$1 same slow
    shift
    command -v "$1" >/dev/null || return 0
    : >counts
    if ! CUTBACK_TRACES=$PWD/counts PYTHONMALLOC=malloc LD_PRELOAD=$both "$@" >out 2>&1; then
        echo "FAILED: $*" && tail -n 30 out
        failed=1
        return
    fi
    read -r same slow < <(awk '{ same += $1; slow += $2 } END { print same + 0, slow + 0 }' counts)
    total=$((total + same))
    echo "$1: $same traces are the same, and $slow were left to libgcc"
    [ "$same" -ge "$least" ] || { echo "FAILED: no more than that?" && failed=1; }
    [ "$slow" -le $((same / 1000 + 5)) ] || { echo "FAILED: as many as that?" && failed=1; }
}

cat >small.cpp <<'E2'
#include <map>
#include <string>
int main() { std::map<std::string, int> m; m["a"] = 1; return m.size() == 1 ? 0 : 1; }
E2
# shellcheck disable=SC2086
tried 5000 $stacks all
# shellcheck disable=SC2086
LD_PRELOAD=$preload $stacks lost || { echo "FAILED: a wild frame pointer" && failed=1; }
tried 5000 lua5.4 -e 'local t = {} for i = 1, 3000 do t[i % 100 + 1] = {i, tostring(i)} end print(pcall(error, t))'
tried 5000 perl -e 'my %h; for my $i (1 .. 3000) { $h{$i % 100} = [$i, "x$i"]; eval { die [$i] } } print scalar keys %h'
tried 5000 /usr/bin/python3 -c 'import json; print(json.loads(json.dumps({str(i): [i] * 5 for i in range(300)}))["77"])'
tried 5000 ruby -e 'h = {}; 3000.times { |i| h[i % 50] = ["x#{i}" * 3, i.to_s] }; puts h.size'
tried 1000 node -e 0
tried 5000 php -r '$a = []; for ($i = 0; $i < 1000; $i++) { $a["x$i"] = [$i]; } echo count($a);'
tried 5000 g++ -O0 -c small.cpp -o small.o
tried 1000 clang++ -O0 -c small.cpp -o small.o
[ $total -ge 30000 ] || { echo "FAILED: $total in all" && failed=1; }
exit $failed
