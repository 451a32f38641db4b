#!/bin/bash
# gcc compiles generated C with and without optimisation, links it and runs it: the same objects, byte for byte.
. "$(dirname "$0")/common.sh"
need gcc python3
generate "$input/a.c" 4000
work() {
    gcc -g -O2 -Wall -c "$input/a.c" -o a.o && gcc -O0 -S "$input/a.c" -o a.s && gcc a.o -o a && ./a
}
same
mapped gcc cc1 as ld a
