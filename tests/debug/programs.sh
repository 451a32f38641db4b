#!/bin/bash
# Real programs under the debug variant: ls, sort, a compiler and python3 do the same as without it. They free
# correctly, so it has nothing to say either.
. "$(dirname "$0")/../programs/common.sh"
need ls sort gcc python3
seq 60000 | tac >"$input/numbers"
generate "$input/small.c" 400
work() {
    ls -lR --time-style=+ /usr/include/linux &&
        sort --parallel=3 "$input/numbers" | cksum &&
        gcc -O1 -c "$input/small.c" -o small.o &&
        PYTHONMALLOC=malloc python3 -I -c 'import json; print(json.loads(json.dumps({str(i): [i] * 5 for i in range(3000)}))["77"])'
}
same
mapped ls sort gcc python3
if grep -q '^cutback: ' "$scratch/preloaded.err"; then
    grep -A 20 '^cutback: ' "$scratch/preloaded.err"
    fail "the debug variant says that a program is at fault"
fi
