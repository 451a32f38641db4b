#!/bin/sh
# The arena needs nothing but memcpy, memmove and memset, exports nothing but cutback_*, and has no writable data.
#
# Usage: check_symbols.sh ARCHIVE [NM]. Exit status 0, 1 (it does), 77 (skipped: built with a sanitizer, or no nm).
set -eu

archive=$1
nm=${2:-nm}
command -v "$nm" >/dev/null || { echo "skipped: no $nm"; exit 77; }

symbols=$("$nm" -P -g "$archive" | sed -n 's/^\([^ ]*\) \([A-Za-z]\).*/\2 \1/p')
defined=$(echo "$symbols" | grep -v '^[Uw] ' | cut -d' ' -f2 | sort -u)
undefined=$(echo "$symbols" | grep '^U ' | cut -d' ' -f2 | sort -u | grep -v -x -F "$defined" || true)
echo "needs:" $undefined
if echo "$undefined" | grep -q -e '^__asan_' -e '^__ubsan_' -e '^__tsan_' -e '^__gcov'; then
  echo "skipped: built with instrumentation"
  exit 77
fi
failed=0
for symbol in $undefined; do
  case $symbol in
  memcpy | memmove | memset) ;;
  *) echo "needs $symbol"; failed=1 ;;
  esac
done
for symbol in $defined; do
  case $symbol in
  cutback_* | cb_arena_* | cb_ring_*) ;;
  *) echo "defines $symbol"; failed=1 ;;
  esac
done
if "$nm" -P "$archive" | grep -E '^[^ ]+ [BbDdCSs] '; then
  echo "has writable data"
  failed=1
fi
exit $failed
