#!/bin/sh
# Valgrind reports each wrong access to an arena that memcheck.c makes, as an invalid read or a use of what is not
# initialised, and nothing else.
#
# Usage: check_memcheck.sh PROGRAM. Exit status 0, 1, 77 (skipped: no valgrind, or the library does not talk to it).
set -eu

command -v valgrind >/dev/null || { echo "skipped: no valgrind"; exit 77; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
said=$(valgrind --log-file="$log" "$1") || status=$?
echo "$said"
[ $status = 0 ] || { cat "$log"; exit $status; }
reported=$(grep -c -e 'Invalid read of size 1' -e 'Conditional jump or move depends on uninitialised' "$log")
if [ "$reported" != "$said" ] || ! grep -q "ERROR SUMMARY: $said errors" "$log"; then
  cat "$log"
  exit 1
fi
