#!/usr/bin/env python3
"""Runs two services for a long time under each allocator, side by side, and records what is resident.

    bench/longrun.py                             twenty minutes under glibc, jemalloc and cutback
    bench/longrun.py --minutes 60 --alloc glibc,jemalloc,mimalloc,tcmalloc,cutback

    redis     redis-server: strings of 16 bytes to 16 KiB (as many of each doubling as of any other), lists and hashes,
              nearly all with an expiry of 5 to 40 seconds, one in 50 of 100 seconds; 2400 commands a second for 80
              seconds, 600 for 40, and so on; the keys in use drift
    python    bench/webloop.py with PYTHONMALLOC=malloc: 80 requests a second

Every allocator gets the same requests at the same time, so that the resident memory of all can be compared at every
moment. Together they need about a fifth of one core; the results say what each used. Where the machine is too busy,
the run takes longer than it should, and the results say how long.

Leaves bench/results/<date>-<machine>-long.json, and a picture drawn from it by bench/plot.py. Python's standard library
only.
"""

import argparse
import json
import math
import os
import platform
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import run  # noqa: E402

TICK = 0.05  # seconds between two batches of commands
CYCLE, BUSY = 120, 80  # seconds of a period, and of its busy part
RATE, QUIET_RATE = 2400, 600  # commands a second
KEYS = 40000  # in use at a time
DRIFT = 100  # keys a second
EXPIRY = (5, 40)  # seconds, log-uniform
LASTING = (0.02, 100)  # this part of all keys stays so many seconds
SIZES = (16, 16384)  # bytes, log-uniform
WEB_RATE = 80  # requests a second


# ---- the load of redis ----------------------------------------------------------------------------------------


class Commands:
    """The commands of each tick, as bytes on the wire; they depend on its number alone."""

    def __init__(self):
        self.random = random.Random(7)
        letters = b"abcdefghijklmnopqrstuvwxyz0123456789"
        self.text = bytes(self.random.choices(letters, k=1 << 18))  # no '-': errors stand out among the answers

    @staticmethod
    def encode(*words):
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)

    def value(self, most):
        size = int(SIZES[0] * 2 ** (self.random.random() * math.log2(most / SIZES[0])))
        at = self.random.randrange(len(self.text) - size)
        return self.text[at:at + size]

    def expiry(self):
        if self.random.random() < LASTING[0]:
            return b"%d" % LASTING[1]
        return b"%d" % (EXPIRY[0] * 2 ** (self.random.random() * math.log2(EXPIRY[1] / EXPIRY[0])))

    def one(self, tick):
        """One command, with its EXPIRE where it takes none itself."""
        what, encode = self.random.random(), self.encode
        n = int(tick * TICK) * DRIFT + self.random.randrange(KEYS)
        if what < 0.60:
            return encode(b"SET", b"string:%d" % n, self.value(SIZES[1]), b"EX", self.expiry())
        if what < 0.70:
            return encode(b"GET", b"string:%d" % n)
        if what < 0.75:
            return encode(b"DEL", b"string:%d" % n)
        if what < 0.78:
            return encode(b"APPEND", b"string:%d" % n, self.value(1024)) + encode(b"EXPIRE", b"string:%d" % n, b"20")
        n //= 8  # several elements each
        if what < 0.89:
            key = b"list:%d" % n
            push = encode(b"RPUSH", key, *[self.value(1024) for _ in range(self.random.randrange(1, 6))])
            return push + encode(b"LTRIM", key, b"-20", b"-1") + encode(b"EXPIRE", key, self.expiry())
        key = b"hash:%d" % n
        fields = [w for _ in range(self.random.randrange(1, 6))
                  for w in (b"field:%d" % self.random.randrange(200), self.value(512))]
        return encode(b"HSET", key, *fields) + encode(b"EXPIRE", key, self.expiry())

    def batch(self, tick):
        rate = RATE if tick * TICK % CYCLE < BUSY else QUIET_RATE
        count = int((tick + 1) * TICK * rate) - int(tick * TICK * rate)
        return b"".join([self.one(tick) for _ in range(count)] + [self.encode(b"ECHO", b"THE-END-%d" % tick)])


# ---- what runs ------------------------------------------------------------------------------------------------


class Service:
    """A process under an allocator, and what is seen of it."""

    def __init__(self, load, allocator, command, environment, preload):
        self.load, self.allocator, self.samples = load, allocator.name, []
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        env={**environment, "LD_PRELOAD": preload} if preload else environment,
                                        start_new_session=True)
        self.preload = preload

    def check(self):
        if self.process.poll() is not None:
            raise SystemExit(f"longrun.py: {self.load} under {self.allocator} ended: {self.process.returncode}")
        if self.preload and self.preload not in Path(f"/proc/{self.process.pid}/maps").read_text():
            raise SystemExit(f"longrun.py: {self.preload} is not in the memory map of {self.load}")

    def sample(self, seconds):
        self.check()
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        self.samples.append([round(seconds, 1), int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) * 1024])

    def record(self):
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        used = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return {"load": self.load, "allocator": self.allocator, "samples": self.samples,
                "most": int(re.search(r"VmHWM:\s+(\d+)", text).group(1)) * 1024,
                "cpu": (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")}

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Redis(Service):
    def __init__(self, allocator, folder):
        self.path = str(folder / f"{allocator.name}.sock")
        environment = allocator.environment()
        environment.pop("LD_PRELOAD", None)
        # Debian's redis-server is linked with jemalloc: for glibc, libc itself is preloaded.
        super().__init__("redis", allocator,
                         [shutil.which("redis-server"), "--port", "0", "--unixsocket", self.path, "--save", "",
                          "--appendonly", "no", "--dir", str(folder), "--daemonize", "no"],
                         environment, allocator.library or run.library_path("libc.so.6"))
        for _ in range(200):
            time.sleep(0.05)
            try:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.connect(self.path)
                break
            except OSError:
                self.socket.close()
        else:
            self.stop()
            raise SystemExit(f"longrun.py: redis-server does not start under {allocator.name}")
        self.socket.settimeout(60)
        self.live = []

    def receive(self, end):
        answer = b""
        while not answer.endswith(end):
            more = self.socket.recv(1 << 20)
            if not more:
                self.check()
                raise SystemExit("longrun.py: redis-server hung up")
            answer = answer + more
        if answer.startswith(b"-") or b"\r\n-" in answer:
            raise SystemExit(f"longrun.py: redis-server complains: {answer[answer.index(b'-'):][:200]!r}")
        return answer

    def sample(self, seconds):
        super().sample(seconds)
        self.socket.sendall(Commands.encode(b"INFO", b"memory") + Commands.encode(b"PING"))
        used = re.search(rb"used_memory:(\d+)", self.receive(b"\r\n+PONG\r\n"))
        self.live.append([round(seconds, 1), int(used.group(1))])

    def record(self):
        return {**super().record(), "live": self.live}


class Web(Service):
    def __init__(self, allocator, seconds):
        environment = allocator.environment({"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"})
        preload = environment.pop("LD_PRELOAD", None)
        super().__init__("python", allocator, [sys.executable, str(Path(__file__).with_name("webloop.py")),
                                               str(WEB_RATE), str(seconds + 60)], environment, preload)


def drive(services, seconds, every):
    """Sends the commands of every tick to every server, and samples in between. Returns how many seconds it took."""
    servers = [s for s in services if isinstance(s, Redis)]
    commands, began, sampled, said = Commands(), time.monotonic(), -every, 0
    for tick in range(int(seconds / TICK)):
        batch = commands.batch(tick)
        for server in servers:
            server.socket.sendall(batch)
        for server in servers:
            server.receive(b"THE-END-%d\r\n" % tick)
        now = time.monotonic() - began
        if now - sampled >= every:
            sampled = now
            for service in services:
                service.sample(now)
        if now - said >= 60:
            said = now
            run.say(f"{now / 60:.0f} min: " + ", ".join(f"{s.load}/{s.allocator} {s.samples[-1][1] / 1e6:.0f} MB"
                                                       for s in services))
        time.sleep(max(0.0, began + (tick + 1) * TICK - time.monotonic()))
    return time.monotonic() - began


# ---- the results ---------------------------------------------------------------------------------------------


def table(results):
    """What is resident after a period (quiet by then), at the end (the same), and at most; processor time."""
    lines = ["| | resident after 2 min | at the end | at most | processor time |", "|---|---:|---:|---:|---:|"]
    for s in results["services"]:
        early = next((b for t, b in s["samples"] if t >= CYCLE - 3), s["samples"][-1][1])
        lines.append(f"| {s['load']}, {s['allocator']} | {early / 1e6:.0f} MB | {s['samples'][-1][1] / 1e6:.0f} MB | "
                     f"{s['most'] / 1e6:.0f} MB | {s['cpu']:.0f} s |")
    return "\n".join(lines)


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("extra", nargs="*", metavar="NAME=LIB.so", help="one more allocator")
    p.add_argument("--minutes", type=float, default=20)
    p.add_argument("--every", type=float, default=2, metavar="SECONDS", help="between two samples")
    p.add_argument("--alloc", default="glibc,jemalloc,cutback", metavar="NAME,NAME")
    p.add_argument("--build", type=Path, default=run.ROOT / "build", help="build folder")
    p.add_argument("--machine", default=re.sub(r"[^A-Za-z0-9]+", "-", platform.node()) or "machine", metavar="NAME")
    p.add_argument("--out", type=Path, metavar="FILE.json", help="where the results go")
    args = p.parse_args()
    args.build = args.build.resolve()
    if args.extra:
        args.alloc += "".join("," + e.partition("=")[0] for e in args.extra)
    return args


def main():
    args = parse()
    if not shutil.which("redis-server"):
        raise SystemExit("longrun.py: redis-server is not installed")
    skipped = []
    allocators = run.find_allocators(args, skipped)
    for s in skipped:
        run.say(f"not run: {s['what']}: {s['why']}")
    results = {"format": 1, **run.machine_record(args), "allocators": [a.record() for a in allocators],
               "python": platform.python_version(), "redis": run.output("redis-server", "--version")}
    seconds = args.minutes * 60
    services = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the services end with this
    with tempfile.TemporaryDirectory(prefix="cutback-longrun-") as folder:  # a socket's path must be short
        try:
            for allocator in allocators:
                services.append(Redis(allocator, Path(folder)))
            services += [Web(allocator, seconds) for allocator in allocators]
            results["seconds"] = round(drive(services, seconds, args.every), 1)
            results["seconds_wanted"] = seconds
            results["services"] = [s.record() for s in services]
        finally:
            for service in services:
                service.stop()
    path = args.out or run.ROOT / "bench" / "results" / f"{results['date']}-{args.machine}-long.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, separators=(",", ":")).replace('},{"load"', '},\n{"load"') + "\n")
    print(table(results))
    run.say(f"results: {path}")
    run.draw(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
