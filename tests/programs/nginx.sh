#!/bin/bash
# nginx with two workers and a thread pool serves 10,000 requests to ab, small files and large ones, and ends on QUIT.
. "$(dirname "$0")/common.sh"
PATH=$PATH:/usr/sbin
need nginx ab
mkdir "$input/files"
seq 1 2000 >"$input/files/small"
seq 1 200000 >"$input/files/large"
configuration() {
    cat <<END
daemon off;
worker_processes 2;
pid $PWD/nginx.pid;
error_log $PWD/error.log;
$([ "$(id -u)" != 0 ] || echo "user root;")
thread_pool default threads=2;
events { worker_connections 256; }
http {
    access_log $PWD/access.log combined buffer=16k;
    client_body_temp_path $PWD; proxy_temp_path $PWD; fastcgi_temp_path $PWD; uwsgi_temp_path $PWD; scgi_temp_path $PWD;
    gzip on; gzip_types *; gzip_min_length 100;
    server {
        listen 127.0.0.1:$1;
        root $input/files;
        location = /large { aio threads; }
    }
}
END
}
# fetch PATH REQUESTS [ARGS...]: asks for it with ab, which must find nothing amiss.
fetch() {
    local path=$1 requests=$2
    shift 2
    ab -q -n "$requests" -c 16 "$@" "http://127.0.0.1:$port/$path" >ab.log 2>&1 || fail "$(cat ab.log)"
    grep -E '^(Document Length|Complete requests|Failed requests|Non-2xx responses)' ab.log
}
work() {
    local worker
    for _ in 1 2 3 4 5; do
        port=$(free_port)
        configuration "$port" >nginx.conf
        nginx -e "$PWD/error.log" -c "$PWD/nginx.conf" -p "$PWD" &
        pid=$!
        trap 'kill "$pid" 2>/dev/null; wait "$pid"' EXIT
        listening "$pid" "$port" && break
        wait "$pid"
    done
    if [ -n "${LD_PRELOAD:-}" ]; then
        for worker in "$pid" $(cat "/proc/$pid/task/$pid/children"); do inside "$worker"; done
    fi
    fetch small 8000 -k
    fetch small 1500 -H 'Accept-Encoding: gzip'
    fetch large 500 -k
    fetch nothing 100
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf 'GET /large HTTP/1.0\r\nHost: x\r\n\r\n' >&3
    sed '1,/^\r$/d' <&3 | cksum
    exec 3>&-
    kill -QUIT "$pid"
    wait "$pid" || fail "nginx ended with status $?: $(cat error.log)"
    trap - EXIT
    grep -E 'exited on signal|alert|emerg' error.log && fail "a worker died"
    rm -f ./*
}
same
mapped nginx ab
