#!/bin/bash
# tar, gzip, xz -T2 and zstd -T2: pack, unpack, and the same bytes again.
. "$(dirname "$0")/common.sh"
need tar gzip xz zstd python3
mkdir "$input/tree"
for i in {1..40}; do
    mkdir -p "$input/tree/$((i % 7))/$i"
    generate "$input/tree/$((i % 7))/$i/a.c" --seed "$i" 1500
done
work() {
    tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$input" -cf a.tar tree || return
    xz -T2 --block-size=512KiB -3 -k a.tar && zstd -q -T2 -9 a.tar -o a.tar.zst && gzip -nk a.tar || return
    xz -T2 -dc a.tar.xz | cmp - a.tar && zstd -q -T2 -dc a.tar.zst | cmp - a.tar && gzip -dc a.tar.gz | cmp - a.tar || return
    mkdir out && tar -C out -xJf a.tar.xz && diff -r "$input/tree" out/tree && tar -tvf a.tar.zst | wc -l
}
same
mapped tar xz zstd gzip
