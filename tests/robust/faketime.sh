#!/bin/bash
# usage: faketime.sh PROGRAM LIBRARY: the program runs under Debian's libfaketime, loaded before and after the library.
# When told to keep nothing, libfaketime opens its file and reads it in each clock_gettime, which allocates.
set -eu
program=$1
library=$2
faketime=$(find /usr/lib -path '*/faketime/libfaketimeMT.so.1' 2>/dev/null | head -n 1)
[ -n "$faketime" ] || {
    echo "SKIP: libfaketime is not installed"
    exit 77
}
FAKETIME_TIMESTAMP_FILE=$(mktemp)
trap 'rm -f "$FAKETIME_TIMESTAMP_FILE"' EXIT
echo '2018-05-05 05:05:05' >"$FAKETIME_TIMESTAMP_FILE"
export FAKETIME_TIMESTAMP_FILE FAKETIME_NO_CACHE=1
unset FAKETIME
for order in "$library:$faketime" "$faketime:$library"; do
    echo "LD_PRELOAD=$order"
    LD_PRELOAD=$order "$program" faked
done
