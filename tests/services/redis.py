"""redis: 80,000 commands for keys of five kinds, redis-benchmark, a dump by a forked child, FLUSHALL.

Debian links it with jemalloc. So that the malloc of libc is what cutback is compared with, libc is preloaded.
"""
import signal

NEEDS = ["redis-server|redis-check-rdb", "redis-cli", "redis-benchmark"]
LINKED_WITH_ANOTHER_MALLOC = True


def commands():
    for i in range(20000):
        yield f"SET key:{i} {'value' * (1 + i % 60)}-{i * 7919 % 10007}"
        yield f"RPUSH list:{i % 50} {i}"
        yield f"HSET hash:{i % 300} field{i} {i * i}"
        yield f"ZADD sorted {i * 7919 % 10007} member{i}"
        if i % 3 == 0:
            yield f"DEL key:{i // 2}"


def work(run):
    server = run.folder / "redis-server"  # under this name the program of redis-tools is the server
    server.symlink_to(run.found["redis-server"])
    run.version = "redis " + run.output(server, "--version").split(" v=")[1].split()[0]
    socket = run.folder / "socket"
    process = run.start(server, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", run.folder,
                        "--enable-debug-command", "local")
    run.watch(process)
    run.until("starting", process, socket.exists)

    def client(*words, text=""):
        return run.output("redis-cli", "-s", socket, *words, text=text)

    run.say(client("--pipe", text="\n".join(commands()) + "\n").splitlines()[-1])
    run.say(client("debug", "digest"), client("dbsize"))
    client("bgsave")
    run.until("saving", process, lambda: "rdb_bgsave_in_progress:0" in client("info", "persistence"))
    run.say(next(line for line in client("info", "persistence").splitlines() if line.startswith("rdb_last_bgsave_status")))
    run.output("redis-benchmark", "-s", socket, "-q", "-n", "40000", "-P", "16", "-c", "20", "-r", "100000", "-d", "500",
               "-t", "set,get,incr,lpush,lpop,sadd,hset,zadd")
    run.say(client("ping"), client("flushall"), client("dbsize"))
    run.rest()
    run.stop(process, signal.SIGTERM)
