#!/bin/bash
# redis-server with two I/O threads: the same data gives the same digest, before and after a restart from its dump
# (written by a forked child); then 100,000 requests of each kind, pipelined; and a clean shutdown each time.
. "$(dirname "$0")/common.sh"
need redis-benchmark redis-cli
server=$(command -v redis-server) || {
    need redis-check-rdb # the same program under another name, in a package that starts no service
    server=$input/redis-server
    ln -s "$(command -v redis-check-rdb)" "$server"
}
for ((i = 0; i < 20000; i++)); do
    echo "SET key:$i value-$((i * 7919 % 10007))-$i"
    echo "RPUSH list:$((i % 50)) $i"
    echo "HSET hash:$((i % 300)) field$i $((i * i))"
    echo "ZADD sorted $((i * 7919 % 10007)) member$i"
    ((i % 3)) || echo "DEL key:$((i / 2))"
done >"$input/commands"

# start: runs the server, sets pid and port.
start() {
    for _ in 1 2 3 4 5; do
        port=$(free_port)
        "$server" --bind 127.0.0.1 --port "$port" --save '' --dbfilename dump.rdb --enable-debug-command local \
            --io-threads 2 --logfile server.log --dir "$PWD" &
        pid=$!
        trap 'kill "$pid" 2>/dev/null; wait "$pid"' EXIT
        listening "$pid" "$port" && return
        wait "$pid"
    done
    fail "redis-server does not start: $(cat server.log)"
}
client() { redis-cli -h 127.0.0.1 -p "$port" "$@"; }
# stop HOW: ends it and wants exit status 0.
stop() {
    client shutdown "$1" >/dev/null 2>&1
    wait "$pid" || fail "redis-server ended with status $?: $(cat server.log)"
    trap - EXIT
}
work() {
    start
    [ -z "${LD_PRELOAD:-}" ] || inside "$pid"
    client --pipe <"$input/commands" | tail -n 1
    client debug digest
    client bgsave >/dev/null
    until client info persistence | grep -q rdb_bgsave_in_progress:0; do sleep 0.1; done
    client info persistence | grep rdb_last_bgsave_status
    client dbsize
    stop save
    start
    client debug digest
    redis-benchmark -h 127.0.0.1 -p "$port" -q -n 100000 -P 16 -c 20 -r 10000 -d 200 \
        -t set,get,incr,lpush,lpop,sadd,hset,zadd,mset >benchmark.log 2>&1 || fail "$(cat benchmark.log)"
    [ "$(tr '\r' '\n' <benchmark.log | grep -c 'requests per second')" -ge 9 ] || fail "$(cat benchmark.log)"
    client ping
    stop nosave
    rm -f ./*
}
same
mapped redis-server redis-cli redis-benchmark
