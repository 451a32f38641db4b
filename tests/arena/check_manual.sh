#!/bin/bash
# The manual page of the library names every public function: check_manual.sh PAGE HEADER...
set -u
page=$1
shift
failed=0
wrong() {
    echo "FAILED: $*" >&2
    failed=1
}

functions=$(cat "$@" | sed -nE '/CUTBACK_API/,/;/p' | grep -oE 'cutback_[a-z_]+\(' | tr -d '(' | grep -v _cold_ | sort -u)
[ "$(wc -l <<<"$functions")" -ge 25 ] || wrong "only these functions are in the headers: $functions"
for function in $functions; do
    sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/p' "$page" | grep -q "^\.Fn $function " || wrong "$function is not in the synopsis"
done
for function in $(sed -nE 's/^\.Fn (cutback_[a-z_]+) ".*/\1/p' "$page"); do
    grep -qx "$function" <<<"$functions" || wrong "the page has $function, the headers have not"
done

exit $failed
