#!/usr/bin/env python3
"""Runs the heap on another processor or with another C library: unit tests of tests/heap, and a program on all of it.

    heap.py aarch64|musl SOURCE-FOLDER [--all]

aarch64 is built by Debian's cross compiler and run by QEMU, musl by musl-gcc; neither has cmocka, in place of which there is
hosted/cmocka.h. Some tests are only run with --all, which takes minutes; those that can never run are listed below.

Exit status: 0, 1 (a test failed), 2 (wrong usage), 77 (skipped: a compiler or QEMU is missing).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = ["map", "pages", "lifo", "size", "purge", "census", "check", "owner_cache", "aligned", "reserve"]
MORE = ["holes", "drain", "remote", "threads", "realloc", "grow", "limit", "range", "random", "inject"]
MACHINES = {
    # what is needed, the compiler, what runs its programs, further tests with --all
    "aarch64": (["aarch64-linux-gnu-gcc", "qemu-aarch64"], "aarch64-linux-gnu-gcc", ["qemu-aarch64"], MORE),
    # With QEMU are left out: options, exit, fork and repair (they run themselves again), grant and os (limits and filters of
    # the host), idle, lost, locked and waves (what is resident includes the emulator).
    "musl": (["musl-gcc"], "musl-gcc", [], [*MORE, "fork", "exit", "lost", "grant", "locked", "idle", "waves"]),
    # With musl: options and os (constants of glibc), repair (a header of the kernel).
}
FLAGS = ["-O2", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-pthread",
         *(f"-fno-builtin-{name}" for name in ("malloc", "calloc", "realloc", "free", "aligned_alloc"))]
# The report of a fault; where nothing stands here, it depends on what the system or the C library knows of the address.
FAULTS = {"twice": "double free of 0x", "stack": "pointer into the stack: 0x", "tagged": "", "program": ""}


def say(*words):
    print(*words, flush=True)


class Machine:
    def __init__(self, name, source, folder):
        _, self.compiler, self.runner, self.more = MACHINES[name]
        self.name, self.source, self.folder, self.failed = name, source, Path(folder), False
        self.includes = [f"-I{source / 'src'}", f"-I{source / 'fuzz'}", f"-I{source / 'tests' / 'heap'}", f"-I{source / 'tests'}",
                         f"-I{source / 'tests' / 'machines' / 'hosted'}"]

    def compile(self, *arguments):
        subprocess.run([self.compiler, *FLAGS, *self.includes, *map(str, arguments)], cwd=self.folder, check=True)

    def heap(self, kind, *flags):
        """The objects of src/os and src/heap."""
        (self.folder / kind).mkdir()
        files = [*(self.source / "src" / "os").glob("*.c"), *(self.source / "src" / "heap").glob("*.c")]
        if "-DCB_TESTING" not in flags:
            files = [file for file in files if file.name not in ("rank.c", "check.c")]
        objects = [self.folder / kind / f"{file.parent.name}_{file.stem}.o" for file in files]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda pair: self.compile(*flags, "-c", pair[0], "-o", pair[1]), zip(files, objects)))
        return objects

    def fail(self, what, output):
        say(f"FAILED {what}\n{output}")
        self.failed = True

    def run(self, what, command, **more):
        return subprocess.run(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=900, **more)

    def units(self, names):
        flags = ["-DCB_PREFIXED", "-DCB_TESTING"]
        objects = self.heap("prefixed", *flags)
        for name in names:
            test = self.source / "tests" / "heap" / f"test_{name}.c"
            self.compile(*flags, test, *objects, "-static", "-o", f"test_{name}")
            ended = self.run(name, [*self.runner, f"./test_{name}"])
            if ended.returncode != 0 or "passed " not in ended.stdout:
                self.fail(name, f"status {ended.returncode}\n{ended.stdout}")
            else:
                say(f"{name}: {ended.stdout.strip().splitlines()[-1]}")

    def whole(self, kind, command):
        ended = self.run(kind, command)
        if ended.returncode != 0 or ended.stdout != "passed\n":
            self.fail(f"{kind} program", f"status {ended.returncode}\n{ended.stdout}")
        for fault, text in FAULTS.items():
            ended = self.run(kind, [*command, fault])
            if ended.returncode == 0 or f"cutback: free(): {text}" not in ended.stdout or "passed" in ended.stdout:
                self.fail(f"{kind} program: {fault}", f"status {ended.returncode}\n{ended.stdout}")
        say(f"{kind} program: passed")

    def programs(self):
        whole = self.source / "tests" / "machines" / "whole.c"
        objects = self.heap("whole", "-fPIC", "-fvisibility=hidden")
        self.compile("-fno-builtin", whole, *objects, "-static", "-o", "linked")
        self.whole("linked", [*self.runner, "./linked"])
        if self.name == "aarch64":
            preload = self.source / "preload"
            self.compile("-fPIC", "-fvisibility=hidden", preload / "deepbind.c", *objects, "-shared",
                         f"-Wl,--version-script={preload / 'preload.map'}", "-o", "libcutback_preload.so")
            self.compile("-fno-builtin", whole, "-o", "program")
            self.whole("preloaded", [*self.runner, "-L", "/usr/aarch64-linux-gnu", "-E",
                                     f"LD_PRELOAD={self.folder / 'libcutback_preload.so'}", "./program"])


def main():
    arguments = [a for a in sys.argv[1:] if a != "--all"]
    if len(arguments) != 2 or arguments[0] not in MACHINES:
        say(f"usage: heap.py {'|'.join(MACHINES)} SOURCE-FOLDER [--all]")
        return 2
    needed, _, _, more = MACHINES[arguments[0]]
    for program in needed:
        if not shutil.which(program):
            say(f"skipped: no {program}")
            return 77
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(arguments[0], Path(arguments[1]).resolve(), folder)
        machine.units([*TESTS, *(more if "--all" in sys.argv else [])])
        machine.programs()
    return 1 if machine.failed else 0


sys.exit(main())
