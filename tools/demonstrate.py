#!/usr/bin/env python3
"""Compiles one generated C file with gcc on glibc's malloc, three others and cutback's, in turn, and prints a table.

usage: demonstrate.py PRELOAD_LIBRARY [LINES [ROUNDS]]

The rounds are interleaved, so that a busy moment of the machine hits all of them alike. Peak memory is the largest
resident set of any process involved, which is the compiler proper's. What was given back to the system while the
compiler ran is what cutback reports at exit, from a run of its own that is not timed.
"""
import glob
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time


def find(pattern):
    found = sorted(glob.glob(f"/usr/lib/*/{pattern}") + glob.glob(f"/usr/lib/{pattern}"))
    return found[0] if found else None


def environment(library, **more):
    env = {key: value for key, value in os.environ.items() if key not in ("LD_PRELOAD", "CUTBACK_OPTIONS")}
    if library:
        env["LD_PRELOAD"] = library
    return {**env, **more}


def compile_once(command, library):
    """Seconds and peak KiB of one run."""
    start = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, environment(library))
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        sys.exit(f"demonstrate: {command[0]} failed on {library or 'glibc'}")
    return seconds, usage.ru_maxrss


def given_back(command, library):
    report = subprocess.run(command, env=environment(library, CUTBACK_OPTIONS="stats=1"), stderr=subprocess.PIPE,
                            check=True).stderr.decode(errors="replace")
    amounts = [int(amount) for amount in re.findall(r"returned to the system:\s*(\d+) KiB", report)]
    return f"{max(amounts) / 1024:.1f}" if amounts else "-"


def main():
    preload = sys.argv[1]
    lines = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    mallocs = {"glibc": None, "jemalloc": find("libjemalloc.so.2"), "mimalloc": find("libmimalloc.so.2*"),
               "tcmalloc": find("libtcmalloc_minimal.so.4"), "cutback": preload}
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory(prefix="cutback-") as folder:
        source = os.path.join(folder, "generated.c")
        with open(source, "w") as file:
            subprocess.run([sys.executable, os.path.join(here, "generate-source.py"), str(lines)], stdout=file, check=True)
        with open(source) as file:
            print(f"gcc -O2 -c of {sum(1 for _ in file)} generated lines of C, {rounds} rounds on each malloc in turn",
                  flush=True)
        command = ["gcc", "-O2", "-c", source, "-o", os.path.join(folder, "generated.o")]
        compile_once(command, None)  # so that the first one measured does not pay for reading gcc from the disk
        runs = {name: [] for name, library in mallocs.items() if library or name == "glibc"}
        for _ in range(rounds):
            for name in runs:
                runs[name].append(compile_once(command, mallocs[name]))
        back = given_back(command, preload)

    print(f"\n{'malloc':10}{'best s':>10}{'median s':>10}{'peak MiB':>10}{'given back MiB':>16}")
    for name in mallocs:
        if name not in runs:
            print(f"{name:10}{'not installed':>20}")
            continue
        seconds = [run[0] for run in runs[name]]
        peak = statistics.median(run[1] for run in runs[name]) / 1024
        print(f"{name:10}{min(seconds):10.3f}{statistics.median(seconds):10.3f}{peak:10.1f}"
              f"{back if name == 'cutback' else '-':>16}")


main()
