#!/bin/bash
# The stress program (stress.c, given as $1): threads, blocks that change hands, forks; with a fixed seed.
. "$(dirname "$0")/common.sh"
program=$(realpath "$1")
work() {
    "$program" -s 1 -r 30
    "$program" -s 2 -t 1 -c 300 -f 5 -r 10
}
same
mapped "$program"
