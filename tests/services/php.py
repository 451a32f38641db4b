"""php, two workers of its built-in server: 100 pages with JSON, XML and SQLite. The first five also by php alone.

PHP has an allocator of its own, over mmap. Alone it is run without that: all memory comes from malloc.
"""
import os
import signal

import network

NEEDS = ["php"]


def work(run):
    run.version = " ".join(run.output("php", "--version").split()[:2]).lower()
    if missing := {"dom", "json", "mbstring", "sqlite3"} - set(run.output("php", "-m").split()):
        run.skip(f"php has no {', '.join(sorted(missing))}")
    program, port = run.program("page.php"), network.free_port()
    for n in range(1, 6):
        run.say(run.output("php", program, n, env={"USE_ZEND_ALLOC": "0"}))
    server = run.start("php", "-S", f"127.0.0.1:{port}", program, env={"PHP_CLI_SERVER_WORKERS": "2"})
    run.watch(server)
    run.until("starting", server, lambda: network.listens(port))
    for n in range(1, 101):
        run.say(network.page(port, n).decode())
    run.rest()
    os.killpg(server.pid, signal.SIGINT)  # the workers get none from the first process, which waits for them
    if server.wait() not in (0, -signal.SIGINT):
        run.fail(f"php ended with status {server.returncode}")
