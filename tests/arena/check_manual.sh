#!/bin/bash
# The manual page of the library names every public function, and is in order: check_manual.sh PAGE HEADER...
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

if command -v man >/dev/null && man --version 2>/dev/null | grep -q '^man [0-9]'; then
    said=$(MANWIDTH=80 man --warnings -l "$page" 2>&1 >/dev/null)
    [ -z "$said" ] || wrong "man --warnings: $said"
fi
if command -v mandoc >/dev/null; then
    # no index of pages may be here, and ours are not installed
    said=$(mandoc -Tlint "$page" 2>&1 | grep -v -e 'mandoc\.db' -e 'not found: Xr')
    [ -z "$said" ] || wrong "mandoc -Tlint: $said"
fi
exit $failed
