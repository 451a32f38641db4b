#!/bin/bash
# clang compiles generated C and C++, links it and runs it.
. "$(dirname "$0")/common.sh"
need clang clang++ python3
generate "$input/a.c" 4000
generate "$input/b.cc" --c++ 1500
work() {
    clang -g -O2 -c "$input/a.c" -o a.o && clang -O0 -S "$input/a.c" -o a.s && clang a.o -o a && ./a &&
        clang++ -O1 -std=c++17 -c "$input/b.cc" -o b.o && clang++ b.o -o b && ./b
}
same
mapped clang a b
