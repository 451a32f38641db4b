#!/usr/bin/env python3
"""Runs a real service twice, on the malloc of libc and on cutback: it must do the same, and have the library in it.

    service.py NAME [--record FILE]

NAME is a module of this folder. It has NEEDS, the programs without which the test is skipped, and work(run), which
starts the service by the Run that it is given, works on it, sets run.version, and tells run.say() what must be the same
both times. LINKED_WITH_ANOTHER_MALLOC says that the program has one: for the run on libc's, libc is then preloaded.
CUTBACK_PRELOAD is the library under test, and has no default. With --record, FILE is a JSON object of what was measured.

Each run has a folder of its own, is at most TIMEOUT seconds long, and leaves no process. Root becomes `nobody` for it.
Memory is the sum of the PSS (what a process maps, shared pages divided among those that share them) of all processes of
the service, of which run.watch() names the first: its peak of a sample every 50 ms, and what it is when run.rest() is
called, a second after the last request.

Exit status: 0, 1 (a difference, or no library), 2 (no such service), 77 (skipped).
"""

import argparse
import ctypes
import difflib
import importlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

SERVICES = ("chromium", "emacs", "ffmpeg", "jvm", "mariadb", "memcached", "nginx", "node", "php", "postgresql", "r", "redis", "ruby")
TIMEOUT = 120  # seconds of a run; few take more than five
SAMPLE = 0.05  # seconds between two looks at the memory
REST = 1.0  # seconds before the last look
UNPREDICTABLE = ("CUTBACK", "LD_", "MALLOC_", "PG", "NODE_", "RUBY", "JAVA", "JDK_", "R_", "PHP", "http", "XDG_", "DISPLAY")
PR_SET_CHILD_SUBREAPER = 36


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def processes_below(parent):
    """The processes that descend from this one, which is not among them."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:
                    above = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(above, []).append(int(entry))
    found, todo = [], [parent]
    while todo:
        more = children.get(todo.pop(), [])
        found += more
        todo += more
    return found


def proportional(pid):
    """KiB of PSS; 0 for one that has ended."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("Pss:")), 0)
    except OSError:
        return 0


def mapped(pid):
    try:
        with open(f"/proc/{pid}/maps") as file:
            return file.read()
    except OSError:
        return ""


class Run:
    """One run of the service. `preload` is None or the library; `found` has the paths of the programs in NEEDS."""

    def __init__(self, folder, preload, user, found):
        self.folder, self.preload, self.user, self.found = folder, preload, user, found
        self.said, self.first, self.peak, self.final = [], None, 0, None
        self.sampler, self.samples, self.with_library, self.names = None, {}, set(), {}
        self.ended = threading.Event()
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(UNPREDICTABLE)}
        self.environment.update(HOME=str(folder), TMPDIR=str(folder), LC_ALL="C", TZ="UTC",
                                PATH=os.environ["PATH"] + ":/usr/sbin:/usr/games")
        if preload:
            self.environment["LD_PRELOAD"] = str(preload)

    # ---- processes ----

    def start(self, *command, env=None, **more):
        """Starts it in the folder of the run; what it says goes to files there unless `more` says otherwise."""
        command = (self.found.get(command[0], command[0]), *command[1:])
        name = Path(command[0]).name
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stdout", open(self.folder / f"{name}.out", "ab"))
        more.setdefault("stderr", open(self.folder / f"{name}.err", "ab"))
        if self.user:
            more.update(user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[])
        return subprocess.Popen([str(c) for c in command], cwd=self.folder, env={**self.environment, **(env or {})},
                                start_new_session=True, **more)

    def output(self, *command, text="", env=None):
        """Runs it to its end, with `text` as its input. Returns what it writes; a status other than 0 is a failure."""
        process = self.start(*command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate(text.encode())
        if process.returncode != 0:
            raise Failure(f"{' '.join(map(str, command))}: status {process.returncode}\n{(out + err).decode(errors='replace')}")
        return out.decode()

    def program(self, name):
        """A program of this folder, where the service can read it."""
        shutil.copy(Path(__file__).parent / "programs" / name, self.folder)
        return self.folder / name

    def fail(self, why):
        raise Failure(why)

    def skip(self, why):
        raise Skip(why)

    def until(self, what, process, condition):
        """Waits until the condition holds; the process has not ended meanwhile."""
        while not condition():
            if process.poll() is not None:
                raise Failure(f"{what}: {process.args[0]} has ended with status {process.returncode}")
            time.sleep(0.02)

    def stop(self, process, how=signal.SIGTERM, status=0):
        """Ends it by a signal to it, and wants this exit status."""
        process.send_signal(how)
        if process.wait() != status:
            raise Failure(f"{process.args[0]}: status {process.returncode} after signal {how}")

    def talk(self, *command, env=None):
        """Starts and watches a program that answers a line with a line; see ask()."""
        process = self.start(*command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.watch(process)
        return process

    def ask(self, process, line=""):
        """Sends it a line, and gets one."""
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
        answer = process.stdout.readline().decode().rstrip("\n")
        if not answer:
            raise Failure(f"{process.args[0]}: no answer, status {process.wait()}")
        return answer

    def finish(self, process):
        """Closes its input: it ends with status 0."""
        process.stdin.close()
        if process.wait() != 0:
            raise Failure(f"{process.args[0]}: status {process.returncode}")

    # ---- what is the same, and what is measured ----

    def say(self, *words):
        self.said += " ".join(map(str, words)).splitlines()

    def watch(self, process):
        """From now on, this process and all below it are the service."""
        self.first = process.pid
        self.sampler = threading.Thread(target=self.sample, daemon=True)
        self.sampler.start()

    def sum(self):
        total = 0
        for pid in (self.first, *processes_below(self.first)):
            size = proportional(pid)
            total += size
            if size and self.preload and pid not in self.with_library:
                self.samples[pid] = self.samples.get(pid, 0) + 1
                if str(self.preload) in mapped(pid):
                    self.with_library.add(pid)
                else:
                    self.names[pid] = os.path.realpath(f"/proc/{pid}/exe")
        self.peak = max(self.peak, total)
        return total

    def sample(self):
        while not self.ended.wait(SAMPLE):
            self.sum()

    def rest(self):
        time.sleep(REST)
        self.final = self.sum()

    def check_library(self):
        """It was seen in the first process, and in all that were there for two samples: one may be on its way to main."""
        if self.first not in self.with_library:
            raise Failure(f"the library is not in {self.names.get(self.first, 'the service')}")
        for pid, samples in self.samples.items():
            if pid not in self.with_library and samples > 2:
                raise Failure(f"the library is not in {self.names[pid]}, a process of the service")

    def end(self):
        """No process is left."""
        self.ended.set()
        if self.sampler:
            self.sampler.join()
        while left := processes_below(os.getpid()):
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                except OSError:
                    pass


def once(module, preload, user, parent, found):
    """A run of the service in a folder of its own: the Run, after it."""
    folder = Path(tempfile.mkdtemp(dir=parent))
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
    run = Run(folder, preload, user, found)

    def late(*_):
        raise Failure(f"it has not ended after {TIMEOUT} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(TIMEOUT)
    try:
        module.work(run)
        if preload:
            run.check_library()
    except (Failure, OSError) as error:
        logs = "".join(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}\n" for log in sorted(folder.glob("*.err")))
        raise Failure(f"with {preload.name if preload else 'the malloc of libc'}: {error}\n{logs}") from error
    finally:
        signal.alarm(0)
        run.end()
    return run


def libc_of(program):
    """The libc that the program is linked with."""
    said = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    return Path(next(line.split()[2] for line in said.splitlines() if line.strip().startswith("libc.so.6 => ")))


def find(program):
    """Its path, or None. `a|b`: the first of them that there is; with wildcards, the last that there is."""
    for name in program.split("|"):
        if "/" in name:
            found = max(map(str, Path("/").glob(name.lstrip("/"))), default=None)
        else:
            found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
        if found:
            return found
    return None


def main():
    parser = argparse.ArgumentParser(usage="service.py NAME [--record FILE]")
    parser.add_argument("name")
    parser.add_argument("--record")
    arguments = parser.parse_args()
    if arguments.name not in SERVICES:
        parser.error(f"the services are: {', '.join(SERVICES)}")
    module = importlib.import_module(arguments.name)
    found = {name.split("|")[0].split("/")[-1]: find(name) for name in module.NEEDS}
    if missing := [name for name, path in found.items() if path is None]:
        print(f"SKIP: {', '.join(missing)} is not installed")
        return 77
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    user = pwd.getpwnam("nobody") if os.getuid() == 0 else None
    parent = Path(tempfile.mkdtemp(prefix=f"cutback-{arguments.name}-"))
    try:
        parent.chmod(0o755)
        library = Path(shutil.copy(os.environ["CUTBACK_PRELOAD"], parent))
        plain = libc_of(next(iter(found.values()))) if getattr(module, "LINKED_WITH_ANOTHER_MALLOC", False) else None
        runs = [once(module, preload, user, parent, found) for preload in (plain, library)]
        different = "\n".join(difflib.unified_diff(runs[0].said, runs[1].said, "libc", "cutback", lineterm="", n=1))
        if different or not runs[0].said:
            raise Failure(f"what it does is not the same:\n{different[:6000]}")
        print(f"{len(runs[0].said)} lines are the same; the library was in {len(runs[1].with_library)} processes")
        figures = {"version": runs[0].version, "runs": [{"peak": run.peak, "final": run.final} for run in runs]}  # KiB
        print(json.dumps(figures))
        if arguments.record:
            Path(arguments.record).write_text(json.dumps(figures) + "\n")
    except Skip as why:
        print(f"SKIP: {why}")
        return 77
    except Failure as failure:
        print(f"FAILED: {failure}")
        return 1
    finally:
        shutil.rmtree(parent, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
