#!/bin/bash
# bash: arrays, functions, here documents, process substitution, and pipelines of subshells and programs.
. "$(dirname "$0")/common.sh"
need bash
cat >"$input/a.bash" <<'END'
declare -A count
state=1
for ((i = 0; i < 20000; i++)); do
    state=$(((state * 1103515245 + 12345) % 2147483648))
    key=k$((state >> 8 & 511))
    count[$key]=$((${count[$key]:-0} + 1))
    list+=("$key-$i")
done
for key in "${!count[@]}"; do echo "$key ${count[$key]}"; done | sort -k2,2n -k1,1 | head -n 20
echo "${#list[@]} ${list[*]: -5}"
text=$(printf '%s\n' "${list[@]}")
echo "${#text} ${text//k1/K}" | cksum
fold() { if (($1 > 0)); then echo "$1"; fold $(($1 - 1)); fi; }
fold 150 | while read -r n; do echo $((n * n)); done | paste -sd+ | cksum
for i in {1..40}; do (echo "sub $i $(echo "$i" | tr 0-9 a-j)" & wait); done
diff <(seq 1 100) <(seq 2 101)
cat <<TEXT | rev | sort | uniq -c
$(for i in {1..50}; do echo "line $((i % 7))"; done)
TEXT
coproc { while read -r line; do echo "<$line>"; done; }
echo hello >&"${COPROC[1]}"
read -r answer <&"${COPROC[0]}"
echo "$answer"
seq 1 100000 | grep -v 7 | awk '{ s += $1 } END { print s }' | tee copy | cat
exit 9
END
work() {
    bash "$input/a.bash"
    echo "status $?"
}
same
mapped bash sort cat seq
