#!/usr/bin/env python3
"""Runs the benchmarks and whole programs under each allocator, interleaved, and says how they compare.

    bench/run.py                            everything, five rounds, within the hour
    bench/run.py --quick                    smaller inputs, ends within five minutes
    bench/run.py --only malloc/random       the workloads whose name matches, all allocators
    bench/run.py --only cliff/              where some allocator is slow or large by orders of magnitude
    bench/run.py --only wave/               memory that is freed and asked for again at once
    bench/run.py --only trace/              recorded programs, whose calls are made again
    bench/run.py --only program/cc1 --alloc cutback,mimalloc --rounds 3
    bench/run.py mine=/path/libmine.so      one more allocator
    bench/run.py --cost FILE                the costs that tools/cost --json FILE counted, in the report as well
    bench/run.py --list

A full or quick run leaves bench/results/<date>-<machine>.json (every sample, versions, machine, commit), the table
beside it as .md, and pictures drawn from it by bench/plot.py. With --only or --alloc these go to the build folder.

Python's standard library only. What is measured runs below a small launcher in C, never below this program.
"""

import argparse
import datetime
import hashlib
import json
import lzma
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import costmodel  # noqa: E402
import programs  # noqa: E402
import report  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
LIMIT = {"quick": 285, "full": 3540}  # seconds, pictures included
PEERS = [("jemalloc", "libjemalloc.so.2", "libjemalloc2"), ("mimalloc", "libmimalloc.so.2.0", "libmimalloc2.0"),
         ("tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4")]
QUICK_PROGRAMS = 0.2  # size of the inputs under --quick


class Failed(Exception):
    """A run that gave no figure; the text says why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def wrong(text):
    """Ends the program because of its arguments."""
    say(f"{Path(sys.argv[0]).name}: {text}")
    raise SystemExit(2)


def output(*command):
    """The standard output of a command, or an empty string."""
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout.strip()
    except OSError:
        return ""


def run(command, timeout, env=None):
    """Runs a command of ours in a process group of its own, so that a time-out ends all of it. Returns its output."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, errors="replace", env=env, start_new_session=True)
    try:
        out, err = process.communicate(timeout=timeout)
    except BaseException as why:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(why, subprocess.TimeoutExpired):
            raise Failed(f"no end after {timeout:.0f} s") from None
        raise
    if process.returncode != 0:
        raise Failed(f"exit status {process.returncode}: {err.strip()[-200:]}")
    if "cannot be preloaded" in err:
        raise Failed("the library was not preloaded")
    return out


# ---- allocators ---------------------------------------------------------------------------------------------


class Allocator:
    def __init__(self, name, library, version):
        self.name, self.library, self.version = name, library, version

    def environment(self, extra=()):
        env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith("CUTBACK_")}
        env.update(extra)
        env["LC_ALL"] = "C"
        if self.library:
            env["LD_PRELOAD"] = self.library
        return env

    def record(self):
        digest = hashlib.sha256(Path(self.library).read_bytes()).hexdigest() if self.library else None
        library = self.library.removeprefix(f"{ROOT}/") if self.library else None
        return {"name": self.name, "library": library, "version": self.version, "sha256": digest}


def library_path(name):
    for folder in (f"/usr/lib/{platform.machine()}-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"):
        if os.path.exists(os.path.join(folder, name)):
            return os.path.realpath(os.path.join(folder, name))
    return None


def package_version(package, path):
    return output("dpkg-query", "-W", "-f", "${Version}", package) or Path(path).name


def find_allocators(args, skipped):
    """glibc, the peers, cutback, and what the command line adds; those left out are noted."""
    libc = output("dpkg-query", "-W", "-f", "${Version}", "libc6") or " ".join(platform.libc_ver())
    found = [Allocator("glibc", None, libc)]
    for name, file, package in PEERS:
        path = library_path(file)
        if path:
            found.append(Allocator(name, path, package_version(package, path)))
        else:
            skipped.append({"what": name, "why": f"package {package} is not installed"})
    ours = args.build / "preload" / "libcutback_preload.so"
    if ours.exists():
        found.append(Allocator("cutback", str(ours.resolve()), output("git", "describe", "--always", "--dirty")))
    else:
        skipped.append({"what": "cutback", "why": f"{ours} is not built"})
    for extra in args.extra:
        name, _, path = extra.partition("=")
        if not name or not os.path.exists(path):
            wrong(f"{extra}: give NAME=LIB.so, a library that exists")
        found = [a for a in found if a.name != name]
        found.append(Allocator(name, os.path.realpath(path), Path(path).name))
    if args.alloc:
        wanted = args.alloc.split(",")
        unknown = set(wanted) - {a.name for a in found}
        if unknown:
            wrong(f"no allocator {', '.join(sorted(unknown))}; there are {', '.join(a.name for a in found)}")
        found = [a for a in found if a.name in wanted]
        skipped[:] = [s for s in skipped if s["what"] in wanted]
    return found


# ---- workloads ----------------------------------------------------------------------------------------------


class Workload:
    """Something to run once under an allocator. `measure` gives a sample: time, memory, and whatever else."""

    unit = "ns"
    rounds = None  # at most so many

    def __init__(self, name, kind, what, seconds):
        self.name, self.kind, self.what, self.seconds = name, kind, what, seconds

    def prepare(self):
        pass

    def measure(self, allocator):
        raise NotImplementedError


def check_allocator(allocator, seen):
    expected = os.path.realpath(allocator.library) if allocator.library else "libc.so.6"
    if not (seen == expected or (not allocator.library and seen.endswith("/libc.so.6"))):
        raise Failed(f"malloc came from {seen}, not from {expected}")


class Micro(Workload):
    def __init__(self, name, what, args):
        super().__init__("malloc/" + name, "malloc", what, 0.9 if not args.quick else 0.35)
        self.command = [str(args.build / "bench" / "bench_malloc"), "--one=" + name, "--json",
                        "--scale=0.25" if args.quick else "--scale=1"]

    def measure(self, allocator):
        sample = json.loads(run(self.command, 120, allocator.environment()))
        check_allocator(allocator, sample.pop("allocator"))
        sample.update(time=sample["ns"], memory=sample["peak"])
        return sample


class Drain(Workload):
    def __init__(self, order, args):
        self.megabytes = 200 if args.quick else 800
        super().__init__("drain/drain_" + order, "drain", f"{self.megabytes} MB freed, {order}",
                         1.9 if args.quick else 2.8)
        self.command = [str(args.build / "bench" / "bench_drain"), "--order=" + order, f"--mb={self.megabytes}",
                        "--json"]

    def measure(self, allocator):
        sample = json.loads(run(self.command, 120, allocator.environment()))
        check_allocator(allocator, sample.pop("allocator"))
        sample.update(time=sample["ns_free"], memory=sample["peak"])
        return sample


class Cliff(Workload):
    """A pattern under which some allocator is slow or large by orders of magnitude: two rounds tell."""

    rounds = 2

    def __init__(self, name, what, args):
        super().__init__("cliff/" + name, "cliff", what, 2.0 if not args.quick else 0.5)
        self.rounds = 1 if args.quick else Cliff.rounds
        self.command = [str(args.build / "bench" / "bench_cliffs"), "--json",
                        "--scale=0.1" if args.quick else "--scale=1", name]

    def measure(self, allocator):
        sample = json.loads(run(self.command, 120, allocator.environment()))
        check_allocator(allocator, sample.pop("allocator"))
        return sample


class Wave(Workload):
    """Waves of objects that are freed and asked for again. Page faults are the same in each round: one round tells. The
    system calls are counted in a run of their own, of fewer waves, where strace is installed and may be used. That is
    many times slower, and what is kept fades with time: where the pattern has no pauses, the clock stands nearly still
    then (slowclock.c)."""

    rounds = 1
    CALLS = ("brk", "mmap", "munmap", "mremap", "madvise", "process_madvise")
    at_start = {}  # such calls of a program that makes no waves, by allocator

    def __init__(self, name, what, args):
        super().__init__("wave/" + name, "wave", what, 7.0 if not args.quick else 4.0)
        self.program = [str(args.build / "bench" / "bench_waves"), "--json"]
        self.pattern, self.count = "--only=" + name, "--waves=5" if args.quick else "--waves=20"
        self.counts, self.slow_clock = args.data / "calls", args.build / "bench" / "libslowclock.so"

    def measure(self, allocator):
        sample = json.loads(run([*self.program, self.pattern, self.count], 240, allocator.environment()))
        check_allocator(allocator, sample.pop("allocator"))
        notes = sample["notes"]
        if shutil.which("strace") and notes["s_pause"] < 1:
            if allocator.name not in Wave.at_start:
                Wave.at_start[allocator.name] = self.calls(allocator, True, "--list")
            before = Wave.at_start[allocator.name]
            after = self.calls(allocator, notes["s_pause"] == 0, self.pattern, "--waves=5", "--quiet=0")
            if before is not None and after is not None:
                waves = notes["count_all_waves"] / notes["count_waves"] * 5
                sample["figures"]["calls_wave"] = round((after - before) / waves, 2)
        return sample

    def calls(self, allocator, slow, *options):
        """How many of CALLS the program makes, threads and all, by a slow clock or the true one; None where it cannot
        be traced."""
        self.counts.parent.mkdir(parents=True, exist_ok=True)
        self.counts.unlink(missing_ok=True)
        libraries = [allocator.library or "", str(self.slow_clock) if slow else ""]
        preload = ["-E", "LD_PRELOAD=" + ":".join(filter(None, libraries))]
        environment = allocator.environment()
        environment.pop("LD_PRELOAD", None)
        try:
            run(["strace", "-f", "-qq", "--seccomp-bpf", "-c", "-U", "calls,name", "-e", "trace=" + ",".join(Wave.CALLS),
                 "-o", str(self.counts), *preload, *self.program, *options], 240, environment)
        except Failed:
            return None
        found = re.findall(r"^ *(\d+) (\w+)$", self.counts.read_text(), re.M)
        return sum(int(n) for n, name in found if name in Wave.CALLS)


def launch(args, allocator, command, timeout, env=(), options=()):
    """Runs a program below the launcher and returns what that says."""
    preload = ["--preload", allocator.library] if allocator.library else []
    environment = allocator.environment(env)
    environment.pop("LD_PRELOAD", None)
    text = run([str(args.build / "bench" / "launcher"), *preload, *options, "--", *command], timeout, environment)
    sample = json.loads(text)
    if sample["status"] != 0:
        raise Failed(f"exit status {sample['status']}")
    if sample["mapped"] is False:
        raise Failed("the library is not in the program's memory map")
    sample.update(time=sample["user"] + sample["sys"], memory=sample["maxrss"])
    return sample


class Start(Workload):
    unit = "s"

    def __init__(self, args):
        self.args, self.repeat = args, 200 if args.quick else 1000
        super().__init__("start/true", "start", f"{self.repeat} times /bin/true", self.repeat / 400)

    def measure(self, allocator):
        sample = launch(self.args, allocator, ["/bin/true"], 120, options=["--repeat", str(self.repeat)])
        # So small a process's peak drowns in the grain of the kernel's counters; this one walks the page tables.
        out = self.args.data / "start"
        out.parent.mkdir(parents=True, exist_ok=True)
        launch(self.args, allocator, ["/bin/cat", "/proc/self/smaps"], 60, options=["--stdout", str(out)])
        smaps = out.read_text()
        if allocator.library and allocator.library not in smaps:
            raise Failed("the library is not in the program's memory map")
        sample["memory"] = sum(int(n) for n in re.findall(r"^Rss:\s+(\d+)", smaps, re.M)) * 1024
        return sample


class Whole(Workload):
    unit = "s"

    def __init__(self, program, args):
        self.program, self.args = program, args
        self.size = QUICK_PROGRAMS if args.quick else 1
        self.folder = args.data / program.name
        self.reference = None
        super().__init__("program/" + program.name, "program", program.what, program.seconds * self.size)

    def prepare(self):
        source = hashlib.sha256(Path(programs.__file__).read_bytes()).hexdigest()
        stamp = self.folder / "ready"
        if self.program.name != "build" and stamp.exists() and stamp.read_text() == source:
            return
        if self.program.name != "build":
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.program.prepare(self.folder, self.size, ROOT)
        except (subprocess.CalledProcessError, OSError) as why:
            raise Failed(f"its input could not be made: {why}") from None
        stamp.write_text(source)

    def measure(self, allocator):
        options = []
        out = self.folder / "output"
        if self.program.check_output:
            options = ["--stdout", str(out)]
        sample = launch(self.args, allocator, self.program.command(self.folder), 60 + 20 * self.program.seconds,
                        self.program.env, options)
        if self.program.check_output:
            digest = hashlib.sha256(out.read_bytes()).hexdigest()
            self.reference = self.reference or digest
            if digest != self.reference:
                raise Failed("its output differs from that of the first allocator")
        return sample


class Redis(Workload):
    """redis-server under redis-benchmark. The server is measured, its client is not; memory is the server's peak, and
    what stays resident one second after everything was deleted."""

    unit = "s"

    def __init__(self, args):
        self.args = args
        self.requests = 60000 if args.quick else 400000
        super().__init__("program/redis", "program", "redis-server: lists, pipelined", 3 if args.quick else 7)

    @staticmethod
    def missing():
        absent = [n for n in ("redis-server", "redis-benchmark", "redis-cli") if not programs.which(n)]
        return f"{', '.join(absent)} not installed (package redis-server)" if absent else None

    def measure(self, allocator):
        folder = self.args.data / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        socket = f"/tmp/cutback-bench-{os.getpid()}.sock"  # a socket's path must be short
        # Debian's redis-server is linked with jemalloc: for glibc, libc itself is preloaded.
        library = allocator.library or library_path("libc.so.6")
        environment = allocator.environment()
        environment.pop("LD_PRELOAD", None)
        server = subprocess.Popen(
            [str(self.args.build / "bench" / "launcher"), "--preload", library, "--", programs.which("redis-server"),
             "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", str(folder)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)
        clean = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}

        def client(*command):
            return subprocess.run([programs.which("redis-cli"), "-s", socket, *command], capture_output=True, text=True,
                                  env=clean, timeout=60).stdout

        try:
            for _ in range(200):
                time.sleep(0.05)
                if os.path.exists(socket) and "PONG" in client("ping"):
                    break
            else:
                raise Failed("redis-server did not start")
            pid = int(re.search(r"process_id:(\d+)", client("info", "server")).group(1))
            if library not in Path(f"/proc/{pid}/maps").read_text():
                raise Failed("the library is not in the server's memory map")
            for tests, size in (("lpush,set,sadd,hset,zadd", 100), ("rpush,set,lpop,get", 700)):
                run([programs.which("redis-benchmark"), "-s", socket, "-q", "-P", "32", "-c", "20", "-r", "200000",
                     "-n", str(self.requests), "-d", str(size), "-t", tests], 200, clean)

            def resident():
                return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1)) * 1024

            loaded = resident()
            client("flushall", "sync")
            time.sleep(1)
            flushed = resident()
            client("shutdown", "nosave")
            out, _ = server.communicate(timeout=30)
        except (subprocess.TimeoutExpired, AttributeError, OSError) as why:
            raise Failed(str(why)) from None
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()
            Path(socket).unlink(missing_ok=True)
        sample = json.loads(out)
        if sample["status"] != 0:
            raise Failed(f"redis-server ended with {sample['status']}")
        sample.update(time=sample["user"] + sample["sys"], memory=sample["maxrss"], loaded=loaded, flushed=flushed)
        return sample


class Trace(Workload):
    """A recorded program, whose calls are made again: their time alone, and the memory that they need."""

    unit = "s"
    FOLDER = Path(__file__).resolve().parent / "traces"

    def __init__(self, name, args):
        super().__init__("trace/" + name, "trace", f"every call of malloc that {name} made", 1.0)
        self.args, self.packed = args, Trace.FOLDER / f"{name}.trace.xz"
        self.trace = args.data / self.packed.stem

    def prepare(self):
        self.trace.parent.mkdir(parents=True, exist_ok=True)
        self.trace.write_bytes(lzma.decompress(self.packed.read_bytes()))

    def measure(self, allocator):
        text = run([str(self.args.build / "replay" / "cutback-replay"), "--check", "none", str(self.trace)], 120,
                   allocator.environment())
        check_allocator(allocator, os.path.realpath(re.search(r"^malloc: (.*)$", text, re.M)[1]))
        user, system = map(float, re.search(r"user ([0-9.]+) s, system ([0-9.]+) s", text).groups())
        peak = float(re.search(r"^resident: ([0-9.]+) MiB at most", text, re.M)[1])
        ratio = float(re.search(r"([0-9.]+) on average$", text, re.M)[1])
        return {"time": user + system, "memory": round(peak * 2**20), "resident_over_live": ratio}


def all_workloads(args, skipped):
    """Every workload there is; those that cannot run are noted."""
    found = []
    for program in programs.ALL:
        why = program.missing()
        if why:
            skipped.append({"what": "program/" + program.name, "why": why})
        else:
            found.append(Whole(program, args))
    why = Redis.missing()
    if why:
        skipped.append({"what": "program/redis", "why": why})
    else:
        found.append(Redis(args))
    micro = args.build / "bench" / "bench_malloc"
    if micro.exists():
        for line in output(str(micro), "--list").splitlines():
            name, _, what = line.partition(" ")
            found.append(Micro(name, what.strip(), args))
    else:
        skipped.append({"what": "malloc/*", "why": "bench_malloc is not built (package libbenchmark-dev)"})
    found += [Drain(order, args) for order in ("lifo", "fifo", "random")]
    for kind, program, make in (("cliff", "bench_cliffs", Cliff), ("wave", "bench_waves", Wave)):
        if args.quick and not args.only:
            skipped.append({"what": kind + "/*", "why": "not with --quick, unless --only names them"})
            continue
        for line in output(str(args.build / "bench" / program), "--list").splitlines():
            name, _, what = line.partition(" ")
            found.append(make(name, what.strip(), args))
    found += [Trace(path.name.split(".")[0], args) for path in sorted(Trace.FOLDER.glob("*.trace.xz"))]
    found.append(Start(args))
    return found


# ---- the run ------------------------------------------------------------------------------------------------


class Progress:
    """Workload k of n, and the time left: what each is expected to take, corrected by what it took."""

    def __init__(self, jobs, deadline, started):
        self.cost = {job: job[0].seconds for job in jobs}
        self.total, self.done, self.spent, self.expected = len(jobs), 0, 0.0, 0.0
        self.left, self.deadline, self.started = sum(self.cost.values()), deadline, started
        self.seen = {}

    def time_left(self):
        factor = self.spent / self.expected if self.expected > 3 else 1.2
        return min(self.left * factor, max(0, self.deadline - time.monotonic()))

    def show(self, text):
        left = self.time_left()
        clock = f"{left / 60:.0f} min" if left > 90 else f"{left:.0f} s"
        line = f"[{self.done + 1}/{self.total}] {text}, {clock} left"
        if sys.stderr.isatty():
            print("\r\033[K" + line, end="", file=sys.stderr, flush=True)
        else:
            say(line)

    def finished(self, job, took):
        self.done += 1
        self.spent += took
        self.expected += self.cost[job]
        self.left -= self.cost[job]


def measure_all(args, allocators, workloads, results, skipped, deadline):
    """Rounds outermost, allocators innermost and rotated: what disturbs the machine disturbs all alike."""
    by_name = {}
    for w in workloads:
        entry = {"name": w.name, "kind": w.kind, "what": w.what, "unit": w.unit,
                 "results": {a.name: [] for a in allocators}}
        results["workloads"].append(entry)
        by_name[w.name] = entry
    failures = set()
    ready = []
    for w in workloads:
        try:
            if not args.list:
                w.prepare()
            ready.append(w)
        except Failed as why:
            skipped.append({"what": w.name, "why": str(why)})
    jobs = [(w, a, r) for r in range(args.rounds) for w in ready if r < (w.rounds or args.rounds)
            for a in (allocators[r % len(allocators):] + allocators[:r % len(allocators)])]
    progress = Progress(jobs, deadline, time.monotonic())
    for job in jobs:
        w, a, r = job
        results["rounds"] = r  # that are complete
        if (w.name, a.name) in failures:
            progress.finished(job, 0)
            continue
        if time.monotonic() > deadline - 1.5 * w.seconds:
            skipped.append({"what": f"round {r + 1} from {w.name} on", "why": "the time was up"})
            break
        progress.show(f"round {r + 1} {w.name} {a.name}")
        start = time.monotonic()
        try:
            sample = w.measure(a)
            sample["round"] = r
            by_name[w.name]["results"][a.name].append(sample)
        except Failed as why:
            failures.add((w.name, a.name))
            by_name[w.name]["results"][a.name].clear()
            skipped.append({"what": f"{w.name} under {a.name}", "why": f"FAILED: {why}"})
            say(f"\nrun.py: {w.name} under {a.name}: {why}")
        progress.finished(job, time.monotonic() - start)
    else:
        results["rounds"] = args.rounds
    if sys.stderr.isatty():
        say("")
    results["workloads"] = [w for w in results["workloads"] if any(w["results"].values())]


def measure_arena(args, skipped):
    """The arena's own comparison: nothing is preloaded, Google Benchmark repeats and takes the median."""
    binary = args.build / "bench" / "bench_arena"
    if not binary.exists():
        skipped.append({"what": "arena/*", "why": "bench_arena is not built"})
        return []
    quick = args.quick
    say("arena: bench_arena")
    text = run([str(binary), "--benchmark_format=json", f"--benchmark_min_time={0.01 if quick else 0.1}",
                f"--benchmark_repetitions={3 if quick else 5}", "--benchmark_enable_random_interleaving=true"], 600)
    samples = {}
    for b in json.loads(text)["benchmarks"]:
        if b.get("run_type") == "iteration":
            samples.setdefault(b["run_name"], []).append(b)
    order = output(str(binary), "--benchmark_list_tests").split()
    rows = []
    for name, runs in sorted(samples.items(), key=lambda item: order.index(item[0])):
        workload, _, allocator = name.partition("/")
        times = sorted(b["ns"] * 1e9 if b["ns"] < 1e-3 else b["ns"] for b in runs)
        row = {"workload": workload, "allocator": allocator, "ns": times[len(times) // 2], "samples": times}
        if "held" in runs[0]:
            row["held"] = runs[0]["held"]
        rows.append(row)
    for name in ("apr", "talloc"):
        if not any(r["allocator"] == name for r in rows):
            skipped.append({"what": "arena/*/" + name, "why": f"lib{'apr1' if name == 'apr' else name}-dev was not installed when the benchmark was built"})
    return rows


def build(args):
    """Builds what is measured, and nothing else of the project."""
    if not (args.build / "build.ninja").exists():
        if not shutil.which("meson"):
            raise SystemExit("run.py: nothing is built here, and meson is missing: "
                             "apt-get install meson ninja-build gcc g++ libbenchmark-dev")
        subprocess.run(["meson", "setup", str(args.build)], cwd=ROOT, check=True, stdout=sys.stderr)
    known = output("ninja", "-C", str(args.build), "-t", "targets", "all")
    wanted = [t for t in ("bench/launcher", "bench/bench_malloc", "bench/bench_drain", "bench/bench_cliffs",
                          "bench/bench_waves", "bench/libslowclock.so", "bench/bench_arena", "preload/libcutback_preload.so",
                          "replay/cutback-replay")
              if re.search(rf"^{re.escape(t)}:", known, re.M)]
    for target in wanted:
        done = subprocess.run(["ninja", "-C", str(args.build), "-j2", target], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            say(f"run.py: {target} does not build:\n{done.stdout[-2000:]}")
            if not (args.build / target).exists():
                continue
    if not (args.build / "bench" / "launcher").exists():
        raise SystemExit("run.py: the launcher is not built; is the option `bench` disabled?")


def machine_name():
    return re.sub(r"[^A-Za-z0-9]+", "-", platform.node()) or "machine"


def machine_record(args):
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    thp = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return {"date": datetime.date.today().isoformat(), "machine": args.machine, "kernel": platform.release(),
            "cpu": cpu.group(1) if cpu else platform.machine(), "cores": len(os.sched_getaffinity(0)),
            "memory": int(memory.group(1)) * 1024, "load_before": os.getloadavg()[0],
            "huge_pages": re.sub(r".*\[(.*)\].*", r"\1", thp.read_text().strip()) if thp.exists() else None,
            "commit": output("git", "rev-parse", "HEAD") or "unknown",
            "dirty": bool(output("git", "status", "--porcelain", "--untracked-files=no"))}


def result_path(args):
    if args.out:
        return args.out
    if args.only or args.alloc:
        return args.build / "bench-last.json"
    stem = f"{datetime.date.today().isoformat()}-{args.machine}{'-quick' if args.quick else ''}"
    return ROOT / "bench" / "results" / (stem + ".json")


def draw(path):
    """Pictures, by whichever Python has matplotlib. True where they were drawn."""
    for python in dict.fromkeys((sys.executable, "/usr/bin/python3")):
        if subprocess.run([python, "-c", "import matplotlib"], stderr=subprocess.DEVNULL).returncode == 0:
            return subprocess.run([python, str(ROOT / "bench" / "plot.py"), str(path)],
                                  stdout=sys.stderr).returncode == 0
    say("run.py: no pictures: matplotlib is missing (apt-get install python3-matplotlib)")
    return False


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("extra", nargs="*", metavar="NAME=LIB.so", help="further allocators to preload")
    p.add_argument("--quick", action="store_true", help="smaller inputs, two rounds, within five minutes")
    p.add_argument("--only", metavar="REGEX", help="only workloads whose name it finds; see --list")
    p.add_argument("--rounds", type=int, metavar="N", help="how often each is run (5, quick: 2)")
    p.add_argument("--alloc", metavar="LIST", help="only these allocators, comma-separated")
    p.add_argument("--list", action="store_true", help="list the workloads and the allocators, run nothing")
    p.add_argument("--build", type=Path, default=ROOT / "build", metavar="DIR", help="the build folder (build)")
    p.add_argument("--no-build", action="store_true", help="measure what is built")
    p.add_argument("--machine", default=machine_name(), metavar="NAME")
    p.add_argument("--cost", type=Path, metavar="FILE", help="show beside the times what tools/cost --json FILE counted")
    p.add_argument("--out", type=Path, metavar="FILE.json", help="where the results go")
    args = p.parse_args()
    args.build = args.build.resolve()
    args.data = args.build / "bench-data" / ("quick" if args.quick else "full")
    args.rounds = args.rounds or (2 if args.quick else 5)
    if args.rounds < 1:
        p.error("--rounds must be at least 1")
    if args.cost:
        try:
            args.cost = [costmodel.without_functions(r) for r in json.loads(args.cost.read_text())["results"]]
        except (OSError, ValueError, KeyError, TypeError) as why:
            p.error(f"--cost {args.cost}: not a file that tools/cost --json left: {why}")
    return args


def main():
    args = parse()
    began = time.monotonic()
    deadline = began + LIMIT["quick" if args.quick else "full"]
    if not args.no_build:
        build(args)
    skipped = []
    allocators = find_allocators(args, skipped)
    workloads = all_workloads(args, skipped)
    names = [w.name for w in workloads] + ["arena"]
    if args.only:
        try:
            pattern = re.compile(args.only)
        except re.error as why:
            raise SystemExit(f"run.py: --only {args.only}: {why}") from None
        workloads = [w for w in workloads if pattern.search(w.name)]
        arena = bool(pattern.search("arena"))
        skipped[:] = [s for s in skipped if pattern.search(s["what"]) or "/" not in s["what"]]
        if not workloads and not arena:
            raise SystemExit(f"run.py: nothing matches {args.only}; there are {' '.join(names)}")
    else:
        arena = True
    if args.list:
        for w in workloads:
            print(f"{w.name:<24} {w.what}")
        if arena:
            print(f"{'arena':<24} the arena beside other region allocators")
        print("\nallocators: " + ", ".join(f"{a.name} {a.version}" for a in allocators))
        for s in skipped:
            print(f"not run: {s['what']}: {s['why']}")
        return 0

    results = {"format": 1, **machine_record(args), "quick": args.quick, "rounds": 0,
               "drain_mb": 200 if args.quick else 800, "allocators": [a.record() for a in allocators],
               "workloads": [], "skipped": skipped}
    interrupted = False
    try:
        if arena:
            try:
                results["arena"] = measure_arena(args, skipped)
            except Failed as why:
                skipped.append({"what": "arena", "why": str(why)})
        measure_all(args, allocators, workloads, results, skipped, deadline - (15 if not args.only else 0))
    except KeyboardInterrupt:
        interrupted = True
        skipped.append({"what": "the rest", "why": "interrupted"})
        results["workloads"] = [w for w in results["workloads"] if any(w["results"].values())]
    if args.cost:
        results["cost"] = args.cost
    results["seconds"] = round(time.monotonic() - began, 1)

    path = result_path(args)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=None, separators=(",", ":")).replace('},{"name"', '},\n{"name"') + "\n")
    text = report.markdown(results)
    path.with_suffix(".md").write_text(text)
    print(text)
    say(f"results: {path}")
    if not interrupted and not args.only:
        draw(path)
    failed = any(s["why"].startswith("FAILED") for s in skipped)
    return 130 if interrupted else 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
