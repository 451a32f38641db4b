#!/bin/bash
# jq, sort --parallel=2, awk, sed and tr over some megabytes.
. "$(dirname "$0")/common.sh"
need jq sort awk sed
awk 'BEGIN { s = 1; for (i = 0; i < 40000; i++) { s = (s * 69069 + 1) % 4294967296;
    printf "{\"id\":%d,\"name\":\"n%x\",\"list\":[%d,%d,%d],\"deep\":{\"a\":{\"b\":%d}},\"text\":\"%*s\"}\n",
    i, s, s % 7, s % 11, s % 13, s % 1000, s % 80, "x" } }' >"$input/a.json"
awk 'BEGIN { s = 1; for (i = 0; i < 400000; i++) { s = (s * 69069 + 1) % 4294967296; printf "%x %d\n", s, i } }' >"$input/lines"
work() {
    jq -c 'select(.id % 100 == 0) | {id, name, sum: (.list | add)}' "$input/a.json" || return
    jq -s 'group_by(.deep.a.b) | map({k: .[0].deep.a.b, n: length, t: (map(.text | length) | add)}) | .[0:50]' "$input/a.json" || return
    jq -s 'map(.name) | sort | unique | length, (map(ascii_upcase | explode | add) | add)' "$input/a.json" || return
    sort --parallel=2 -S 8M -T . "$input/lines" | cksum
    sort --parallel=2 -k2,2n -r "$input/lines" | cksum
    sort --parallel=2 -u -k1,1.2 "$input/lines"
    awk '{ count[substr($1, 1, 3)]++; names[$1] = $2 } END { for (k in count) print k, count[k] }' "$input/lines" | sort | cksum
    sed -E 's/([0-9]+)([a-f]+)/\2-\1/g' "$input/lines" | tr a-f A-F | cksum
}
same
mapped jq sort awk sed
