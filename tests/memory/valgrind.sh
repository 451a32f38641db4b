#!/bin/bash
# Programs run on the library under valgrind: with its own malloc in place of ours (memcheck), and with ours (none).
#
# usage: valgrind.sh PROGRAM [ARGUMENTS...]
set -u
unset LD_PRELOAD CUTBACK_OPTIONS MALLOC_PERTURB_
preload=${CUTBACK_PRELOAD:?the preload library to test}

command -v valgrind >/dev/null || { echo "SKIP: valgrind is not installed"; exit 77; }
valgrind -q --tool=none true 2>/dev/null || { echo "SKIP: valgrind does not work here"; exit 77; }

expected=$("$@") || { echo "FAILED: without valgrind"; exit 1; }
for options in --tool=none "--tool=memcheck --error-exitcode=9" \
    "--tool=memcheck --soname-synonyms=somalloc=nouserintercepts --undef-value-errors=no --error-exitcode=9"; do
    # shellcheck disable=SC2086
    got=$(LD_PRELOAD=$preload valgrind -q $options "$@" 2>&1)
    status=$?
    if [ $status != 0 ] || [ "$got" != "$expected" ]; then
        echo "$got" | tail -n 30
        echo "FAILED: valgrind $options, exit status $status"
        exit 1
    fi
done
