#!/bin/bash
# Every manual page is in order, by man and mandoc, where they are there to say; those that it refers to exist: pages.sh SOURCES
set -u
cd "$1" || exit 1
failed=0
wrong() {
    echo "FAILED: $*" >&2
    failed=1
}

pages=(*/cutback*.[1-8])
[ ${#pages[@]} -ge 4 ] || wrong "only these pages are found: ${pages[*]}"
for page in "${pages[@]}"; do
    if command -v man >/dev/null && man --version 2>/dev/null | grep -q '^man [0-9]'; then
        said=$(LC_ALL=C MANWIDTH=80 man --warnings -l "$page" 2>&1 >/dev/null)
        [ -z "$said" ] || wrong "man --warnings $page: $said"
    fi
    if command -v mandoc >/dev/null; then
        # there may be no index of the system's pages, and ours are not installed
        said=$(mandoc -Tlint "$page" 2>&1 | grep -v -e 'mandoc\.db' -e 'referenced manual not found')
        [ -z "$said" ] || wrong "mandoc -Tlint $page: $said"
    fi
    while read -r name section; do
        [[ "${pages[*]} " == *"/$name.$section "* ]] || wrong "$page refers to $name($section), which is not there"
    done < <(sed -nE 's/^\.Xr (cutback[a-z-]*) ([0-9]).*/\1 \2/p' "$page")
done
exit $failed
