#!/usr/bin/env python3
"""Whether bench_waves counts what it says, under a malloc whose behaviour is known, and bench/report.py shows it.

    bench/test_waves.py PROGRAM

glibc's malloc gives back what it maps for each object alone, and keeps all else when it is told to. Exit status 77
(skipped) where malloc is not glibc's, or huge pages make a fault more than a page.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import report

KEEPS_ALL = f"glibc.malloc.trim_threshold={1 << 30}:glibc.malloc.mmap_threshold={1 << 30}"
KEEPS_NOTHING = "glibc.malloc.mmap_threshold=32768"
SMALL = ("alone_1", "two_16", "ending_16", "handed_16")
WAVES = 5


def run(program, *arguments, tunables=KEEPS_ALL):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LD_PRELOAD", "MALLOC_"))}
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60,
                          env=environment | {"GLIBC_TUNABLES": tunables})


def sample(program, pattern, tunables):
    done = run(program, "--only", pattern, f"--waves={WAVES}", "--order=same", "--quiet=0.1", "--json",
               tunables=tunables)
    assert done.returncode == 0 and not done.stderr, f"{pattern}: exit status {done.returncode}, {done.stderr}"
    return json.loads(done.stdout)


def check_patterns(program):
    listed = [line.split()[0] for line in run(program, "--list").stdout.splitlines()]
    assert set(SMALL) < set(listed) and len(listed) == len(set(listed)), f"patterns: {listed}"
    for pattern in SMALL:
        s = sample(program, pattern, KEEPS_ALL)
        figures, notes = s["figures"], s["notes"]
        megabytes = int(pattern.split("_")[1])
        assert notes["bytes_wave"] == megabytes * 1e6, f"{pattern}: {s}"
        assert 0.9 * notes["count_pages"] < figures["count_first"] <= figures["count_faults"], f"{pattern}: {s}"
        assert figures["bytes_peak"] > 0.9 * notes["bytes_wave"], f"{pattern}: {s}"
        assert figures["ms_time"] > 0 and notes["count_all_waves"] >= 2 * WAVES, f"{pattern}: {s}"


def check_counts(program):
    """The later waves fetch nothing where all is kept, and all of their memory where nothing is."""
    kept, fetched = sample(program, "large_64", KEEPS_ALL), sample(program, "large_64", KEEPS_NOTHING)
    assert kept["figures"]["waves_again"] < 0.3, kept
    assert kept["figures"]["waves_quiet"] > 0.9, kept
    assert WAVES - 1.1 < fetched["figures"]["waves_again"] < WAVES - 0.9, fetched
    assert fetched["figures"]["bytes_ended"] < 0.1 * fetched["notes"]["bytes_wave"], fetched
    return kept, fetched


def check_report(kept, fetched):
    """The one as glibc, the other as cutback: so many waves' memory over it."""
    lines = []
    report.waves(lines, {"allocators": [{"name": "glibc"}, {"name": "cutback"}], "workloads": [
        {"name": "wave/large_64", "kind": "wave", "results": {"glibc": [kept], "cutback": [fetched]}}]})
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("| large_64")]
    assert len(rows) == 3, lines  # without system calls
    counts = [s["figures"]["count_faults"] for s in (kept, fetched)]
    assert [float(c) for c in rows[0][1:3]] == counts, rows
    assert abs(float(rows[0][4]) - (counts[1] - counts[0]) / kept["notes"]["count_pages"]) < 0.06, rows


def check_refusals(program):
    for wrong in (["--waves=0"], ["--waves", "x"], ["--only=none"], ["--order=up"], ["--quiet=-1"], ["--json=1"], ["x"]):
        done = run(program, *wrong)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and not done.stdout, f"{wrong}: {done}"


def main():
    program = sys.argv[1]
    huge = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if huge.exists() and "[always]" in huge.read_text():
        return 77
    if not sample(program, "alone_1", KEEPS_ALL)["allocator"].endswith("/libc.so.6"):
        return 77
    check_refusals(program)
    check_patterns(program)
    check_report(*check_counts(program))
    return 0


if __name__ == "__main__":
    sys.exit(main())
