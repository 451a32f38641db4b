"""memcached, four threads: 60,000 commands of four connections, for values of 10 bytes to 100 KB; then all is flushed."""
import hashlib
import random
import signal
import socket
import threading

NEEDS = ["memcached"]


def connection(run, number, answers):
    """Sets and gets keys of its own; the answers depend on nothing but its number."""
    random_ = random.Random(number)
    digest = hashlib.sha256()
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(run.folder / "socket"))
        stream = link.makefile("rwb")

        def ask(command, data=None):
            stream.write(command.encode() + b"\r\n" + (data + b"\r\n" if data is not None else b""))
            stream.flush()
            line = stream.readline()
            digest.update(line)
            if line.startswith(b"VALUE"):
                digest.update(stream.read(int(line.split()[3]) + 2) + stream.readline())

        for i in range(15000):
            key = f"key:{number}:{random_.randrange(3000)}"
            size = int(10 * 10 ** (random_.random() * 4)) if i % 10 == 0 else random_.randrange(10, 1500)
            what = random_.randrange(10)
            if what < 6:
                ask(f"set {key} 0 0 {size}", bytes(random_.randrange(33, 126) for _ in range(8)) * (size // 8) + b"x" * (size % 8))
            elif what < 9:
                ask(f"get {key}")
            elif i % 2:
                ask(f"delete {key}")
            else:
                ask(f"append {key} 0 0 5", b"12345")
    answers[number] = digest.hexdigest()


def work(run):
    run.version = run.output("memcached", "--version").strip()
    server = run.start("memcached", "-s", run.folder / "socket", "-a", "777", "-t", "4", "-m", "512")
    run.watch(server)
    run.until("starting", server, (run.folder / "socket").exists)
    answers = {}
    threads = [threading.Thread(target=connection, args=[run, n, answers]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.say("\n".join(answers[n] for n in sorted(answers)), len(answers))
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(run.folder / "socket"))
        stream = link.makefile("rwb")
        stream.write(b"stats\r\n")
        stream.flush()
        while (line := stream.readline().decode().strip()) != "END":
            if line.split()[1] in ("curr_items", "bytes", "cmd_set", "get_hits", "get_misses", "evictions"):
                run.say(line)
        stream.write(b"flush_all\r\n")
        stream.flush()
        run.say(stream.readline().decode().strip())
    run.rest()
    run.stop(server, signal.SIGTERM)
