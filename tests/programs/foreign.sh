#!/bin/bash
# Blocks of libc's own malloc, given to the library's free and realloc (foreign.c, given as $1).
. "$(dirname "$0")/common.sh"
program=$(realpath "$1")
work() {
    "$program"
}
same
mapped "$program"
