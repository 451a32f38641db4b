#!/bin/bash
# g++ compiles generated C++ (classes, templates, containers), links it and runs it.
. "$(dirname "$0")/common.sh"
need g++ python3
generate "$input/a.cc" --c++ 2000
work() {
    g++ -g -O1 -Wall -c "$input/a.cc" -o a.o && g++ a.o -o a && ./a
}
same
mapped g++ cc1plus as ld a
